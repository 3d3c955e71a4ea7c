//! The pod index: what an answer needs of a pod, and an identity to undo it by.
//!
//! [`index()`] gives an [`Index`] for any number of readers and its one [`IndexWriter`]. A pod is a row of 24
//! octets in a table of its own, and a word for each address in a hash table of 64-bit words, which most
//! look-ups need nothing but. At a million pods with one address each that comes to 44 octets per pod,
//! everything included.
//!
//! | part | what | octets per pod |
//! |---|---|---|
//! | `pods` | row: uid (16), address, namespace, mark of the list under way (8) | 24 |
//! | `pods` | row number by uid, in a table of 32-bit words | 6.3 |
//! | `addresses` | address and namespace, in a table of 64-bit words | 12.8 |
//! | `addresses` | IPv6 addresses, and addresses that several pods share: slots and tables beside it | 0 |
//! | `namespaces` | each namespace once, by number | 0 |
//! | `names` | if kept: octets, where they are (4), row number by name (6.3) | 0 |
//! | `segments` | arrays whose next segment is at most 1/32 of what is there | 0.5 |
//!
//! - **Load factor**: a table of buckets of one cache line gets one more bucket when it is 6/7 full.
//! - **Growth**: by that one bucket, by splitting another (linear hashing). No table is ever copied, nothing
//!   held twice; see `table`. Nothing shrinks, but what is freed is used again.
//! - **Readers** neither lock nor wait nor allocate, and are finite; the rule that makes it so, with the
//!   memory orderings, is in `sync`.
//! - **Exact**: hashes only say where to look; keys are compared in full.
//! - **Batches** of look-ups wait for memory once instead of once each; see `prefetch`.
//!
//! `docs/pod-index.md` has the arithmetic, the costs of the special cases, and measurements.

#![allow(clippy::cast_possible_truncation, reason = "fields are packed into words; a cast takes one out")]

mod addresses;
mod keys;
#[cfg(any(test, feature = "fuzzing"))]
pub mod model;
mod names;
mod namespaces;
mod pods;
mod prefetch;
mod scan;
mod segments;
mod sync;
mod table;
mod types;
mod uid;
mod writer;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use poddns_core::{Freshness, Label, Owner, PodLookup, Unknown};

use crate::freshness::Health;
use addresses::{Addresses, Holder};
use keys::Packed;
use names::Names;
use namespaces::{NamespaceId, Namespaces};
use pods::{Few, Pods};
use segments::Meter;
use sync::{AtomicU32, AtomicU64, Epoch, Ordering};

pub use scan::IndexedPod;
pub use types::{
    Change, Comparison, IndexOptions, IndexStats, ListScope, MAX_ADDRESSES, MAX_PODS, PodRecord,
};
pub use uid::Uid;
pub use writer::{IndexWriter, index};

/// The pods and namespaces of a cluster, for readers. Made by [`index`].
///
/// Its look-ups neither block nor allocate, whatever the writer does. See the [module](self) for how.
pub struct Index {
    epoch: Epoch,
    namespaces: Arc<Namespaces>,
    addresses: Arc<Addresses>,
    pods: Arc<Pods>,
    /// Only if pod names are kept.
    names: Option<Arc<Names>>,
    /// Unix seconds.
    serial: AtomicU64,
    pod_count: AtomicU32,
    meter: Meter,
    health: Health,
}

impl Index {
    /// How much is in it. The parts are counted one after another, while the writer goes on.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        IndexStats {
            pods: self.pod_count.load(Ordering::Relaxed) as usize,
            addresses: self.addresses.len(),
            namespaces: self.namespaces.len(),
            bytes: self.meter.bytes(),
        }
    }

    /// The state of the watches that feed it.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The namespace of what holds an address: the holder is a pod's row if pod names are kept, else it is
    /// the namespace itself, which spares a look-up the row.
    fn namespace_of(&self, holder: u32) -> NamespaceId {
        if self.names.is_some() { self.pods.entry(holder).namespace() } else { holder }
    }
}

impl PodLookup for Index {
    /// Also true for a namespace that the namespace watch has not told of, or has told to be gone, as long as
    /// there are pods of it: the two watches are not in step with each other, a pod cannot be without its
    /// namespace, and nothing may exist below a name that does not (RFC 8020).
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        let label = Packed::new(namespace);
        self.epoch.consistently(|| self.namespaces.find(&label) != 0)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.epoch.consistently(|| match self.addresses.holder(address) {
            Holder::Nobody => false,
            Holder::Sole(holder) => self.namespaces.is(self.namespace_of(holder), &Packed::new(namespace)),
            Holder::Shared(shared) => match self.namespaces.find(&Packed::new(namespace)) {
                0 => false,
                namespace => self.addresses.shared_in(shared, namespace),
            },
        })
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.bring_near(addresses);
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let Some(names) = &self.names else { return Ok(()) };
        let (namespace, name) = (Packed::new(namespace), Packed::new(pod));
        let addresses = self.epoch.consistently(|| {
            let row = match self.namespaces.find(&namespace) {
                0 => 0,
                namespace => names.find(namespace, &name),
            };
            let kept = self.pods.addresses(self.pods.entry(row));
            kept.iter().filter_map(|address| self.addresses.full(address)).collect::<Few<IpAddr>>()
        })?;
        addresses.iter().for_each(each);
        Ok(())
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let owner = self.epoch.consistently(|| match self.addresses.holder(address) {
            Holder::Nobody => Some(Owner::Nobody),
            Holder::Sole(holder) => {
                let name = self.names.as_ref().and_then(|names| names.of(holder)?.label());
                let namespace = self.namespaces.label(self.namespace_of(holder))?;
                Some(Owner::Pod { namespace, name })
            }
            Holder::Shared(_) => Some(Owner::Shared),
        });
        // A holder has a namespace, in any consistent view.
        owner?.ok_or(Unknown)
    }

    fn freshness(&self) -> Freshness {
        self.health.freshness()
    }

    fn serial(&self) -> u32 {
        self.serial.load(Ordering::Acquire) as u32
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("stats", &self.stats())
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}
