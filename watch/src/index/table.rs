//! A hash table of words with one writer and any number of concurrent readers.
//!
//! It is a linear hash table (Litwin, 1980): it grows by one bucket at a time, by splitting the next bucket in order.
//! So it is never copied or stored twice.
//!
//! A bucket is a cache line: words, the number of a spill block, and a filter. Words that do not fit go to a chain of
//! spill blocks of half a line each. An empty slot is 0, so a stored word must not be 0. The filter has 32 bits, one
//! for each 32nd of all hashes; a bit is set before a word of such a hash is stored in a spill block, and cleared only
//! after no such word is left there.
//!
//! Together with the protocol in [`sync`](super::sync), three properties make it safe to read while it changes:
//! - A word appears and disappears by one store each, and stays in its slot except during a split.
//! - A split copies words to the new bucket, publishes the new number of buckets, advances the epoch, and only then
//!   clears the old copies. It then moves spilled words into the freed slots in the same way.
//! - A spill block is removed only if it is empty and at the end of its chain. A reader in it misses nothing, because
//!   nothing follows it. If the block is reused meanwhile, the reader continues into another chain, with words of other
//!   keys.

mod bucket;
mod visit;

use std::sync::Arc;

use self::bucket::{Bucket, SpillBlock, SpillChain, bit};
use super::segments::{Meter, Segments};
use super::sync::{AtomicU32, AtomicU64, AtomicWord, Epoch, Ordering};

pub(super) use visit::position;

const fn slots(count: usize) -> usize {
    if cfg!(poddns_loom) { 1 } else { count }
}

/// A table of 64-bit words.
pub(super) type Table64 = Table<AtomicU64, { slots(7) }, { slots(3) }>;
/// The writer's side of [`Table64`].
pub(super) type TableWriter64 = TableWriter<AtomicU64, { slots(7) }, { slots(3) }>;
/// A table of 32-bit words.
pub(super) type Table32 = Table<AtomicU32, { slots(14) }, { slots(7) }>;
/// The writer's side of [`Table32`].
pub(super) type TableWriter32 = TableWriter<AtomicU32, { slots(14) }, { slots(7) }>;

/// A [`TableProbe`] of a [`Table64`].
pub(super) type TableProbe64<'a> = TableProbe<'a, AtomicU64, { slots(7) }, { slots(3) }>;

/// Returns a word with a tag, the search key, in the upper half and a number in the lower half.
pub(super) const fn tagged(tag: u32, number: u32) -> u64 {
    ((tag as u64) << 32) | number as u64
}

/// Returns the tag of a [`tagged`] word.
pub(super) const fn tag_of(word: u64) -> u32 {
    (word >> 32) as u32
}

/// Returns the number in a [`tagged`] word.
pub(super) const fn number_in(word: u64) -> u32 {
    word as u32
}

/// A table of words `W`, for readers, with `SLOTS` words per bucket and `SPILL` words per spill block.
#[derive(Debug)]
pub(super) struct Table<W, const SLOTS: usize, const SPILL: usize> {
    /// Number of buckets, at least 1. It only grows.
    count: AtomicU32,
    /// Number of words.
    len: AtomicU32,
    buckets: Segments<Bucket<W, SLOTS>>,
    spills: Segments<SpillBlock<W, SPILL>>,
}

/// The writer's side of a [`Table`].
#[derive(Debug)]
pub(super) struct TableWriter<W, const SLOTS: usize, const SPILL: usize> {
    table: Arc<Table<W, SLOTS, SPILL>>,
    /// Number of spill blocks, numbered from 1 on.
    spills: u32,
    /// The blocks that are in no chain. Unlike other free slots they are not linked to each other, because a reader may
    /// still be in one of them.
    free: Vec<u32>,
}

/// Returns the bucket of a hash among `count` buckets: the lowest bits of the hash, as many as are needed to number all
/// buckets, or one bit less if that bucket does not exist yet.
const fn bucket_of(hash: u32, count: u32) -> u32 {
    let mask = count.next_power_of_two() - 1;
    let bucket = hash & mask;
    if bucket < count { bucket } else { bucket & (mask >> 1) }
}

/// Returns the bucket that is split to add bucket number `count`.
const fn split_for(count: u32) -> u32 {
    count - (1 << count.ilog2())
}

