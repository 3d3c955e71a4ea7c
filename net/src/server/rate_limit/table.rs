//! A table of fixed size with a budget for each client network.

use std::fmt;
use std::hash::Hasher;
use std::num::NonZeroU32;
use std::time::Instant;

use siphasher::sip::SipHasher13;

/// Number of networks in a set, which share an index without evicting each other.
const WAYS: usize = 4;

/// A network's budget by the generic cell rate algorithm: two words, `[repaid, tag and count]`.
///
/// `repaid` is the time at which the budget is full again, in nanoseconds. The upper half of the other word is the
/// network's tag, the lower half the number of responses beyond the budget, for [`slip`](super::RateLimit::slip). A
/// slot of zeros is empty.
type BudgetSlot = [u64; 2];

/// Position of a response relative to its network's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Within the budget.
    Within,
    /// Beyond the budget: the `count`-th such response of the network, from 1, wrapping.
    Beyond { count: u32 },
}

/// The budgets of client networks, in a table of fixed size; see the [parent module](super).
pub(super) struct BudgetTable {
    // Plain numbers, so that the kernel provides zeroed pages on first use.
    sets: Vec<[BudgetSlot; WAYS]>,
    key: [u8; 16],
    origin: Instant,
}

impl fmt::Debug for BudgetTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetTable").field("entries", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

impl BudgetTable {
    /// Returns an empty table for at least `entries` networks.
    pub(super) fn new(entries: usize, key: [u8; 16], now: Instant) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[[0; 2]; WAYS]; sets], key, origin: now }
    }

    pub(super) fn key(&self) -> [u8; 16] {
        self.key
    }

    /// Counts one response against the network's budget, which is refilled with `rate` responses per second, up to
    /// `rate` responses.
    pub(super) fn take(&mut self, network: u128, rate: NonZeroU32, now: Instant) -> Budget {
        let now = nanoseconds(self.origin, now);
        let [repaid, tag_and_count] = self.bucket(network);
        let cost = SECOND / u64::from(rate.get());
        let after = (*repaid).max(now).saturating_add(cost);
        if after - now <= SECOND {
            *repaid = after;
            return Budget::Within;
        }
        let (tag, count) = split(*tag_and_count);
        let count = count.wrapping_add(1);
        *tag_and_count = join(tag, count);
        Budget::Beyond { count }
    }

    /// Returns true if the network's budget is spent. Does not add the network to the table.
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
        // The number of sets is a power of two, at least 1.
        (tag, index as usize & (self.sets.len() - 1))
    }

    /// Returns the network's slot. If it has none, evicts the network of the set that is nearest to a full budget.
    fn bucket(&mut self, network: u128) -> &mut BudgetSlot {
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

/// Returns the halves of a word: a tag, and a count or an index.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(tag: u32, count: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(count)
}

/// A second, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// Returns the nanoseconds from `origin` to `now`; 0 if `now` is earlier. `u64` holds 584 years.
fn nanoseconds(origin: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(origin).as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn count_wraps() {
        let now = Instant::now();
        let mut table = BudgetTable::new(4, [7; 16], now);
        let rate = NonZeroU32::MIN;
        assert_eq!(table.take(1, rate, now), Budget::Within);
        assert_eq!(table.take(1, rate, now), Budget::Beyond { count: 1 });
        let bucket = table.bucket(1);
        let (tag, _) = split(bucket[1]);
        bucket[1] = join(tag, u32::MAX);
        assert_eq!(table.take(1, rate, now), Budget::Beyond { count: 0 });
        assert_eq!(table.take(1, rate, now), Budget::Beyond { count: 1 });
        assert_eq!(split(table.bucket(1)[1]).0, tag, "the tag stays");
        assert_eq!(table.take(1, rate, now + Duration::from_secs(1)), Budget::Within);
    }
}
