//! Pod names, where they are kept.

use std::sync::Arc;

use super::keys::{Keys, Packed};
use super::namespaces::NamespaceId;
use super::pods::{Pods, Row, marked, may_be, row_of};
use super::segments::{Ids, Meter, Segments};
use super::sync::{AtomicU32, Epoch};
use super::table::{Narrow, NarrowWriter};

/// Size classes: names of 1 to 4 octets, of 5 to 8, and so on up to 63.
const CLASSES: usize = 16;
/// Octets by which the classes differ: one word.
const STEP: usize = 4;

/// Pod names for readers.
#[derive(Debug)]
pub(super) struct Names {
    keys: Keys,
    pods: Arc<Pods>,
    /// The rows by namespace and name.
    table: Arc<Narrow>,
    /// For each row where its name is: the class in the upper 4 bits, the slot in there below. 0 is none.
    places: Segments<AtomicU32>,
    /// For each class the octets of its names, zero beyond their ends.
    classes: [Segments<AtomicU32>; CLASSES],
}

/// Where a name is: its class, and the place of its first word in that.
#[derive(Clone, Copy)]
struct Place(u32);

impl Place {
    fn new(class: usize, slot: u32) -> Self {
        Self(((class as u32) << 28) | slot)
    }

    fn class(self) -> usize {
        (self.0 >> 28) as usize
    }

    fn slot(self) -> u32 {
        self.0 & ((1 << 28) - 1)
    }

    /// The words of the name.
    fn words(self) -> impl Iterator<Item = u32> {
        let words = self.class() as u32 + 1;
        let first = self.slot().saturating_mul(words);
        first..first.saturating_add(words)
    }
}

impl Names {
    /// The pod of that name; 0 if there is none.
    pub(super) fn find(&self, namespace: NamespaceId, name: &Packed) -> Row {
        let hash = self.hash(namespace, name);
        let is = |row| {
            let entry = self.pods.entry(row);
            entry.is_pod() && entry.namespace() == namespace && self.is(row, name)
        };
        self.table.find(hash, |word| may_be(word, hash) && is(row_of(word))).map_or(0, row_of)
    }

    /// The hash under which a pod is found, whose entry and name are there.
    fn hash_of(&self, row: Row) -> u32 {
        self.of(row).map_or(0, |name| self.hash(self.pods.entry(row).namespace(), &name))
    }

    fn hash(&self, namespace: NamespaceId, name: &Packed) -> u32 {
        self.keys.hash((namespace, name))
    }

    /// Whether the pod has this name.
    pub(super) fn is(&self, row: Row, name: &Packed) -> bool {
        let place = Place(self.places.load(row));
        let Some(class) = self.classes.get(place.class()) else { return false };
        place.0 != 0
            && place.class() == name.len().saturating_sub(1) / STEP
            && place.words().zip(name.halves()).all(|(at, half)| class.load(at) == half)
    }

    /// The pod's name, if it is kept.
    pub(super) fn of(&self, row: Row) -> Option<Packed> {
        let place = Place(self.places.load(row));
        if place.0 == 0 {
            return None;
        }
        let class = self.classes.get(place.class())?;
        let mut halves = [0; CLASSES];
        for (half, at) in halves.iter_mut().zip(place.words()) {
            *half = class.load(at);
        }
        Some(Packed::of_halves(halves))
    }
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct NamesWriter {
    shared: Arc<Names>,
    table: NarrowWriter,
    slots: [Ids; CLASSES],
}

impl NamesWriter {
    pub(super) fn new(keys: &Keys, pods: &Arc<Pods>, meter: &Meter) -> (Self, Arc<Names>) {
        let (writer, table) = NarrowWriter::new(meter);
        let shared = Arc::new(Names {
            keys: keys.clone(),
            pods: Arc::clone(pods),
            table,
            places: Segments::new(meter),
            classes: std::array::from_fn(|_| Segments::new(meter)),
        });
        let slots = std::array::from_fn(|_| Ids::default());
        (Self { shared: Arc::clone(&shared), table: writer, slots }, shared)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.in_use() + self.slots.iter().map(Ids::live).sum::<u32>()
    }

    /// Gives a pod its name, before anything leads to its row.
    pub(super) fn store(&mut self, row: Row, name: &Packed) {
        let index = name.len().saturating_sub(1) / STEP;
        let shared = &self.shared;
        let (Some(class), Some(slots)) = (shared.classes.get(index), self.slots.get_mut(index)) else {
            return;
        };
        let place = Place::new(index, slots.take(|free| first_word(class, Place::new(index, free))));
        for (at, half) in place.words().zip(name.halves()) {
            class.store(at, half);
        }
        shared.places.store(row, place.0);
    }

    /// Makes a pod, whose entry is there, known by its name.
    pub(super) fn publish(&mut self, epoch: &Epoch, row: Row) {
        let shared = &self.shared;
        let word = marked(shared.hash_of(row), row);
        self.table.insert(epoch, word, |word| shared.hash_of(row_of(word)));
    }

    /// Takes a pod's name away, while its entry is still there, but nothing else leads to its row any more. Says
    /// whether it had one.
    pub(super) fn remove(&mut self, epoch: &Epoch, row: Row) -> bool {
        let shared = &self.shared;
        let place = Place(shared.places.load(row));
        if place.0 == 0 {
            return false;
        }
        let hash = shared.hash_of(row);
        self.table.remove(hash, marked(hash, row));
        // Before a reader who is still at the row can find it without a name, or with another's octets.
        epoch.advance();
        shared.places.store(row, 0);
        if let (Some(class), Some(slots), Some(at)) =
            (shared.classes.get(place.class()), self.slots.get_mut(place.class()), place.words().next())
        {
            class.store(at, slots.give(place.slot()));
        }
        true
    }
}

fn first_word(class: &Segments<AtomicU32>, place: Place) -> u32 {
    place.words().next().map_or(0, |at| class.load(at))
}
