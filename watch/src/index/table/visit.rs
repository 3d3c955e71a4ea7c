//! Iteration over all words of a table in steps, between which the table can grow.

use super::{AtomicWord, Ordering, Table, bucket_of};

/// Returns the position of a hash in the iteration order: its bits in reverse.
///
/// A bucket contains the hashes with the same lowest bits, so it is a range of positions; so are both halves after a
/// split. This is the order of Redis' `SCAN`.
pub(in super::super) const fn position(hash: u32) -> u64 {
    hash.reverse_bits() as u64
}

/// End of the positions (exclusive).
const END: u64 = 1 << u32::BITS;

impl<W: AtomicWord, const SLOTS: usize, const SPILL: usize> Table<W, SLOTS, SPILL> {
    /// Calls `each` with the words in the bucket that begins at `position`, which is 0 or was returned by an earlier
    /// call. Returns the position to continue with; `None` at the end. The writer must not change the table during the
    /// call.
    pub(in super::super) fn visit(&self, position: u64, mut each: impl FnMut(W::Value)) -> Option<u64> {
        let first = u32::try_from(position).ok()?.reverse_bits();
        let count = self.count.load(Ordering::Acquire);
        let mask = count.next_power_of_two() - 1;
        // Number of hash bits that select this bucket: all bits of the mask if the bucket has been split, else one
        // less.
        let is_split = (first & (mask >> 1)) + mask.div_ceil(2) < count;
        let bits = if is_split { mask } else { mask >> 1 }.count_ones();
        let words = self.chain(bucket_of(first, count)).into_iter().flatten().map(AtomicWord::load);
        words.filter(|word| *word != W::Value::default()).for_each(&mut each);
        let next = position + (END >> bits);
        (next < END).then_some(next)
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::super::super::segments::Meter;
    use super::super::{Epoch, TableWriter64};

    fn spread(word: u64) -> u32 {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[test]
    fn words_of_growing_table_are_visited_once() {
        for (first, grow) in [(0, 1), (1, 3), (1000, 0), (1000, 1), (500, 7)] {
            let epoch = Epoch::new();
            let (mut writer, table) = TableWriter64::new(&Meter::default());
            for word in 1..=first {
                writer.insert(&epoch, word, spread);
            }
            let (mut visited, mut next, mut last) = (vec![], Some(0), first);
            while let Some(position) = next {
                next = table.visit(position, |word| visited.push(word));
                for _ in 0..grow {
                    if last < 5000 {
                        last += 1;
                        writer.insert(&epoch, last, spread);
                    }
                }
            }
            let all = visited.len();
            visited.sort_unstable();
            visited.dedup();
            assert_eq!(visited.len(), all, "none comes twice");
            assert!((1..=first).all(|word| visited.binary_search(&word).is_ok()), "none is missing");
        }
    }
}
