//! Buckets of a table, and the chains of their spill blocks.

use super::super::segments::Segments;
#[cfg(not(poddns_loom))]
use super::super::sync::AtomicU64;
use super::super::sync::{AtomicU32, AtomicWord, Ordering};

/// A bucket: one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Bucket<W, const SLOTS: usize> {
    pub(super) words: [W; SLOTS],
    pub(super) spill: AtomicU32,
    /// Filter of the hashes of the words in the spill blocks, by [`bit`]; may have additional bits set.
    pub(super) spilled: AtomicU32,
}

/// Words that did not fit into a bucket.
#[derive(Debug)]
pub(super) struct SpillBlock<W, const SPILL: usize> {
    pub(super) words: [W; SPILL],
    pub(super) next: AtomicU32,
}

#[cfg(not(poddns_loom))]
const _: () = {
    assert!(size_of::<Bucket<AtomicU64, 7>>() == 64 && size_of::<SpillBlock<AtomicU64, 3>>() == 32);
    assert!(size_of::<Bucket<AtomicU32, 14>>() == 64 && size_of::<SpillBlock<AtomicU32, 7>>() == 32);
};

impl<W: AtomicWord, const SLOTS: usize> Bucket<W, SLOTS> {
    pub(super) fn new() -> Self {
        Self {
            words: std::array::from_fn(|_| W::zero()),
            spill: AtomicU32::zero(),
            spilled: AtomicU32::zero(),
        }
    }
}

impl<W: AtomicWord, const SPILL: usize> SpillBlock<W, SPILL> {
    pub(super) fn new() -> Self {
        Self { words: std::array::from_fn(|_| W::zero()), next: AtomicU32::zero() }
    }
}

/// Returns the filter bit of a hash. It depends on the upper bits, since the lower ones select the bucket.
pub(super) const fn bit(hash: u32) -> u32 {
    1 << (hash >> 27)
}

/// Iterator over the slots of a bucket and its spill blocks.
pub(super) struct SpillChain<'a, W, const SPILL: usize> {
    pub(super) spills: &'a Segments<SpillBlock<W, SPILL>>,
    pub(super) words: std::slice::Iter<'a, W>,
    pub(super) next: &'a AtomicU32,
}

impl<'a, W, const SPILL: usize> SpillChain<'a, W, SPILL> {
    /// Returns the slots of the spill blocks of a bucket, without those in the bucket.
    pub(super) fn behind<const SLOTS: usize>(
        bucket: &'a Bucket<W, SLOTS>,
        spills: &'a Segments<SpillBlock<W, SPILL>>,
    ) -> Self {
        Self { spills, words: [].iter(), next: &bucket.spill }
    }
}

impl<'a, W, const SPILL: usize> Iterator for SpillChain<'a, W, SPILL> {
    type Item = &'a W;

    fn next(&mut self) -> Option<&'a W> {
        loop {
            if let Some(word) = self.words.next() {
                return Some(word);
            }
            let spill = match self.next.load(Ordering::Acquire) {
                0 => return None,
                number => self.spills.get(number)?,
            };
            self.words = spill.words.iter();
            self.next = &spill.next;
        }
    }
}
