//! Namespaces: each known one has a number, as long as something is known of it.

use std::sync::Arc;

use poddns_core::Label;

use super::keys::{Keys, Packed};
use super::segments::{Ids, Meter, Segments};
use super::sync::{AtomicU64, Epoch, Ordering};
use super::table::{Wide, WideWriter};

/// The number of a namespace, from 1 on. 0 is none.
pub(super) type NamespaceId = u32;

/// Namespaces for readers. Here are exactly those that exist.
#[derive(Debug)]
pub(super) struct Namespaces {
    keys: Keys,
    /// Hash above, number below.
    table: Arc<Wide>,
    labels: Segments<Slot>,
}

#[derive(Debug)]
struct Slot([AtomicU64; Packed::WORDS]);

impl Slot {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Namespaces {
    /// The number of a namespace, 0 if it does not exist.
    pub(super) fn find(&self, label: &Packed) -> NamespaceId {
        let hash = self.keys.hash(label);
        let found = self.table.find(hash, |word| tag(word) == hash && self.is(id(word), label));
        found.map_or(0, id)
    }

    /// Whether this is the namespace of that number.
    pub(super) fn is(&self, namespace: NamespaceId, label: &Packed) -> bool {
        let Some(slot) = self.labels.get(namespace) else { return false };
        // All words, without a branch to guess wrong.
        slot.0
            .iter()
            .zip(label.0)
            .fold(0, |differ, (word, same)| differ | (word.load(Ordering::Acquire) ^ same))
            == 0
    }

    /// The namespace of that number.
    pub(super) fn label(&self, namespace: NamespaceId) -> Option<Label> {
        let slot = self.labels.get(namespace)?;
        Packed(std::array::from_fn(|at| slot.0[at].load(Ordering::Acquire))).label()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The hash in a word of a table that refers to slots.
pub(super) const fn tag(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The slot in a word of a table that refers to slots.
pub(super) const fn id(word: u64) -> u32 {
    word as u32
}

/// A word that refers to a slot.
pub(super) const fn word(tag: u32, id: u32) -> u64 {
    ((tag as u64) << 32) | id as u64
}

/// What only the writer knows of a namespace.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// How many pods it has. While the number is free: the free number after it.
    pods: u32,
    /// The namespace watch has told of it.
    known: bool,
    /// The list under way has told of it.
    seen: bool,
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct NamespacesWriter {
    shared: Arc<Namespaces>,
    table: WideWriter,
    records: Segments<Record>,
    ids: Ids,
}

impl NamespacesWriter {
    pub(super) fn new(keys: &Keys, meter: &Meter) -> (Self, Arc<Namespaces>) {
        let (writer, table) = WideWriter::new(meter);
        let shared = Arc::new(Namespaces { keys: keys.clone(), table, labels: Segments::new(meter) });
        let records = Segments::new(meter);
        let writer = Self { shared: Arc::clone(&shared), table: writer, records, ids: Ids::default() };
        (writer, shared)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.in_use() + self.ids.live()
    }

    /// One more pod in this namespace, which exists from now on. Gives its number, and whether it is new.
    pub(super) fn enter(&mut self, epoch: &Epoch, label: &Label) -> (NamespaceId, bool) {
        let (namespace, new) = self.intern(epoch, label);
        let record = self.records.value(namespace);
        self.records.put(namespace, Record { pods: record.pods.saturating_add(1), ..record });
        (namespace, new)
    }

    /// One pod less. Says whether the namespace is gone by that.
    pub(super) fn leave(&mut self, epoch: &Epoch, namespace: NamespaceId) -> bool {
        let record = self.records.value(namespace);
        self.records.put(namespace, Record { pods: record.pods.saturating_sub(1), ..record });
        self.drop_unused(epoch, namespace)
    }

    /// The watch tells of it. Gives whether that is news, and whether readers see a difference.
    pub(super) fn learn(&mut self, epoch: &Epoch, label: &Label) -> (bool, bool) {
        let (namespace, new) = self.intern(epoch, label);
        let record = self.records.value(namespace);
        self.records.put(namespace, Record { known: true, seen: true, ..record });
        (!record.known, new)
    }

    /// Counts a namespace as seen, and returns whether it was known.
    pub(super) fn mark(&mut self, label: &Label) -> bool {
        let namespace = self.shared.find(&Packed::new(label));
        let record = self.records.value(namespace);
        if record.known {
            self.records.put(namespace, Record { seen: true, ..record });
        }
        record.known
    }

    /// The watch tells that it is gone. Gives whether that is news, and whether readers see a difference.
    pub(super) fn forget(&mut self, epoch: &Epoch, label: &Label) -> (bool, bool) {
        let namespace = self.shared.find(&Packed::new(label));
        self.forget_id(epoch, namespace)
    }

    fn forget_id(&mut self, epoch: &Epoch, namespace: NamespaceId) -> (bool, bool) {
        let record = self.records.value(namespace);
        if !record.known {
            return (false, false);
        }
        self.records.put(namespace, Record { known: false, ..record });
        (true, self.drop_unused(epoch, namespace))
    }

    /// Nothing is seen any more.
    pub(super) fn begin_list(&mut self) {
        for namespace in 1..=self.ids.highest() {
            if let Some(record) = self.records.get_mut(namespace) {
                record.seen = false;
            }
        }
    }

    /// Forgets what was not seen, after `each` was called with it. Returns how many, and whether readers see a
    /// difference.
    pub(super) fn end_list(&mut self, epoch: &Epoch, mut each: impl FnMut(&Label)) -> (usize, bool) {
        let mut swept = (0, false);
        for namespace in 1..=self.ids.highest() {
            let record = self.records.value(namespace);
            if record.known && !record.seen {
                self.shared.label(namespace).iter().for_each(&mut each);
                let (news, visible) = self.forget_id(epoch, namespace);
                swept = (swept.0 + usize::from(news), swept.1 | visible);
            }
        }
        swept
    }

    pub(super) fn for_each_known(&self, mut each: impl FnMut(&Label)) {
        for namespace in (1..=self.ids.highest()).filter(|&namespace| self.records.value(namespace).known) {
            self.shared.label(namespace).iter().for_each(&mut each);
        }
    }

    fn intern(&mut self, epoch: &Epoch, label: &Label) -> (NamespaceId, bool) {
        let packed = Packed::new(label);
        let known = self.shared.find(&packed);
        if known != 0 {
            return (known, false);
        }
        let namespace = self.ids.take(|free| self.records.value(free).pods);
        self.records.put(namespace, Record::default());
        self.shared.labels.ensure(namespace, Slot::new);
        if let Some(slot) = self.shared.labels.get(namespace) {
            for (to, from) in slot.0.iter().zip(packed.0) {
                to.store(from, Ordering::Release);
            }
        }
        self.table.insert(epoch, word(self.shared.keys.hash(packed), namespace), tag);
        (namespace, true)
    }

    fn drop_unused(&mut self, epoch: &Epoch, namespace: NamespaceId) -> bool {
        let record = self.records.value(namespace);
        let label = self.shared.label(namespace).filter(|_| record.pods == 0 && !record.known);
        let Some(label) = label else { return false };
        let hash = self.shared.keys.hash(Packed::new(&label));
        self.table.remove(hash, word(hash, namespace));
        // Before the slot can be overwritten.
        epoch.advance();
        let next = self.ids.give(namespace);
        self.records.put(namespace, Record { pods: next, ..Record::default() });
        true
    }
}
