//! Memory brought near for a batch of look-ups.
//!
//! A look-up waits for two cache lines, one after the other: the address' bucket, and what its word leads to. In a
//! large index neither is in a cache, and when look-ups come one by one, the processor hardly begins to wait
//! for the next before it is done with the last. Here the first lines of all addresses are read in a loop that
//! does nothing else, so that it waits for all of them at once; then the second lines.
//!
//! Nothing rests on what is read here, so none of it needs the [epoch](super::sync).

use std::array;
use std::hint::black_box;
use std::iter::zip;
use std::net::IpAddr;
use std::ops::BitXor;

use super::Index;
use super::addresses::Holder;
use super::table::WidePlace;

/// How many addresses at once: about as many lines as a core can wait for.
const AT_ONCE: usize = 32;

impl Index {
    /// As [`PodLookup::prefetch`](poddns_core::PodLookup::prefetch).
    pub(super) fn bring_near(&self, addresses: &[IpAddr]) {
        for addresses in addresses.chunks(AT_ONCE) {
            let places: [_; AT_ONCE] = array::from_fn(|at| self.addresses.place(*addresses.get(at)?));
            let first = places.iter().flatten().map(WidePlace::touch).fold(0, BitXor::bitxor);
            let second = places.iter().flatten().map(WidePlace::touch_spill).fold(0, BitXor::bitxor);
            let third =
                zip(&places, addresses).map(|(place, &address)| self.touch_behind(place.as_ref(), address));
            let third = third.fold(0, BitXor::bitxor);
            // Or the compiler may find out that nobody wants to know.
            black_box((first, second, third));
        }
    }

    /// Reads what the word of an address leads to, unless that is a namespace: there are few of them, so they are
    /// near anyway.
    fn touch_behind(&self, place: Option<&WidePlace<'_>>, address: IpAddr) -> u32 {
        if self.names.is_none() && address.is_ipv4() {
            return 0;
        }
        match place.map(|place| self.addresses.holder_at(place, address)) {
            Some(Holder::Sole(holder)) => self.namespace_of(holder),
            _ => 0,
        }
    }
}
