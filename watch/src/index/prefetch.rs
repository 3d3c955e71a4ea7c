//! Prefetching of memory for a batch of look-ups.
//!
//! A look-up waits for two cache lines, one after the other: the bucket of the address, and that to which its word
//! leads. In a large index neither is in a cache, and when look-ups follow each other, the processor hardly starts to
//! wait for the next before the last is done. Here a loop that does nothing else reads the first lines of all addresses,
//! so that it waits for all of them at once; then the second lines.
//!
//! No result depends on what is read here, so it does not need the [epoch](super::sync).

use std::array;
use std::hint::black_box;
use std::iter::zip;
use std::net::IpAddr;
use std::ops::BitXor;

use super::addresses::Holder;
use super::numbers::bits;
use super::reader::Index;
use super::table::TableProbe64;

/// Number of addresses at once: about as many lines as a core can wait for.
const BATCH: usize = 32;

impl Index {
    /// As [`PodLookup::prefetch`](poddns_core::PodLookup::prefetch).
    pub(super) fn bring_near(&self, addresses: &[IpAddr]) {
        for addresses in addresses.chunks(BATCH) {
            let probes: [_; BATCH] = array::from_fn(|at| self.addresses.probe(*addresses.get(at)?));
            let first = probes.iter().flatten().map(TableProbe64::touch).fold(0, BitXor::bitxor);
            let second = probes.iter().flatten().map(TableProbe64::touch_spill).fold(0, BitXor::bitxor);
            let third =
                zip(&probes, addresses).map(|(probe, &address)| self.touch_behind(probe.as_ref(), address));
            let third = third.fold(0, BitXor::bitxor);
            // Keeps the loads from being optimised out.
            black_box((first, second, third));
        }
    }

    /// Reads the line to which the word of an address leads, unless it is a namespace's: there are few of them, so they
    /// are in a cache anyway.
    fn touch_behind(&self, probe: Option<&TableProbe64<'_>>, address: IpAddr) -> u32 {
        if self.names.is_none() && address.is_ipv4() {
            return 0;
        }
        match probe.map(|probe| self.addresses.holder_at(probe, address)) {
            Some(Holder::Sole(holder)) => bits(self.namespace_of(holder)),
            _ => 0,
        }
    }
}
