//! Arguments of a response beside the query, and its outcome.

use core::net::IpAddr;

use crate::CookieStatus;
use crate::audit::AuditFinding;
use crate::reason::Reason;
use crate::wire::{Ede, Rcode};
use crate::words::worded;

/// The inputs of a response beside the query's bytes: transport, client and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Transport of the query.
    pub transport: Transport,
    /// The client's address.
    pub source: IpAddr,
    /// The time in Unix seconds, modulo 2^32. Used by cookies only.
    pub now: u32,
    /// Leave the records out and set TC, so that the client retries over TCP: the response of a rate limiter to
    /// possibly forged addresses. Its length is about that of the query: header, question, and an OPT without NSID.
    pub truncate: bool,
    /// The end of the query is missing: the datagram was longer than the driver's buffer. The response depends on the
    /// question alone and has no records, no OPT and TC set, so that the client retries over TCP, where 65,535 octets
    /// are accepted.
    pub cut: bool,
}

impl Request {
    /// Returns the arguments for a query received over `transport` from `source` at `now`, in Unix seconds modulo
    /// 2^32, that is to be answered in full.
    #[must_use]
    pub const fn new(transport: Transport, source: IpAddr, now: u32) -> Self {
        Self { transport, source, now, truncate: false, cut: false }
    }
}

/// Transport of a query, which determines the maximum length of its response. Exhaustive: a message is in a datagram
/// or in a stream, with or without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: up to 512 octets, or the payload size of the client's OPT, but never more than 1232.
    Udp,
    /// A stream, without the two length octets: up to 65,535 octets.
    Tcp,
}

/// Outcome of a query. No variant is an error.
#[must_use = "a reply must be sent, and each kind be counted"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Any other way of answering than by one message would be a new variant. A driver sends nothing for a variant that it
// does not handle.
#[non_exhaustive]
pub enum Outcome {
    /// Send the first `len` octets of the output buffer to the client.
    Reply(Reply),
    /// Send nothing.
    Drop(DropReason),
    /// Transfer a zone, or refuse to; only with [`Config::transfers`](crate::Config::transfers). See
    /// [`transfer`](crate::transfer).
    Transfer(Transfer),
    /// Check the transaction signature (RFC 8945). If it is valid, remove it, respond again, and sign the response.
    /// Only with [`Config::transfers`](crate::Config::transfers).
    Signed,
}

/// A zone transfer that a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Index of the zone in [`Config::zones`](crate::Config::zones).
    pub zone: usize,
    /// Serial of the client's version (IXFR); `None` for a full transfer (AXFR).
    pub known: Option<u32>,
}

/// Properties of a response, for the driver's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Length of the response in the output buffer, in octets.
    pub len: usize,
    /// The response code, including extended codes such as BADVERS.
    pub rcode: Rcode,
    /// The extended error of the response, even if the response has no OPT for it.
    pub ede: Option<Ede>,
    /// The rule that led to the response.
    pub reason: Reason,
    /// The cause for which mode verified would have refused an answer of mode insecure, if
    /// [`Config::audit`](crate::Config::audit) is on; else `None`.
    pub audit: Option<AuditFinding>,
    /// True if the records were left out and TC set.
    pub truncated: bool,
    /// The state of the client's cookie. A valid cookie proves that the source address is not forged.
    pub cookie: CookieStatus,
}

impl Reply {
    /// Returns the properties of a response that the driver made: to a query for a transfer, or to a signed query.
    #[must_use]
    pub const fn by_driver(len: usize, rcode: Rcode, ede: Option<Ede>) -> Self {
        let (reason, cookie) = (Reason::Transfer, CookieStatus::Absent);
        Self { len, rcode, ede, reason, audit: None, truncated: false, cookie }
    }

    /// Returns whether the index could not be read, so that the response is SERVFAIL: see
    /// [`Unknown`](crate::Unknown).
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.ede, Some(Ede::OTHER))
    }
}

worded! {
    /// Reason why a packet gets no response.
    // Other packets that should get no response may be added.
    #[non_exhaustive]
    DropReason {
        /// Shorter than a header (12 octets).
        Short = "short",
        /// A response (QR=1): responding to it could start an endless exchange between two servers.
        Response = "response",
        /// The output buffer is shorter than [`MIN_REPLY`](crate::MIN_REPLY): a bug in the driver.
        NoRoom = "no_room",
    }
}
