//! The readers' side of the index.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use poddns_core::{Freshness, Label, Owner, PodLookup, Unknown};

use super::addresses::{Addresses, Holder};
use super::inline_vec::InlineVec;
use super::label::PackedLabel;
use super::names::PodNames;
use super::namespaces::Namespaces;
use super::numbers::{HolderKey, NamespaceId};
use super::pods::{PodRows, RowEntry};
use super::segments::Meter;
use super::sync::{AtomicU32, AtomicU64, Epoch, Ordering};
use super::types::IndexStats;
use crate::freshness::Health;

/// The pods and namespaces of a cluster, for readers. Created by [`index`](super::index()).
///
/// Look-ups neither block nor allocate, whatever the writer does.
pub struct Index {
    pub(super) epoch: Epoch,
    pub(super) namespaces: Arc<Namespaces>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) pods: Arc<PodRows>,
    /// Only if pod names are kept.
    pub(super) names: Option<Arc<PodNames>>,
    /// Unix seconds.
    pub(super) serial: AtomicU64,
    pub(super) pod_count: AtomicU32,
    pub(super) meter: Meter,
    pub(super) health: Health,
}

impl Index {
    /// Returns the size of the index. The counts are read one after another while the writer continues, so they may not
    /// be from the same moment.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        IndexStats {
            pods: self.pod_count.load(Ordering::Relaxed) as usize,
            addresses: self.addresses.len(),
            namespaces: self.namespaces.len(),
            bytes: self.meter.bytes(),
        }
    }

    /// Returns the state of the watches that feed the index.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Returns the namespace of the holder of an address.
    pub(super) fn namespace_of(&self, holder: HolderKey) -> Option<NamespaceId> {
        if self.names.is_some() {
            self.pods.entry(holder.row()).namespace()
        } else {
            Some(holder.namespace())
        }
    }

    /// Returns whether the holder of an address is in this namespace.
    fn is_in(&self, holder: HolderKey, namespace: &Label) -> bool {
        let label = PackedLabel::new(namespace);
        self.namespace_of(holder).is_some_and(|id| self.namespaces.is(id, &label))
    }

    /// Returns the name of the sole holder of an address, if names are kept and the name resolves to the address. While
    /// a pod is being added or changed, it has the address before it has the name.
    fn name_of(&self, holder: HolderKey, namespace: NamespaceId, address: IpAddr) -> Option<Label> {
        let names = self.names.as_ref()?;
        let name = names.of(holder.row())?;
        let row = names.find(namespace, &name)?;
        let leads_back = self.addresses_in(self.pods.entry(row)).contains(address);
        name.label().filter(|_| leads_back)
    }

    /// Returns the addresses of a row.
    pub(super) fn addresses_in(&self, entry: RowEntry) -> InlineVec<IpAddr> {
        let stored = self.pods.addresses(entry);
        stored.iter().filter_map(|address| self.addresses.full(address)).collect()
    }
}

impl PodLookup for Index {
    /// Returns whether a namespace exists: whether the namespace watch has reported it, or it has pods. The two watches
    /// are not synchronised, and a pod cannot exist without its namespace: its name must not be below one that does not
    /// exist (RFC 8020).
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        let label = PackedLabel::new(namespace);
        self.epoch.consistently(|| self.namespaces.find(&label).is_some())
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        self.epoch.consistently(|| match self.addresses.holder(address) {
            Holder::None => false,
            Holder::Sole(holder) => self.is_in(holder, namespace),
            Holder::Shared(shared) => {
                // A namespace that does not exist takes the same second look-up: where pods are hidden from a client,
                // the response time must not reveal which namespaces exist.
                let namespace = self.namespaces.find(&PackedLabel::new(namespace)).or(NamespaceId::UNUSED);
                namespace.is_some_and(|namespace| self.addresses.is_shared_in(shared, namespace))
            }
        })
    }

    /// Looks up both addresses regardless of the first one's holder, so that the time does not depend on the second
    /// one.
    fn share_namespace(&self, one: IpAddr, other: IpAddr) -> Result<bool, Unknown> {
        self.epoch.consistently(|| match (self.addresses.holder(one), self.addresses.holder(other)) {
            (Holder::Sole(one), Holder::Sole(other)) => {
                let namespace = self.namespace_of(one);
                namespace.is_some() && namespace == self.namespace_of(other)
            }
            (Holder::Sole(sole), Holder::Shared(shared)) | (Holder::Shared(shared), Holder::Sole(sole)) => {
                self.namespace_of(sole)
                    .is_some_and(|namespace| self.addresses.is_shared_in(shared, namespace))
            }
            // The index does not store which namespaces two shared addresses have in common.
            (Holder::Shared(one), Holder::Shared(other)) => one == other,
            (Holder::None, _) | (_, Holder::None) => false,
        })
    }

    fn prefetch(&self, addresses: &[IpAddr]) {
        self.prefetch_batch(addresses);
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let Some(names) = &self.names else { return Ok(()) };
        let (namespace, name) = (PackedLabel::new(namespace), PackedLabel::new(pod));
        let addresses = self.epoch.consistently(|| {
            let namespace = self.namespaces.find(&namespace);
            let row = namespace.and_then(|namespace| names.find(namespace, &name));
            row.map(|row| self.addresses_in(self.pods.entry(row)))
        })?;
        addresses.iter().flat_map(InlineVec::iter).for_each(each);
        Ok(())
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let owner = self.epoch.consistently(|| match self.addresses.holder(address) {
            Holder::None => Some(Owner::None),
            Holder::Sole(holder) => {
                let id = self.namespace_of(holder)?;
                let name = self.name_of(holder, id, address);
                Some(Owner::Pod { namespace: self.namespaces.label(id)?, name })
            }
            Holder::Shared(_) => Some(Owner::Shared),
        });
        // In any consistent view, a holder has a namespace.
        owner?.ok_or(Unknown)
    }

    fn freshness(&self) -> Freshness {
        self.health.freshness()
    }

    fn namespace_freshness(&self) -> Freshness {
        self.health.namespace_freshness()
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
