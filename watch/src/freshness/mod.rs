//! Synchronisation of the index with the cluster: one shared state, read by responses, readiness, status and metrics.

mod clock;
mod state;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poddns_core::{Freshness, Label};

use crate::Resource;
use clock::FreshnessClock;
use state::{Moment, NEVER, WatchState, nanos};

/// Time for which a watch counts as in sync after its feed has last run. A process that was stopped or suspended is
/// therefore stale from its first query on, before the feed has run again.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// The state of one watch, as reported by status and readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// The watched resource.
    pub resource: Resource,
    /// The only namespace that is watched; `None` is the whole cluster.
    pub namespace: Option<Label>,
    /// State of this watch.
    pub freshness: Freshness,
    /// Reason why it is out of sync, if known. `None` once it is in sync.
    pub error: Option<String>,
}

impl fmt::Display for WatchStatus {
    /// Writes the watched resource and the reason why it is not in sync: `pods in namespace a: connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.as_str())?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in namespace {namespace}"))?;
        self.error.iter().try_for_each(|error| write!(f, ": {error}"))
    }
}

/// The state of all watches that an index depends on.
///
/// Clones share the same state.
///
/// Each watch is unsynced until its first complete list, then fresh. A lost connection makes it stale; a new list makes
/// it resyncing until the list is complete:
///
/// ```text
/// Unsynced --fresh()--> Fresh --stale()--> Stale --resyncing()--> Resyncing --fresh()--> Fresh
///     `----restored()-----------------------^ ^------stale()----------'
/// ```
///
/// The state of the index is the worst state of its watches, or unsynced if there are none.
///
/// A watch can be fresh until a deadline: it is stale once the deadline has passed, even if no task has run since. The
/// deadline is on a clock that advances while the machine is suspended, if the system has one.
#[derive(Clone)]
pub struct Health(Arc<SharedHealth>);

struct SharedHealth {
    /// The worst state of all watches, as [`WatchState::pack`] encodes it. Every query reads it, so it is one word.
    worst: AtomicU64,
    /// Latest time at which all watches that are fresh until a deadline were known to be in sync.
    in_sync: AtomicI64,
    members: Mutex<Vec<RegisteredWatch>>,
    clock: FreshnessClock,
}

struct RegisteredWatch {
    resource: Resource,
    namespace: Option<Label>,
    state: WatchState,
    /// Latest time at which it was known to be in sync, if it is fresh until a deadline.
    in_sync: Moment,
    error: Option<String>,
}

impl RegisteredWatch {
    /// The state at this moment.
    const fn state_at(&self, now: Moment) -> WatchState {
        match self.state {
            WatchState::Fresh(until) if until != NEVER && now >= until => WatchState::Stale(self.in_sync),
            state => state,
        }
    }
}

/// Time for which a feed has not run, at least [`LEASE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lapse(pub(crate) Duration);

/// Handle to one watch in [`Health`], for the task that runs the watch.
#[derive(Clone)]
pub struct WatchHealth {
    shared: Arc<SharedHealth>,
    member: usize,
}

impl SharedHealth {
    fn members(&self) -> MutexGuard<'_, Vec<RegisteredWatch>> {
        // A panic elsewhere leaves no partly updated member: each change is one assignment.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the freshness that `state` stands for at this moment.
    #[cold]
    fn freshness(&self, state: WatchState) -> Freshness {
        let now = self.clock.now();
        let age = |since: Moment| {
            Duration::from_nanos(u64::try_from(now.saturating_sub(since)).unwrap_or_default())
        };
        match state {
            WatchState::Unsynced => Freshness::Unsynced,
            WatchState::Fresh(until) if until == NEVER || now < until => Freshness::Fresh,
            WatchState::Fresh(_) => Freshness::Stale { age: age(self.in_sync.load(Ordering::Relaxed)) },
            WatchState::Stale(since) => Freshness::Stale { age: age(since) },
            WatchState::Resyncing(since) => Freshness::Resyncing { age: age(since) },
        }
    }

    /// Returns the worst state of the namespace watches; `None` if there are none.
    #[cold]
    fn of_namespaces(&self) -> Option<Freshness> {
        let (members, now) = (self.members(), self.clock.now());
        let of_namespaces = members.iter().filter(|member| member.resource == Resource::Namespaces);
        of_namespaces
            .map(|member| member.state_at(now))
            .reduce(WatchState::worse)
            .map(|state| self.freshness(state))
    }

