//! Counters of TCP connections.

use crate::server::counters::Counter;

/// Counters of connections. The number of open connections is `accepted - closed`.
#[derive(Debug, Default)]
pub(crate) struct TcpCounters {
    pub(crate) accepted: Counter,
    /// Number of open connections with an incomplete query or an unsent reply.
    pub(crate) busy: Counter,
    /// Memory of these parts, in bytes.
    pub(crate) buffered: Counter,
    /// Closed for any reason, the following included.
    pub(crate) closed: Counter,
    /// Closed after too long a time without an exchange.
    pub(crate) expired: Counter,
    /// Closed after their maximum lifetime.
    pub(crate) retired: Counter,
    /// Closed to make room for another connection, or to limit the memory of buffers.
    pub(crate) evicted: Counter,
    /// Failures to accept.
    pub(crate) accept_errors: Counter,
}
