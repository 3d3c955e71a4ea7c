//! The limiter of one thread.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Instant;

use cidr::IpInet;
use poddns_core::IpCidr;

use super::exempt::ExemptNetworks;
use super::mask::{mask32, mask128};
use super::table::{Budget, BudgetTable};

/// Limits of the responses over UDP to one client network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Responses per second and thread, which is also the maximum size of a burst.
    pub responses_per_second: NonZeroU32,
    /// Interval of truncated responses: beyond the budget, every `slip`-th response is sent truncated; 0 drops all of
    /// them.
    pub slip: u8,
    /// Prefix length of an IPv4 client network, at most 32.
    pub ipv4_prefix: u8,
    /// Prefix length of an IPv6 client network, at most 128.
    pub ipv6_prefix: u8,
    /// Number of client networks that a thread tracks, 16 bytes each; rounded up to a power of two.
    pub table: usize,
}

impl Default for RateLimit {
    /// Returns a limit of 200 responses per second for each /24 and /56, with every second one beyond it truncated.
    fn default() -> Self {
        Self {
            responses_per_second: NonZeroU32::new(200).unwrap_or(NonZeroU32::MIN),
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            table: 65_536,
        }
    }
}

/// Decision about a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitAction {
    /// Send the response.
    Send,
    /// Send the response without its records, and with TC set.
    Truncate,
    /// Send nothing.
    Drop,
}

/// Budgets of the clients of one thread.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    networks: Vec<IpCidr>,
    exempt: ExemptNetworks,
    table: BudgetTable,
}

impl RateLimiter {
    /// Returns a limiter with full budgets. Clients in the `exempt` networks have no limit. `key` is secret and random;
    /// `now` is the origin of its clock.
    pub(crate) fn new(limit: RateLimit, exempt: &[IpCidr], key: [u8; 16], now: Instant) -> Self {
        let table = BudgetTable::new(limit.table, key, now);
        Self { limit, networks: exempt.to_vec(), exempt: ExemptNetworks::new(exempt), table }
    }

    /// Replaces the limit. Budgets are kept, unless the size of the table changes.
    pub(crate) fn set(&mut self, limit: &RateLimit, exempt: &[IpCidr], now: Instant) {
        if self.networks != exempt {
            self.networks = exempt.to_vec();
            self.exempt = ExemptNetworks::new(exempt);
        }
        if self.limit == *limit {
            return;
        }
        if self.limit.table != limit.table {
            self.table = BudgetTable::new(limit.table, self.table.key(), now);
        }
        self.limit = limit.clone();
    }

    /// Counts a response over UDP to a client whose address is not proven, and returns the action to take. Reads the
    /// clock only for clients with a limit.
    pub(crate) fn check(&mut self, client: IpAddr, clock: impl FnOnce() -> Instant) -> LimitAction {
        let client = client.to_canonical();
        if self.exempt.contains(client) {
            return LimitAction::Send;
        }
        let network = self.network(client);
        match self.table.take(network, self.limit.responses_per_second, clock()) {
            Budget::Within => LimitAction::Send,
            Budget::Beyond { count } => {
                let slip = u32::from(self.limit.slip);
                if slip > 0 && count.is_multiple_of(slip) { LimitAction::Truncate } else { LimitAction::Drop }
            }
        }
    }

    /// Returns true if the client's budget admits this response, which counts against the budget if it is negative.
    /// Reads the clock only for clients with a limit.
    pub(crate) fn admits(&mut self, client: IpAddr, negative: bool, clock: impl FnOnce() -> Instant) -> bool {
        let client = client.to_canonical();
        if self.exempt.contains(client) {
            return true;
        }
        let (network, rate) = (self.network(client), self.limit.responses_per_second);
        if negative {
            self.table.take(network, rate, clock()) == Budget::Within
        } else {
            !self.table.is_spent(network, rate, clock())
        }
    }

    /// Returns the client's network, for a log line: `192.0.2.0/24`.
    pub(crate) fn network_of(&self, client: IpAddr) -> Option<IpCidr> {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() { self.limit.ipv4_prefix } else { self.limit.ipv6_prefix };
        IpInet::new(client, prefix).ok().map(|client| client.network())
    }

    /// Returns the client's network as a number. An IPv4 network has the number of its IPv4-mapped address, which
    /// differs from those of all IPv6 networks.
    fn network(&self, client: IpAddr) -> u128 {
        match client {
            IpAddr::V4(ip) => {
                let masked = ip.to_bits() & mask32(self.limit.ipv4_prefix);
                Ipv4Addr::from_bits(masked).to_ipv6_mapped().to_bits()
            }
            IpAddr::V6(ip) => ip.to_bits() & mask128(self.limit.ipv6_prefix),
        }
    }
}
