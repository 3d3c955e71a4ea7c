//! Counters of a feed, for /status and /metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::machine::target::IndexDifference;
use crate::Resource;

/// A counter that a feed increments and others read.
#[derive(Debug, Default)]
pub(super) struct FeedCounter(AtomicU64);

impl FeedCounter {
    pub(super) fn count(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of a feed's watches, by resource. The feed increments them, others read them.
#[derive(Debug, Default)]
pub struct FeedStats {
    /// Counters of pods, the sum of all watches if there is one per namespace. A file counts here.
    pub pods: WatchStats,
    /// Counters of namespaces.
    pub namespaces: WatchStats,
    /// Comparisons of the index with the cluster, and the differences that they found.
    pub resync: ResyncStats,
}

impl FeedStats {
    /// Returns the current values of the watches' counters.
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
    /// Objects that were malformed, wholly or in part.
    pub malformed: u64,
    /// Panics of the task, each followed by a restart.
    pub panics: u64,
}

/// Values of [`ResyncStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResyncCounts {
    /// Comparisons that were completed.
    pub complete: u64,
    /// Comparisons that were given up.
    pub failed: u64,
    /// Objects that the index lacked.
    pub missing: u64,
    /// Objects that differed in the index.
    pub changed: u64,
    /// Objects that the cluster did not have.
    pub gone: u64,
}

/// Counters of comparisons of the index with the cluster, since the start. A difference is corrected when it is
/// counted.
#[derive(Debug, Default)]
pub struct ResyncStats {
    pub(super) complete: FeedCounter,
    pub(super) failed: FeedCounter,
    pub(super) missing: FeedCounter,
    pub(super) changed: FeedCounter,
    pub(super) gone: FeedCounter,
}

impl ResyncStats {
    /// Returns the current values.
    #[must_use]
    pub fn counts(&self) -> ResyncCounts {
        let (complete, failed) = (self.complete(), self.failed());
        let (missing, changed, gone) = (self.missing(), self.changed(), self.gone());
        ResyncCounts { complete, failed, missing, changed, gone }
    }

    /// Returns the number of complete comparisons, each of one watch.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.complete.get()
    }

    /// Returns the number of comparisons that were given up: the list failed, or too much changed meanwhile.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.get()
    }

    /// Returns the number of objects that the index lacked.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing.get()
    }

    /// Returns the number of objects that differed in the index.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed.get()
    }

    /// Returns the number of objects that the cluster did not have.
    #[must_use]
    pub fn gone(&self) -> u64 {
        self.gone.get()
    }

    pub(crate) fn count(&self, difference: IndexDifference) {
        let counter = match difference {
            IndexDifference::Missing => &self.missing,
            IndexDifference::Changed => &self.changed,
            IndexDifference::Gone => &self.gone,
        };
        counter.count();
    }
}

/// Counters of the watches of one resource, since the start.
#[derive(Debug, Default)]
pub struct WatchStats {
    pub(super) events: FeedCounter,
    pub(super) lists: FeedCounter,
    pub(super) errors: FeedCounter,
    pub(super) malformed: FeedCounter,
    pub(super) panics: FeedCounter,
}

impl WatchStats {
    fn counts(&self, resource: Resource) -> WatchCounts {
        let (events, lists, errors) = (self.events(), self.lists(), self.errors());
        WatchCounts { resource, events, lists, errors, malformed: self.malformed(), panics: self.panics() }
    }

    /// Returns the number of changes after a list: objects added, modified or deleted.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.get()
    }

    /// Returns the number of complete lists, including the first; for a file, the number of times it was read.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.lists.get()
    }

    /// Returns the number of failures of requests, of watches, and of reading a file.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }

    /// Returns the number of malformed objects; an object is counted each time it is received.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// Returns the number of panics of the task that keeps the index in sync. It is restarted after each.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }
}
