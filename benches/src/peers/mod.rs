//! The same work done with other libraries. They share the code for what the libraries leave to their user: the address
//! of a label, and the look-up of its pod.

mod domain;
mod hickory;

use std::net::IpAddr;
use std::sync::Arc;

use poddns_core::{Label, Mode, PodLookup, podip};
use poddns_watch::Index;

pub use self::domain::DomainResponder;
pub use self::hickory::HickoryResponder;

/// The look-up of pods.
struct PodFinder {
    mode: Mode,
    index: Arc<Index>,
}

impl PodFinder {
    /// Returns the address of `<label>.<namespace>`.
    fn find(&self, label: &[u8], namespace: &[u8]) -> Option<IpAddr> {
        let namespace = Label::from_wire(namespace)?;
        let address = podip::parse(label)?;
        (self.mode == Mode::Insecure || self.index.contains(&namespace, address).unwrap()).then_some(address)
    }
}