    /// Publishes the worst state of all members. The caller holds the lock, so two changes cannot be published in the
    /// wrong order.
    fn publish(&self, members: &[RegisteredWatch]) {
        let now = self.clock.now();
        let in_sync = members.iter().map(|member| member.in_sync).min();
        // Before the word, so that a reader of the word sees this value or a newer one.
        self.in_sync.store(in_sync.unwrap_or(NEVER), Ordering::Relaxed);
        let worst = members.iter().map(|member| member.state_at(now)).reduce(WatchState::worse);
        self.worst.store(worst.unwrap_or(WatchState::Unsynced).pack(), Ordering::Release);
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::with_clock(FreshnessClock::default())
    }
}

impl Health {
    fn with_clock(clock: FreshnessClock) -> Self {
        Self(Arc::new(SharedHealth {
            worst: AtomicU64::new(WatchState::Unsynced.pack()),
            in_sync: AtomicI64::new(NEVER),
            members: Mutex::default(),
            clock,
        }))
    }

    /// Adds a watch that the index depends on, unsynced. The whole index is unsynced until this watch is fresh too.
    #[must_use]
    pub fn register(&self, resource: Resource, namespace: Option<Label>) -> WatchHealth {
        let mut members = self.0.members();
        members.push(RegisteredWatch {
            resource,
            namespace,
            state: WatchState::Unsynced,
            in_sync: NEVER,
            error: None,
        });
        self.0.publish(&members);
        WatchHealth { shared: Arc::clone(&self.0), member: members.len() - 1 }
    }

    /// Returns the worst state of all watches, with the age of the oldest one. Neither blocks nor allocates.
    #[must_use]
    #[inline]
    pub fn freshness(&self) -> Freshness {
        match WatchState::unpack(self.0.worst.load(Ordering::Acquire)) {
            WatchState::Fresh(NEVER) => Freshness::Fresh,
            state => self.0.freshness(state),
        }
    }

    /// Returns the worst state of the namespace watches, or of all watches if there are no namespace watches. If the
    /// index is out of sync, this takes the lock that state changes take.
    #[must_use]
    #[inline]
    pub fn namespace_freshness(&self) -> Freshness {
        match self.freshness() {
            Freshness::Fresh => Freshness::Fresh,
            worst => self.0.of_namespaces().unwrap_or(worst),
        }
    }

    /// Marks the index as stale if its freshness deadline has passed, for
    /// [`checked_freshness`](Self::checked_freshness). Neither blocks nor allocates.
    ///
    /// For servers that answer queries in batches: called between receiving a batch and answering it, this reads the
    /// clock once for the whole batch.
    #[inline]
    pub fn check(&self) {
        let word = self.0.worst.load(Ordering::Acquire);
        match WatchState::unpack(word) {
            WatchState::Fresh(until) if until != NEVER && self.0.clock.now() >= until => self.expire(word),
            _ => {}
        }
    }

    #[cold]
    fn expire(&self, word: u64) {
        let stale = WatchState::Stale(self.0.in_sync.load(Ordering::Relaxed));
        // If the word has changed, a watch was renewed or has failed meanwhile, and the new word is valid.
        let _ = self.0.worst.compare_exchange(word, stale.pack(), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Returns the result of [`freshness`](Self::freshness) at the last [`check`](Self::check), or the new state if a
    /// watch has changed since. For a fresh index this costs one load.
    #[must_use]
    #[inline]
    pub fn checked_freshness(&self) -> Freshness {
        match WatchState::unpack(self.0.worst.load(Ordering::Acquire)) {
            WatchState::Fresh(_) => Freshness::Fresh,
            state => self.0.freshness(state),
        }
    }

    /// Reports that the index was filled from a snapshot that was in sync `age` ago: all unsynced watches become stale.
    pub(crate) fn restored(&self, age: Duration) {
        let since = self.0.clock.now().saturating_sub(nanos(age));
        let mut members = self.0.members();
        for member in members.iter_mut().filter(|member| member.state == WatchState::Unsynced) {
            member.state = WatchState::Stale(since);
        }
        self.0.publish(&members);
    }

    /// Returns the state of every watch, in the order of registration.
    #[must_use]
    pub fn watches(&self) -> Vec<WatchStatus> {
        let (members, now) = (self.0.members(), self.0.clock.now());
        let status = |member: &RegisteredWatch| {
            let state = member.state_at(now);
            let lapsed = (state != member.state).then(|| LAPSED.to_owned());
            WatchStatus {
                resource: member.resource,
                namespace: member.namespace,
                freshness: self.0.freshness(state),
                error: lapsed.or_else(|| member.error.clone()),
            }
        };
        members.iter().map(status).collect()
    }

    /// Returns the watches without a complete list yet; readiness waits for them.
    #[must_use]
    pub fn pending(&self) -> Vec<WatchStatus> {
        let mut watches = self.watches();
        watches.retain(|status| status.freshness == Freshness::Unsynced);
        watches
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.watches()).finish()
    }
}

/// Reported error of a watch that is stale because its feed has not run.
const LAPSED: &str = "its feed has not run in time: the process or the machine was stopped, is overloaded, or reads a file of a \
                      file system that does not answer";

impl WatchHealth {
    /// Reports that the list is complete and the watch continues from it. Fresh until another state is reported.
    pub fn fresh(&self) {
        self.change(|member, _| {
            (member.state, member.in_sync) = (WatchState::Fresh(NEVER), NEVER);
            member.error = None;
        });
    }

