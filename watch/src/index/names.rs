//! Pod names, where they are kept.

use std::sync::Arc;

use super::free_list::{FreeLinks, FreeList};
use super::hash::HashKeys;
use super::label::PackedLabel;
use super::numbers::{NameSlot, NamespaceId, Number, Row, bits};
use super::pods::PodRows;
use super::segments::{Meter, Segments};
use super::sync::{AtomicU32, Epoch};
use super::table::{Table32, TableWriter32};
use super::visible_change::VisibleChange;

/// Number of size classes: names of 1 to 4 octets, of 5 to 8 octets, and so on up to 63.
const CLASSES: usize = 16;
/// Difference between two size classes in octets: one word.
const STEP: usize = 4;

/// Pod names for readers.
#[derive(Debug)]
pub(super) struct PodNames {
    keys: HashKeys,
    pods: Arc<PodRows>,
    /// Rows, hashed by namespace and name.
    table: Arc<Table32>,
    /// The [place](NamePlace) of the name of each row, 0 if it has none.
    places: Segments<AtomicU32>,
    /// The octets of the names of each class, padded with zeros to whole words.
    classes: [Segments<AtomicU32>; CLASSES],
}

/// Place of a name: its size class and its slot in that class.
#[derive(Clone, Copy)]
struct NamePlace {
    class: usize,
    slot: NameSlot,
}

impl NamePlace {
    /// Returns the place from its stored form: the class in the upper 4 bits, the slot below.
    fn decode(bits: u32) -> Option<Self> {
        let slot = NameSlot::from_bits(bits & ((1 << 28) - 1))?;
        Some(Self { class: (bits >> 28) as usize, slot })
    }

    fn encode(self) -> u32 {
        ((self.class as u32) << 28) | self.slot.get()
    }

    /// Returns the indices of the name's words in its class.
    fn words(self) -> impl Iterator<Item = u32> {
        let words = self.class as u32 + 1;
        let first = self.slot.get().saturating_mul(words);
        first..first.saturating_add(words)
    }
}

/// Returns the size class of a name.
fn class_of(name: &PackedLabel) -> usize {
    name.len().saturating_sub(1) / STEP
}

/// The slots of a size class. The first word of a free slot is its link.
struct Slots<'a> {
    class: usize,
    words: &'a Segments<AtomicU32>,
}

impl Slots<'_> {
    fn link(&self, slot: NameSlot) -> u32 {
        slot.get().saturating_mul(self.class as u32 + 1)
    }
}

impl FreeLinks<NameSlot> for Slots<'_> {
    fn next(&self, free: NameSlot) -> Option<NameSlot> {
        NameSlot::from_bits(self.words.load(self.link(free)))
    }

    fn set_next(&mut self, free: NameSlot, next: Option<NameSlot>) {
        self.words.store(self.link(free), bits(next));
    }
}

impl PodNames {
    /// Returns the row of the pod with this namespace and name.
    pub(super) fn find(&self, namespace: NamespaceId, name: &PackedLabel) -> Option<Row> {
        let hash = self.hash(namespace, name);
        let is = |row| self.pods.entry(row).namespace() == Some(namespace) && self.is(row, name);
        let matches = |word| Row::may_have(word, hash) && Row::in_word(word).is_some_and(is);
        Row::in_word(self.table.find(hash, matches)?)
    }

    /// Returns the hash of a pod whose entry and name are stored.
    fn hash_of(&self, row: Row) -> Option<u32> {
        Some(self.hash(self.pods.entry(row).namespace()?, &self.of(row)?))
    }

    fn hash(&self, namespace: NamespaceId, name: &PackedLabel) -> u32 {
        self.keys.hash((namespace, name))
    }

    /// Returns whether the pod has this name.
    pub(super) fn is(&self, row: Row, name: &PackedLabel) -> bool {
        let Some(place) = self.place(row) else { return false };
        let Some(class) = self.classes.get(place.class) else { return false };
        place.class == class_of(name)
            && place.words().zip(name.halves()).all(|(at, half)| class.load(at) == half)
    }

    /// Returns the pod's name, if it is kept.
    pub(super) fn of(&self, row: Row) -> Option<PackedLabel> {
        let place = self.place(row)?;
        let class = self.classes.get(place.class)?;
        let mut halves = [0; CLASSES];
        for (half, at) in halves.iter_mut().zip(place.words()) {
            *half = class.load(at);
        }
        Some(PackedLabel::from_halves(halves))
    }

    fn place(&self, row: Row) -> Option<NamePlace> {
        NamePlace::decode(self.places.load(row.get()))
    }
}

/// The writer's side of [`PodNames`].
#[derive(Debug)]
pub(super) struct PodNamesWriter {
    shared: Arc<PodNames>,
    table: TableWriter32,
    slots: [FreeList<NameSlot>; CLASSES],
}

impl PodNamesWriter {
    pub(super) fn new(keys: &HashKeys, pods: &Arc<PodRows>, meter: &Meter) -> (Self, Arc<PodNames>) {
        let (writer, table) = TableWriter32::new(meter);
        let shared = Arc::new(PodNames {
            keys: keys.clone(),
            pods: Arc::clone(pods),
            table,
            places: Segments::new(meter),
            classes: std::array::from_fn(|_| Segments::new(meter)),
        });
        let slots = std::array::from_fn(|_| FreeList::default());
        (Self { shared: Arc::clone(&shared), table: writer, slots }, shared)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.in_use() + self.slots.iter().map(FreeList::live).sum::<u32>()
    }

    /// Stores the name of a pod, before any reader can reach its row.
    pub(super) fn store(&mut self, row: Row, name: &PackedLabel) {
        let class = class_of(name);
        let shared = &self.shared;
        let (Some(words), Some(slots)) = (shared.classes.get(class), self.slots.get_mut(class)) else {
            return;
        };
        let place = NamePlace { class, slot: slots.allocate(Slots { class, words }) };
        for (at, half) in place.words().zip(name.halves()) {
            words.store(at, half);
        }
        shared.places.store(row.get(), place.encode());
    }

    /// Makes a pod, whose entry is stored, reachable by its name.
    pub(super) fn publish(&mut self, epoch: &Epoch, row: Row) {
        let shared = &self.shared;
        let hash_of = |word| Row::in_word(word).and_then(|row| shared.hash_of(row)).unwrap_or_default();
        let hash = shared.hash_of(row).unwrap_or_default();
        self.table.insert(epoch, row.tagged(hash), hash_of);
    }

    /// Makes a pod unreachable by its name, if it has one. Returns whether it had one.
    pub(super) fn unpublish(&mut self, epoch: &Epoch, row: Row) -> VisibleChange {
        let shared = &self.shared;
        if shared.place(row).is_none() {
            return VisibleChange::NO;
        }
        let hash = shared.hash_of(row).unwrap_or_default();
        self.table.remove(hash, row.tagged(hash));
        // Otherwise a reader that is still at the row could find it without addresses, although another pod may have
        // the name by now.
        epoch.advance();
        VisibleChange::YES
    }

    /// Removes the name of an unpublished pod. The pod's entry is still stored, but no reader can reach its row any
    /// more.
    pub(super) fn remove(&mut self, epoch: &Epoch, row: Row) {
        let shared = &self.shared;
        let Some(NamePlace { class, slot }) = shared.place(row) else { return };
        // Otherwise a reader that is still at the row could find it without a name, or with the octets of another name.
        epoch.advance();
        shared.places.store(row.get(), 0);
        if let (Some(words), Some(slots)) = (shared.classes.get(class), self.slots.get_mut(class)) {
            slots.release(Slots { class, words }, slot);
        }
    }
}
