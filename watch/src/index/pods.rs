//! One row for each pod: its identity, its namespace and its addresses.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::MAX_ADDRESSES;
use super::addresses::Address;
use super::keys::Keys;
use super::namespaces::NamespaceId;
use super::segments::{Ids, Meter, Segments};
use super::sync::{AtomicU64, Epoch};
use super::table::{Narrow, NarrowWriter};
use super::uid::Uid;

/// The number of a pod, from 1 on. 0 is none.
pub(super) type Row = u32;

/// In a table of rows: the six bits that are of the hash. The others are the row, of which there are at most
/// [`MAX_PODS`](super::MAX_PODS). They spare a look-up 63 of 64 rows that are not the one it is for.
const MARK: u32 = 0xfc00_0000;

/// A row as word of a table.
pub(super) const fn marked(hash: u32, row: Row) -> u32 {
    (hash & MARK) | row
}

/// The row in such a word.
pub(super) const fn row_of(word: u32) -> Row {
    word & !MARK
}

/// Whether the row in such a word may be under this hash.
pub(super) const fn may_be(word: u32, hash: u32) -> bool {
    (word ^ hash) & MARK == 0
}

/// What a row says of its pod, in one word, so that it changes in one step.
///
/// From above: 32 bits of address, address slot or first list node, 2 bits that say which, one bit for "seen
/// by the list under way", and in the lowest 28 the namespace. 0 is a row without a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry(u64);

const V4: u64 = 1 << 30;
const V6: u64 = 2 << 30;
const LIST: u64 = 3 << 30;
const KIND: u64 = 3 << 30;
const SEEN: u64 = 1 << 29;
const NAMESPACE: u64 = (1 << 28) - 1;

/// In a list node, beside the address above: it is one of IPv6.
const NODE_V6: u64 = 1 << 31;

impl Entry {
    /// A seen pod of a namespace without addresses.
    pub(super) const fn new(namespace: NamespaceId) -> Self {
        Self(LIST | SEEN | (namespace as u64 & NAMESPACE))
    }

    pub(super) const fn is_pod(self) -> bool {
        self.0 & KIND != 0
    }

    pub(super) const fn namespace(self) -> NamespaceId {
        (self.0 & NAMESPACE) as u32
    }

    pub(super) const fn is_seen(self) -> bool {
        self.0 & SEEN != 0
    }

    pub(super) const fn with_seen(self, seen: bool) -> Self {
        Self(if seen { self.0 | SEEN } else { self.0 & !SEEN })
    }

    const fn with_addresses(self, kind: u64, payload: u32) -> Self {
        Self((self.0 & (SEEN | NAMESPACE)) | kind | ((payload as u64) << 32))
    }

    const fn payload(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// At most [`MAX_ADDRESSES`] of something, without allocating.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few<T> {
    items: [Option<T>; MAX_ADDRESSES],
    len: usize,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { items: [const { None }; MAX_ADDRESSES], len: 0 }
    }
}

