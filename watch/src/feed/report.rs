//! Reports of the state of one watch to health, counters and the log.

use std::sync::Arc;
use std::time::Duration;

use poddns_core::Label;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::machine::sync_status::{GracePeriod, SyncStatus};
use super::machine::target::{IndexDifference, ObjectTarget};
use super::machine::{Machine, Notice};
use super::stats::{FeedStats, WatchStats};
use crate::Resource;
use crate::freshness::{Health, LEASE, Lapse, LapseDetector, WatchHealth};

/// Minimum interval between two log lines with the same error.
const LOG_INTERVAL: Duration = Duration::from_mins(5);

/// Maximum number of different errors that are remembered as logged. Behind a load balancer, attempts fail in a few ways
/// in turn.
const MAX_LOGGED: usize = 8;

/// Maximum number of objects that are named in the log per comparison with the cluster.
const MAX_NAMED: u64 = 20;

/// Interval at which the state of an established watch is reported again.
const RENEWAL: Duration = LEASE.checked_div(4).unwrap();

/// Period for which the index has been reported to be in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncClaim {
    /// The watch is down: until the end of this grace period.
    Grace(GracePeriod),
    /// The watch is established: the report is to be renewed at this time.
    Renew(Instant),
}

/// Reporter of the state of one watch.
#[derive(Clone)]
pub(crate) struct WatchReport {
    health: WatchHealth,
    stats: Arc<FeedStats>,
    resource: Resource,
    lapses: LapseDetector,
    status: Option<SyncStatus>,
    /// Period for which the index was last reported to be in sync.
    claim: Option<SyncClaim>,
    /// Errors of the outage under way that were logged, the last one at the end.
    logged: Vec<(String, Instant)>,
    /// Number of differences that the comparison under way has found.
    differences: u64,
}

impl WatchReport {
    /// Registers a watch that the index depends on.
    pub(crate) fn new(
        health: &Health,
        resource: Resource,
        namespace: Option<Label>,
        stats: Arc<FeedStats>,
    ) -> Self {
        let health = health.register(resource, namespace);
        let lapses = health.lapse_detector();
        Self {
            health,
            stats,
            resource,
            lapses,
            status: None,
            claim: None,
            logged: Vec::new(),
            differences: 0,
        }
    }

    /// Returns the counters of the watched resource.
    pub(crate) fn stats(&self) -> &WatchStats {
        match self.resource {
            Resource::Pods => &self.stats.pods,
            Resource::Namespaces => &self.stats.namespaces,
        }
    }

    /// Reports that the index is in sync with a file. This has no deadline until [`renew`](Self::renew) is called.
    pub(crate) fn set_in_sync(&mut self) {
        self.health.fresh();
        self.claim = None;
    }

    /// Reports that the index is still in sync with a file. From now on this must be called again before the deadline.
    pub(crate) fn renew(&mut self) {
        self.begin();
        self.claim(None);
    }

    /// Reports that a file could not be read; the index was last known to be in sync at `since`.
    pub(crate) fn failed(&mut self, since: Instant, error: &str) {
        self.stats().errors.count();
        self.claim = None;
        self.health.stale(since.into_std(), error);
    }

    /// Reports that the task of the watch has panicked and is restarted.
    pub(crate) fn panicked(&mut self, text: &str) {
        self.stats().panics.count();
        (self.status, self.claim) = (None, None);
        self.health.stale(Instant::now().into_std(), text);
    }

    /// Reports that the watch begins to run.
    pub(crate) fn begin(&mut self) {
        self.lapses = self.health.lapse_detector();
    }

    /// Records that the watch runs. Fails if it has not run for too long.
    pub(crate) fn run(&mut self) -> Result<(), Lapse> {
        self.lapses.run()
    }

    /// Returns the time at which [`publish`](Self::publish) must be called again.
    pub(crate) fn renewal(&self) -> Instant {
        match self.claim {
            Some(SyncClaim::Renew(at)) => at,
            Some(SyncClaim::Grace(_)) | None => Instant::now() + RENEWAL,
        }
    }

    /// Reports until when the index counts as in sync.
    fn claim(&mut self, grace: Option<GracePeriod>) {
        let now = Instant::now();
        match (self.claim, grace) {
            (Some(SyncClaim::Renew(at)), None) if now < at => return,
            (Some(SyncClaim::Grace(claimed)), Some(grace)) if claimed == grace => return,
            _ => {}
        }
        if let Some(grace) = grace {
            let now = now.into_std();
            let (ago, left) =
                (now.saturating_duration_since(grace.alive), grace.until.saturating_duration_since(now));
            self.health.fresh_for(ago, left);
            self.claim = Some(SyncClaim::Grace(grace));
        } else {
            self.health.fresh_since(&self.lapses);
            self.claim = Some(SyncClaim::Renew(now + RENEWAL));
        }
    }

