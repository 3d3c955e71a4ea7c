//! The query log: a record for each query that the settings select, bounded by sampling and by a rate.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use poddns_core::wire::{Ede, Rcode, Rtype, question};
use poddns_core::{Reason, Reply, Transport};

use super::presentation::show;

/// Queries that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedQueries {
    /// Those whose response is not NOERROR.
    Refused,
    /// All that have a response.
    All,
}

/// Settings of the query log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLog {
    /// Queries that are logged.
    pub queries: LoggedQueries,
    /// Sampling: each thread logs one of this many selected queries.
    pub sample: NonZeroU32,
    /// Maximum number of lines per second, of all threads together.
    pub rate: NonZeroU32,
}

impl QueryLog {
    /// Returns settings that log all of these queries, up to 100 per second.
    #[must_use]
    pub fn new(queries: LoggedQueries) -> Self {
        let rate = NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN);
        Self { queries, sample: NonZeroU32::MIN, rate }
    }
}

/// A query with its response, for the query log.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueryRecord<'q> {
    /// The client; an IPv4-mapped address is IPv4.
    pub client: SocketAddr,
    /// Transport of the query.
    pub transport: Transport,
    /// The name in wire form and the type; `None` if the packet has no whole question.
    pub question: Option<(&'q [u8], Rtype)>,
    /// The response code.
    pub rcode: Rcode,
    /// The extended error, if there is one.
    pub extended_error: Option<Ede>,
    /// The rule that led to the response.
    pub reason: Reason,
}

impl QueryRecord<'_> {
    /// Returns the name in presentation format (RFC 1035 5.1).
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.question.map(|(name, _)| show(name))
    }
}

/// Receiver of records. Called by the threads that answer, so it must not block.
pub type QuerySink = fn(&QueryRecord<'_>);

/// The part of the query log that all threads share.
#[derive(Debug, Default)]
pub(crate) struct QueryLogger {
    sink: Option<QuerySink>,
    /// The second that `used` counts, in Unix seconds modulo 2^32.
    second: AtomicU32,
    /// Number of records in that second, written or suppressed.
    used: AtomicU32,
    written: AtomicU64,
    suppressed: AtomicU64,
}

impl QueryLogger {
    pub(crate) fn new(sink: Option<QuerySink>) -> Self {
        Self { sink, ..Self::default() }
    }

    /// Returns the number of records passed to the sink.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns the number of records that the rate did not allow.
    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// Counts a record at `now`, in Unix seconds; returns true if the rate allows it.
    fn allows(&self, now: u32, rate: NonZeroU32) -> bool {
        // Two threads that race here at the beginning of a second may allow a few more records.
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.used.store(0, Ordering::Relaxed);
        }
        let allowed = self.used.fetch_add(1, Ordering::Relaxed) < rate.get();
        let counter = if allowed { &self.written } else { &self.suppressed };
        counter.fetch_add(1, Ordering::Relaxed);
        allowed
    }
}

/// The query log of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logging<'a> {
    settings: QueryLog,
    logger: &'a QueryLogger,
    sink: QuerySink,
}

impl<'a> Logging<'a> {
    /// Returns the log, if the settings enable it and the program has set a sink.
    pub(crate) fn new(settings: Option<QueryLog>, logger: &'a QueryLogger) -> Option<Self> {
        settings.zip(logger.sink).map(|(settings, sink)| Self { settings, logger, sink })
    }

    /// Logs a query if it is selected. `skipped` is the number of queries that the thread has selected since the last
    /// sample, inclusive.
    pub(crate) fn log(
        &self,
        skipped: &std::cell::Cell<u32>,
        now: u32,
        (client, transport): (SocketAddr, Transport),
        query: &[u8],
        reply: &Reply,
    ) {
        let QueryLog { queries, sample, rate } = self.settings;
        if queries == LoggedQueries::Refused && reply.rcode == Rcode::NOERROR {
            return;
        }
        let number = skipped.get();
        skipped.set(if number + 1 >= sample.get() { 0 } else { number + 1 });
        if number != 0 || !self.logger.allows(now, rate) {
            return;
        }
        (self.sink)(&QueryRecord {
            client: SocketAddr::new(client.ip().to_canonical(), client.port()),
            transport,
            question: question(query).map(|question| (question.name, question.rtype)),
            rcode: reply.rcode,
            extended_error: reply.ede,
            reason: reply.reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_per_second_are_limited() {
        let logger = QueryLogger::default();
        let rate = NonZeroU32::new(2).unwrap();
        let allowed: Vec<bool> = [7, 7, 7, 8, 8, 8, u32::MAX].map(|now| logger.allows(now, rate)).into();
        assert_eq!(allowed, [true, true, false, true, true, false, true]);
        assert_eq!((logger.written(), logger.suppressed()), (5, 2));
    }

    #[test]
    fn nothing_is_logged_without_a_sink() {
        let settings = QueryLog::new(LoggedQueries::All);
        assert!(Logging::new(Some(settings), &QueryLogger::default()).is_none());
        let logger = QueryLogger::new(Some(|_| {}));
        assert!(Logging::new(None, &logger).is_none());
        assert!(Logging::new(Some(settings), &logger).is_some());
    }
}