impl<T: Copy + PartialEq> Few<T> {
    /// Adds an item; what is too much is left out.
    pub(super) fn push(&mut self, item: T) {
        if let Some(place) = self.items.get_mut(self.len) {
            *place = Some(item);
            self.len += 1;
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        self.items.iter().take(self.len).flatten().copied()
    }

    pub(super) fn contains(&self, item: T) -> bool {
        self.iter().any(|other| other == item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Copy + PartialEq> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::default();
        items.into_iter().for_each(|item| few.push(item));
        few
    }
}

/// Rows for readers; they look here only if pod names are kept.
#[derive(Debug)]
pub(super) struct Pods {
    entries: Segments<AtomicU64>,
    /// Address above, bit 31 for its family, next node in the lowest 31 bits.
    nodes: Segments<AtomicU64>,
}

impl Pods {
    pub(super) fn entry(&self, row: Row) -> Entry {
        Entry(self.entries.load(row))
    }

    /// Returns whether no row from this one on was ever in use.
    pub(super) fn is_beyond(&self, row: Row) -> bool {
        self.entries.get(row).is_none()
    }

    /// The pod's addresses, in the order in which they were given.
    pub(super) fn addresses(&self, entry: Entry) -> Few<Address> {
        let mut addresses = Few::default();
        match entry.0 & KIND {
            V4 => addresses.push(Address::V4(entry.payload())),
            V6 => addresses.push(Address::V6(entry.payload())),
            _ => {
                let mut next = entry.payload();
                // A list that is being reused might go in circles.
                for _ in 0..MAX_ADDRESSES {
                    if next == 0 {
                        break;
                    }
                    let node = self.nodes.load(next);
                    let payload = (node >> 32) as u32;
                    addresses.push(if node & NODE_V6 == 0 {
                        Address::V4(payload)
                    } else {
                        Address::V6(payload)
                    });
                    next = (node & (NODE_V6 - 1)) as u32;
                }
            }
        }
        addresses
    }
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct PodsWriter {
    keys: Keys,
    shared: Arc<Pods>,
    /// The identities. Of a free row the first octets are the number of the free row after it.
    uids: Segments<[u8; 16]>,
    by_uid: NarrowWriter,
    table: Arc<Narrow>,
    /// Nobody but the writer reads that table.
    unread: Epoch,
    rows: Ids,
    node_ids: Ids,
}

fn hash(keys: &Keys, uid: Uid) -> u32 {
    keys.hash(uid.object())
}

impl PodsWriter {
    pub(super) fn new(keys: &Keys, meter: &Meter) -> (Self, Arc<Pods>) {
        let shared = Arc::new(Pods { entries: Segments::new(meter), nodes: Segments::new(meter) });
        let (by_uid, table) = NarrowWriter::new(meter);
        let writer = Self {
            keys: keys.clone(),
            shared: Arc::clone(&shared),
            uids: Segments::new(meter),
            by_uid,
            table,
            unread: Epoch::new(),
            rows: Ids::default(),
            node_ids: Ids::default(),
        };
        (writer, shared)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.live() as usize
    }

    /// Rows and list nodes in use.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.rows.live() + self.node_ids.live() + self.by_uid.in_use()
    }

    /// All rows that are or were in use.
    pub(super) fn rows(&self) -> RangeInclusive<Row> {
        1..=self.rows.highest()
    }

    pub(super) fn uid(&self, row: Row) -> Uid {
        Uid::from_bytes(self.uids.value(row))
    }

    /// The row of a pod of this namespace and name, whatever its uid; 0 if there is none.
    pub(super) fn find(&self, uid: Uid) -> Row {
        let hash = hash(&self.keys, uid);
        let is = |word| may_be(word, hash) && self.uid(row_of(word)).is_same_object(&uid);
        self.table.find(hash, is).map_or(0, row_of)
    }

    /// The identity that is kept of the object with this one: that of another uid, perhaps.
    pub(super) fn held_by(&self, uid: Uid) -> Uid {
        match self.find(uid) {
            0 => uid,
            row => self.uid(row),
        }
    }

    /// A row for a pod that has none, with nothing in it yet.
    pub(super) fn insert(&mut self, uid: Uid) -> Row {
        let row = self.rows.take(|free| {
            let [first, second, third, fourth, ..] = self.uids.value(free);
            u32::from_ne_bytes([first, second, third, fourth])
        });
        self.uids.put(row, *uid.as_bytes());
        let Self { keys, uids, by_uid, unread, .. } = self;
        let hash_of = |word| hash(keys, Uid::from_bytes(uids.value(row_of(word))));
        by_uid.insert(unread, marked(hash(keys, uid), row), hash_of);
        row
    }

    /// Replaces the identity of a row by another one of the same object.
    pub(super) fn set_uid(&mut self, row: Row, uid: Uid) {
        self.uids.put(row, *uid.as_bytes());
    }

    /// Gives a row back, with its entry and its list of addresses.
    pub(super) fn remove(&mut self, epoch: &Epoch, row: Row) {
        let old = self.shared.entry(row);
        self.shared.entries.store(row, 0);
        // Before row and nodes can be overwritten.
        epoch.advance();
        self.free_list(old);
        let hash = hash(&self.keys, self.uid(row));
        self.by_uid.remove(hash, marked(hash, row));
        let mut free = [0; 16];
        for (to, from) in free.iter_mut().zip(self.rows.give(row).to_ne_bytes()) {
            *to = from;
        }
        self.uids.put(row, free);
    }

    /// Stores what a row says of its pod, its addresses as they are.
    pub(super) fn set(&mut self, row: Row, entry: Entry) {
        self.shared.entries.store(row, entry.0);
    }

    /// Replaces a pod's addresses in one step.
    pub(super) fn set_addresses(&mut self, epoch: &Epoch, row: Row, addresses: &Few<Address>) {
        let old = self.shared.entry(row);
        let mut all = addresses.iter();
        let new = match (all.next(), all.next()) {
            (Some(Address::V4(bits)), None) => old.with_addresses(V4, bits),
            (Some(Address::V6(slot)), None) => old.with_addresses(V6, slot),
            _ => old.with_addresses(LIST, self.make_list(addresses)),
        };
        self.shared.entries.store(row, new.0);
        if old.0 & KIND == LIST && old.payload() != 0 {
            // Before its nodes can be overwritten.
            epoch.advance();
            self.free_list(old);
        }
    }

    fn make_list(&mut self, addresses: &Few<Address>) -> u32 {
        let mut first = 0;
        for address in addresses.iter().rev() {
            let id = self.node_ids.take(|free| self.shared.nodes.load(free) as u32);
            let (payload, family) = match address {
                Address::V4(bits) => (bits, 0),
                Address::V6(slot) => (slot, NODE_V6),
            };
            self.shared.nodes.store(id, (u64::from(payload) << 32) | family | u64::from(first));
            first = id;
        }
        first
    }

    fn free_list(&mut self, entry: Entry) {
        if entry.0 & KIND != LIST {
            return;
        }
        let mut node = entry.payload();
        while node != 0 {
            let next = (self.shared.nodes.load(node) & (NODE_V6 - 1)) as u32;
            let free = self.node_ids.give(node);
            self.shared.nodes.store(node, u64::from(free));
            node = next;
        }
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::parse(&number.to_string())
    }

    #[test]
    fn finds_every_row_at_every_size_and_reuses_freed_ones() {
        let (epoch, meter) = (Epoch::new(), Meter::default());
        let (mut pods, _) = PodsWriter::new(&Keys::default(), &meter);
        for number in 1..=500 {
            assert_eq!(pods.insert(uid(number)), number);
            assert!((1..=number).all(|known| pods.find(uid(known)) == known));
        }
        for number in (1..=500).step_by(2) {
            pods.remove(&epoch, number);
        }
        assert!((1..=500).all(|number| pods.find(uid(number)) == if number % 2 == 0 { number } else { 0 }));
        assert_eq!(pods.len(), 250);
        let before = meter.bytes();
        for number in 501..=750 {
            assert!(pods.insert(uid(number)) <= 500);
        }
        assert_eq!(meter.bytes(), before, "nothing was allocated");
    }

    #[test]
    fn an_entry_keeps_its_parts_apart() {
        let epoch = Epoch::new();
        let (mut pods, shared) = PodsWriter::new(&Keys::default(), &Meter::default());
        let row = pods.insert(uid(1));
        pods.set(row, Entry::new(0x0fff_ffff));
        for list in [
            vec![Address::V4(u32::MAX)],
            vec![Address::V6(u32::MAX >> 1)],
            vec![Address::V4(0), Address::V6(1)],
            (0..MAX_ADDRESSES as u32).map(Address::V6).collect(),
            vec![],
        ] {
            pods.set_addresses(&epoch, row, &list.iter().copied().collect());
            let entry = shared.entry(row);
            assert_eq!(shared.addresses(entry).iter().collect::<Vec<_>>(), list);
            assert_eq!((entry.namespace(), entry.is_seen(), entry.is_pod()), (0x0fff_ffff, true, true));
            pods.set(row, entry.with_seen(false));
            assert!(!shared.entry(row).is_seen());
            pods.set(row, entry);
        }
        assert!(pods.node_ids.highest() <= 2 + MAX_ADDRESSES as u32, "nodes are reused");
        pods.remove(&epoch, row);
        assert!(!shared.entry(row).is_pod());
    }
}
