//! Addresses that several pods share.
//!
//! The index keeps the number of pods that share an address and the exclusive or of their keys: after the removal of
//! all but one, this is the key of the last one. A set of pairs of shared address and namespace, each with its number
//! of pods, holds the namespaces in which the address exists.

use std::sync::Arc;

use super::free_list::{FreeLinks, FreeList};
use super::hash::HashKeys;
use super::numbers::{HolderKey, NamespaceId, Number, SharedId, SharingSlot, bits};
use super::segments::{Meter, Segments};
use super::sync::{AtomicU32, Epoch, Ordering};
use super::table::{Table64, TableWriter64, number_in, tag_of, tagged};
use super::visible_change::VisibleChange;

/// A namespace with pods at a shared address. 12 bytes.
#[derive(Debug)]
struct SharingNamespace {
    shared: AtomicU32,
    namespace: AtomicU32,
    /// Number of pods, read only by the writer; in a free slot the number of the next one.
    pods: AtomicU32,
}

impl SharingNamespace {
    fn new() -> Self {
        Self { shared: AtomicU32::new(0), namespace: AtomicU32::new(0), pods: AtomicU32::new(0) }
    }
}

impl FreeLinks<SharingSlot> for &Segments<SharingNamespace> {
    fn next(&self, free: SharingSlot) -> Option<SharingSlot> {
        SharingSlot::from_bits(self.get(free.get())?.pods.load(Ordering::Relaxed))
    }

    fn set_next(&mut self, free: SharingSlot, next: Option<SharingSlot>) {
        if let Some(member) = self.get(free.get()) {
            member.pods.store(bits(next), Ordering::Relaxed);
        }
    }
}

/// A pod that gets or loses an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) holder: HolderKey,
    pub(super) namespace: NamespaceId,
}

/// The pods that share an address, for the writer alone.
#[derive(Clone, Copy, Debug, Default)]
struct Sharers {
    /// Number of pods; in a free slot the number of the next one.
    count: u32,
    /// Exclusive or of the pods' keys.
    holders: u32,
}

impl FreeLinks<SharedId> for &mut Segments<Sharers> {
    fn next(&self, free: SharedId) -> Option<SharedId> {
        SharedId::from_bits(self.value(free.get()).count)
    }

    fn set_next(&mut self, free: SharedId, next: Option<SharedId>) {
        self.put(free.get(), Sharers { count: bits(next), holders: 0 });
    }
}

/// The namespaces of shared addresses, for readers.
#[derive(Debug)]
pub(super) struct Sharing {
    keys: HashKeys,
    /// Words with the hash in the upper half and the slot in the lower half.
    table: Arc<Table64>,
    members: Segments<SharingNamespace>,
}

impl Sharing {
    /// Returns whether a pod of this namespace has the address.
    pub(super) fn contains(&self, shared: SharedId, namespace: NamespaceId) -> bool {
        self.find(shared, namespace).is_some()
    }

    fn find(&self, shared: SharedId, namespace: NamespaceId) -> Option<SharingSlot> {
        let hash = self.hash(shared, namespace);
        let is = |member: &SharingNamespace| {
            member.shared.load(Ordering::Acquire) == shared.get()
                && member.namespace.load(Ordering::Acquire) == namespace.get()
        };
        let same = |word| tag_of(word) == hash && self.members.get(number_in(word)).is_some_and(is);
        SharingSlot::from_bits(number_in(self.table.find(hash, same)?))
    }

    fn hash(&self, shared: SharedId, namespace: NamespaceId) -> u32 {
        self.keys.hash((shared, namespace))
    }
}

/// State of an address after one of its pods has lost it.
pub(super) enum Departure {
    /// Several pods still share it.
    Shared(VisibleChange),
    /// One pod is left: this one.
    Sole(Option<HolderKey>),
}

/// The writer's side of [`Sharing`].
#[derive(Debug)]
pub(super) struct SharingWriter {
    shared: Arc<Sharing>,
    table: TableWriter64,
    member_slots: FreeList<SharingSlot>,
    sharers: Segments<Sharers>,
    shared_ids: FreeList<SharedId>,
}

impl SharingWriter {
    pub(super) fn new(keys: &HashKeys, meter: &Meter) -> (Self, Arc<Sharing>) {
        let (writer, table) = TableWriter64::new(meter);
        let sharing = Arc::new(Sharing { keys: keys.clone(), table, members: Segments::new(meter) });
        let writer = Self {
            shared: Arc::clone(&sharing),
            table: writer,
            member_slots: FreeList::default(),
            sharers: Segments::new(meter),
            shared_ids: FreeList::default(),
        };
        (writer, sharing)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.table.in_use() + self.member_slots.live() + self.shared_ids.live()
    }

