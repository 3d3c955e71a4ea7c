//! Prefetching of memory for a batch of look-ups.
//!
//! A look-up waits for two cache lines, one after the other: the bucket of the address, and the line that the word in
//! it refers to. In a large index neither is in a cache, and in a plain sequence of look-ups the processor hardly
//! overlaps the wait of one with that of the next. Here a loop that does nothing else reads the first lines of all
//! addresses, so that all these cache misses overlap; then the second lines.
//!
//! No result depends on these reads, so they do not need the [epoch](super::sync).

use std::array;
use std::hint::black_box;
use std::iter::zip;
use std::net::IpAddr;
use std::ops::BitXor;

use super::addresses::Holder;
use super::numbers::bits;
use super::reader::Index;
use super::table::TableProbe64;

/// Number of addresses per round: about as many cache misses as a core can have outstanding.
const BATCH: usize = 32;

impl Index {
    /// Implements [`PodLookup::prefetch`](poddns_core::PodLookup::prefetch).
    pub(super) fn prefetch_batch(&self, addresses: &[IpAddr]) {
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

    /// Reads the line that the word of an address refers to, unless the word holds a namespace: there are few
    /// namespaces, so they are in a cache anyway.
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
