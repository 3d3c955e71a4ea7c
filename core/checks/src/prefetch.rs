//! Addresses announced to an index before look-ups.

use std::cell::RefCell;
use std::net::IpAddr;

use poddns_core::{
    Config, Freshness, Label, MAX_UDP_REPLY, PodLookup, Request, Unknown, client_of, prefetch, respond,
};

/// An index that records announced and looked-up addresses.
struct Listener<'a, P> {
    pods: &'a P,
    announced: RefCell<Vec<IpAddr>>,
    looked_up: RefCell<Vec<IpAddr>>,
}

impl<P: PodLookup> PodLookup for Listener<'_, P> {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        self.pods.namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.looked_up.borrow_mut().push(address);
        self.pods.contains(namespace, address)
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.announced.borrow_mut().extend(addresses);
    }

    fn freshness(&self) -> Freshness {
        self.pods.freshness()
    }

    fn namespace_freshness(&self) -> Freshness {
        self.pods.namespace_freshness()
    }
}

/// Checks that in a batch, every address that is looked up was announced to the index, except for the client's own.
pub(crate) fn check(config: &Config<'_>, pods: &impl PodLookup, request: &Request, query: &[u8]) {
    let listener = Listener { pods, announced: RefCell::default(), looked_up: RefCell::default() };
    // A single query is not announced.
    prefetch(config, &listener, [query, query]);
    assert!(listener.looked_up.borrow().is_empty(), "an address is looked up before a query is answered");
    // The response is not checked here.
    let _ = respond(config, &listener, query, request, &mut [0; MAX_UDP_REPLY]);
    let (announced, looked_up) = (listener.announced.into_inner(), listener.looked_up.into_inner());
    // Used to look up which namespaces the client sees.
    let client = client_of(config, query, request.source);
    let known = |address: &IpAddr| announced.contains(address) || Some(*address) == client;
    assert!(looked_up.iter().all(known), "looked up {looked_up:?}, announced {announced:?}");
}
