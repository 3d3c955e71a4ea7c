//! What one watch tells health and the counters.

use std::sync::Arc;

use poddns_core::Label;
use tokio::time::Instant;

use super::stats::{FeedStats, WatchStats};
use crate::freshness::{Health, Watch, WatchHealth};

/// The state of one watch as others see it.
pub(crate) struct Report {
    health: WatchHealth,
    stats: Arc<FeedStats>,
    watch: Watch,
    stale: bool,
}

impl Report {
    /// Registers a watch that the index depends on.
    pub(crate) fn new(
        health: &Health,
        watch: Watch,
        namespace: Option<Label>,
        stats: Arc<FeedStats>,
    ) -> Self {
        Self { health: health.register(watch, namespace), stats, watch, stale: false }
    }

    /// The counters of its kind.
    pub(crate) fn stats(&self) -> &WatchStats {
        match self.watch {
            Watch::Pods => &self.stats.pods,
            Watch::Namespaces => &self.stats.namespaces,
        }
    }

    /// Whether it has failed since it was last in step.
    pub(crate) const fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn list_begins(&self) {
        self.health.resyncing();
    }

    pub(crate) fn in_step(&mut self) {
        self.stale = false;
        self.health.fresh();
    }

    /// It failed, and was last known to be in step at `since`.
    pub(crate) fn failed(&mut self, since: Instant, error: &str) {
        self.stale = true;
        self.stats().count_error();
        self.health.stale(since.into_std(), error);
    }
}
