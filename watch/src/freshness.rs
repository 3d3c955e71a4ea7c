//! How well the index is in step with the cluster: one state, which answers, readiness, status and metrics
//! all read.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poddns_core::{Freshness, Label};

/// What a watch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watch {
    /// Pods and their addresses.
    Pods,
    /// Which namespaces exist.
    Namespaces,
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pods => "pods",
            Self::Namespaces => "namespaces",
        })
    }
}

/// One watch, as status and readiness show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// What is watched.
    pub watch: Watch,
    /// The only namespace that is watched; `None` is the whole cluster.
    pub namespace: Option<Label>,
    /// How well this watch is in step.
    pub freshness: Freshness,
    /// Why it is not in step, as far as known. Gone once it is.
    pub error: Option<String>,
}

/// The state of all watches that an index depends on.
///
/// A clone shows the same state.
///
/// Each watch is unsynced until its first complete list, then fresh; a lost connection makes it stale, and a
/// new list resyncing, until that is complete:
///
/// ```text
/// Unsynced --fresh()--> Fresh --stale()--> Stale --resyncing()--> Resyncing --fresh()--> Fresh
///     `----restored()-----------------------^ ^------stale()----------'
/// ```
///
/// The index is as bad as the worst of its watches. Without any watch it is unsynced: nobody feeds it.
#[derive(Clone)]
pub struct Health(Arc<Shared>);

struct Shared {
    /// The worst of all, as [`State::pack`] writes it: read by every query, so it is one word.
    worst: AtomicU64,
    members: Mutex<Vec<Member>>,
    /// Where time is counted from.
    base: Instant,
}

struct Member {
    watch: Watch,
    namespace: Option<Label>,
    state: State,
    error: Option<String>,
}

/// One watch's part in [`Health`], for whoever runs the watch.
#[derive(Clone)]
pub struct WatchHealth {
    shared: Arc<Shared>,
    member: usize,
}

/// A state with the time at which the index was last in step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Resyncing(Since),
    Stale(Since),
    Unsynced,
}

/// Nanoseconds before (negative) or after [`Shared::base`].
type Since = i64;

/// Added to a [`Since`] to make it a positive number of 62 bits: 36 years either way.
const BIAS: i64 = 1 << 60;

/// A span as part of a [`Since`], at most 36 years.
fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).map_or(BIAS, |nanos| nanos.min(BIAS))
}

impl State {
    /// The state in the upper two bits, the time in the others.
    fn pack(self) -> u64 {
        let (kind, since) = match self {
            Self::Fresh => (0, 0),
            Self::Resyncing(since) => (1, since),
            Self::Stale(since) => (2, since),
            Self::Unsynced => (3, 0),
        };
        (kind << 62) | since.clamp(-BIAS, BIAS).saturating_add(BIAS).unsigned_abs()
    }

    fn unpack(word: u64) -> Self {
        let since = (word & (u64::MAX >> 2)).cast_signed().saturating_sub(BIAS);
        match word >> 62 {
            0 => Self::Fresh,
            1 => Self::Resyncing(since),
            2 => Self::Stale(since),
            _ => Self::Unsynced,
        }
    }

    fn since(self) -> Option<Since> {
        match self {
            Self::Fresh | Self::Unsynced => None,
            Self::Resyncing(since) | Self::Stale(since) => Some(since),
        }
    }

    /// The worse of two, and as old as the older.
    fn worse(self, other: Self) -> Self {
        let oldest = match (self.since(), other.since()) {
            (Some(one), Some(two)) => one.min(two),
            (one, two) => one.or(two).unwrap_or_default(),
        };
        match (self, other) {
            (Self::Unsynced, _) | (_, Self::Unsynced) => Self::Unsynced,
            (Self::Stale(_), _) | (_, Self::Stale(_)) => Self::Stale(oldest),
            (Self::Resyncing(_), _) | (_, Self::Resyncing(_)) => Self::Resyncing(oldest),
            (Self::Fresh, Self::Fresh) => Self::Fresh,
        }
    }
}

impl Shared {
    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        // A panic elsewhere leaves no half-made member: each change is one assignment.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self, at: Instant) -> Since {
        match at.checked_duration_since(self.base) {
            Some(after) => nanos(after),
            None => -nanos(self.base.saturating_duration_since(at)),
        }
    }

    #[cold]
    fn freshness(&self, state: State) -> Freshness {
        let age = |since: Since| {
            let now = self.since(Instant::now());
            Duration::from_nanos(u64::try_from(now.saturating_sub(since)).unwrap_or_default())
        };
        match state {
            State::Unsynced => Freshness::Unsynced,
            State::Fresh => Freshness::Fresh,
            State::Stale(since) => Freshness::Stale { age: age(since) },
            State::Resyncing(since) => Freshness::Resyncing { age: age(since) },
        }
    }

    /// Publishes the worst of all members. Called with the lock held, so that two changes cannot publish in
    /// the wrong order.
    fn publish(&self, members: &[Member]) {
        let worst = members.iter().map(|member| member.state).reduce(State::worse);
        self.worst.store(worst.unwrap_or(State::Unsynced).pack(), Ordering::Release);
    }
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Shared {
            worst: AtomicU64::new(State::Unsynced.pack()),
            members: Mutex::default(),
            base: Instant::now(),
        }))
    }
}

