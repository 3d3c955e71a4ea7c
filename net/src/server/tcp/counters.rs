//! Counters of TCP connections.

use crate::server::counters::Counter;

/// Connections, by their fate. Those open are those accepted and not yet closed.
#[derive(Debug, Default)]
pub(crate) struct TcpCounters {
    pub(crate) accepted: Counter,
    /// Number of open ones with part of a message under way.
    pub(crate) busy: Counter,
    /// Bytes of memory that these parts take.
    pub(crate) buffered: Counter,
    /// For whatever reason, the following included.
    pub(crate) closed: Counter,
    /// Without an exchange for too long.
    pub(crate) expired: Counter,
    /// Open for too long.
    pub(crate) retired: Counter,
    /// To make room for another one.
    pub(crate) evicted: Counter,
    /// Failures to accept.
    pub(crate) accept_errors: Counter,
}
