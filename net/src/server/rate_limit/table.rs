//! A fixed table of budgets, one for each client network.

use std::fmt;
use std::hash::Hasher;
use std::num::NonZeroU32;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use super::{SECOND, nanoseconds};

/// Networks that share a place in the table without pushing each other out.
const WAYS: usize = 4;

/// A network's budget, as the generic cell rate algorithm keeps it: two words, `[repaid, tag and count]`.
///
/// `repaid` is when all that was taken will have been given back, in nanoseconds. The upper half of the other
/// word is the network's tag, the lower how many responses went beyond the budget, for the slip. All zeros is
/// nobody, with a full budget.
type Bucket = [u64; 2];

/// Position of a response relative to its network's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    /// It is not; it is the `count`-th of the network, from 1, wrapping.
    Beyond {
        count: u32,
    },
}

/// See the module above.
pub(super) struct Table {
    // Of plain numbers, so that the memory comes zeroed from the kernel, page by page as it is used.
    sets: Vec<[Bucket; WAYS]>,
    key: [u8; 16],
    origin: Instant,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("entries", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

impl Table {
    /// Room for at least this many networks.
    pub(super) fn new(entries: usize, key: [u8; 16], now: Instant) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[[0; 2]; WAYS]; sets], key, origin: now }
    }

    pub(super) fn key(&self) -> [u8; 16] {
        self.key
    }

    /// Takes one response out of the network's budget, which is given back at `rate` a second and never holds
    /// more than a second's.
    pub(super) fn take(&mut self, network: u128, rate: NonZeroU32, now: Instant) -> Verdict {
        let now = nanoseconds(self.origin, now);
        let [repaid, tag_and_count] = self.bucket(network);
        let cost = SECOND / u64::from(rate.get());
        let after = (*repaid).max(now).saturating_add(cost);
        if after - now <= SECOND {
            *repaid = after;
            return Verdict::Within;
        }
        let (tag, count) = split(*tag_and_count);
        let count = count.wrapping_add(1);
        *tag_and_count = join(tag, count);
        Verdict::Beyond { count }
    }

    /// Returns whether the network has nothing left in its budget. It is not remembered for that.
    pub(super) fn is_spent(&self, network: u128, rate: NonZeroU32, now: Instant) -> bool {
        let (now, cost) = (nanoseconds(self.origin, now), SECOND / u64::from(rate.get()));
        let (tag, index) = self.place(network);
        let bucket = self.sets[index].iter().find(|bucket| split(bucket[1]).0 == tag);
        bucket.is_some_and(|&[repaid, _]| repaid.max(now).saturating_add(cost) - now > SECOND)
    }

    /// Returns the network's tag and the index of its set.
    fn place(&self, network: u128) -> (u32, usize) {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u128(network);
        let (tag, index) = split(hasher.finish());
        // The number of sets is a power of two, and there is one at least.
        (tag, index as usize & (self.sets.len() - 1))
    }

    /// The network's bucket: its own, or else the one of its set that is nearest to full, emptied.
    fn bucket(&mut self, network: u128) -> &mut Bucket {
        let (tag, index) = self.place(network);
        let set = &mut self.sets[index];
        let (mut way, mut least) = (0, u64::MAX);
        for (at, &[repaid, word]) in set.iter().enumerate() {
            if split(word).0 == tag {
                return &mut set[at];
            }
            if repaid < least {
                (way, least) = (at, repaid);
            }
        }
        set[way] = [0, join(tag, 0)];
        &mut set[way]
    }
}

/// The halves of a word: a tag, and a count or an index.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(tag: u32, count: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(count)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn count_wraps() {
        let now = Instant::now();
        let mut table = Table::new(4, [7; 16], now);
        let rate = NonZeroU32::MIN;
        assert_eq!(table.take(1, rate, now), Verdict::Within);
        assert_eq!(table.take(1, rate, now), Verdict::Beyond { count: 1 });
        let bucket = table.bucket(1);
        let (tag, _) = split(bucket[1]);
        bucket[1] = join(tag, u32::MAX);
        assert_eq!(table.take(1, rate, now), Verdict::Beyond { count: 0 });
        assert_eq!(table.take(1, rate, now), Verdict::Beyond { count: 1 });
        assert_eq!(split(table.bucket(1)[1]).0, tag, "the tag stays");
        assert_eq!(table.take(1, rate, now + Duration::from_secs(1)), Verdict::Within);
    }
}
