//! The most frequent pairs of name and client of a stream, in bounded memory: the space-saving algorithm (Metwally,
//! Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005) with weights.
//!
//! After `N` occurrences in total, a table of `k` entries contains each pair that occurred more than `N / k` times. A
//! count is too high by at most [`AuditEntry::error`], which is at most `N / k`. All counts are exact until there are
//! more than `k` different pairs.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use poddns_core::{AuditFinding, Label};
use siphasher::sip::SipHasher13;

/// Number of slots of the hash table for each entry.
const SLOTS: usize = 4;

/// A query as the audit counts it: its name and its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AuditedQuery {
    pub(crate) namespace: Label,
    pub(crate) address: IpAddr,
    /// `None` if a forwarder did not name its client.
    pub(crate) client: Option<IpAddr>,
}

/// A pair with the number of its occurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    pub(crate) pair: AuditedQuery,
    /// The last finding.
    pub(crate) finding: AuditFinding,
    /// Number of occurrences, of which at most `error` are those of evicted pairs.
    pub(crate) count: u64,
    pub(crate) error: u64,
    /// First and last occurrence since the pair has an entry, in Unix seconds.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl AuditEntry {
    /// Returns an entry of one occurrence.
    pub(crate) fn once(pair: AuditedQuery, finding: AuditFinding, now: u64) -> Self {
        Self { pair, finding, count: 1, error: 0, first: now, last: now }
    }
}

/// A table of the most frequent pairs. It does not allocate after its creation.
pub(crate) struct PairTable {
    key: [u8; 16],
    entries: Vec<AuditEntry>,
    capacity: usize,
    /// Indexes of entries, as a binary heap whose root has the smallest count.
    heap: Vec<u32>,
    /// Position in the heap of each entry.
    places: Vec<u32>,
    /// Hash table with linear probing: an entry's index plus one, or 0.
    slots: Vec<u32>,
}

impl PairTable {
    /// Returns a table for this many entries, at most 2^28. `key` is secret, so that no client can choose pairs that
    /// collide.
    pub(crate) fn new(capacity: usize, key: [u8; 16]) -> Self {
        let slots = (capacity.max(1) * SLOTS).next_power_of_two();
        Self {
            key,
            entries: Vec::with_capacity(capacity),
            capacity,
            heap: Vec::with_capacity(capacity),
            places: Vec::with_capacity(capacity),
            slots: vec![0; slots],
        }
    }

    /// Returns the memory of the table in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<AuditEntry>()
            + (self.heap.capacity() + self.places.capacity() + self.slots.len()) * size_of::<u32>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[AuditEntry] {
        &self.entries
    }

    /// Returns an upper bound of the occurrences of a pair without an entry.
    pub(crate) fn floor(&self) -> u64 {
        if self.entries.len() < self.capacity { 0 } else { self.count_at(0) }
    }

    /// Removes all pairs.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.heap.clear();
        self.places.clear();
        self.slots.fill(0);
    }

    /// Adds occurrences of a pair. If the table is full, a new pair evicts the least frequent one.
    pub(crate) fn add(&mut self, entry: &AuditEntry) {
        if let Some(index) = self.find(&entry.pair) {
            self.update(index, entry);
        } else if self.entries.len() < self.capacity {
            self.append(*entry);
        } else if self.capacity > 0 {
            self.replace_least(entry);
        }
    }

    fn update(&mut self, index: usize, with: &AuditEntry) {
        let entry = &mut self.entries[index];
        entry.count = entry.count.saturating_add(with.count);
        entry.error = entry.error.saturating_add(with.error);
        entry.first = entry.first.min(with.first);
        if with.last >= entry.last {
            (entry.last, entry.finding) = (with.last, with.finding);
        }
        self.sift_down(self.places[index] as usize);
    }

    fn append(&mut self, entry: AuditEntry) {
        let index = self.entries.len();
        self.link(&entry.pair, index);
        self.entries.push(entry);
        self.places.push(narrow(self.heap.len()));
        self.heap.push(narrow(index));
        self.sift_up(index);
    }

    fn replace_least(&mut self, with: &AuditEntry) {
        let index = self.heap[0] as usize;
        let least = self.entries[index];
        self.unlink(&least.pair);
        self.link(&with.pair, index);
        self.entries[index] = AuditEntry {
            count: least.count.saturating_add(with.count),
            error: least.count.saturating_add(with.error),
            ..*with
        };
        self.sift_down(0);
    }

    fn hash(&self, pair: &AuditedQuery) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        pair.hash(&mut hasher);
        // Only the lower bits are used.
        usize::try_from(hasher.finish() & u64::from(u32::MAX)).unwrap_or_default() & self.mask()
    }

    /// The number of slots is a power of two.
    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    fn find(&self, pair: &AuditedQuery) -> Option<usize> {
        self.slot(pair).map(|slot| self.slots[slot] as usize - 1)
    }

    /// Returns the slot of a pair, if it has an entry. The search ends, since there is always an empty slot.
    fn slot(&self, pair: &AuditedQuery) -> Option<usize> {
        let mut slot = self.hash(pair);
        loop {
            match self.slots[slot] {
                0 => return None,
                index if self.entries[index as usize - 1].pair == *pair => return Some(slot),
                _ => slot = (slot + 1) & self.mask(),
            }
        }
    }

    fn link(&mut self, pair: &AuditedQuery, index: usize) {
        let mut slot = self.hash(pair);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & self.mask();
        }
        self.slots[slot] = narrow(index + 1);
    }

    /// Empties a pair's slot, and moves the following ones that would no longer be found (Knuth, TAOCP 6.4, algorithm
    /// R).
    fn unlink(&mut self, pair: &AuditedQuery) {
        let Some(mut hole) = self.slot(pair) else { return };
        let mut slot = hole;
        loop {
            slot = (slot + 1) & self.mask();
            let index = self.slots[slot];
            if index == 0 {
                break;
            }
            let wanted = self.hash(&self.entries[index as usize - 1].pair);
            let distance = |from: usize| slot.wrapping_sub(from) & self.mask();
            if distance(wanted) >= distance(hole) {
                self.slots[hole] = index;
                hole = slot;
            }
        }
        self.slots[hole] = 0;
    }

    fn count_at(&self, place: usize) -> u64 {
        let index = self.heap.get(place).copied().unwrap_or_default() as usize;
        self.entries.get(index).map_or(u64::MAX, |entry| entry.count)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a] as usize] = narrow(a);
        self.places[self.heap[b] as usize] = narrow(b);
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.count_at(parent) <= self.count_at(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.count_at(child) < self.count_at(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }
}

