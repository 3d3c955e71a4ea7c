//! The one writer of an index.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use poddns_core::Label;

use super::addresses::{Address, AddressesWriter, Claim};
use super::keys::{Keys, Packed};
use super::names::NamesWriter;
use super::namespaces::NamespacesWriter;
use super::pods::{Entry, Few, PodsWriter, Row};
use super::segments::Meter;
use super::sync::{AtomicU32, AtomicU64, Epoch, Ordering};
use super::{Change, Comparison, Index, IndexOptions, ListScope, MAX_ADDRESSES, MAX_PODS, PodRecord, Uid};
use crate::freshness::Health;

/// The only one who changes an [`Index`].
///
/// It goes by uid alone: of an update or a removal it needs to know neither the pod's old addresses nor
/// whether anything has changed at all. Every change is visible to readers when the method returns, and one
/// after another: a pod whose addresses change has its new ones before it loses its old ones, and what stays
/// is there all the time.
pub struct IndexWriter {
    index: Arc<Index>,
    namespaces: NamespacesWriter,
    addresses: AddressesWriter,
    pods: PodsWriter,
    names: Option<NamesWriter>,
    clock: Clock,
}

/// Source of the serial.
pub(super) enum Clock {
    System,
    #[cfg(any(test, feature = "fuzzing"))]
    Set(u64),
}

impl Clock {
    /// Unix seconds.
    fn now(&self) -> u64 {
        match self {
            Self::System => SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Set(now) => *now,
        }
    }
}

/// An empty index, with its one writer.
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
    index_with(options, Clock::System)
}

/// An empty index whose serial comes from this clock.
pub(super) fn index_with(options: IndexOptions, clock: Clock) -> (IndexWriter, Arc<Index>) {
    let (keys, meter) = (Keys::default(), Meter::default());
    let (namespaces, shared_namespaces) = NamespacesWriter::new(&keys, &meter);
    let (addresses, shared_addresses) = AddressesWriter::new(&keys, &meter);
    let (pods, shared_pods) = PodsWriter::new(&keys, &meter);
    let (names, shared_names) =
        options.pod_names.then(|| NamesWriter::new(&keys, &shared_pods, &meter)).unzip();
    let index = Arc::new(Index {
        epoch: Epoch::new(),
        namespaces: shared_namespaces,
        addresses: shared_addresses,
        pods: shared_pods,
        names: shared_names,
        // Not 1: an index made before this one, in a process that has ended, was numbered by the same clock, and
        // the serial must not go back.
        serial: AtomicU64::new(clock.now().max(1)),
        pod_count: AtomicU32::new(0),
        meter,
        health: Health::default(),
    });
    let shared = Arc::clone(&index);
    (IndexWriter { index: shared, namespaces, addresses, pods, names, clock }, index)
}

impl IndexWriter {
    /// The index that this writes.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Whether pods' names are kept.
    #[must_use]
    pub fn keeps_names(&self) -> bool {
        self.names.is_some()
    }

