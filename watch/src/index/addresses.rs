//! Holders of addresses.
//!
//! An address in use is held either by exactly one pod, its sole holder, or by several, as on a node with several
//! `hostNetwork: true` pods; see [`sharing`](super::sharing).

mod visit;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::free_list::{FreeLinks, FreeList};
use super::hash::HashKeys;
use super::numbers::{HolderKey, NamespaceId, Number, SharedId, SlotV6, bits};
use super::segments::{Meter, Segments};
use super::sharing::{Claim, Departure, Sharing, SharingWriter};
use super::sync::{AtomicU32, Epoch, Ordering};
use super::table::{Table64, TableProbe64, TableWriter64, number_in, tag_of, tagged};
use super::visible_change::VisibleChange;

/// Set in the stored form of [`Holder::Shared`].
const SHARED: u32 = 1 << 31;

/// The holder of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holder {
    /// No pod.
    #[default]
    None,
    /// One pod.
    Sole(HolderKey),
    /// Several pods.
    Shared(SharedId),
}

impl Holder {
    fn decode(bits: u32) -> Self {
        if bits & SHARED == 0 {
            HolderKey::from_bits(bits).map_or(Self::None, Self::Sole)
        } else {
            SharedId::from_bits(bits & !SHARED).map_or(Self::None, Self::Shared)
        }
    }

    fn encode(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Sole(holder) => holder.get(),
            Self::Shared(shared) => shared.get() | SHARED,
        }
    }
}

/// The stored form of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredAddress {
    V4(u32),
    V6(SlotV6),
}

/// An IPv6 address and its holder. 20 bytes.
#[derive(Debug)]
struct EntryV6 {
    address: [AtomicU32; 4],
    /// The holder, as returned by [`Holder::encode`]; in a free slot the number of the next one.
    holder: AtomicU32,
}

impl EntryV6 {
    fn new() -> Self {
        Self { address: std::array::from_fn(|_| AtomicU32::new(0)), holder: AtomicU32::new(0) }
    }
}

impl FreeLinks<SlotV6> for &Segments<EntryV6> {
    fn next(&self, free: SlotV6) -> Option<SlotV6> {
        SlotV6::from_bits(self.get(free.get())?.holder.load(Ordering::Relaxed))
    }

    fn set_next(&mut self, free: SlotV6, next: Option<SlotV6>) {
        if let Some(entry) = self.get(free.get()) {
            entry.holder.store(bits(next), Ordering::Release);
        }
    }
}

/// The addresses of all pods, for readers.
#[derive(Debug)]
pub(super) struct Addresses {
    keys: HashKeys,
    /// Words with the address in the upper half and the holder in the lower half.
    v4: Arc<Table64>,
    /// Words with the hash in the upper half and the slot in the lower half.
    v6: Arc<Table64>,
    slots: Segments<EntryV6>,
    sharing: Arc<Sharing>,
}

/// Returns an IPv6 address as four words, the most significant one first.
fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
}

impl Addresses {
    /// Returns the holder of an address.
    pub(super) fn holder(&self, address: IpAddr) -> Holder {
        self.probe(address).map_or(Holder::None, |probe| self.holder_at(&probe, address))
    }