/// The bucket of a hash; valid until the epoch advances.
#[derive(Debug)]
pub(super) struct TableProbe<'a, W, const SLOTS: usize, const SPILL: usize> {
    bucket: &'a Bucket<W, SLOTS>,
    spills: &'a Segments<SpillBlock<W, SPILL>>,
    hash: u32,
}

impl<W: AtomicWord, const SLOTS: usize, const SPILL: usize> TableProbe<'_, W, SLOTS, SPILL> {
    /// Implements [`Table::find`].
    pub(super) fn find(&self, mut matches: impl FnMut(W::Value) -> bool) -> Option<W::Value> {
        // Few words match, so the test for an empty slot comes last.
        let mut is = |word: &W::Value| matches(*word) && *word != W::Value::default();
        let found = self.bucket.words.iter().map(AtomicWord::load).find(&mut is);
        if found.is_some() || !self.has_spilled() {
            return found;
        }
        self.spill_chain().map(AtomicWord::load).find(is)
    }

    /// As [`Table::find`], for a `matches` that depends only on the word and matches at most one word of this hash.
    pub(super) fn find_only(&self, matches: impl Fn(W::Value) -> bool) -> Option<W::Value> {
        // Reads all slots, without a branch that depends on loaded data, so that the processor can continue while it
        // waits for memory. The result is one whole word: a word that is removed and added again in another slot, with
        // another holder, may be seen in both.
        let matches = |word: W::Value| matches(word) & (word != W::Value::default());
        let choose = |found, word| if matches(word) { word } else { found };
        let found = self.bucket.words.iter().map(AtomicWord::load).fold(W::Value::default(), choose);
        if found != W::Value::default() {
            return Some(found);
        }
        if !self.has_spilled() {
            return None;
        }
        self.spill_chain().map(AtomicWord::load).find(|&word| matches(word))
    }

    /// Returns the hash.
    pub(super) const fn hash(&self) -> u32 {
        self.hash
    }

    /// Returns whether a word of this hash may be in the spill blocks.
    fn has_spilled(&self) -> bool {
        self.bucket.spilled.load(Ordering::Acquire) & bit(self.hash) != 0
    }

    fn spill_chain(&self) -> SpillChain<'_, W, SPILL> {
        SpillChain::behind(self.bucket, self.spills)
    }

    /// Reads from the bucket, to load it into the cache.
    pub(super) fn touch(&self) -> u32 {
        self.bucket.spilled.load(Ordering::Relaxed)
    }

    /// Reads from the first spill block if the word may have spilled, to load it into the cache.
    pub(super) fn touch_spill(&self) -> u32 {
        if !self.has_spilled() {
            return 0;
        }
        let spill = self.spills.get(self.bucket.spill.load(Ordering::Acquire));
        spill.map_or(0, |spill| spill.next.load(Ordering::Relaxed))
    }
}

impl<W: AtomicWord, const SLOTS: usize, const SPILL: usize> Table<W, SLOTS, SPILL> {
    fn chain(&self, bucket: u32) -> Option<SpillChain<'_, W, SPILL>> {
        let bucket = self.buckets.get(bucket)?;
        Some(SpillChain { spills: &self.spills, words: bucket.words.iter(), next: &bucket.spill })
    }

    /// Returns the slots of the spill blocks of a bucket, without those in the bucket.
    fn spill_chain<'a>(&'a self, bucket: &'a Bucket<W, SLOTS>) -> SpillChain<'a, W, SPILL> {
        SpillChain::behind(bucket, &self.spills)
    }

    /// Returns the bucket of a hash. Loads nothing from it.
    pub(super) fn probe(&self, hash: u32) -> Option<TableProbe<'_, W, SLOTS, SPILL>> {
        let bucket = self.buckets.get(bucket_of(hash, self.count.load(Ordering::Acquire)))?;
        Some(TableProbe { bucket, spills: &self.spills, hash })
    }

    /// Returns the first word of this hash that `matches`.
    ///
    /// A returned word was in the table. `None` is reliable only if the epoch has not advanced.
    pub(super) fn find(&self, hash: u32, matches: impl FnMut(W::Value) -> bool) -> Option<W::Value> {
        self.probe(hash)?.find(matches)
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }
}

impl<W: AtomicWord, const SLOTS: usize, const SPILL: usize> TableWriter<W, SLOTS, SPILL> {
    /// Maximum number of words per bucket, on average: 6/7 of its slots.
    const FILL: u32 = if cfg!(poddns_loom) { 2 } else { SLOTS as u32 * 6 / 7 };

