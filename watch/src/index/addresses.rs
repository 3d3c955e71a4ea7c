//! Whose an address is.
//!
//! Each address that some pod has is held either by exactly one pod, its sole holder, or by several, as those
//! with `hostNetwork: true` on a node. Of a sole holder its number is known. Of several, their count and the
//! exclusive or of their numbers: when all but one have gone, what is left of it is the number of that one.
//! Which namespaces they are in is then told by a set of pairs (address, namespace) with counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::keys::Keys;
use super::namespaces::{NamespaceId, id, tag, word};
use super::segments::{Ids, Meter, Segments};
use super::sync::{AtomicU32, Epoch, Ordering};
use super::table::{Wide, WidePlace, WideWriter};

/// Set in what holds an address if that is no pod, but a number of those that share it.
const SHARED: u32 = 1 << 31;

/// What holds an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holder {
    /// No pod.
    #[default]
    Nobody,
    /// One pod, by its number among holders.
    Sole(u32),
    /// Several pods; the number of what they share.
    Shared(u32),
}

impl Holder {
    const fn decode(bits: u32) -> Self {
        match bits {
            0 => Self::Nobody,
            shared if shared & SHARED != 0 => Self::Shared(shared & !SHARED),
            sole => Self::Sole(sole),
        }
    }

    const fn encode(self) -> u32 {
        match self {
            Self::Nobody => 0,
            Self::Sole(holder) => holder,
            Self::Shared(number) => number | SHARED,
        }
    }
}

/// An address as it is kept: an IPv4 address as itself, an IPv6 address as the number of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    V4(u32),
    V6(u32),
}

/// An IPv6 address and what holds it. 20 octets.
#[derive(Debug)]
struct SlotV6 {
    address: [AtomicU32; 4],
    /// As [`Holder::encode`]; while the slot is free: the free slot after it.
    holder: AtomicU32,
}

/// A namespace with pods at a shared address. 12 octets.
#[derive(Debug)]
struct Pair {
    shared: AtomicU32,
    namespace: AtomicU32,
    /// How many pods; while the slot is free: the free slot after it. The writer's.
    count: AtomicU32,
}

/// Those who share an address.
#[derive(Clone, Copy, Debug, Default)]
struct Sharers {
    /// How many; while the number is free: the free number after it.
    count: u32,
    /// Exclusive or of their numbers.
    holders: u32,
}

/// Addresses for readers.
#[derive(Debug)]
pub(super) struct Addresses {
    keys: Keys,
    /// Address above, holder below.
    v4: Arc<Wide>,
    /// Hash above, slot below.
    v6: Arc<Wide>,
    slots: Segments<SlotV6>,
    /// Hash above, pair below.
    pairs: Arc<Wide>,
    pair_slots: Segments<Pair>,
}

/// An IPv6 address in words.
fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
}

impl Addresses {
    /// What holds this address.
    pub(super) fn holder(&self, address: IpAddr) -> Holder {
        self.place(address).map_or(Holder::Nobody, |place| self.holder_at(&place, address))
    }

    /// Where this address is looked for. Loads nothing from there.
    pub(super) fn place(&self, address: IpAddr) -> Option<WidePlace<'_>> {
        match address {
            IpAddr::V4(address) => self.v4.place(self.keys.hash_address(address.to_bits())),
            IpAddr::V6(address) => self.v6.place(self.keys.hash_address(address.to_bits())),
        }
    }

    /// What holds this address, which is looked for there.
    pub(super) fn holder_at(&self, place: &WidePlace<'_>, address: IpAddr) -> Holder {
        match address {
            IpAddr::V4(address) => {
                let found = place.find_only(|word| tag(word) == address.to_bits());
                found.map_or(Holder::Nobody, |word| Holder::decode(id(word)))
            }
            IpAddr::V6(address) => {
                let slot = self.slot_at(place, address);
                slot.map_or(Holder::Nobody, |slot| self.holder_v6(slot))
            }
        }
    }

    fn holder_v4(&self, bits: u32) -> Holder {
        self.holder(Ipv4Addr::from_bits(bits).into())
    }

    fn holder_v6(&self, slot: u32) -> Holder {
        self.slots
            .get(slot)
            .map_or(Holder::Nobody, |slot| Holder::decode(slot.holder.load(Ordering::Acquire)))
    }

    fn find_v6(&self, address: Ipv6Addr) -> Option<u32> {
        self.slot_at(&self.place(address.into())?, address)
    }

    fn slot_at(&self, place: &WidePlace<'_>, address: Ipv6Addr) -> Option<u32> {
        let expected = Some(words(address));
        place.find(|word| tag(word) == place.hash() && self.words_v6(id(word)) == expected).map(id)
    }

    fn words_v6(&self, slot: u32) -> Option<[u32; 4]> {
        let slot = self.slots.get(slot)?;
        Some(std::array::from_fn(|at| slot.address[at].load(Ordering::Acquire)))
    }

    /// Whether one of those that share an address is in this namespace.
    pub(super) fn shared_in(&self, shared: u32, namespace: NamespaceId) -> bool {
        self.find_pair(shared, namespace).is_some()
    }

    fn find_pair(&self, shared: u32, namespace: NamespaceId) -> Option<u32> {
        let hash = self.keys.hash((shared, namespace));
        let is = |pair: &Pair| {
            pair.shared.load(Ordering::Acquire) == shared
                && pair.namespace.load(Ordering::Acquire) == namespace
        };
        let same = |word| tag(word) == hash && self.pair_slots.get(id(word)).is_some_and(is);
        self.pairs.find(hash, same).map(id)
    }

    /// The address in full. `None` only for an IPv6 slot that never was one.
    pub(super) fn full(&self, address: Address) -> Option<IpAddr> {
        match address {
            Address::V4(bits) => Some(Ipv4Addr::from_bits(bits).into()),
            Address::V6(slot) => {
                let bits = self.words_v6(slot)?.iter().fold(0, |bits, &word| (bits << 32) | u128::from(word));
                Some(Ipv6Addr::from_bits(bits).into())
            }
        }
    }

    /// How many addresses are held.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct AddressesWriter {
    shared: Arc<Addresses>,
    v4: WideWriter,
    v6: WideWriter,
    slots: Ids,
    pairs: WideWriter,
    pair_slots: Ids,
    sharers: Segments<Sharers>,
    sharer_ids: Ids,
}