    /// Takes the pod as it is now, whatever was known of it. Also marks it as seen by the list under way.
    ///
    /// With pod names kept, another pod of the same namespace and name is gone from now on: Kubernetes has
    /// only one of a name at a time, so this one has taken its place.
    pub fn apply(&mut self, pod: &PodRecord<'_>) -> Change {
        let mut addresses = Few::default();
        for &address in pod.addresses {
            if !addresses.contains(address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return self.remove(self.pods.held_by(pod.uid));
        }
        let name = self.names.as_ref().and_then(|_| pod.name.parse().ok());
        let name = name.map(|label| Packed::new(&label));
        let row = self.pods.find(pod.uid);
        if row != 0 && self.pods.uid(row) != pod.uid {
            // Deleted and created again, though nobody said so.
            self.pods.set_uid(row, pod.uid);
        }
        let (change, visible) = if row == 0 {
            if self.pods.len() >= MAX_PODS {
                return Change::Refused;
            }
            (Change::Added, self.insert(pod, name, &addresses))
        } else if self.is(row, &pod.namespace, name) {
            self.update(row, &addresses)
        } else {
            let gone = self.take_out(row);
            (Change::Updated, self.insert(pod, name, &addresses) | gone)
        };
        self.publish(visible);
        change
    }

    /// The pod is gone, unless another one of its name has taken its place: deleted, or in phase Succeeded or Failed.
    pub fn remove(&mut self, uid: Uid) -> Change {
        let row = self.pods.find(uid);
        // Another one has taken its place, whose own this is not.
        if row == 0 || self.pods.uid(row) != uid {
            return Change::Unchanged;
        }
        let visible = self.take_out(row);
        self.publish(visible);
        Change::Removed
    }

    /// A list of pods begins: from now until [`IndexWriter::end_pod_list`], whatever is applied counts as
    /// seen. Answers do not change. If a list was cut off, begin again: what only that one has seen does not
    /// count.
    ///
    /// Takes one pass over all pods, a few milliseconds for a million.
    pub fn begin_pod_list(&mut self, scope: &ListScope) {
        for row in self.rows_in(scope) {
            self.pods.set(row, self.index.pods.entry(row).with_seen(false));
        }
    }

    /// The list that was begun is complete: removes the pods in its scope that it has not seen, and returns how
    /// many those were. Without a beginning nothing happens.
    ///
    /// Do not let a list of [`ListScope::All`] overlap with one of a namespace.
    pub fn end_pod_list(&mut self, scope: &ListScope) -> usize {
        self.sweep_pod_list(scope, |_| {})
    }

    /// The same, with a call of `each` for every pod before it is removed.
    pub fn sweep_pod_list(&mut self, scope: &ListScope, mut each: impl FnMut(&PodRecord<'_>)) -> usize {
        let mut swept = 0;
        let mut visible = false;
        for row in self.rows_in(scope) {
            if !self.index.pods.entry(row).is_seen() {
                self.for_pods_from(row - 1, 1, &mut each);
                visible |= self.take_out(row);
                swept += 1;
            }
        }
        self.publish(visible);
        swept
    }

    /// Compares a pod with what is known of it, which stays as it is, and counts it as seen by the list under way.
    /// A pod without addresses must not be known.
    pub fn compare(&mut self, pod: &PodRecord<'_>) -> Comparison {
        let row = self.pods.find(pod.uid);
        if row == 0 {
            return if pod.addresses.is_empty() { Comparison::Same } else { Comparison::Missing };
        }
        let entry = self.index.pods.entry(row);
        self.pods.set(row, entry.with_seen(true));
        let name = self.names.as_ref().and_then(|_| pod.name.parse().ok());
        let name = name.map(|label| Packed::new(&label));
        let mut addresses = Few::default();
        for &address in pod.addresses {
            if !addresses.contains(address) {
                addresses.push(address);
            }
        }
        let same = self.pods.uid(row) == pod.uid
            && self.is(row, &pod.namespace, name)
            && self.addresses_in(entry).iter().eq(addresses.iter());
        if same { Comparison::Same } else { Comparison::Different }
    }

    /// The namespace exists.
    pub fn apply_namespace(&mut self, namespace: Label) -> Change {
        if self.index.namespaces.len() >= MAX_PODS {
            return Change::Refused;
        }
        let (news, visible) = self.namespaces.learn(&self.index.epoch, &namespace);
        self.publish(visible);
        if news { Change::Added } else { Change::Unchanged }
    }

    /// The namespace is gone. While there are still pods of it, it goes on existing for answers.
    pub fn remove_namespace(&mut self, namespace: &Label) -> Change {
        let (news, visible) = self.namespaces.forget(&self.index.epoch, namespace);
        self.publish(visible);
        if news { Change::Removed } else { Change::Unchanged }
    }

    /// A list of namespaces begins, as [`IndexWriter::begin_pod_list`] for pods.
    pub fn begin_namespace_list(&mut self) {
        self.namespaces.begin_list();
    }

    /// The list of namespaces is complete, as [`IndexWriter::end_pod_list`] for pods.
    pub fn end_namespace_list(&mut self) -> usize {
        self.sweep_namespace_list(|_| {})
    }

    /// The same, with a call of `each` for every namespace before it is removed.
    pub fn sweep_namespace_list(&mut self, each: impl FnMut(&Label)) -> usize {
        let (swept, visible) = self.namespaces.end_list(&self.index.epoch, each);
        self.publish(visible);
        swept
    }

    /// Counts a namespace as seen by the list under way, and returns whether it is known.
    pub fn mark_namespace(&mut self, namespace: &Label) -> bool {
        self.namespaces.mark(namespace)
    }

    /// Calls `each` with every pod, in no particular order. The name is empty where it is not kept.
    pub fn for_each_pod(&self, each: impl FnMut(&PodRecord<'_>)) {
        self.for_pods_from(0, u32::MAX, each);
    }

    /// The same for the pods in so many rows from `first` on, which is 0 to begin with. Returns the row to go on
    /// with, if there are more: so all pods can be looked at in several goes, between which the index changes.
    /// What is there all the time is met, in its row, exactly once.
    pub(crate) fn for_pods_from(
        &self,
        first: u32,
        rows: u32,
        mut each: impl FnMut(&PodRecord<'_>),
    ) -> Option<u32> {
        let next = first.saturating_add(rows);
        let mut addresses = Vec::with_capacity(MAX_ADDRESSES);
        for row in self.pods.rows().skip(first as usize).take(rows as usize) {
            let entry = self.index.pods.entry(row);
            let label = self.index.namespaces.label(entry.namespace());
            let Some(namespace) = label.filter(|_| entry.is_pod()) else { continue };
            let name = self.index.names.as_ref().and_then(|names| names.of(row)?.label());
            addresses.clear();
            addresses.extend(self.addresses_in(entry).iter());
            let name = name.as_ref().map_or("", Label::as_str);
            each(&PodRecord { uid: self.pods.uid(row), namespace, name, addresses: &addresses });
        }
        (next < *self.pods.rows().end()).then_some(next)
    }

    /// Calls `each` with every namespace that [`IndexWriter::apply_namespace`] has told of, in no particular
    /// order.
    pub fn for_each_namespace(&self, each: impl FnMut(&Label)) {
        self.namespaces.for_each_known(each);
    }

    /// Makes the serial come from this time instead of the system's clock.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn set_clock(&mut self, now: u64) {
        self.clock = Clock::Set(now);
    }

    /// Slots of all kinds that are in use: none when there is neither pod nor namespace.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        let names = self.names.as_ref().map_or(0, NamesWriter::in_use);
        self.namespaces.in_use() + self.addresses.in_use() + self.pods.in_use() + names
    }

    /// The rows of the pods in a scope.
    fn rows_in(&self, scope: &ListScope) -> impl Iterator<Item = Row> + use<> {
        let index = Arc::clone(&self.index);
        let only = match scope {
            ListScope::All => None,
            ListScope::Namespace(label) => Some(index.namespaces.find(&Packed::new(label))),
        };
        self.pods.rows().filter(move |&row| {
            let entry = index.pods.entry(row);
            entry.is_pod() && only.is_none_or(|namespace| namespace == entry.namespace())
        })
    }

    /// Whether the pod is still of this namespace and name.
    fn is(&self, row: Row, namespace: &Label, name: Option<Packed>) -> bool {
        let id = self.index.pods.entry(row).namespace();
        let known = self.index.names.as_ref().and_then(|names| names.of(row));
        known == name && self.index.namespaces.is(id, &Packed::new(namespace))
    }

    fn addresses_in(&self, entry: Entry) -> Few<IpAddr> {
        let kept = self.index.pods.addresses(entry);
        kept.iter().filter_map(|address| self.index.addresses.full(address)).collect()
    }

    fn claim(&self, row: Row) -> Claim {
        let namespace = self.index.pods.entry(row).namespace();
        Claim { holder: if self.names.is_some() { row } else { namespace }, namespace }
    }

    /// Adds a pod that has no row. Says whether readers see a difference.
    fn insert(&mut self, pod: &PodRecord<'_>, name: Option<Packed>, addresses: &Few<IpAddr>) -> bool {
        let (namespace, mut visible) = self.namespaces.enter(&self.index.epoch, &pod.namespace);
        let replaced = match (&self.index.names, &name) {
            (Some(names), Some(name)) => names.find(namespace, name),
            _ => 0,
        };
        let row = self.pods.insert(pod.uid);
        // Before anything leads to the row: whoever comes upon it finds all of it.
        self.pods.set(row, Entry::new(namespace));
        if let (Some(names), Some(name)) = (&mut self.names, &name) {
            names.store(row, name);
        }
        let kept = self.attach_all(row, &Few::default(), addresses, &mut visible);
        self.pods.set_addresses(&self.index.epoch, row, &kept);
        if let (Some(names), Some(_)) = (&mut self.names, name) {
            names.publish(&self.index.epoch, row);
            visible = true;
        }
        if replaced != 0 {
            visible |= self.take_out(replaced);
        }
        visible
    }

    /// Brings the addresses of a pod up to date, whose namespace and name are.
    fn update(&mut self, row: Row, addresses: &Few<IpAddr>) -> (Change, bool) {
        let entry = self.index.pods.entry(row);
        if !entry.is_seen() {
            self.pods.set(row, entry.with_seen(true));
        }
        if self.addresses_in(entry).iter().eq(addresses.iter()) {
            return (Change::Unchanged, false);
        }
        let mut visible = self.index.names.as_ref().is_some_and(|names| names.of(row).is_some());
        let old = self.index.pods.addresses(entry);
        let new = self.attach_all(row, &old, addresses, &mut visible);
        self.pods.set_addresses(&self.index.epoch, row, &new);
        for address in old.iter().filter(|&address| !new.contains(address)) {
            visible |= self.detach(row, address);
        }
        (Change::Updated, visible)
    }

    /// Gives the pod those of `wanted` that it has not got; all of `wanted`, as they are kept.
    fn attach_all(
        &mut self,
        row: Row,
        old: &Few<Address>,
        wanted: &Few<IpAddr>,
        visible: &mut bool,
    ) -> Few<Address> {
        let claim = self.claim(row);
        let Self { index, addresses, .. } = self;
        let attach = |address| {
            if let Some(kept) = old.iter().find(|&kept| index.addresses.full(kept) == Some(address)) {
                return kept;
            }
            let (kept, seen) =
                addresses.attach(&index.epoch, address, claim, |other| index.namespace_of(other));
            *visible |= seen;
            kept
        };
        wanted.iter().map(attach).collect()
    }

    fn detach(&mut self, row: Row, address: Address) -> bool {
        let claim = self.claim(row);
        let Self { index, addresses, .. } = self;
        addresses.detach(&index.epoch, address, claim, |other| index.namespace_of(other))
    }

    /// Removes a pod with all that belongs to it. Says whether readers see a difference.
    fn take_out(&mut self, row: Row) -> bool {
        let entry = self.index.pods.entry(row);
        let mut visible = false;
        for address in self.index.pods.addresses(entry).iter() {
            visible |= self.detach(row, address);
        }
        // After the last address, which would show the pod without its name.
        if let Some(names) = &mut self.names {
            visible |= names.remove(&self.index.epoch, row);
        }
        self.pods.remove(&self.index.epoch, row);
        visible | self.namespaces.leave(&self.index.epoch, entry.namespace())
    }

    /// Ends a change: what it means for the serial and the statistics.
    fn publish(&mut self, visible: bool) {
        self.index.pod_count.store(self.pods.len() as u32, Ordering::Relaxed);
        if visible {
            // A clock that goes back does not take the serial with it.
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