    /// Returns an empty table: the writer's side and the readers' side.
    pub(super) fn new(meter: &Meter) -> (Self, Arc<Table<W, SLOTS, SPILL>>) {
        let table = Arc::new(Table {
            count: AtomicU32::new(1),
            len: AtomicU32::new(0),
            buckets: Segments::new(meter),
            spills: Segments::new(meter),
        });
        table.buckets.ensure(0, Bucket::new);
        (Self { table: Arc::clone(&table), spills: 0, free: Vec::new() }, table)
    }

    /// Returns the number of words and of spill blocks in use.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.len() as u32 + self.spills - self.free.len() as u32
    }

    fn count(&self) -> u32 {
        self.table.count.load(Ordering::Relaxed)
    }

    /// Adds a word, which must not be 0. `hash_of` returns the hash of any word in the table.
    pub(super) fn insert(&mut self, epoch: &Epoch, word: W::Value, hash_of: impl Fn(W::Value) -> u32) {
        let len = self.table.len.load(Ordering::Relaxed).saturating_add(1);
        self.table.len.store(len, Ordering::Relaxed);
        let hash = hash_of(word);
        self.put(hash, self.count(), word);
        if len > self.count().saturating_mul(Self::FILL) {
            self.split(epoch, hash_of);
        }
    }

    /// Replaces a word by another one of the same hash, atomically.
    pub(super) fn replace(&mut self, hash: u32, old: W::Value, new: W::Value) {
        if let Some(slot) = self.slot_of(hash, old) {
            slot.store(new);
        }
    }

    /// Removes a word.
    pub(super) fn remove(&mut self, hash: u32, word: W::Value) {
        if let Some(slot) = self.slot_of(hash, word) {
            slot.store(W::Value::default());
            let len = self.table.len.load(Ordering::Relaxed);
            self.table.len.store(len.saturating_sub(1), Ordering::Relaxed);
        }
        self.trim(bucket_of(hash, self.count()));
    }

    fn slot_of(&self, hash: u32, word: W::Value) -> Option<&W> {
        let mut chain = self.table.chain(bucket_of(hash, self.count()))?;
        chain.find(|slot| slot.load() == word)
    }

    /// Stores a word in its bucket among `count` buckets: in the first free slot of the chain, or in a new block at its
    /// end.
    fn put(&mut self, hash: u32, count: u32, word: W::Value) {
        let Self { table, spills, free } = self;
        let Some(bucket) = table.buckets.get(bucket_of(hash, count)) else { return };
        let is_free = |slot: &&W| slot.load() == W::Value::default();
        if let Some(slot) = bucket.words.iter().find(is_free) {
            slot.store(word);
            return;
        }
        bucket.spilled.store(bucket.spilled.load(Ordering::Relaxed) | bit(hash), Ordering::Release);
        let mut chain = table.spill_chain(bucket);
        if let Some(slot) = chain.find(is_free) {
            slot.store(word);
            return;
        }
        let number = free.pop().unwrap_or_else(|| {
            *spills = spills.saturating_add(1);
            *spills
        });
        table.spills.ensure(number, SpillBlock::new);
        // Free blocks are empty and have no successor.
        if let Some(slot) = table.spills.get(number).and_then(|spill| spill.words.first()) {
            slot.store(word);
        }
        // `chain` is at its end, so this is the last link.
        chain.next.store(number, Ordering::Release);
    }

    /// Adds one bucket, and moves about half of the words of another one to it.
    fn split(&mut self, epoch: &Epoch, hash_of: impl Fn(W::Value) -> u32) {
        let count = self.count();
        let from = split_for(count);
        self.table.buckets.ensure(count, Bucket::new);
        let moves =
            |word: W::Value| word != W::Value::default() && bucket_of(hash_of(word), count + 1) == count;

        let mut moving = Vec::new();
        if let Some(chain) = self.table.chain(from) {
            moving.extend(chain.map(AtomicWord::load).filter(|&word| moves(word)));
        }
        for &word in &moving {
            self.put(hash_of(word), count + 1, word);
        }
        self.table.count.store(count + 1, Ordering::Release);
        epoch.advance();
        for slot in self.table.chain(from).into_iter().flatten() {
            if moves(slot.load()) {
                slot.store(W::Value::default());
            }
        }
        self.settle(epoch, from, hash_of);
    }

    /// Moves spilled words into the free slots of their bucket, the last words first.
    fn settle(&mut self, epoch: &Epoch, number: u32, hash_of: impl Fn(W::Value) -> u32) {
        let Some(bucket) = self.table.buckets.get(number) else { return };
        let is_word = |word: &W::Value| *word != W::Value::default();
        let spilled: Vec<_> = self.table.spill_chain(bucket).map(AtomicWord::load).filter(is_word).collect();
        let free = bucket.words.iter().filter(|slot| !is_word(&slot.load()));
        let (staying, moving) = spilled.split_at(spilled.len().saturating_sub(free.clone().count()));
        for (slot, &word) in free.zip(moving) {
            slot.store(word);
        }
        if !moving.is_empty() {
            epoch.advance();
        }
        for slot in self.table.spill_chain(bucket).filter(|slot| moving.contains(&slot.load())) {
            slot.store(W::Value::default());
        }
        let bits = staying.iter().fold(0, |bits, &word| bits | bit(hash_of(word)));
        bucket.spilled.store(bits, Ordering::Release);
        self.trim(number);
    }

    /// Removes empty spill blocks from the end of the chain of a bucket.
    fn trim(&mut self, bucket: u32) {
        let Self { table, free, .. } = self;
        let Some(bucket) = table.buckets.get(bucket) else { return };
        loop {
            let mut link = &bucket.spill;
            let (number, last) = loop {
                let number = link.load(Ordering::Relaxed);
                if number == 0 {
                    bucket.spilled.store(0, Ordering::Release);
                    return;
                }
                let Some(spill) = table.spills.get(number) else { return };
                if spill.next.load(Ordering::Relaxed) == 0 {
                    break (number, spill);
                }
                link = &spill.next;
            };
            if last.words.iter().any(|slot| slot.load() != W::Value::default()) {
                return;
            }
            link.store(0, Ordering::Release);
            free.push(number);
        }
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn finds(table: &Table64, word: u64, hash_of: impl Fn(u64) -> u32) -> bool {
        table.find(hash_of(word), |other| other == word).is_some()
    }

    /// Returns a deterministic hash that is distributed well enough for a test.
    fn spread(word: u64) -> u32 {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[test]
    fn splits_go_round_all_buckets() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(split_for), [0, 0, 1, 0, 1, 2, 3, 0]);
        for count in 1..70 {
            for hash in 0..300 {
                let (before, after) = (bucket_of(hash, count), bucket_of(hash, count + 1));
                assert!(before < count);
                assert!(after == before || (after == count && before == split_for(count)));
            }
        }
    }

    #[test]
    fn inserted_words_are_found_at_every_size() {
        let epoch = Epoch::new();
        let (mut writer, table) = TableWriter64::new(&Meter::default());
        for word in 1..=3000 {
            writer.insert(&epoch, word, spread);
            assert_eq!(table.len() as u64, word);
            if word % 97 == 0 {
                assert!((1..=word).all(|word| finds(&table, word, spread)), "all of {word}");
                assert!(!finds(&table, word + 1, spread));
            }
        }
        for word in (1..=3000).step_by(3) {
            writer.remove(spread(word), word);
        }
        assert!((1..=3000).all(|word| finds(&table, word, spread) == (word % 3 != 1)));
        assert_eq!(table.len(), 2000);
    }

    #[test]
    fn words_of_equal_hash_are_found() {
        let epoch = Epoch::new();
        let (mut writer, table) = TableWriter64::new(&Meter::default());
        for word in 1..=100 {
            writer.insert(&epoch, word, |_| 5);
        }
        assert!((1..=100).all(|word| finds(&table, word, |_| 5)));
        for word in 1..=100 {
            writer.remove(5, word);
            assert!(!finds(&table, word, |_| 5));
        }
        let free: BTreeSet<u32> = writer.free.iter().copied().collect();
        assert_eq!(free.len(), writer.free.len(), "no block is in the list twice");
        assert_eq!(free.len() as u32, writer.spills, "all blocks are free");
    }

    #[test]
    fn replaced_word_stays_in_its_slot() {
        let (mut writer, table) = TableWriter64::new(&Meter::default());
        writer.insert(&Epoch::new(), 7, |_| 1);
        writer.replace(1, 7, 8);
        assert_eq!(table.find(1, |_| true), Some(8));
        assert_eq!(table.len(), 1);
    }
}
