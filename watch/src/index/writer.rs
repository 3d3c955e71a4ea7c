//! The one writer of an index.

mod lists;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use poddns_core::Label;

use super::addresses::{AddressesWriter, StoredAddress};
use super::hash::HashKeys;
use super::inline_vec::InlineVec;
use super::label::PackedLabel;
use super::names::PodNamesWriter;
use super::namespaces::NamespacesWriter;
use super::numbers::{HolderKey, NamespaceId, Row};
use super::pods::{PodRowsWriter, RowEntry};
use super::reader::Index;
use super::segments::Meter;
use super::sharing::Claim;
use super::sync::{AtomicU32, AtomicU64, Epoch, Ordering};
use super::tracker::VersionTracker;
use super::types::{Change, IndexOptions, MAX_PODS, PodComparison, PodRecord};
use super::uid::Uid;
use super::visible_change::VisibleChange;
use crate::freshness::Health;

/// The one writer of an [`Index`].
///
/// It identifies pods by uid alone: an update or a removal need not state the pod's old addresses, nor whether anything
/// has changed. Readers see a change, step by step, by the time the method returns. A pod whose addresses change has
/// its new addresses before it loses its old ones, and keeps the addresses in both sets throughout.
pub struct IndexWriter {
    pub(super) index: Arc<Index>,
    pub(super) namespaces: NamespacesWriter,
    addresses: AddressesWriter,
    pub(super) pods: PodRowsWriter,
    names: Option<PodNamesWriter>,
    clock: SerialClock,
    /// Versions for zone transfers, if they are kept.
    pub(super) tracker: Option<Box<VersionTracker>>,
}

/// The clock that the serial is derived from.
pub(super) enum SerialClock {
    System,
    #[cfg(any(test, feature = "fuzzing"))]
    Set(u64),
}

impl SerialClock {
    /// Returns the time in Unix seconds.
    fn now(&self) -> u64 {
        match self {
            Self::System => SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Set(now) => *now,
        }
    }
}

/// Returns an empty index with its writer.
///
/// ```
/// use poddns_core::PodLookup;
/// use poddns_watch::{IndexOptions, PodRecord, Uid, index};
///
/// let (mut writer, index) = index(IndexOptions::default());
/// let namespace = "default".parse()?;
/// let uid = Uid::parse("6d0b0d0c-8f3c-4c1a-9d7e-0123456789ab");
/// let addresses = ["10.42.2.46".parse()?, "fd00::2e".parse()?];
/// writer.apply(&PodRecord { uid, namespace, name: "web-0", addresses: &addresses });
/// assert!(index.contains(&namespace, "fd00::2e".parse()?)?);
/// writer.remove(uid);
/// assert!(!index.contains(&namespace, "10.42.2.46".parse()?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn index(options: IndexOptions) -> (IndexWriter, Arc<Index>) {
    index_with(options, SerialClock::System)
}

/// Returns an empty index whose serial is derived from this clock.
pub(super) fn index_with(options: IndexOptions, clock: SerialClock) -> (IndexWriter, Arc<Index>) {
    let (keys, meter) = (HashKeys::default(), Meter::default());
    let (namespaces, shared_namespaces) = NamespacesWriter::new(&keys, &meter);
    let (addresses, shared_addresses) = AddressesWriter::new(&keys, &meter);
    let (pods, shared_pods) = PodRowsWriter::new(&keys, &meter);
    let (names, shared_names) =
        options.pod_names.then(|| PodNamesWriter::new(&keys, &shared_pods, &meter)).unzip();
    let index = Arc::new(Index {
        epoch: Epoch::new(),
        namespaces: shared_namespaces,
        addresses: shared_addresses,
        pods: shared_pods,
        names: shared_names,
        // Not 1: the serial must not be lower than that of an earlier process, which was derived from the same clock.
        serial: AtomicU64::new(clock.now().max(1)),
        pod_count: AtomicU32::new(0),
        meter,
        health: Health::default(),
    });
    let shared = Arc::clone(&index);
    (IndexWriter { index: shared, namespaces, addresses, pods, names, clock, tracker: None }, index)
}

