//! Arrays that grow without moving.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::{Arc, atomic::Ordering as StdOrdering};

use super::sync::Word;

/// Each doubling is cut into this many segments (as a power of two), so that an array is never more than
/// 1/32 larger than needed and grows by no more than that at once.
const CUT: u32 = if cfg!(poddns_loom) { 1 } else { 5 };
/// Elements of the smallest segments, as a power of two.
const SMALLEST: u32 = if cfg!(poddns_loom) { 0 } else { 5 };
/// Elements before the first doubling, as a power of two.
const FIRST: u32 = CUT + SMALLEST;
/// The most elements, as a power of two.
const MOST: u32 = if cfg!(poddns_loom) { 6 } else { 31 };

/// Octets allocated by all arrays of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<StdAtomicUsize>);

impl Meter {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(StdOrdering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, StdOrdering::Relaxed);
    }
}

/// An array whose elements stay where they are while it grows, so that readers need no lock.
///
/// It is a fixed directory of segments, each allocated when its first element is asked for, and none ever
/// given back. Segment sizes grow with the array: 32 of one size, then 32 of twice that size, and so on.
#[derive(Debug)]
pub(super) struct Segments<T> {
    directory: Box<[OnceLock<Box<[T]>>]>,
    meter: Meter,
}

/// The segment of an element, its place in there, and the size of the segment.
const fn locate(index: u32) -> (usize, usize, usize) {
    let shifted = index as u64 + (1 << FIRST);
    let doubling = shifted.ilog2() - FIRST;
    let bits = SMALLEST + doubling;
    let cut = (shifted >> bits) & ((1 << CUT) - 1);
    let segment = ((doubling as usize) << CUT) + cut as usize;
    let size = 1_usize << bits;
    (segment, (shifted as usize) & (size - 1), size)
}

impl<T> Segments<T> {
    pub(super) fn new(meter: &Meter) -> Self {
        let segments = ((MOST - FIRST + 1) as usize) << CUT;
        meter.add(segments * size_of::<OnceLock<Box<[T]>>>());
        Self { directory: (0..segments).map(|_| OnceLock::new()).collect(), meter: meter.clone() }
    }

    /// The element, if its segment is there.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (segment, offset, _) = locate(index);
        self.directory.get(segment)?.get()?.get(offset)
    }

    /// The element of an array that only the writer has.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (segment, offset, _) = locate(index);
        self.directory.get_mut(segment)?.get_mut()?.get_mut(offset)
    }

    /// Makes sure that the element is there; a new segment is filled with `empty`. The writer's.
    pub(super) fn ensure(&self, index: u32, empty: impl Fn() -> T) {
        let (segment, _, size) = locate(index);
        if let Some(place) = self.directory.get(segment) {
            place.get_or_init(|| {
                self.meter.add(size * size_of::<T>());
                (0..size).map(|_| empty()).collect()
            });
        }
    }
}

impl<T: Copy + Default> Segments<T> {
    /// A copy of the element; the default where nothing was stored yet.
    pub(super) fn value(&self, index: u32) -> T {
        self.get(index).copied().unwrap_or_default()
    }

    /// Stores the element, in an array that only the writer has.
    pub(super) fn put(&mut self, index: u32, value: T) {
        self.ensure(index, T::default);
        if let Some(place) = self.get_mut(index) {
            *place = value;
        }
    }
}

impl<W: Word> Segments<W> {
    /// The word; 0 where nothing was stored yet.
    pub(super) fn load(&self, index: u32) -> W::Value {
        self.get(index).map(Word::load).unwrap_or_default()
    }

    /// Stores the word. The writer's.
    pub(super) fn store(&self, index: u32, value: W::Value) {
        self.ensure(index, W::zero);
        if let Some(word) = self.get(index) {
            word.store(value);
        }
    }
}

/// Hands out indices from 1 on, those given back first. What is given back forms a list: the owner keeps
/// each one's successor in some word that the free element does not need.
#[derive(Debug, Default)]
pub(super) struct Ids {
    highest: u32,
    free: u32,
    live: u32,
}

impl Ids {
    /// An index that nobody has. `successor` reads what [`Ids::give`] has had stored.
    pub(super) fn take(&mut self, successor: impl FnOnce(u32) -> u32) -> u32 {
        self.live = self.live.saturating_add(1);
        if self.free == 0 {
            self.highest = self.highest.saturating_add(1);
            return self.highest;
        }
        let id = self.free;
        self.free = successor(id);
        id
    }

    /// Takes an index back; the returned successor has to be stored with it.
    #[must_use]
    pub(super) fn give(&mut self, id: u32) -> u32 {
        self.live = self.live.saturating_sub(1);
        std::mem::replace(&mut self.free, id)
    }

    /// How many are handed out now.
    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// The highest index ever handed out.
    pub(super) fn highest(&self) -> u32 {
        self.highest
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::super::sync::{AtomicU32, AtomicU64};
    use super::*;

    #[test]
    fn every_index_has_its_own_place_and_the_segments_follow_each_other() {
        let mut last = (0, 0, 32);
        for index in 1..200_000 {
            let (segment, offset, size) = locate(index);
            let next = if last.1 + 1 == last.2 { (last.0 + 1, 0) } else { (last.0, last.1 + 1) };
            assert_eq!((segment, offset), next, "{index}");
            last = (segment, offset, size);
        }
        let (segment, offset, size) = locate(1 << MOST);
        assert!(segment < ((MOST - FIRST + 1) as usize) << CUT && offset < size);
    }

    #[test]
    fn slack_is_at_most_a_thirty_second() {
        let meter = Meter::default();
        let words = Segments::<AtomicU64>::new(&meter);
        let directory = meter.bytes();
        for index in 0..100_000 {
            words.store(index, 1);
            let used = (index as usize + 1) * 8;
            let allocated = meter.bytes() - directory;
            assert!(allocated <= used + used / 32 + 32 * 8, "{index}: {allocated}");
        }
    }

    #[test]
    fn what_was_not_stored_reads_as_zero() {
        let words = Segments::<AtomicU32>::new(&Meter::default());
        assert_eq!(words.load(5), 0);
        words.store(5, 9);
        assert_eq!((words.load(4), words.load(5), words.load(u32::MAX)), (0, 9, 0));
    }

    #[test]
    fn ids_are_reused_last_in_first_out() {
        let mut ids = Ids::default();
        assert_eq!((ids.take(|_| 0), ids.take(|_| 0)), (1, 2));
        let one = ids.give(1);
        let two = ids.give(2);
        assert_eq!((one, two, ids.live()), (0, 1, 0));
        assert_eq!(ids.take(|id| if id == 2 { two } else { one }), 2);
        assert_eq!(ids.take(|id| if id == 2 { two } else { one }), 1);
        assert_eq!(ids.take(|_| 0), 3);
        assert_eq!((ids.highest(), ids.live()), (3, 3));
    }
}
