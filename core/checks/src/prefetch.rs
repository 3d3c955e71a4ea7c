//! Addresses announced to an index before look-ups.

use std::cell::RefCell;
use std::net::IpAddr;

use poddns_core::{
    Config, Freshness, Label, MAX_UDP_REPLY, PodLookup, Request, Unknown, client_of, prefetch, respond,
};

/// An index that records announced and looked-up addresses.
struct Listener<'a, P> {
    pods: &'a P,
    told: RefCell<Vec<IpAddr>>,
    asked: RefCell<Vec<IpAddr>>,
}

impl<P: PodLookup> PodLookup for Listener<'_, P> {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        self.pods.namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.asked.borrow_mut().push(address);
        self.pods.contains(namespace, address)
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.told.borrow_mut().extend(addresses);
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
    let listener = Listener { pods, told: RefCell::default(), asked: RefCell::default() };
    // A single query is not announced.
    prefetch(config, &listener, [query, query]);
    assert!(listener.asked.borrow().is_empty(), "asked before its turn");
    // The response is not checked here.
    let _ = respond(config, &listener, query, request, &mut [0; MAX_UDP_REPLY]);
    let (told, asked) = (listener.told.into_inner(), listener.asked.into_inner());
    // Used to look up which namespaces the client sees.
    let client = client_of(config, query, request.source);
    let known = |address: &IpAddr| told.contains(address) || Some(*address) == client;
    assert!(asked.iter().all(known), "asked for {asked:?}, told of {told:?}");
}
