//! Iteration over all addresses, a few buckets at a time.

use std::net::{IpAddr, Ipv4Addr};

use super::super::numbers::{Number, SlotV6};
use super::super::table::{number_in, position, tag_of};
use super::{Addresses, Holder, StoredAddress};

impl Addresses {
    /// Returns the position of an address in the iteration order of its family.
    pub(in super::super) fn position(&self, address: IpAddr) -> u64 {
        position(match address {
            IpAddr::V4(v4) => self.keys.hash_address(v4.to_bits()),
            IpAddr::V6(v6) => self.keys.hash_address(v6.to_bits()),
        })
    }

    /// Calls `each` with the IPv4 addresses between this position and the next, which it returns; see
    /// [`Table::visit`](super::super::table::Table::visit).
    pub(in super::super) fn visit_v4(&self, from: u64, mut each: impl FnMut(IpAddr, Holder)) -> Option<u64> {
        self.v4.visit(from, |word| {
            each(Ipv4Addr::from_bits(tag_of(word)).into(), Holder::decode(number_in(word)));
        })
    }

    /// As [`visit_v4`](Self::visit_v4), for IPv6 addresses.
    pub(in super::super) fn visit_v6(&self, from: u64, mut each: impl FnMut(IpAddr, Holder)) -> Option<u64> {
        self.v6.visit(from, |word| {
            let Some(slot) = SlotV6::from_bits(number_in(word)) else { return };
            if let Some(address) = self.full(StoredAddress::V6(slot)) {
                each(address, self.holder_v6(slot));
            }
        })
    }
}