    /// Returns the bucket that would contain an address. Loads nothing from it.
    pub(super) fn probe(&self, address: IpAddr) -> Option<TableProbe64<'_>> {
        match address {
            IpAddr::V4(address) => self.v4.probe(self.keys.hash_address(address.to_bits())),
            IpAddr::V6(address) => self.v6.probe(self.keys.hash_address(address.to_bits())),
        }
    }

    /// Returns the holder of an address, found by its [`probe`](Self::probe).
    pub(super) fn holder_at(&self, probe: &TableProbe64<'_>, address: IpAddr) -> Holder {
        match address {
            IpAddr::V4(address) => {
                let found = probe.find_only(|word| tag_of(word) == address.to_bits());
                found.map_or(Holder::None, |word| Holder::decode(number_in(word)))
            }
            IpAddr::V6(address) => {
                let slot = self.slot_at(probe, address);
                slot.map_or(Holder::None, |slot| self.holder_v6(slot))
            }
        }
    }

    fn holder_v4(&self, bits: u32) -> Holder {
        self.holder(Ipv4Addr::from_bits(bits).into())
    }

    fn holder_v6(&self, slot: SlotV6) -> Holder {
        let entry = self.slots.get(slot.get());
        entry.map_or(Holder::None, |entry| Holder::decode(entry.holder.load(Ordering::Acquire)))
    }

    fn find_v6(&self, address: Ipv6Addr) -> Option<SlotV6> {
        self.slot_at(&self.probe(address.into())?, address)
    }

    fn slot_at(&self, probe: &TableProbe64<'_>, address: Ipv6Addr) -> Option<SlotV6> {
        let expected = Some(words(address));
        let found =
            probe.find(|word| tag_of(word) == probe.hash() && self.words_v6(number_in(word)) == expected);
        SlotV6::from_bits(number_in(found?))
    }

    fn words_v6(&self, slot: u32) -> Option<[u32; 4]> {
        let entry = self.slots.get(slot)?;
        Some(std::array::from_fn(|at| entry.address[at].load(Ordering::Acquire)))
    }

    /// Returns whether one of the pods that share an address is in this namespace.
    pub(super) fn is_shared_in(&self, shared: SharedId, namespace: NamespaceId) -> bool {
        self.sharing.contains(shared, namespace)
    }

    /// Returns the full address; `None` only for an IPv6 slot that was never used.
    pub(super) fn full(&self, address: StoredAddress) -> Option<IpAddr> {
        match address {
            StoredAddress::V4(bits) => Some(Ipv4Addr::from_bits(bits).into()),
            StoredAddress::V6(slot) => {
                let words = self.words_v6(slot.get())?;
                let bits = words.iter().fold(0, |bits, &word| (bits << 32) | u128::from(word));
                Some(Ipv6Addr::from_bits(bits).into())
            }
        }
    }

    /// Returns the number of distinct addresses.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

/// The writer's side of [`Addresses`].
#[derive(Debug)]
pub(super) struct AddressesWriter {
    shared: Arc<Addresses>,
    v4: TableWriter64,
    v6: TableWriter64,
    slots: FreeList<SlotV6>,
    sharing: SharingWriter,
}

impl AddressesWriter {
    pub(super) fn new(keys: &HashKeys, meter: &Meter) -> (Self, Arc<Addresses>) {
        let (v4, v4_table) = TableWriter64::new(meter);
        let (v6, v6_table) = TableWriter64::new(meter);
        let (sharing, shared_sharing) = SharingWriter::new(keys, meter);
        let shared = Arc::new(Addresses {
            keys: keys.clone(),
            v4: v4_table,
            v6: v6_table,
            slots: Segments::new(meter),
            sharing: shared_sharing,
        });
        (Self { shared: Arc::clone(&shared), v4, v6, slots: FreeList::default(), sharing }, shared)
    }

