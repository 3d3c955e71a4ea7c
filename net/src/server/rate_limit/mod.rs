//! Response rate limiting: a server that answers forged queries sends its answers to somebody who never asked.
//!
//! Each client network has a budget of responses over UDP. Beyond it, every n-th response is sent truncated, so
//! that a real client asks again over TCP, where its address is proven; the others are dropped. What proves its
//! address anyway is never limited: TCP, and a valid DNS cookie. Networks that forged queries hardly come from,
//! or where they would be the operator's own problem, are exempt.
//!
//! The limit of negative answers ([`QuestionLimiter`]) is another one, with the same tables: a client network that has
//! had its share of NXDOMAIN gets no answers at all until some of it is repaid, over TCP and with a cookie as well, since
//! what it learns is the same.
//!
//! # Memory and time
//!
//! Each thread has a table of its own, of a size that is fixed when it is made: no lock and no allocation for a
//! query. A client network whose queries reach all threads therefore gets up to that many times its budget.
//!
//! The table finds a network by a hash with a secret key, so nobody can choose addresses that meet in one place.
//! Networks that do meet push each other out: the one nearest to a full budget goes, and with it only the
//! memory of what it has used. So when the table is too small, some get more than their budget, never less.

mod exempt;
mod questions;
mod shared;
mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Instant;

use cidr::IpInet;
use poddns_core::IpCidr;

pub(crate) use self::exempt::private;
pub(crate) use self::questions::QuestionLimiter;
pub(crate) use self::shared::Limiter;

use self::exempt::Exempt;
use self::table::{Table, Verdict as Budget};

/// Limits of the responses over UDP to one client network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Responses a second, on one thread. As many may come at once.
    pub responses_per_second: NonZeroU32,
    /// Of the responses beyond the budget, every one of this number is sent truncated; 0 drops them all.
    pub slip: u8,
    /// Prefix length of an IPv4 client network, at most 32.
    pub ipv4_prefix: u8,
    /// Prefix length of an IPv6 client network, at most 128.
    pub ipv6_prefix: u8,
    /// Client networks that a thread remembers at a time, 16 octets each; rounded up to a power of two.
    pub table: usize,
}

impl Default for RateLimit {
    /// 200 responses a second for each /24 and /56, of those beyond it every second one truncated.
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
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// Send it without its records, and with TC set.
    Truncate,
    /// Send nothing.
    Drop,
}

/// Budgets of the clients of one thread.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    networks: Vec<IpCidr>,
    exempt: Exempt,
    table: Table,
}

impl RateLimiter {
    /// A limiter that has seen nobody yet. Clients in the `exempt` networks have no limit. `key` is secret, and random;
    /// `now` is where its clock begins.
    pub(crate) fn new(limit: RateLimit, exempt: &[IpCidr], key: [u8; 16], now: Instant) -> Self {
        let table = Table::new(limit.table, key, now);
        Self { limit, networks: exempt.to_vec(), exempt: Exempt::new(exempt), table }
    }

    /// Takes another limit over. What is known of the clients stays, unless the table's size changes.
    pub(crate) fn set(&mut self, limit: &RateLimit, exempt: &[IpCidr], now: Instant) {
        if self.networks != exempt {
            self.networks = exempt.to_vec();
            self.exempt = Exempt::new(exempt);
        }
        if self.limit == *limit {
            return;
        }
        if self.limit.table != limit.table {
            self.table = Table::new(limit.table, self.table.key(), now);
        }
        self.limit = limit.clone();
    }

    /// Counts a response over UDP to this client, whose address is not proven, and says what to do with it. The
    /// clock is read only for clients with a limit.
    pub(crate) fn check(&mut self, client: IpAddr, clock: impl FnOnce() -> Instant) -> Verdict {
        let client = client.to_canonical();
        if self.exempt.contains(client) {
            return Verdict::Send;
        }
        let network = self.network(client);
        match self.table.take(network, self.limit.responses_per_second, clock()) {
            Budget::Within => Verdict::Send,
            Budget::Beyond { count } => {
                let slip = u32::from(self.limit.slip);
                if slip > 0 && count.is_multiple_of(slip) { Verdict::Truncate } else { Verdict::Drop }
            }
        }
    }

    /// Returns whether the client may have this answer, and takes it out of the budget if it is negative. The clock is
    /// read only for clients with a limit.
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

    /// The client's network, for a log line: `192.0.2.0/24`.
    pub(crate) fn network_of(&self, client: IpAddr) -> Option<IpCidr> {
        let client = client.to_canonical();
        let prefix = if client.is_ipv4() { self.limit.ipv4_prefix } else { self.limit.ipv6_prefix };
        IpInet::new(client, prefix).ok().map(|client| client.network())
    }

    /// The client's network as a number. IPv4 networks are where IPv4-mapped addresses are: no address that is
    /// seen as IPv6 falls there, masked or not.
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

/// The first so many bits set.
fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

/// The first so many bits set.
fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

/// Nanoseconds from `origin`; 0 for what was before. Five centuries fit.
fn nanoseconds(origin: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(origin).as_nanos().try_into().unwrap_or(u64::MAX)
}

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;
