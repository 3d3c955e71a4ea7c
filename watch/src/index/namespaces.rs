//! Namespaces. Each existing namespace has a number.

use std::sync::Arc;

use poddns_core::Label;

use super::free_list::{FreeLinks, FreeList};
use super::hash::HashKeys;
use super::label::PackedLabel;
use super::numbers::{NamespaceId, Number, bits, numbers};
use super::segments::{Meter, Segments};
use super::sync::{AtomicU64, Epoch, Ordering};
use super::table::{Table64, TableWriter64, number_in, tag_of, tagged};
use super::types::Change;
use super::visible_change::VisibleChange;

/// The namespaces that exist, for readers.
#[derive(Debug)]
pub(super) struct Namespaces {
    keys: HashKeys,
    /// Words with the hash in the upper half and the number in the lower half.
    table: Arc<Table64>,
    labels: Segments<StoredLabel>,
}

#[derive(Debug)]
struct StoredLabel([AtomicU64; PackedLabel::WORDS]);

impl StoredLabel {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Namespaces {
    /// Returns the number of a namespace, if it exists.
    pub(super) fn find(&self, label: &PackedLabel) -> Option<NamespaceId> {
        let hash = self.keys.hash(label);
        let is = |word| NamespaceId::from_bits(number_in(word)).is_some_and(|id| self.is(id, label));
        NamespaceId::from_bits(number_in(self.table.find(hash, |word| tag_of(word) == hash && is(word))?))
    }

    /// Returns whether `namespace` is the number of `label`.
    pub(super) fn is(&self, namespace: NamespaceId, label: &PackedLabel) -> bool {
        let Some(stored) = self.labels.get(namespace.get()) else { return false };
        // Compares all words, without data-dependent branches that could be mispredicted.
        stored
            .0
            .iter()
            .zip(label.0)
            .fold(0, |differ, (word, same)| differ | (word.load(Ordering::Acquire) ^ same))
            == 0
    }

