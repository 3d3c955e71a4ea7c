//! An index that a test fills itself.

use std::net::IpAddr;
use std::sync::Arc;

use poddns_core::{Label, Owner, PodLookup, Unknown};
use poddns_net::{PodsReport, ServedPods};
use poddns_watch::Index;

/// The index that the daemon reads, written by the test instead of a feed.
#[derive(Debug)]
pub(crate) struct Indexed(pub(crate) Arc<Index>);

impl PodLookup for Indexed {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        self.0.namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.0.contains(namespace, address)
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        self.0.addresses_of(namespace, pod, each)
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        self.0.owner_of(address)
    }

    fn serial(&self) -> u32 {
        self.0.serial()
    }
}

impl ServedPods for Indexed {
    fn report(&self) -> PodsReport {
        PodsReport::default()
    }
}
