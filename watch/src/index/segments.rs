//! Arrays that grow without moving.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::{Arc, atomic::Ordering as StdOrdering};

use super::sync::AtomicWord;

/// Number of segments per doubling, as a power of two. An array is at most 1/32 larger than needed, and grows by at
/// most 1/32 at a time.
const SUBDIVISION_BITS: u32 = if cfg!(poddns_loom) { 1 } else { 5 };
/// Number of elements of the smallest segments, as a power of two.
const SMALLEST_SEGMENT_BITS: u32 = if cfg!(poddns_loom) { 0 } else { 5 };
/// Number of elements before the first doubling, as a power of two.
const FIRST_DOUBLING_BITS: u32 = SUBDIVISION_BITS + SMALLEST_SEGMENT_BITS;
/// Maximum number of elements, as a power of two.
const MAX_LENGTH_BITS: u32 = if cfg!(poddns_loom) { 6 } else { 31 };

/// Counter of the bytes that all arrays of an index have allocated.
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

/// An array that grows without moving its elements, so that readers need no lock.
///
/// It is a fixed directory of segments. A segment is allocated when its first element is needed, and is never freed.
/// Segments grow with the array: 32 of one size, then 32 of twice that size, and so on.
#[derive(Debug)]
pub(super) struct Segments<T> {
    directory: Box<[OnceLock<Box<[T]>>]>,
    meter: Meter,
}

/// Returns the segment of an element, the element's offset in the segment, and the size of the segment.
const fn locate(index: u32) -> (usize, usize, usize) {
    let shifted = index as u64 + (1 << FIRST_DOUBLING_BITS);
    let doubling = shifted.ilog2() - FIRST_DOUBLING_BITS;
    let bits = SMALLEST_SEGMENT_BITS + doubling;
    let part = (shifted >> bits) & ((1 << SUBDIVISION_BITS) - 1);
    let segment = ((doubling as usize) << SUBDIVISION_BITS) + part as usize;
    let size = 1_usize << bits;
    (segment, (shifted as usize) & (size - 1), size)
}

impl<T> Segments<T> {
    pub(super) fn new(meter: &Meter) -> Self {
        let segments = ((MAX_LENGTH_BITS - FIRST_DOUBLING_BITS + 1) as usize) << SUBDIVISION_BITS;
        meter.add(segments * size_of::<OnceLock<Box<[T]>>>());
        Self { directory: (0..segments).map(|_| OnceLock::new()).collect(), meter: meter.clone() }
    }

    /// Returns the element, if its segment is allocated.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (segment, offset, _) = locate(index);
        self.directory.get(segment)?.get()?.get(offset)
    }

    /// Returns the element of an array that only the writer accesses.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (segment, offset, _) = locate(index);
        self.directory.get_mut(segment)?.get_mut()?.get_mut(offset)
    }

    /// Allocates the segment of an element, filled with `empty`, unless it is allocated. Called only by the writer.
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
    /// Returns a copy of the element, or the default value if none was stored yet.
    pub(super) fn value(&self, index: u32) -> T {
        self.get(index).copied().unwrap_or_default()
    }

    /// Stores the element, in an array that only the writer accesses.
    pub(super) fn put(&mut self, index: u32, value: T) {
        self.ensure(index, T::default);
        if let Some(place) = self.get_mut(index) {
            *place = value;
        }
    }
}

impl<W: AtomicWord> Segments<W> {
    /// Returns the word, or 0 if none was stored yet.
    pub(super) fn load(&self, index: u32) -> W::Value {
        self.get(index).map(AtomicWord::load).unwrap_or_default()
    }

    /// Stores a word. Called only by the writer.
    pub(super) fn store(&self, index: u32, value: W::Value) {
        self.ensure(index, W::zero);
        if let Some(word) = self.get(index) {
            word.store(value);
        }
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::super::sync::{AtomicU32, AtomicU64};
    use super::*;

    #[test]
    fn indices_have_distinct_consecutive_places() {
        let mut last = (0, 0, 32);
        for index in 1..200_000 {
            let (segment, offset, size) = locate(index);
            let next = if last.1 + 1 == last.2 { (last.0 + 1, 0) } else { (last.0, last.1 + 1) };
            assert_eq!((segment, offset), next, "{index}");
            last = (segment, offset, size);
        }
        let (segment, offset, size) = locate(1 << MAX_LENGTH_BITS);
        assert!(
            segment < ((MAX_LENGTH_BITS - FIRST_DOUBLING_BITS + 1) as usize) << SUBDIVISION_BITS
                && offset < size
        );
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
    fn unstored_words_read_as_zero() {
        let words = Segments::<AtomicU32>::new(&Meter::default());
        assert_eq!(words.load(5), 0);
        words.store(5, 9);
        assert_eq!((words.load(4), words.load(5), words.load(u32::MAX)), (0, 9, 0));
    }
}