/// Converts an index, which is less than 2^32.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn pair(number: u32) -> AuditedQuery {
        let namespace = format!("ns-{}", number % 7).parse().unwrap();
        AuditedQuery { namespace, address: IpAddr::from(number.to_be_bytes()), client: None }
    }

    fn check(table: &PairTable, exact: &HashMap<AuditedQuery, u64>) {
        let total: u64 = exact.values().sum();
        let bound = total / table.capacity as u64;
        assert_eq!(table.entries().iter().map(|entry| entry.count).sum::<u64>(), total);
        for entry in table.entries() {
            let truth = exact.get(&entry.pair).copied().unwrap_or_default();
            assert!(entry.count >= truth && entry.count - entry.error <= truth, "{entry:?}: {truth}");
            assert!(entry.error <= bound, "{entry:?}: {bound}");
            assert_eq!(table.find(&entry.pair).map(|index| table.entries[index]), Some(*entry));
        }
        for (pair, &truth) in exact {
            assert!(table.find(pair).is_some() || truth <= table.floor(), "{pair:?}: {truth}");
        }
        for place in 1..table.heap.len() {
            assert!(table.count_at((place - 1) / 2) <= table.count_at(place));
            assert_eq!(table.places[table.heap[place] as usize], narrow(place));
        }
        assert_eq!(table.slots.iter().filter(|&&slot| slot != 0).count(), table.entries.len());
    }

    proptest! {
        #[test]
        fn counts_are_within_the_bound(
            capacity in 1..20_usize, key: [u8; 16], stream in vec((0..40_u32, 1..5_u64), 0..600),
        ) {
            let (mut table, mut exact) = (PairTable::new(capacity, key), HashMap::new());
            for (number, weight) in stream {
                let once = AuditEntry::once(pair(number), AuditFinding::NoSuchPod, 1);
                table.add(&AuditEntry { count: weight, ..once });
                *exact.entry(pair(number)).or_insert(0) += weight;
            }
            check(&table, &exact);
        }
    }

    #[test]
    fn zipf_stream_keeps_its_most_frequent() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut table, mut exact) = (PairTable::new(256, [7; 16]), HashMap::new());
        // Zipf's law with exponent 1 over 100,000 pairs, by inversion of its cumulative weights.
        let mut sum = 0.0;
        let cumulated: Vec<f64> = (1..=100_000)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        for now in 0..400_000 {
            let drawn = random.f64() * sum;
            let rank = cumulated.partition_point(|&weight| weight < drawn);
            let pair = pair(u32::try_from(rank).unwrap());
            table.add(&AuditEntry::once(pair, AuditFinding::NoSuchPod, now));
            *exact.entry(pair).or_insert(0) += 1;
        }
        check(&table, &exact);
        // Pairs with more than N / k occurrences, which must all have an entry.
        let mut ranks: Vec<_> = exact.iter().filter(|&(_, &count)| count > 400_000 / 256).collect();
        ranks.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        assert!(ranks.len() >= 15, "{}", ranks.len());
        assert!(ranks.iter().all(|(pair, _)| table.find(pair).is_some()));
    }

    #[test]
    fn first_and_last_occurrence_are_kept() {
        let mut table = PairTable::new(2, [7; 16]);
        for (finding, now) in
            [(AuditFinding::NoSuchPod, 10), (AuditFinding::OtherNamespace, 30), (AuditFinding::NoSuchPod, 20)]
        {
            table.add(&AuditEntry::once(pair(1), finding, now));
        }
        let entry = table.entries()[0];
        assert_eq!((entry.first, entry.last, entry.finding), (10, 30, AuditFinding::OtherNamespace));
        table.clear();
        assert!(table.is_empty() && table.find(&pair(1)).is_none());
    }

    #[test]
    fn memory_is_as_documented() {
        let table = PairTable::new(super::super::counts::PAIRS, [7; 16]);
        assert!(table.bytes() <= 176 * 1024, "docs/audit.md: {}", table.bytes());
    }
}