/// Who takes or leaves an address: its number among holders, and its namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) holder: u32,
    pub(super) namespace: NamespaceId,
}

impl AddressesWriter {
    pub(super) fn new(keys: &Keys, meter: &Meter) -> (Self, Arc<Addresses>) {
        let (v4, v4_table) = WideWriter::new(meter);
        let (v6, v6_table) = WideWriter::new(meter);
        let (pairs, pairs_table) = WideWriter::new(meter);
        let shared = Arc::new(Addresses {
            keys: keys.clone(),
            v4: v4_table,
            v6: v6_table,
            slots: Segments::new(meter),
            pairs: pairs_table,
            pair_slots: Segments::new(meter),
        });
        let writer = Self {
            shared: Arc::clone(&shared),
            v4,
            v6,
            slots: Ids::default(),
            pairs,
            pair_slots: Ids::default(),
            sharers: Segments::new(meter),
            sharer_ids: Ids::default(),
        };
        (writer, shared)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn in_use(&self) -> u32 {
        let tables = [&self.v4, &self.v6, &self.pairs].map(WideWriter::in_use);
        let slots = [&self.slots, &self.pair_slots, &self.sharer_ids].map(Ids::live);
        tables.iter().chain(&slots).sum()
    }

    /// The address is one of this holder's from now on, who did not have it. `namespace_of` gives the
    /// namespace of any other holder. Gives the address as it is kept, and whether readers see a difference.
    pub(super) fn attach(
        &mut self,
        epoch: &Epoch,
        address: IpAddr,
        claim: Claim,
        namespace_of: impl Fn(u32) -> NamespaceId,
    ) -> (Address, bool) {
        let known = match address {
            IpAddr::V4(address) => Some(Address::V4(address.to_bits())),
            IpAddr::V6(address) => self.shared.find_v6(address).map(Address::V6),
        };
        let Some(kept) = known else {
            return (self.insert(epoch, address, claim.holder), true);
        };
        match self.holder(kept) {
            Holder::Nobody => (self.insert(epoch, address, claim.holder), true),
            Holder::Sole(first) => {
                let number = self.sharer_ids.take(|free| self.sharers.value(free).count);
                self.sharers.put(number, Sharers { count: 2, holders: first ^ claim.holder });
                self.add_pair(epoch, number, namespace_of(first));
                self.add_pair(epoch, number, claim.namespace);
                self.set_holder(kept, Holder::Shared(number));
                (kept, true)
            }
            Holder::Shared(number) => {
                let sharers = self.sharers.value(number);
                let count = sharers.count.saturating_add(1);
                self.sharers.put(number, Sharers { count, holders: sharers.holders ^ claim.holder });
                (kept, self.add_pair(epoch, number, claim.namespace))
            }
        }
    }

    /// The address is this holder's no more, who had it. Says whether readers see a difference.
    pub(super) fn detach(
        &mut self,
        epoch: &Epoch,
        address: Address,
        claim: Claim,
        namespace_of: impl Fn(u32) -> NamespaceId,
    ) -> bool {
        match self.holder(address) {
            Holder::Nobody => false,
            Holder::Sole(_) => {
                self.remove(epoch, address);
                true
            }
            Holder::Shared(number) => {
                let Sharers { count, holders } = self.sharers.value(number);
                let left = Sharers { count: count.saturating_sub(1), holders: holders ^ claim.holder };
                self.sharers.put(number, left);
                if left.count > 1 {
                    return self.drop_pair(epoch, number, claim.namespace);
                }
                self.set_holder(address, Holder::Sole(left.holders));
                // A reader that still saw them share it must not find their pairs gone.
                epoch.advance();
                self.drop_pair(epoch, number, claim.namespace);
                self.drop_pair(epoch, number, namespace_of(left.holders));
                let next = self.sharer_ids.give(number);
                self.sharers.put(number, Sharers { count: next, holders: 0 });
                true
            }
        }
    }

    fn holder(&self, address: Address) -> Holder {
        match address {
            Address::V4(bits) => self.shared.holder_v4(bits),
            Address::V6(slot) => self.shared.holder_v6(slot),
        }
    }

    fn set_holder(&mut self, address: Address, holder: Holder) {
        match address {
            Address::V4(bits) => {
                let old = word(bits, self.shared.holder_v4(bits).encode());
                self.v4.replace(self.shared.keys.hash_address(bits), old, word(bits, holder.encode()));
            }
            Address::V6(slot) => {
                if let Some(slot) = self.shared.slots.get(slot) {
                    slot.holder.store(holder.encode(), Ordering::Release);
                }
            }
        }
    }

    /// A new address, with its sole holder.
    fn insert(&mut self, epoch: &Epoch, address: IpAddr, holder: u32) -> Address {
        let shared = &self.shared;
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                self.v4.insert(epoch, word(bits, holder), |word| shared.keys.hash_address(tag(word)));
                Address::V4(bits)
            }
            IpAddr::V6(address) => {
                let number = self.slots.take(|free| {
                    shared.slots.get(free).map_or(0, |slot| slot.holder.load(Ordering::Relaxed))
                });
                let new = || AtomicU32::new(0);
                shared
                    .slots
                    .ensure(number, || SlotV6 { address: std::array::from_fn(|_| new()), holder: new() });
                if let Some(slot) = shared.slots.get(number) {
                    for (to, from) in slot.address.iter().zip(words(address)) {
                        to.store(from, Ordering::Release);
                    }
                    slot.holder.store(holder, Ordering::Release);
                }
                self.v6.insert(epoch, word(shared.keys.hash_address(address.to_bits()), number), tag);
                Address::V6(number)
            }
        }
    }

    fn remove(&mut self, epoch: &Epoch, address: Address) {
        match address {
            Address::V4(bits) => {
                let holder = self.shared.holder_v4(bits).encode();
                self.v4.remove(self.shared.keys.hash_address(bits), word(bits, holder));
            }
            Address::V6(number) => {
                let Some(IpAddr::V6(full)) = self.shared.full(address) else { return };
                let hash = self.shared.keys.hash_address(full.to_bits());
                self.v6.remove(hash, word(hash, number));
                // Before the slot can be overwritten.
                epoch.advance();
                let next = self.slots.give(number);
                if let Some(slot) = self.shared.slots.get(number) {
                    slot.holder.store(next, Ordering::Release);
                }
            }
        }
    }

    /// One more pod of this namespace among those that share an address. Says whether it is the first.
    fn add_pair(&mut self, epoch: &Epoch, number: u32, namespace: NamespaceId) -> bool {
        let shared = &self.shared;
        if let Some(pair) = shared.find_pair(number, namespace).and_then(|pair| shared.pair_slots.get(pair)) {
            let count = pair.count.load(Ordering::Relaxed);
            pair.count.store(count.saturating_add(1), Ordering::Relaxed);
            return false;
        }
        let id = self
            .pair_slots
            .take(|free| shared.pair_slots.get(free).map_or(0, |pair| pair.count.load(Ordering::Relaxed)));
        let new = || AtomicU32::new(0);
        shared.pair_slots.ensure(id, || Pair { shared: new(), namespace: new(), count: new() });
        if let Some(pair) = shared.pair_slots.get(id) {
            pair.shared.store(number, Ordering::Release);
            pair.namespace.store(namespace, Ordering::Release);
            pair.count.store(1, Ordering::Relaxed);
        }
        self.pairs.insert(epoch, word(shared.keys.hash((number, namespace)), id), tag);
        true
    }

    /// One pod less. Says whether it was the last of its namespace.
    fn drop_pair(&mut self, epoch: &Epoch, number: u32, namespace: NamespaceId) -> bool {
        let Some(id) = self.shared.find_pair(number, namespace) else { return false };
        let Some(pair) = self.shared.pair_slots.get(id) else { return false };
        let count = pair.count.load(Ordering::Relaxed).saturating_sub(1);
        if count > 0 {
            pair.count.store(count, Ordering::Relaxed);
            return false;
        }
        let hash = self.shared.keys.hash((number, namespace));
        self.pairs.remove(hash, word(hash, id));
        // Before the slot can be overwritten.
        epoch.advance();
        pair.count.store(self.pair_slots.give(id), Ordering::Relaxed);
        true
    }
}
