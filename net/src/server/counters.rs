//! Counters of a worker. Each worker has its own; a scrape adds them up.

use std::array;

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{CookieStatus, DropReason, Reason, Reply};

pub(crate) use super::counter::Counter;
use super::latency::Latency;

/// Counters by a protocol number; numbers without their own counter share the last one.
#[derive(Debug)]
pub(crate) struct ByNumber<const N: usize>([Counter; N]);

impl<const N: usize> Default for ByNumber<N> {
    fn default() -> Self {
        Self(array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> ByNumber<N> {
    /// Number of counters.
    pub(crate) const LEN: usize = N;

    fn increment(&self, number: u16) {
        if let Some(counter) = self.0.get(usize::from(number)).or(self.0.last()) {
            counter.increment();
        }
    }

    /// Returns the counters in use, by number.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        (0..).zip(&self.0).map(|(number, counter)| (number, counter.get())).filter(|&(_, count)| count > 0)
    }
}

/// Rcodes up to BADCOOKIE (23), and one counter for all above.
pub(crate) type ByRcode = ByNumber<25>;
/// Extended errors up to 24 (RFC 8914), and one counter for all above.
pub(crate) type ByEde = ByNumber<26>;

/// Index of the first [`DropCause`] after those of the responder.
const OTHERS: usize = DropReason::ALL.len();

/// Responses by the reason for them.
type ByReason = ByNumber<{ Reason::ALL.len() }>;

/// Reason why a query got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropCause {
    /// Dropped by the responder.
    By(DropReason),
    /// Sent from port 0, which cannot receive: a response could only harm a third party.
    SourcePortZero,
    /// The client's network has exceeded its rate limit.
    RateLimited,
    /// Sent to a broadcast or multicast address, which cannot be the source of a reply.
    NotUnicast,
}

impl DropCause {
    pub(crate) const ALL: [Self; OTHERS + 3] = [
        Self::By(DropReason::Short),
        Self::By(DropReason::Response),
        Self::By(DropReason::NoRoom),
        Self::SourcePortZero,
        Self::RateLimited,
        Self::NotUnicast,
    ];

    /// Returns the name of the reason in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::By(reason) => reason.as_str(),
            Self::SourcePortZero => "source_port_zero",
            Self::RateLimited => "rate_limited",
            Self::NotUnicast => "not_unicast",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::By(reason) => reason.index(),
            Self::SourcePortZero => OTHERS,
            Self::RateLimited => OTHERS + 1,
            Self::NotUnicast => OTHERS + 2,
        }
    }
}

/// Outcomes of the queries of one worker and transport. Aligned, so that no two workers write to the same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Packets or messages received, valid or not.
    pub(crate) queries: Counter,
    pub(crate) responses: ByRcode,
    pub(crate) extended_errors: ByEde,
    /// Responses by [`Reason::index`].
    reasons: ByReason,
    /// Responses SERVFAIL because the index could not be read.
    pub(crate) unknown: Counter,
    dropped: [Counter; DropCause::ALL.len()],
    /// Responses without their records, because they did not fit or because of the rate limit.
    pub(crate) truncated: Counter,
    /// Truncated responses because of the rate limit.
    pub(crate) slipped: Counter,
    /// Responses REFUSED because of the limit of negative answers.
    pub(crate) nxdomain_limited: Counter,
    /// Responses to queries with a cookie, by [`cookie_index`].
    cookies: [Counter; 3],
    /// Failed receptions, most of them ICMP errors for earlier responses.
    pub(crate) receive_errors: Counter,
    /// Responses that the system refused to send.
    pub(crate) send_errors: Counter,
    /// Panics: each is a bug and is logged. Over UDP one loses the rest of its batch, over TCP its connection.
    pub(crate) panics: Counter,
    pub(crate) latency: Latency,
}

impl Counters {
    pub(crate) fn reply(&self, reply: &Reply) {
        let Rcode(rcode) = reply.rcode;
        self.responses.increment(rcode);
        if let Some(Ede(code)) = reply.ede {
            self.extended_errors.increment(code);
            if reply.is_unknown() {
                self.unknown.increment();
            }
        }
        if let Some(counter) = self.reasons.0.get(reply.reason.index()) {
            counter.increment();
        }
        if reply.truncated {
            self.truncated.increment();
        }
        // Responses without a cookie, nearly all in a cluster, are not counted, which saves a write.
        if let Some(counter) = cookie_index(reply.cookie).and_then(|index| self.cookies.get(index)) {
            counter.increment();
        }
    }

    /// Returns the number of responses for this reason.
    pub(crate) fn reason(&self, reason: Reason) -> u64 {
        self.reasons.0.get(reason.index()).map_or(0, Counter::get)
    }

    /// Returns the number of responses to queries with a cookie of this status.
    pub(crate) fn cookies(&self, status: CookieStatus) -> u64 {
        cookie_index(status).and_then(|index| self.cookies.get(index)).map_or(0, Counter::get)
    }

    pub(crate) fn dropped(&self, why: DropCause) {
        if let Some(counter) = self.dropped.get(why.index()) {
            counter.increment();
        }
    }

    pub(crate) fn drops(&self, why: DropCause) -> u64 {
        self.dropped.get(why.index()).map_or(0, Counter::get)
    }
}

/// Returns the index of the counter of responses to queries with such a cookie; `None` without a cookie, which is not
/// counted.
const fn cookie_index(status: CookieStatus) -> Option<usize> {
    match status {
        CookieStatus::Absent => None,
        CookieStatus::New => Some(0),
        CookieStatus::Valid => Some(1),
        CookieStatus::Invalid => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drop_reason_has_its_own_counter() {
        let counters = Counters::default();
        for (at, why) in DropCause::ALL.into_iter().enumerate() {
            assert_eq!(why.index(), at);
            counters.dropped(why);
            assert_eq!(counters.drops(why), 1, "{why:?}");
        }
    }

    #[test]
    fn unknown_numbers_share_the_last_counter() {
        let rcodes = ByRcode::default();
        rcodes.increment(Rcode::BADCOOKIE.0);
        rcodes.increment(24);
        rcodes.increment(4095);
        assert_eq!(rcodes.counts().collect::<Vec<_>>(), [(23, 1), (24, 2)]);
    }
}
