//! Counters of a feed, for /status and /metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the watches of a feed have seen, by kind. Shared: the feed counts, others read.
#[derive(Debug, Default)]
pub struct FeedStats {
    /// Of pods; all watches together if there is one for each namespace. A file counts here.
    pub pods: WatchStats,
    /// Of namespaces.
    pub namespaces: WatchStats,
}

/// Counters of watches of one kind, all since the start.
#[derive(Debug, Default)]
pub struct WatchStats {
    events: AtomicU64,
    lists: AtomicU64,
    errors: AtomicU64,
    malformed: AtomicU64,
}

impl WatchStats {
    /// Changes that came after a list: objects added, modified or deleted.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Complete lists, the first included; of a file, the times it was read.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    /// Failures: of requests, of watches, of reading a file.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Malformed objects seen, each as often as it came.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    pub(crate) fn count_event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_malformed_objects(&self, objects: u64) {
        self.malformed.fetch_add(objects, Ordering::Relaxed);
    }

    pub(crate) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }
}