impl Health {
    /// Adds a watch that the index depends on, unsynced. The whole index is unsynced from now on, until this
    /// watch is fresh too.
    #[must_use]
    pub fn register(&self, watch: Watch, namespace: Option<Label>) -> WatchHealth {
        let mut members = self.0.members();
        members.push(Member { watch, namespace, state: State::Unsynced, error: None });
        self.0.publish(&members);
        WatchHealth { shared: Arc::clone(&self.0), member: members.len() - 1 }
    }

    /// The worst state of all watches, as old as the oldest. Neither blocks nor allocates.
    #[must_use]
    #[inline]
    pub fn freshness(&self) -> Freshness {
        match State::unpack(self.0.worst.load(Ordering::Acquire)) {
            // Each query asks, and only the other states have an age to work out.
            State::Fresh => Freshness::Fresh,
            state => self.0.freshness(state),
        }
    }

    /// The index was filled from a snapshot, which was in step `age` ago: all watches that are unsynced are stale
    /// instead.
    pub(crate) fn restored(&self, age: Duration) {
        let since = self.0.since(Instant::now()).saturating_sub(nanos(age));
        let mut members = self.0.members();
        for member in members.iter_mut().filter(|member| member.state == State::Unsynced) {
            member.state = State::Stale(since);
        }
        self.0.publish(&members);
    }

    /// Every watch, in the order of registration.
    #[must_use]
    pub fn watches(&self) -> Vec<WatchStatus> {
        let members = self.0.members();
        let status = |member: &Member| WatchStatus {
            watch: member.watch,
            namespace: member.namespace,
            freshness: self.0.freshness(member.state),
            error: member.error.clone(),
        };
        members.iter().map(status).collect()
    }

    /// The watches that are still without a complete list: what readiness waits for.
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

impl WatchHealth {
    /// The list is complete, and the watch goes on from it.
    pub fn fresh(&self) {
        self.change(|member| {
            member.state = State::Fresh;
            member.error = None;
        });
    }

    /// The watch is down, or its connection has gone silent. The index was last known to be in step at
    /// `since`; if it had been stale before, it stays as old as it was. An unsynced watch stays unsynced and
    /// only notes the error.
    pub fn stale(&self, since: Instant, error: impl Into<String>) {
        let since = self.shared.since(since);
        let next = |state| match state {
            State::Unsynced => State::Unsynced,
            State::Fresh => State::Stale(since),
            State::Stale(before) | State::Resyncing(before) => State::Stale(before.min(since)),
        };
        let error = error.into();
        self.change(|member| {
            member.state = next(member.state);
            member.error = Some(error);
        });
    }

    /// A new list is under way. The index was last known to be in sync at `since`; if it had been stale before, it
    /// stays as old as it was. An unsynced watch stays unsynced: this is its first list.
    pub fn resyncing(&self, since: Instant, error: Option<String>) {
        let since = self.shared.since(since);
        let next = |state| match state {
            State::Unsynced => State::Unsynced,
            State::Fresh => State::Resyncing(since),
            State::Stale(before) | State::Resyncing(before) => State::Resyncing(before.min(since)),
        };
        self.change(|member| {
            member.state = next(member.state);
            member.error = error.or(member.error.take());
        });
    }

    /// The index holds nothing of this cluster: it is as if there had been no list yet.
    pub(crate) fn forget(&self, error: String) {
        self.change(|member| {
            member.state = State::Unsynced;
            member.error = Some(error);
        });
    }

    /// How well this watch alone is in step.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        let state = self.shared.members().get(self.member).map_or(State::Unsynced, |member| member.state);
        self.shared.freshness(state)
    }

    fn change(&self, change: impl FnOnce(&mut Member)) {
        let mut members = self.shared.members();
        if let Some(member) = members.get_mut(self.member) {
            change(member);
        }
        self.shared.publish(&members);
    }
}