    /// Returns the number of slots of all kinds in use.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        self.v4.in_use() + self.v6.in_use() + self.slots.live() + self.sharing.in_use()
    }

    /// Adds `claim.holder`, which does not have `address` yet, to its holders. `namespace_of` returns the namespace of
    /// any other holder. Returns the stored form of the address, and whether readers can see a change.
    pub(super) fn attach(
        &mut self,
        epoch: &Epoch,
        address: IpAddr,
        claim: Claim,
        namespace_of: impl Fn(HolderKey) -> Option<NamespaceId>,
    ) -> (StoredAddress, VisibleChange) {
        let known = match address {
            IpAddr::V4(address) => Some(StoredAddress::V4(address.to_bits())),
            IpAddr::V6(address) => self.shared.find_v6(address).map(StoredAddress::V6),
        };
        let Some(stored) = known else {
            return (self.insert(epoch, address, claim.holder), VisibleChange::YES);
        };
        match self.holder(stored) {
            Holder::None => (self.insert(epoch, address, claim.holder), VisibleChange::YES),
            Holder::Sole(first) => {
                let first = (first, namespace_of(first));
                let shared = self.sharing.share(epoch, first, claim);
                self.set_holder(stored, Holder::Shared(shared));
                (stored, VisibleChange::YES)
            }
            Holder::Shared(shared) => (stored, self.sharing.join(epoch, shared, claim)),
        }
    }

    /// Removes `claim.holder`, which has `address`, from its holders. Returns whether readers can see a change.
    pub(super) fn detach(
        &mut self,
        epoch: &Epoch,
        address: StoredAddress,
        claim: Claim,
        namespace_of: impl Fn(HolderKey) -> Option<NamespaceId>,
    ) -> VisibleChange {
        match self.holder(address) {
            Holder::None => VisibleChange::NO,
            Holder::Sole(_) => {
                self.remove(epoch, address);
                VisibleChange::YES
            }
            Holder::Shared(shared) => {
                match self.sharing.leave(epoch, shared, claim) {
                    Departure::Shared(visible) => visible,
                    Departure::Sole(last) => {
                        self.set_holder(address, last.map_or(Holder::None, Holder::Sole));
                        // A reader that has already loaded the address as shared must not find its namespaces removed.
                        epoch.advance();
                        let namespaces = [Some(claim.namespace), last.and_then(namespace_of)];
                        self.sharing.end(epoch, shared, namespaces);
                        VisibleChange::YES
                    }
                }
            }
        }
    }

    fn holder(&self, address: StoredAddress) -> Holder {
        match address {
            StoredAddress::V4(bits) => self.shared.holder_v4(bits),
            StoredAddress::V6(slot) => self.shared.holder_v6(slot),
        }
    }

    fn set_holder(&mut self, address: StoredAddress, holder: Holder) {
        match address {
            StoredAddress::V4(bits) => {
                let old = tagged(bits, self.shared.holder_v4(bits).encode());
                self.v4.replace(self.shared.keys.hash_address(bits), old, tagged(bits, holder.encode()));
            }
            StoredAddress::V6(slot) => {
                if let Some(entry) = self.shared.slots.get(slot.get()) {
                    entry.holder.store(holder.encode(), Ordering::Release);
                }
            }
        }
    }

    /// Adds an address with its sole holder.
    fn insert(&mut self, epoch: &Epoch, address: IpAddr, holder: HolderKey) -> StoredAddress {
        let shared = &self.shared;
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let hash_of = |word| shared.keys.hash_address(tag_of(word));
                self.v4.insert(epoch, tagged(bits, holder.get()), hash_of);
                StoredAddress::V4(bits)
            }
            IpAddr::V6(address) => {
                let slot = self.slots.allocate(&shared.slots);
                shared.slots.ensure(slot.get(), EntryV6::new);
                if let Some(entry) = shared.slots.get(slot.get()) {
                    for (to, from) in entry.address.iter().zip(words(address)) {
                        to.store(from, Ordering::Release);
                    }
                    entry.holder.store(holder.get(), Ordering::Release);
                }
                let hash = shared.keys.hash_address(address.to_bits());
                self.v6.insert(epoch, tagged(hash, slot.get()), tag_of);
                StoredAddress::V6(slot)
            }
        }
    }

    fn remove(&mut self, epoch: &Epoch, address: StoredAddress) {
        match address {
            StoredAddress::V4(bits) => {
                let holder = self.shared.holder_v4(bits).encode();
                self.v4.remove(self.shared.keys.hash_address(bits), tagged(bits, holder));
            }
            StoredAddress::V6(slot) => {
                let Some(IpAddr::V6(full)) = self.shared.full(address) else { return };
                let hash = self.shared.keys.hash_address(full.to_bits());
                self.v6.remove(hash, tagged(hash, slot.get()));
                // Before the slot can be reused.
                epoch.advance();
                self.slots.release(&self.shared.slots, slot);
            }
        }
    }
}