impl IndexWriter {
    /// Returns the index that this writes.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Returns whether pod names are kept.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        self.names.is_some()
    }

    /// Stores the current state of a pod, whether or not it is known, and marks it as seen by the list under way.
    ///
    /// If pod names are kept, another pod of the same namespace and name is removed: in Kubernetes only one pod can
    /// have a name at a time, so this pod has replaced it.
    pub fn apply(&mut self, pod: &PodRecord<'_>) -> Change {
        let addresses = InlineVec::distinct(pod.addresses);
        if addresses.is_empty() {
            return self.remove(self.pods.held_by(pod.uid));
        }
        let name = self.kept_name(pod);
        let (change, visible) = match self.pods.find(pod.uid) {
            None if self.pods.len() >= MAX_PODS => return Change::Refused,
            None => (Change::Added, self.insert(pod, name, &addresses)),
            Some(row) => {
                if self.pods.uid(row) != pod.uid {
                    // Deleted and created again, and the deletion event was missed.
                    self.pods.set_uid(row, pod.uid);
                }
                if self.is(row, &pod.namespace, name) {
                    self.update(row, &addresses)
                } else {
                    // Inserted under its new name first, so that addresses that stay can be looked up throughout.
                    self.track_names(row, false);
                    let inserted = self.insert(pod, name, &addresses);
                    (Change::Updated, self.clear_row(row) | inserted)
                }
            }
        };
        self.publish(visible);
        change
    }

    /// Removes a pod that was deleted or is in phase Succeeded or Failed, unless another pod of its name has replaced
    /// it.
    pub fn remove(&mut self, uid: Uid) -> Change {
        let own = |row: &Row| self.pods.uid(*row) == uid;
        let Some(row) = self.pods.find(uid).filter(own) else { return Change::Unchanged };
        let visible = self.remove_row(row);
        self.publish(visible);
        Change::Removed
    }

    /// Compares a pod with the stored one, which does not change except that it is marked as seen by the list under
    /// way. A pod without addresses counts as equal if it is not stored.
    pub fn compare(&mut self, pod: &PodRecord<'_>) -> PodComparison {
        let Some(row) = self.pods.find(pod.uid) else {
            return if pod.addresses.is_empty() { PodComparison::Same } else { PodComparison::Missing };
        };
        let entry = self.index.pods.entry(row);
        self.pods.set(row, entry.with_seen(true));
        let same = self.pods.uid(row) == pod.uid
            && self.is(row, &pod.namespace, self.kept_name(pod))
            && self.index.addresses_in(entry).iter().eq(InlineVec::distinct(pod.addresses).iter());
        if same { PodComparison::Same } else { PodComparison::Different }
    }

    /// Adds a namespace that exists in the cluster.
    pub fn apply_namespace(&mut self, namespace: Label) -> Change {
        if self.index.namespaces.len() >= MAX_PODS {
            return Change::Refused;
        }
        let (change, visible) = self.namespaces.add(&self.index.epoch, &namespace);
        self.publish(visible);
        change
    }

    /// Removes a namespace. For responses it still exists while it has pods.
    pub fn remove_namespace(&mut self, namespace: &Label) -> Change {
        let (change, visible) = self.namespaces.remove(&self.index.epoch, namespace);
        self.publish(visible);
        change
    }

    /// Derives the serial from this time, in Unix seconds, instead of the system's clock.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn set_clock(&mut self, now: u64) {
        self.clock = SerialClock::Set(now);
    }

    /// Returns the number of slots of all kinds in use: 0 if there are neither pods nor namespaces.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        let names = self.names.as_ref().map_or(0, PodNamesWriter::in_use);
        self.namespaces.in_use() + self.addresses.in_use() + self.pods.in_use() + names
    }

    /// Returns the pod's name if it is to be kept.
    fn kept_name(&self, pod: &PodRecord<'_>) -> Option<PackedLabel> {
        self.names.as_ref()?;
        pod.name.parse().ok().map(|label| PackedLabel::new(&label))
    }

    /// Returns whether the pod in the row has this namespace and name.
    fn is(&self, row: Row, namespace: &Label, name: Option<PackedLabel>) -> bool {
        let known = self.index.names.as_ref().and_then(|names| names.of(row));
        let label = PackedLabel::new(namespace);
        let id = self.index.pods.entry(row).namespace();
        known == name && id.is_some_and(|id| self.index.namespaces.is(id, &label))
    }

    fn claim(&self, row: Row, namespace: NamespaceId) -> Claim {
        let holder = match self.names {
            Some(_) => HolderKey::of_row(row),
            None => HolderKey::of_namespace(namespace),
        };
        Claim { holder, namespace }
    }

    /// Adds a pod that has no row.
    fn insert(
        &mut self,
        pod: &PodRecord<'_>,
        name: Option<PackedLabel>,
        addresses: &InlineVec<IpAddr>,
    ) -> VisibleChange {
        let (namespace, mut visible) = self.namespaces.enter(&self.index.epoch, &pod.namespace);
        let named = self.index.names.as_ref().zip(name);
        let replaced = named.and_then(|(names, name)| names.find(namespace, &name));
        let row = self.pods.insert(pod.uid);
        // Before the row is reachable: a reader that reaches it finds all of it.
        self.pods.set(row, RowEntry::new(namespace));
        if let (Some(names), Some(name)) = (&mut self.names, &name) {
            names.store(row, name);
        }
        if self.tracker.is_some() {
            // The name belongs to this pod from now on, whatever the order of the changes below.
            if let Some(replaced) = replaced {
                self.track_names(replaced, false);
            }
            self.track_names_of(row, addresses, true);
        }
        let claim = self.claim(row, namespace);
        let stored = self.attach_all(claim, &InlineVec::default(), addresses, &mut visible);
        self.pods.set_addresses(&self.index.epoch, row, &stored);
        if let (Some(names), Some(_)) = (&mut self.names, name) {
            names.publish(&self.index.epoch, row);
            visible = VisibleChange::YES;
        }
        if let Some(replaced) = replaced {
            visible |= self.clear_row(replaced);
        }
        visible
    }

    /// Updates the addresses of a pod that has kept its namespace and name.
    fn update(&mut self, row: Row, addresses: &InlineVec<IpAddr>) -> (Change, VisibleChange) {
        let entry = self.index.pods.entry(row);
        if !entry.is_seen() {
            self.pods.set(row, entry.with_seen(true));
        }
        let same = self.index.addresses_in(entry).iter().eq(addresses.iter());
        let Some(namespace) = entry.namespace().filter(|_| !same) else {
            return (Change::Unchanged, VisibleChange::NO);
        };
        let claim = self.claim(row, namespace);
        let mut visible =
            VisibleChange(self.index.names.as_ref().is_some_and(|names| names.of(row).is_some()));
        let old = self.index.pods.addresses(entry);
        let new = self.attach_all(claim, &old, addresses, &mut visible);
        self.pods.set_addresses(&self.index.epoch, row, &new);
        if self.tracker.is_some() {
            self.track_renamed(row, &old, &new);
        }
        for address in old.iter().filter(|&address| !new.contains(address)) {
            visible |= self.detach(claim, address);
        }
        (Change::Updated, visible)
    }

    /// Attaches the addresses in `wanted` that are not in `old` to a pod. Returns the stored form of all of `wanted`.
    fn attach_all(
        &mut self,
        claim: Claim,
        old: &InlineVec<StoredAddress>,
        wanted: &InlineVec<IpAddr>,
        visible: &mut VisibleChange,
    ) -> InlineVec<StoredAddress> {
        let Self { index, addresses, tracker, .. } = self;
        let attach = |address| {
            if let Some(stored) = old.iter().find(|&stored| index.addresses.full(stored) == Some(address)) {
                return stored;
            }
            if let Some(tracker) = tracker {
                tracker.attaching(index, address, claim);
            }
            let (stored, seen) =
                addresses.attach(&index.epoch, address, claim, |other| index.namespace_of(other));
            *visible |= seen;
            stored
        };
        wanted.iter().map(attach).collect()
    }

    fn detach(&mut self, claim: Claim, address: StoredAddress) -> VisibleChange {
        let Self { index, addresses, tracker, .. } = self;
        // Read first: its slot may be reused after the detach.
        let full = tracker.as_ref().and_then(|_| index.addresses.full(address));
        let visible = addresses.detach(&index.epoch, address, claim, |other| index.namespace_of(other));
        if let (Some(tracker), Some(address)) = (tracker, full) {
            tracker.detached(index, address, claim);
        }
        visible
    }

    /// Removes a pod with everything that belongs to it.
    fn remove_row(&mut self, row: Row) -> VisibleChange {
        if self.tracker.is_some() {
            self.track_names(row, false);
        }
        self.clear_row(row)
    }

    /// As [`remove_row`](Self::remove_row), for a pod whose name has already been removed from the versions.
    fn clear_row(&mut self, row: Row) -> VisibleChange {
        let entry = self.index.pods.entry(row);
        let Some(namespace) = entry.namespace() else { return VisibleChange::NO };
        let claim = self.claim(row, namespace);
        let addresses = self.index.pods.addresses(entry);
        let mut visible = VisibleChange::NO;
        if let Some(names) = &mut self.names {
            visible |= names.unpublish(&self.index.epoch, row);
        }
        // A scan reaches the pod by its row, and must not see it partly removed.
        self.pods.set_addresses(&self.index.epoch, row, &InlineVec::default());
        for address in addresses.iter() {
            visible |= self.detach(claim, address);
        }
        // Only now, because the addresses would otherwise lead to a pod without its name.
        if let Some(names) = &mut self.names {
            names.remove(&self.index.epoch, row);
        }
        self.pods.remove(&self.index.epoch, row);
        visible | self.namespaces.leave(&self.index.epoch, namespace)
    }

    /// Ends a change: updates the statistics, and the serial if readers can see the change.
    fn publish(&mut self, visible: VisibleChange) {
        self.index.pod_count.store(self.pods.len() as u32, Ordering::Relaxed);
        // If versions are kept, they set the serial.
        if visible.0 && self.tracker.is_none() {
            // The serial does not decrease if the clock is set back.
            let serial = self.index.serial.load(Ordering::Relaxed).max(self.clock.now());
            self.index.serial.store(serial, Ordering::Release);
        }
    }
}

impl fmt::Debug for IndexWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexWriter").field("index", &self.index).finish_non_exhaustive()
    }
}