    /// Publishes the notices and the state of a machine.
    pub(crate) fn publish<T: ObjectTarget>(&mut self, machine: &mut Machine<T>) {
        for notice in machine.notices() {
            self.notice(notice);
        }
        let status = machine.status();
        if status == SyncStatus::Fresh {
            self.claim(machine.grace());
        } else {
            self.claim = None;
        }
        if self.status.as_ref() == Some(&status) {
            return;
        }
        match &status {
            SyncStatus::Unsynced { error } => {
                if let Some(error) = error {
                    self.health.stale(Instant::now().into_std(), error);
                }
            }
            SyncStatus::Fresh => {
                if !std::mem::take(&mut self.logged).is_empty() {
                    info!("in sync again");
                }
            }
            SyncStatus::Stale { since, error } => self.health.stale(*since, error),
            SyncStatus::Resyncing { since, error } => self.health.resyncing(*since, error.clone()),
        }
        self.status = Some(status);
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Listed { method, removed } => {
                self.stats().lists.count();
                debug!(removed, "complete {method}");
            }
            Notice::Changed => self.stats().events.count(),
            Notice::Failed { text, retry_in } => {
                self.stats().errors.count();
                self.log(text, retry_in);
            }
            Notice::GaveUp { method, why } => info!(why, "{method} is not available; using another method"),
            Notice::SnapshotRefused { text } => {
                warn!("the snapshot is not used: {text}");
                self.health.forget(text);
            }
            Notice::Compared => {
                self.stats.resync.complete.count();
                self.end_comparison();
            }
            Notice::ComparisonFailed { why } => {
                self.stats.resync.failed.count();
                self.end_comparison();
                debug!(why, "the comparison with the cluster failed");
            }
            Notice::Differs { difference, object } => {
                self.stats.resync.count(difference);
                if !self.is_named() {
                    return;
                }
                let found = match difference {
                    IndexDifference::Missing => "was missing from the index",
                    IndexDifference::Changed => "was different in the index than in the cluster",
                    IndexDifference::Gone => "was in the index but not in the cluster",
                };
                error!(
                    object,
                    "an object {found}; the index is corrected. Unless etcd was restored from a backup, this is a defect: please \
                     report it"
                );
            }
            Notice::OutOfSync { text } => {
                self.stats().errors.count();
                warn!("{text}");
                self.remember(text);
            }
        }
    }

    /// Counts a difference, and returns whether its object is to be named in the log.
    const fn is_named(&mut self) -> bool {
        self.differences += 1;
        self.differences <= MAX_NAMED
    }

    fn end_comparison(&mut self) {
        let more = std::mem::take(&mut self.differences).saturating_sub(MAX_NAMED);
        if more > 0 {
            error!(more, "more objects differed from the cluster; the index is corrected");
        }
    }

    fn log(&mut self, text: String, retry_in: Duration) {
        let retry_in = format_args!("{:.1} s", retry_in.as_secs_f32());
        if self.is_logged(&text) {
            debug!(%retry_in, "{text}");
        } else {
            warn!(%retry_in, "{text}");
            self.remember(text);
        }
    }

    /// Returns whether an error of the outage under way was logged within [`LOG_INTERVAL`].
    fn is_logged(&self, text: &str) -> bool {
        self.logged.iter().any(|(logged, at)| logged == text && at.elapsed() < LOG_INTERVAL)
    }

    /// Stores that an error was logged just now.
    fn remember(&mut self, text: String) {
        self.logged.retain(|(logged, _)| *logged != text);
        if self.logged.len() == MAX_LOGGED {
            self.logged.remove(0);
        }
        self.logged.push((text, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_differences_are_named() {
        let health = Health::default();
        let mut report = WatchReport::new(&health, Resource::Pods, None, Arc::default());
        for _ in 0..2 {
            assert_eq!((0..100_000).filter(|_| report.is_named()).count(), 20);
            report.end_comparison();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_in_turn_are_logged_once() {
        let mut report = WatchReport::new(&Health::default(), Resource::Pods, None, Arc::default());
        let mut lines = 0;
        let mut log = |report: &mut WatchReport, text: &str| {
            lines += usize::from(!report.is_logged(text));
            report.log(text.to_owned(), Duration::ZERO);
            lines
        };
        for _ in 0..10 {
            log(&mut report, "connection refused");
            log(&mut report, "no answer within 10 s");
        }
        assert_eq!(log(&mut report, "connection refused"), 2);
        tokio::time::advance(LOG_INTERVAL).await;
        assert_eq!(log(&mut report, "connection refused"), 3);
        for number in 0..100 {
            log(&mut report, &number.to_string());
        }
        assert_eq!(report.logged.len(), MAX_LOGGED);
    }
}
