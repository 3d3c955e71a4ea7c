//! Pods: one row each, with identity, namespace and addresses.

use std::sync::Arc;

use super::addresses::StoredAddress;
use super::free_list::{FreeLinks, FreeList};
use super::hash::HashKeys;
use super::inline_vec::InlineVec;
use super::numbers::{NamespaceId, NodeId, Number, Row, SlotV6, bits};
use super::segments::{Meter, Segments};
use super::sync::{AtomicU64, Epoch};
use super::table::{Table32, TableWriter32};
use super::types::MAX_ADDRESSES;
use super::uid::Uid;

/// The part of a row that readers use, in one word, so that it changes atomically.
///
/// From the top: 32 bits of address, address slot or first list node; 2 bits for which of these it is; one bit for
/// "seen by the list under way"; one unused bit; 28 bits of namespace. 0 is a row without a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowEntry(u64);

const V4: u64 = 1 << 30;
const V6: u64 = 2 << 30;
const LIST: u64 = 3 << 30;
const KIND: u64 = 3 << 30;
const SEEN: u64 = 1 << 29;
const NAMESPACE: u64 = (1 << 28) - 1;

impl RowEntry {
    /// Returns the entry of a pod without addresses, marked as seen by the list under way.
    pub(super) fn new(namespace: NamespaceId) -> Self {
        Self(LIST | SEEN | (u64::from(namespace.get()) & NAMESPACE))
    }

    /// Returns the pod's namespace; `None` if the row has no pod.
    pub(super) fn namespace(self) -> Option<NamespaceId> {
        NamespaceId::from_bits((self.0 & NAMESPACE) as u32)
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

    /// Returns the address of a pod that has exactly one.
    fn address(self) -> Option<StoredAddress> {
        match self.0 & KIND {
            V4 => Some(StoredAddress::V4(self.payload())),
            V6 => SlotV6::from_bits(self.payload()).map(StoredAddress::V6),
            _ => None,
        }
    }

    /// Returns the first list node of a pod that has several addresses.
    fn list(self) -> Option<NodeId> {
        if self.0 & KIND == LIST { NodeId::from_bits(self.payload()) } else { None }
    }
}

/// A node of a list of addresses: the address in the upper half, its family in bit 31, and the next node in the bits
/// below. In a free node the next node is the link.
#[derive(Clone, Copy)]
struct AddressNode(u64);

const NODE_V6: u64 = 1 << 31;

impl AddressNode {
    fn new(address: StoredAddress, next: Option<NodeId>) -> Self {
        let (payload, family) = match address {
            StoredAddress::V4(bits) => (bits, 0),
            StoredAddress::V6(slot) => (slot.get(), NODE_V6),
        };
        Self((u64::from(payload) << 32) | family | u64::from(bits(next)))
    }

    fn address(self) -> Option<StoredAddress> {
        let payload = (self.0 >> 32) as u32;
        if self.0 & NODE_V6 == 0 {
            Some(StoredAddress::V4(payload))
        } else {
            SlotV6::from_bits(payload).map(StoredAddress::V6)
        }
    }

    fn next(self) -> Option<NodeId> {
        NodeId::from_bits((self.0 & (NODE_V6 - 1)) as u32)
    }
}

/// The nodes of all lists of addresses.
#[derive(Debug)]
struct AddressNodes(Segments<AtomicU64>);

impl AddressNodes {
    fn load(&self, node: NodeId) -> AddressNode {
        AddressNode(self.0.load(node.get()))
    }
}

impl FreeLinks<NodeId> for &AddressNodes {
    fn next(&self, free: NodeId) -> Option<NodeId> {
        self.load(free).next()
    }

    fn set_next(&mut self, free: NodeId, next: Option<NodeId>) {
        self.0.store(free.get(), u64::from(bits(next)));
    }
}

/// Rows, for readers; needed by them only if pod names are kept.
#[derive(Debug)]
pub(super) struct PodRows {
    entries: Segments<AtomicU64>,
    nodes: AddressNodes,
}

impl PodRows {
    pub(super) fn entry(&self, row: Row) -> RowEntry {
        RowEntry(self.entries.load(row.get()))
    }

    /// Returns whether neither this row nor any later one was ever in use.
    pub(super) fn is_beyond(&self, row: Row) -> bool {
        self.entries.get(row.get()).is_none()
    }