    /// Makes an address shared by its `first` holder, given with its namespace, and `claim.holder`.
    pub(super) fn share(
        &mut self,
        epoch: &Epoch,
        first: (HolderKey, Option<NamespaceId>),
        claim: Claim,
    ) -> SharedId {
        let shared = self.shared_ids.allocate(&mut self.sharers);
        let holders = first.0.get() ^ claim.holder.get();
        self.sharers.put(shared.get(), Sharers { count: 2, holders });
        for namespace in first.1.into_iter().chain([claim.namespace]) {
            // The caller makes the address shared and reports the change.
            let _ = self.add(epoch, shared, namespace);
        }
        shared
    }

    /// Adds `claim.holder` to the pods that share an address.
    pub(super) fn join(&mut self, epoch: &Epoch, shared: SharedId, claim: Claim) -> VisibleChange {
        let Sharers { count, holders } = self.sharers.value(shared.get());
        let joined = Sharers { count: count.saturating_add(1), holders: holders ^ claim.holder.get() };
        self.sharers.put(shared.get(), joined);
        self.add(epoch, shared, claim.namespace)
    }

    /// Removes `claim.holder` from the pods that share an address. If one pod is left, the caller must store it as the
    /// sole holder of the address, and then call [`end`](Self::end).
    pub(super) fn leave(&mut self, epoch: &Epoch, shared: SharedId, claim: Claim) -> Departure {
        let Sharers { count, holders } = self.sharers.value(shared.get());
        let left = Sharers { count: count.saturating_sub(1), holders: holders ^ claim.holder.get() };
        self.sharers.put(shared.get(), left);
        if left.count > 1 {
            return Departure::Shared(self.remove(epoch, shared, claim.namespace));
        }
        Departure::Sole(HolderKey::from_bits(left.holders))
    }

    /// Removes the set entries of a shared address that has no sharers any more: the namespaces of its last two pods.
    pub(super) fn end(&mut self, epoch: &Epoch, shared: SharedId, namespaces: [Option<NamespaceId>; 2]) {
        for namespace in namespaces.into_iter().flatten() {
            // Readers can no longer reach this entry.
            let _ = self.remove(epoch, shared, namespace);
        }
        self.shared_ids.release(&mut self.sharers, shared);
    }

    /// Counts one more pod of a namespace at a shared address. Readers can see a change if it is the first one.
    fn add(&mut self, epoch: &Epoch, shared: SharedId, namespace: NamespaceId) -> VisibleChange {
        let known = self.shared.find(shared, namespace).and_then(|slot| self.shared.members.get(slot.get()));
        if let Some(member) = known {
            let pods = member.pods.load(Ordering::Relaxed);
            member.pods.store(pods.saturating_add(1), Ordering::Relaxed);
            return VisibleChange::NO;
        }
        let slot = self.member_slots.allocate(&self.shared.members);
        self.shared.members.ensure(slot.get(), SharingNamespace::new);
        if let Some(member) = self.shared.members.get(slot.get()) {
            member.shared.store(shared.get(), Ordering::Release);
            member.namespace.store(namespace.get(), Ordering::Release);
            member.pods.store(1, Ordering::Relaxed);
        }
        self.table.insert(epoch, tagged(self.shared.hash(shared, namespace), slot.get()), tag_of);
        VisibleChange::YES
    }

    /// Counts one pod less of a namespace at a shared address. Readers can see a change if it was the last one.
    fn remove(&mut self, epoch: &Epoch, shared: SharedId, namespace: NamespaceId) -> VisibleChange {
        let Some(slot) = self.shared.find(shared, namespace) else { return VisibleChange::NO };
        let Some(member) = self.shared.members.get(slot.get()) else { return VisibleChange::NO };
        let pods = member.pods.load(Ordering::Relaxed).saturating_sub(1);
        if pods > 0 {
            member.pods.store(pods, Ordering::Relaxed);
            return VisibleChange::NO;
        }
        let hash = self.shared.hash(shared, namespace);
        self.table.remove(hash, tagged(hash, slot.get()));
        // Before the slot can be reused.
        epoch.advance();
        self.member_slots.release(&self.shared.members, slot);
        VisibleChange::YES
    }
}
