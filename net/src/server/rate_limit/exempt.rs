//! Networks of clients without a limit.

use std::net::IpAddr;

use poddns_core::IpCidr;

use super::mask::{mask32, mask128};

/// Networks of pods and nodes: private (RFC 1918), carrier-grade NAT (RFC 6598), unique local (RFC 4193), link-local
/// (RFC 3927, RFC 4291 2.5.6) and loopback addresses. Queries with such a forged source do not arrive from the
/// Internet, and responses to them are not routed to it.
const PRIVATE: [([u8; 4], u8); 6] = [
    ([10, 0, 0, 0], 8),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    ([100, 64, 0, 0], 10),
    ([169, 254, 0, 0], 16),
    ([127, 0, 0, 0], 8),
];
const PRIVATE_V6: [(u16, u8); 2] = [(0xfc00, 7), (0xfe80, 10)];

/// Returns the networks of the option value `private`.
pub(crate) fn private() -> Vec<IpCidr> {
    let v4 = PRIVATE.into_iter().map(|(octets, prefix)| (IpAddr::from(octets), prefix));
    let v6 =
        PRIVATE_V6.into_iter().map(|(group, prefix)| (IpAddr::from([group, 0, 0, 0, 0, 0, 0, 0]), prefix));
    let loopback = (IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), 128);
    v4.chain(v6).chain([loopback]).filter_map(|(ip, prefix)| IpCidr::new(ip, prefix).ok()).collect()
}

/// Networks as masks and values, so that a query costs a few comparisons.
#[derive(Debug)]
pub(super) struct ExemptNetworks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl ExemptNetworks {
    pub(super) fn new(networks: &[IpCidr]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpCidr::V4(network) => {
                    v4.push((mask32(network.network_length()), network.first_address().to_bits()));
                }
                IpCidr::V6(network) => {
                    v6.push((mask128(network.network_length()), network.first_address().to_bits()));
                }
            }
        }
        Self { v4, v6 }
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.iter().any(|&(mask, network)| ip.to_bits() & mask == network),
            IpAddr::V6(ip) => self.v6.iter().any(|&(mask, network)| ip.to_bits() & mask == network),
        }
    }
}