    /// Returns the pod's addresses in their order.
    pub(super) fn addresses(&self, entry: RowEntry) -> InlineVec<StoredAddress> {
        let mut addresses: InlineVec<_> = entry.address().into_iter().collect();
        let mut next = entry.list();
        // If its nodes are reused concurrently, the list may have become a cycle.
        for _ in 0..MAX_ADDRESSES {
            let Some(node) = next else { break };
            let node = self.nodes.load(node);
            node.address().into_iter().for_each(|address| addresses.push(address));
            next = node.next();
        }
        addresses
    }
}

/// Identities of the pods, by row.
#[derive(Debug)]
struct Uids(Segments<[u8; 16]>);

impl Uids {
    fn get(&self, row: Row) -> Uid {
        Uid::from_bytes(self.0.value(row.get()))
    }

    fn set(&mut self, row: Row, uid: Uid) {
        self.0.put(row.get(), *uid.as_bytes());
    }
}

/// The first bytes of a free row are its link.
impl FreeLinks<Row> for &mut Uids {
    fn next(&self, free: Row) -> Option<Row> {
        let [first, second, third, fourth, ..] = self.0.value(free.get());
        Row::from_bits(u32::from_ne_bytes([first, second, third, fourth]))
    }

    fn set_next(&mut self, free: Row, next: Option<Row>) {
        let mut link = [0; 16];
        for (to, from) in link.iter_mut().zip(bits(next).to_ne_bytes()) {
            *to = from;
        }
        self.0.put(free.get(), link);
    }
}

/// The writer's side of [`PodRows`].
#[derive(Debug)]
pub(super) struct PodRowsWriter {
    keys: HashKeys,
    shared: Arc<PodRows>,
    uids: Uids,
    by_uid: TableWriter32,
    table: Arc<Table32>,
    /// The epoch of `table`, which has no readers but the writer.
    unread: Epoch,
    rows: FreeList<Row>,
    node_ids: FreeList<NodeId>,
}

fn hash(keys: &HashKeys, uid: Uid) -> u32 {
    keys.hash(uid.object())
}

impl PodRowsWriter {
    pub(super) fn new(keys: &HashKeys, meter: &Meter) -> (Self, Arc<PodRows>) {
        let shared =
            Arc::new(PodRows { entries: Segments::new(meter), nodes: AddressNodes(Segments::new(meter)) });
        let (by_uid, table) = TableWriter32::new(meter);
        let writer = Self {
            keys: keys.clone(),
            shared: Arc::clone(&shared),
            uids: Uids(Segments::new(meter)),
            by_uid,
            table,
            unread: Epoch::new(),
            rows: FreeList::default(),
            node_ids: FreeList::default(),
        };
        (writer, shared)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.live() as usize
    }

    /// Returns the number of rows, table words and list nodes in use.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.rows.live() + self.node_ids.live() + self.by_uid.in_use()
    }

    /// Returns the highest row that was ever in use, 0 if none was.
    pub(super) fn highest(&self) -> u32 {
        self.rows.highest()
    }

    pub(super) fn uid(&self, row: Row) -> Uid {
        self.uids.get(row)
    }

    /// Returns the row of the pod with the namespace and name of `uid`; its stored uid may differ.
    pub(super) fn find(&self, uid: Uid) -> Option<Row> {
        let hash = hash(&self.keys, uid);
        let is = |row| self.uid(row).is_same_object(&uid);
        let matches = |word| Row::may_have(word, hash) && Row::in_word(word).is_some_and(is);
        Row::in_word(self.table.find(hash, matches)?)
    }

    /// Returns the stored identity of the object with the namespace and name of `uid`, which may have another uid;
    /// `uid` if none is stored.
    pub(super) fn held_by(&self, uid: Uid) -> Uid {
        self.find(uid).map_or(uid, |row| self.uid(row))
    }

    /// Adds a row without an entry, for a pod that has no row.
    pub(super) fn insert(&mut self, uid: Uid) -> Row {
        let row = self.rows.allocate(&mut self.uids);
        self.uids.set(row, uid);
        let Self { keys, uids, by_uid, unread, .. } = self;
        let hash_of = |word| Row::in_word(word).map_or(0, |row| hash(keys, uids.get(row)));
        by_uid.insert(unread, row.tagged(hash(keys, uid)), hash_of);
        row
    }

    /// Replaces the identity of a row by another identity of the same object.
    pub(super) fn set_uid(&mut self, row: Row, uid: Uid) {
        self.uids.set(row, uid);
    }