impl fmt::Debug for WatchHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHealth").field("freshness", &self.freshness()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(freshness: Freshness) -> Duration {
        freshness.age().unwrap_or_else(|| panic!("{freshness:?} has an age"))
    }

    #[test]
    fn nobody_feeds_it_at_first() {
        assert_eq!(Health::default().freshness(), Freshness::Unsynced);
    }

    #[test]
    fn waits_for_the_first_list_of_each_and_names_those_pending() {
        let health = Health::default();
        let pods = health.register(Watch::Pods, None);
        let namespaces = health.register(Watch::Namespaces, None);
        pods.resyncing(Instant::now(), None);
        pods.fresh();
        namespaces.stale(Instant::now(), "403 Forbidden");
        assert_eq!(health.freshness(), Freshness::Unsynced);
        let expected = WatchStatus {
            watch: Watch::Namespaces,
            namespace: None,
            freshness: Freshness::Unsynced,
            error: Some("403 Forbidden".to_owned()),
        };
        assert_eq!(health.pending(), [expected]);
        namespaces.fresh();
        assert_eq!(health.freshness(), Freshness::Fresh);
        assert_eq!(health.pending(), []);
        assert_eq!(health.watches().iter().filter(|status| status.error.is_some()).count(), 0);
    }

    #[test]
    fn a_watch_added_later_is_waited_for() {
        let health = Health::default();
        health.register(Watch::Pods, None).fresh();
        assert_eq!(health.freshness(), Freshness::Fresh);
        let late = health.register(Watch::Pods, "late".parse().ok());
        assert_eq!(health.freshness(), Freshness::Unsynced);
        late.fresh();
        assert_eq!(health.freshness(), Freshness::Fresh);
    }

    #[test]
    fn age_counts_from_when_it_was_last_in_step_through_any_number_of_tries() {
        let health = Health::default();
        let pods = health.register(Watch::Pods, None);
        pods.fresh();
        let before = Instant::now();
        let hour_ago = before.checked_sub(Duration::from_hours(1)).unwrap_or(before);
        pods.stale(hour_ago, "connection reset");
        assert!(matches!(health.freshness(), Freshness::Stale { .. }));
        pods.resyncing(Instant::now(), None);
        assert!(matches!(health.freshness(), Freshness::Resyncing { .. }));
        pods.stale(before, "again");
        assert!(matches!(health.freshness(), Freshness::Stale { .. }));
        assert!(age(health.freshness()) >= before.saturating_duration_since(hour_ago));
        pods.fresh();
        assert_eq!(health.freshness(), Freshness::Fresh);
    }

    #[test]
    fn the_worst_and_the_oldest_win() {
        use State::{Fresh, Resyncing, Stale, Unsynced};
        assert_eq!(Fresh.worse(Fresh), Fresh);
        assert_eq!(Fresh.worse(Resyncing(-4)), Resyncing(-4));
        assert_eq!(Resyncing(7).worse(Resyncing(5)), Resyncing(5));
        assert_eq!(Stale(7).worse(Resyncing(5)), Stale(5));
        assert_eq!(Resyncing(-9).worse(Stale(0)), Stale(-9));
        assert_eq!(Stale(1).worse(Unsynced), Unsynced);
    }

    #[test]
    fn a_snapshot_makes_stale_what_was_unsynced_and_may_be_older_than_the_process() {
        let health = Health::default();
        let pods = health.register(Watch::Pods, None);
        let namespaces = health.register(Watch::Namespaces, None);
        namespaces.fresh();
        health.restored(Duration::from_hours(24));
        assert_eq!(health.pending(), []);
        assert!(matches!(health.freshness(), Freshness::Stale { .. }));
        assert!(age(health.freshness()) >= Duration::from_hours(24));
        assert_eq!(namespaces.freshness(), Freshness::Fresh);
        pods.resyncing(Instant::now(), None);
        pods.stale(Instant::now(), "connection refused");
        assert!(age(health.freshness()) >= Duration::from_hours(24), "a failure does not make it younger");
        pods.fresh();
        health.restored(Duration::from_secs(1));
        assert_eq!(health.freshness(), Freshness::Fresh);
    }

    #[test]
    fn a_snapshot_of_unknown_age_is_older_than_any_limit() {
        let health = Health::default();
        let _pods = health.register(Watch::Pods, None);
        health.restored(Duration::MAX);
        assert!(age(health.freshness()) > Duration::from_hours(24 * 365 * 30));
    }

    #[test]
    fn states_survive_packing() {
        for since in [-BIAS, -1, 0, 1, 12345, BIAS] {
            for state in [State::Stale(since), State::Resyncing(since)] {
                assert_eq!(State::unpack(state.pack()), state);
            }
        }
        assert_eq!(State::unpack(State::Fresh.pack()), State::Fresh);
        assert_eq!(State::unpack(State::Unsynced.pack()), State::Unsynced);
    }
}
