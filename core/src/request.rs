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
    /// The time in Unix seconds, modulo 2^32. Only cookies look at it.
    pub now: u32,
    /// Leave the records out and set TC, so that the client asks again over TCP: what a rate limiter sends to
    /// addresses that may be forged. The response is then about as long as the query: header, question, and an
    /// OPT without NSID.
    pub truncate: bool,
    /// The end of the query is missing: the datagram was longer than the driver's buffer. The response is that to the
    /// question alone, without records, without OPT, and with TC set, so that the client asks again over TCP, where
    /// 65,535 octets are taken.
    pub cut: bool,
}

impl Request {
    /// A query received over `transport` from `source` at `now`, in Unix seconds modulo 2^32, and is to be
    /// answered in full.
    #[must_use]
    pub const fn new(transport: Transport, source: IpAddr, now: u32) -> Self {
        Self { transport, source, now, truncate: false, cut: false }
    }
}

/// Transport of a query, which decides how long its response may be. A message arrives in a datagram or in a stream,
/// whatever encrypts either, so the list is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram: up to 512 octets, or the payload size of the client's OPT, but never above 1232.
    Udp,
    /// In a stream, without the two length octets: up to 65,535 octets.
    Tcp,
}

/// Outcome of a query. No kind is an error.
#[must_use = "a reply must be sent, and each kind be counted"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Every other way of answering than by one message is a variant of its own. A driver that does not know a variant sends
// nothing.
#[non_exhaustive]
pub enum Outcome {
    /// Send the first `len` octets of the output buffer to the client.
    Reply(Reply),
    /// Send nothing.
    Drop(DropReason),
    /// Transfer a zone, or refuse to; only with [`Config::transfers`](crate::Config::transfers). See
    /// [`transfer`](crate::transfer).
    Transfer(Transfer),
    /// Check the transaction signature (RFC 8945), and if it is right, remove it, respond again, and sign the response; only
    /// with [`Config::transfers`](crate::Config::transfers).
    Signed,
}

/// A zone transfer that a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The zone, by its place in [`Config::zones`](crate::Config::zones).
    pub zone: usize,
    /// Serial of the version that the client has (IXFR); `None` if it asks for all of it (AXFR).
    pub known: Option<u32>,
}

/// A response, as its driver counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Octets of the response in the output buffer.
    pub len: usize,
    /// The response code, extended codes such as BADVERS included.
    pub rcode: Rcode,
    /// The extended error of the response, even if the response has no OPT to carry it.
    pub ede: Option<Ede>,
    /// The rule that led to the response.
    pub reason: Reason,
    /// The cause for which mode verified would have refused what mode insecure answered, with
    /// [`Config::audit`](crate::Config::audit) on; else `None`.
    pub audit: Option<AuditFinding>,
    /// True if the answer section was left out and TC set.
    pub truncated: bool,
    /// The state of the client's cookie: a valid one proves its address.
    pub cookie: CookieStatus,
}

impl Reply {
    /// Returns a response that the driver made: to a query for a transfer, or to a signed one.
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
    // More kinds of packets may turn out to be better left alone.
    #[non_exhaustive]
    DropReason {
        /// Shorter than the 12 octets of a header.
        Short = "short",
        /// A response itself (QR=1): responding to it could make two servers respond to each other without end.
        Response = "response",
        /// The output buffer is shorter than [`MIN_REPLY`](crate::MIN_REPLY): a mistake of the driver's.
        NoRoom = "no_room",
    }
}