    /// Removes a row with its entry and its list of addresses.
    pub(super) fn remove(&mut self, epoch: &Epoch, row: Row) {
        let old = self.shared.entry(row);
        self.shared.entries.store(row.get(), 0);
        // Before the row and the nodes can be reused.
        epoch.advance();
        self.release_list(old);
        let hash = hash(&self.keys, self.uid(row));
        self.by_uid.remove(hash, row.tagged(hash));
        self.rows.release(&mut self.uids, row);
    }

    /// Stores the entry of a row.
    pub(super) fn set(&mut self, row: Row, entry: RowEntry) {
        self.shared.entries.store(row.get(), entry.0);
    }

    /// Replaces a pod's addresses atomically.
    pub(super) fn set_addresses(&mut self, epoch: &Epoch, row: Row, addresses: &InlineVec<StoredAddress>) {
        let old = self.shared.entry(row);
        let mut all = addresses.iter();
        let new = match (all.next(), all.next()) {
            (Some(StoredAddress::V4(bits)), None) => old.with_addresses(V4, bits),
            (Some(StoredAddress::V6(slot)), None) => old.with_addresses(V6, slot.get()),
            _ => old.with_addresses(LIST, bits(self.make_list(addresses))),
        };
        self.set(row, new);
        if old.list().is_some() {
            // Before the old nodes can be reused.
            epoch.advance();
            self.release_list(old);
        }
    }

    fn make_list(&mut self, addresses: &InlineVec<StoredAddress>) -> Option<NodeId> {
        let mut first = None;
        for address in addresses.iter().rev() {
            let id = self.node_ids.allocate(&self.shared.nodes);
            self.shared.nodes.0.store(id.get(), AddressNode::new(address, first).0);
            first = Some(id);
        }
        first
    }

    fn release_list(&mut self, entry: RowEntry) {
        let mut next = entry.list();
        while let Some(node) = next {
            next = self.shared.nodes.load(node).next();
            self.node_ids.release(&self.shared.nodes, node);
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
    fn rows_are_found_and_reused() {
        let (epoch, meter) = (Epoch::new(), Meter::default());
        let (mut pods, _) = PodRowsWriter::new(&HashKeys::default(), &meter);
        for number in 1..=500 {
            assert_eq!(pods.insert(uid(number)).get(), number);
            assert!((1..=number).all(|known| pods.find(uid(known)) == Row::from_bits(known)));
        }
        for row in (1..=500).step_by(2).filter_map(Row::from_bits) {
            pods.remove(&epoch, row);
        }
        let kept = |number| if number % 2 == 0 { Row::from_bits(number) } else { None };
        assert!((1..=500).all(|number| pods.find(uid(number)) == kept(number)));
        assert_eq!(pods.len(), 250);
        let before = meter.bytes();
        for number in 501..=750 {
            assert!(pods.insert(uid(number)).get() <= 500);
        }
        assert_eq!(meter.bytes(), before, "nothing was allocated");
    }

    #[test]
    fn parts_of_an_entry_do_not_overlap() {
        let epoch = Epoch::new();
        let (mut pods, shared) = PodRowsWriter::new(&HashKeys::default(), &Meter::default());
        let row = pods.insert(uid(1));
        let namespace = NamespaceId::from_bits(0x0fff_ffff).expect("not 0");
        pods.set(row, RowEntry::new(namespace));
        let v6 = |bits| StoredAddress::V6(SlotV6::from_bits(bits).expect("not 0"));
        for list in [
            vec![StoredAddress::V4(u32::MAX)],
            vec![v6(u32::MAX >> 1)],
            vec![StoredAddress::V4(0), v6(1)],
            (1..=MAX_ADDRESSES as u32).map(v6).collect(),
            vec![],
        ] {
            pods.set_addresses(&epoch, row, &list.iter().copied().collect());
            let entry = shared.entry(row);
            assert_eq!(shared.addresses(entry).iter().collect::<Vec<_>>(), list);
            assert_eq!((entry.namespace(), entry.is_seen()), (Some(namespace), true));
            pods.set(row, entry.with_seen(false));
            assert!(!shared.entry(row).is_seen());
            pods.set(row, entry);
        }
        assert!(pods.node_ids.highest() <= 2 + MAX_ADDRESSES as u32, "nodes are reused");
        pods.remove(&epoch, row);
        assert_eq!(shared.entry(row).namespace(), None);
    }
}