    /// Returns the label of a namespace.
    pub(super) fn label(&self, namespace: NamespaceId) -> Option<Label> {
        let stored = self.labels.get(namespace.get())?;
        PackedLabel(std::array::from_fn(|at| stored.0[at].load(Ordering::Acquire))).label()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The state of a namespace, for the writer alone.
#[derive(Clone, Copy, Debug, Default)]
struct NamespaceRecord {
    /// Number of pods; in a free record the number of the next one.
    pods: u32,
    /// The namespace watch has reported it.
    known: bool,
    /// The list under way has reported it.
    seen: bool,
}

impl FreeLinks<NamespaceId> for &mut Segments<NamespaceRecord> {
    fn next(&self, free: NamespaceId) -> Option<NamespaceId> {
        NamespaceId::from_bits(self.value(free.get()).pods)
    }

    fn set_next(&mut self, free: NamespaceId, next: Option<NamespaceId>) {
        self.put(free.get(), NamespaceRecord { pods: bits(next), ..NamespaceRecord::default() });
    }
}

/// The writer's side of [`Namespaces`].
#[derive(Debug)]
pub(super) struct NamespacesWriter {
    shared: Arc<Namespaces>,
    table: TableWriter64,
    records: Segments<NamespaceRecord>,
    ids: FreeList<NamespaceId>,
}

impl NamespacesWriter {
    pub(super) fn new(keys: &HashKeys, meter: &Meter) -> (Self, Arc<Namespaces>) {
        let (writer, table) = TableWriter64::new(meter);
        let shared = Arc::new(Namespaces { keys: keys.clone(), table, labels: Segments::new(meter) });
        let records = Segments::new(meter);
        let writer = Self { shared: Arc::clone(&shared), table: writer, records, ids: FreeList::default() };
        (writer, shared)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.in_use() + self.ids.live()
    }

    fn record(&self, namespace: NamespaceId) -> NamespaceRecord {
        self.records.value(namespace.get())
    }

    fn set_record(&mut self, namespace: NamespaceId, record: NamespaceRecord) {
        self.records.put(namespace.get(), record);
    }

    /// Counts one more pod in a namespace, and adds the namespace if it does not exist.
    pub(super) fn enter(&mut self, epoch: &Epoch, label: &Label) -> (NamespaceId, VisibleChange) {
        let (namespace, visible) = self.intern(epoch, label);
        let record = self.record(namespace);
        self.set_record(namespace, NamespaceRecord { pods: record.pods.saturating_add(1), ..record });
        (namespace, visible)
    }

    /// Counts one pod less in a namespace, and removes the namespace if nothing refers to it any more.
    pub(super) fn leave(&mut self, epoch: &Epoch, namespace: NamespaceId) -> VisibleChange {
        let record = self.record(namespace);
        self.set_record(namespace, NamespaceRecord { pods: record.pods.saturating_sub(1), ..record });
        self.remove_unused(epoch, namespace)
    }

    /// Adds a namespace that the namespace watch has reported.
    pub(super) fn add(&mut self, epoch: &Epoch, label: &Label) -> (Change, VisibleChange) {
        let (namespace, visible) = self.intern(epoch, label);
        let record = self.record(namespace);
        self.set_record(namespace, NamespaceRecord { known: true, seen: true, ..record });
        (if record.known { Change::Unchanged } else { Change::Added }, visible)
    }

    /// Marks a namespace as seen if it is known, and returns whether it is.
    pub(super) fn mark(&mut self, label: &Label) -> bool {
        let Some(namespace) = self.shared.find(&PackedLabel::new(label)) else { return false };
        let record = self.record(namespace);
        if record.known {
            self.set_record(namespace, NamespaceRecord { seen: true, ..record });
        }
        record.known
    }

    /// Removes a namespace that the namespace watch has reported as deleted. It still exists while it has pods.
    pub(super) fn remove(&mut self, epoch: &Epoch, label: &Label) -> (Change, VisibleChange) {
        match self.shared.find(&PackedLabel::new(label)) {
            Some(namespace) => self.remove_known(epoch, namespace),
            None => (Change::Unchanged, VisibleChange::NO),
        }
    }

    fn remove_known(&mut self, epoch: &Epoch, namespace: NamespaceId) -> (Change, VisibleChange) {
        let record = self.record(namespace);
        if !record.known {
            return (Change::Unchanged, VisibleChange::NO);
        }
        self.set_record(namespace, NamespaceRecord { known: false, ..record });
        (Change::Removed, self.remove_unused(epoch, namespace))
    }

    /// Begins a list: marks all namespaces as not seen.
    pub(super) fn begin_list(&mut self) {
        for namespace in 1..=self.ids.highest() {
            if let Some(record) = self.records.get_mut(namespace) {
                record.seen = false;
            }
        }
    }

    /// Ends a list: removes the namespaces that it has not seen, after calling `each` with each of them. Returns their
    /// number.
    pub(super) fn end_list(&mut self, epoch: &Epoch, mut each: impl FnMut(&Label)) -> (usize, VisibleChange) {
        let (mut removed, mut visible) = (0, VisibleChange::NO);
        for namespace in numbers(1..=self.ids.highest()) {
            let record = self.record(namespace);
            if record.known && !record.seen {
                self.shared.label(namespace).iter().for_each(&mut each);
                visible |= self.remove_known(epoch, namespace).1;
                removed += 1;
            }
        }
        (removed, visible)
    }

    /// Calls `each` with every namespace that the namespace watch has reported.
    pub(super) fn for_each_known(&self, mut each: impl FnMut(&Label)) {
        for namespace in numbers(1..=self.ids.highest()).filter(|&namespace| self.record(namespace).known) {
            self.shared.label(namespace).iter().for_each(&mut each);
        }
    }

    fn intern(&mut self, epoch: &Epoch, label: &Label) -> (NamespaceId, VisibleChange) {
        let packed = PackedLabel::new(label);
        if let Some(known) = self.shared.find(&packed) {
            return (known, VisibleChange::NO);
        }
        let namespace = self.ids.allocate(&mut self.records);
        self.set_record(namespace, NamespaceRecord::default());
        self.shared.labels.ensure(namespace.get(), StoredLabel::new);
        if let Some(stored) = self.shared.labels.get(namespace.get()) {
            for (to, from) in stored.0.iter().zip(packed.0) {
                to.store(from, Ordering::Release);
            }
        }
        self.table.insert(epoch, tagged(self.shared.keys.hash(packed), namespace.get()), tag_of);
        (namespace, VisibleChange::YES)
    }

    /// Removes a namespace that neither has pods nor is known to the namespace watch.
    fn remove_unused(&mut self, epoch: &Epoch, namespace: NamespaceId) -> VisibleChange {
        let record = self.record(namespace);
        let label = self.shared.label(namespace).filter(|_| record.pods == 0 && !record.known);
        let Some(label) = label else { return VisibleChange::NO };
        let hash = self.shared.keys.hash(PackedLabel::new(&label));
        self.table.remove(hash, tagged(hash, namespace.get()));
        // Before the slot can be reused.
        epoch.advance();
        self.ids.release(&mut self.records, namespace);
        VisibleChange::YES
    }
}
