//! Counters of a feed, for /status and /metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::machine::target::IndexDifference;
use crate::Resource;

/// Counters of a feed's watches, by resource. Shared: the feed counts, others read.
#[derive(Debug, Default)]
pub struct FeedStats {
    /// Of pods; all watches together if there is one for each namespace. A file counts here.
    pub pods: WatchStats,
    /// Of namespaces.
    pub namespaces: WatchStats,
    /// Comparisons of the index with the cluster, and the differences that they found.
    pub resync: ResyncStats,
}

impl FeedStats {
    /// Returns the present values of the watches' counters.
    #[must_use]
    pub fn watches(&self) -> [WatchCounts; 2] {
        [self.pods.counts(Resource::Pods), self.namespaces.counts(Resource::Namespaces)]
    }
}

/// Values of [`WatchStats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchCounts {
    /// The watched resource.
    pub resource: Resource,
    /// Objects added, modified or deleted after a list.
    pub events: u64,
    /// Complete lists, the first ones included.
    pub lists: u64,
    /// Lists and watches that failed.
    pub errors: u64,
    /// Objects that were malformed, or in part.
    pub malformed: u64,
    /// Panics, after each of which it began anew.
    pub panics: u64,
}

/// Values of [`ResyncStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResyncCounts {
    /// Comparisons that were completed.
    pub complete: u64,
    /// Comparisons that were given up.
    pub failed: u64,
    /// Objects that the index did not have.
    pub missing: u64,
    /// Objects that differed in the index.
    pub changed: u64,
    /// Objects that the cluster did not have.
    pub gone: u64,
}

/// Comparisons of the index with the cluster, all since the start. A difference is mended when it is counted.
#[derive(Debug, Default)]
pub struct ResyncStats {
    complete: AtomicU64,
    failed: AtomicU64,
    missing: AtomicU64,
    changed: AtomicU64,
    gone: AtomicU64,
}

impl ResyncStats {
    /// Returns the present values.
    #[must_use]
    pub fn counts(&self) -> ResyncCounts {
        let (complete, failed) = (self.complete(), self.failed());
        let (missing, changed, gone) = (self.missing(), self.changed(), self.gone());
        ResyncCounts { complete, failed, missing, changed, gone }
    }

    /// Comparisons of one watch that came to their end.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.complete.load(Ordering::Relaxed)
    }

    /// Comparisons that were given up: the list failed, or too much changed meanwhile.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Objects that the index did not have.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }

    /// Objects that the index had otherwise.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Objects that the cluster did not have.
    #[must_use]
    pub fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn count_complete(&self) {
        self.complete.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, difference: IndexDifference) {
        let counter = match difference {
            IndexDifference::Missing => &self.missing,
            IndexDifference::Changed => &self.changed,
            IndexDifference::Gone => &self.gone,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counters of watches of one kind, all since the start.
#[derive(Debug, Default)]
pub struct WatchStats {
    events: AtomicU64,
    lists: AtomicU64,
    errors: AtomicU64,
    malformed: AtomicU64,
    panics: AtomicU64,
}

impl WatchStats {
    fn counts(&self, resource: Resource) -> WatchCounts {
        let (events, lists, errors) = (self.events(), self.lists(), self.errors());
        WatchCounts { resource, events, lists, errors, malformed: self.malformed(), panics: self.panics() }
    }

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

    /// Panics of the task that keeps the index in sync, after each of which it begins anew.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
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