    /// Reports that the index was in sync `ago`, and counts as in sync for `span` from now on.
    pub(crate) fn fresh_for(&self, ago: Duration, span: Duration) {
        self.change(|member, now| {
            member.state = WatchState::Fresh(now.saturating_add(nanos(span)));
            member.in_sync = now.saturating_sub(nanos(ago));
            member.error = None;
        });
    }

    /// Reports that the index was in sync when its feed last ran, and counts as in sync for [`LEASE`] from then on. A
    /// suspension of the process between that run and this call does not extend the deadline.
    pub(crate) fn fresh_since(&self, runs: &LapseDetector) {
        let ran = runs.ran;
        self.change(|member, _| {
            (member.state, member.in_sync) = (WatchState::Fresh(ran.saturating_add(nanos(LEASE))), ran);
            member.error = None;
        });
    }

    /// Reports that the watch is down, or that its connection is silent. The index was last known to be in sync at
    /// `since`; if it was stale before, it keeps the older time. An unsynced watch stays unsynced and only records the
    /// error.
    pub fn stale(&self, since: Instant, error: impl Into<String>) {
        let (since, error) = (self.shared.clock.at(since), error.into());
        self.change(|member, now| {
            member.state = match member.state_at(now) {
                WatchState::Unsynced => WatchState::Unsynced,
                WatchState::Fresh(_) => WatchState::Stale(since),
                WatchState::Stale(before) | WatchState::Resyncing(before) => {
                    WatchState::Stale(before.min(since))
                }
            };
            member.error = Some(error);
        });
    }

    /// Reports that a new list is under way. The index was last known to be in sync at `since`; if it was stale before,
    /// it keeps the older time. An unsynced watch stays unsynced: this is its first list.
    pub fn resyncing(&self, since: Instant, error: Option<String>) {
        let since = self.shared.clock.at(since);
        self.change(|member, now| {
            member.state = match member.state_at(now) {
                WatchState::Unsynced => WatchState::Unsynced,
                WatchState::Fresh(_) => WatchState::Resyncing(since),
                WatchState::Stale(before) | WatchState::Resyncing(before) => {
                    WatchState::Resyncing(before.min(since))
                }
            };
            member.error = error.or(member.error.take());
        });
    }

    /// Reports that the index contains nothing of this cluster, as before the first list.
    pub(crate) fn forget(&self, error: String) {
        self.change(|member, _| {
            member.state = WatchState::Unsynced;
            member.error = Some(error);
        });
    }

    /// Returns the state of this watch alone.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        let (members, now) = (self.shared.members(), self.shared.clock.now());
        self.shared
            .freshness(members.get(self.member).map_or(WatchState::Unsynced, |member| member.state_at(now)))
    }

    /// Returns a detector of gaps between runs of the feed of this watch.
    pub(crate) fn lapse_detector(&self) -> LapseDetector {
        LapseDetector { ran: self.shared.clock.now(), clock: self.shared.clock.clone() }
    }

    fn change(&self, change: impl FnOnce(&mut RegisteredWatch, Moment)) {
        let mut members = self.shared.members();
        if let Some(member) = members.get_mut(self.member) {
            change(member, self.shared.clock.now());
            if !matches!(member.state, WatchState::Fresh(_)) {
                member.in_sync = NEVER;
            }
        }
        self.shared.publish(&members);
    }
}

/// Detects that a feed has not run for [`LEASE`] or longer.
#[derive(Clone)]
pub(crate) struct LapseDetector {
    clock: FreshnessClock,
    ran: Moment,
}

impl LapseDetector {
    /// Records that the feed runs. Fails if it has not run for [`LEASE`] or longer.
    pub(crate) fn run(&mut self) -> Result<(), Lapse> {
        let now = self.clock.now();
        let span = now.saturating_sub(std::mem::replace(&mut self.ran, now));
        if span < nanos(LEASE) { Ok(()) } else { Err(Lapse(Duration::from_nanos(span.unsigned_abs()))) }
    }
}

impl fmt::Debug for WatchHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHealth").field("freshness", &self.freshness()).finish_non_exhaustive()
    }
}
