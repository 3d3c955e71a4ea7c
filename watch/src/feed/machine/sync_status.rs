//! Synchronisation state of the index.

use std::time::{Duration, Instant};

/// Time for which a watch may be down before the index counts as stale: long enough to renew a watch that the server
/// ended on schedule, or a connection.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// The state of one watch, for health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SyncStatus {
    /// Never in sync. If the index was filled from a snapshot, it has the age of the snapshot.
    Unsynced {
        /// The reason.
        error: Option<String>,
    },
    /// In sync.
    Fresh,
    /// Not in sync, and no list is under way.
    Stale {
        /// The last moment at which it was known to be in sync.
        since: Instant,
        /// The reason.
        error: String,
    },
    /// Not in sync; a list is under way or about to be.
    Resyncing {
        /// The last moment at which it was known to be in sync.
        since: Instant,
        /// The reason.
        error: Option<String>,
    },
}

/// Computes the [`SyncStatus`] from the events of a watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncTracker {
    /// True once a list was completed.
    listed: bool,
    /// True once the server has accepted a watch. Until then, as for a client without permission to watch, a list only
    /// becomes older.
    watched: bool,
    /// The last time in sync, if the index is no longer in sync.
    lost: Option<Instant>,
    /// The grace period, if no watch is established.
    down: Option<GracePeriod>,
    listing: bool,
    error: Option<String>,
}

/// The time for which a watch may be down before the index is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriod {
    /// Time at which the watch was last known to be alive.
    pub(crate) alive: Instant,
    /// End of the grace period.
    pub(crate) until: Instant,
}

impl SyncTracker {
    /// Reports that a list is complete. A watch must follow.
    pub(crate) fn listed(&mut self, now: Instant) {
        self.listed = true;
        self.lost = None;
        self.error = None;
        self.listing = false;
        self.down = Some(GracePeriod { alive: now, until: now + GRACE });
    }

    /// Reports that the server has accepted a watch.
    pub(crate) fn watched(&mut self) {
        self.watched = true;
    }

    /// Reports that a watch continues at the version of the index.
    pub(crate) fn established(&mut self) {
        self.lost = None;
        self.error = None;
        self.listing = false;
        self.down = None;
    }

    /// Reports that the watch is down. It was last known to be alive at `alive`, or now if that is earlier.
    pub(crate) fn down(&mut self, alive: Instant, now: Instant) {
        let alive = alive.min(now);
        if self.down.is_none() {
            self.down = Some(GracePeriod { alive, until: (alive + GRACE).max(now) });
        }
        self.tick(now);
    }

    /// Reports that changes are lost: the index is out of sync until the next list is complete.
    pub(crate) fn lose(&mut self, now: Instant) {
        let alive = self.down.map_or(now, |down| down.alive);
        self.lost.get_or_insert(alive);
    }

    /// Stores the reason why the index is, or may soon be, out of sync.
    pub(crate) fn note(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Reports whether a list is under way.
    pub(crate) fn listing(&mut self, listing: bool) {
        self.listing = listing;
    }

    /// Resets the state: the contents of the index are of another cluster.
    pub(crate) fn forget(&mut self) {
        *self = Self { error: self.error.take(), ..Self::default() };
    }

    /// Marks the index as out of sync if the grace period of a watch that is down has ended.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(down) = self.down.filter(|down| down.until <= now) {
            self.lost.get_or_insert(down.alive);
        }
    }

    /// Returns the time at which [`tick`](Self::tick) next changes the state.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.down.filter(|_| self.lost.is_none()).map(|down| down.until)
    }

    /// Returns the time at which the index was last in sync, and until when it counts as in sync, if no watch is
    /// established.
    pub(crate) const fn grace(&self) -> Option<GracePeriod> {
        self.down
    }

    /// Returns whether a list was completed.
    pub(crate) const fn has_list(&self) -> bool {
        self.listed
    }

    /// Returns for how long the index has not been known to be in sync.
    pub(crate) fn lost_for(&self, now: Instant) -> Duration {
        let since = self.lost.or(self.down.map(|down| down.alive));
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(crate) fn status(&self) -> SyncStatus {
        match self.lost {
            _ if !self.listed || !self.watched => SyncStatus::Unsynced { error: self.error.clone() },
            None => SyncStatus::Fresh,
            Some(since) if self.listing => SyncStatus::Resyncing { since, error: self.error.clone() },
            Some(since) => {
                let error = self.error.clone();
                SyncStatus::Stale { since, error: error.unwrap_or_else(|| "the watch is down".to_owned()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_sync(now: Instant) -> SyncTracker {
        let mut tracker = SyncTracker::default();
        tracker.listed(now);
        tracker.watched();
        tracker.established();
        tracker
    }

    #[test]
    fn interrupted_watch_is_stale_after_grace() {
        let now = Instant::now();
        let mut tracker = in_sync(now);
        tracker.down(now, now);
        assert_eq!(tracker.status(), SyncStatus::Fresh);
        assert_eq!(tracker.deadline(), Some(now + GRACE));
        tracker.tick(now + GRACE);
        assert!(matches!(tracker.status(), SyncStatus::Stale { since, .. } if since == now));
        tracker.established();
        assert_eq!((tracker.status(), tracker.deadline()), (SyncStatus::Fresh, None));
    }

    #[test]
    fn silence_counts_from_last_sign_of_life() {
        let alive = Instant::now();
        let now = alive + Duration::from_secs(20);
        let mut tracker = in_sync(alive);
        tracker.down(alive, now);
        assert!(
            matches!(tracker.status(), SyncStatus::Stale { since, .. } if since == alive),
            "no more grace"
        );
    }

    #[test]
    fn consecutive_failures_do_not_prolong_grace() {
        let now = Instant::now();
        let mut tracker = in_sync(now);
        tracker.down(now, now);
        tracker.down(now + GRACE / 2, now + GRACE / 2);
        assert_eq!(tracker.deadline(), Some(now + GRACE));
    }

    #[test]
    fn first_list_without_a_watch_is_unsynced() {
        let now = Instant::now();
        let mut tracker = SyncTracker::default();
        tracker.listed(now);
        assert_eq!(tracker.status(), SyncStatus::Unsynced { error: None });
        tracker.tick(now + GRACE);
        assert_eq!(tracker.status(), SyncStatus::Unsynced { error: None });
        tracker.watched();
        tracker.established();
        assert_eq!(tracker.status(), SyncStatus::Fresh);
    }

    #[test]
    fn relist_without_watch_is_stale_after_grace() {
        let now = Instant::now();
        let mut tracker = in_sync(now);
        tracker.listed(now);
        assert_eq!(tracker.status(), SyncStatus::Fresh);
        tracker.tick(now + GRACE);
        assert!(matches!(tracker.status(), SyncStatus::Stale { .. }));
    }

    #[test]
    fn lost_changes_are_stale_at_once() {
        let now = Instant::now();
        let mut tracker = in_sync(now);
        tracker.down(now, now);
        tracker.lose(now + GRACE / 2);
        tracker.listing(true);
        assert_eq!(tracker.status(), SyncStatus::Resyncing { since: now, error: None });
    }
}
