use super::*;

fn age(freshness: Freshness) -> Duration {
    freshness.age().unwrap_or_else(|| panic!("{freshness:?} has an age"))
}

#[test]
fn index_without_watches_is_unsynced() {
    assert_eq!(Health::default().freshness(), Freshness::Unsynced);
}

#[test]
fn index_is_unsynced_until_all_watches_listed() {
    let health = Health::default();
    let pods = health.register(Resource::Pods, None);
    let namespaces = health.register(Resource::Namespaces, None);
    pods.resyncing(Instant::now(), None);
    pods.fresh();
    namespaces.stale(Instant::now(), "403 Forbidden");
    assert_eq!(health.freshness(), Freshness::Unsynced);
    let expected = WatchStatus {
        resource: Resource::Namespaces,
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
fn later_watch_makes_index_unsynced() {
    let health = Health::default();
    health.register(Resource::Pods, None).fresh();
    assert_eq!(health.freshness(), Freshness::Fresh);
    let late = health.register(Resource::Pods, "late".parse().ok());
    assert_eq!(health.freshness(), Freshness::Unsynced);
    late.fresh();
    assert_eq!(health.freshness(), Freshness::Fresh);
}

#[test]
fn age_counts_from_last_sync_through_retries() {
    let health = Health::default();
    let pods = health.register(Resource::Pods, None);
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
fn snapshot_older_than_process_is_stale() {
    let health = Health::default();
    let pods = health.register(Resource::Pods, None);
    let namespaces = health.register(Resource::Namespaces, None);
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
fn snapshot_of_unknown_age_exceeds_limits() {
    let health = Health::default();
    let _pods = health.register(Resource::Pods, None);
    health.restored(Duration::MAX);
    assert!(age(health.freshness()) > Duration::from_hours(24 * 365 * 30));
}

/// A clock that advances only when the test advances it.
#[derive(Clone, Default)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn health(&self) -> Health {
        let hand = Arc::clone(&self.0);
        Health::with_clock(FreshnessClock::new(move || Duration::from_nanos(hand.load(Ordering::Relaxed))))
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn freshness_that_is_not_renewed_ends() {
    let hand = ManualClock::default();
    let health = hand.health();
    let pods = health.register(Resource::Pods, None);
    pods.fresh_for(SECOND, SECOND * 10);
    hand.pass(SECOND * 9);
    assert_eq!(health.freshness(), Freshness::Fresh);
    hand.pass(SECOND);
    assert_eq!(health.freshness(), Freshness::Stale { age: SECOND * 11 }, "no task has run since");
    assert_eq!(pods.freshness(), health.freshness());
    let status = health.watches().remove(0);
    assert_eq!((status.freshness, status.error.as_deref()), (health.freshness(), Some(LAPSED)));
    pods.fresh_for(Duration::ZERO, SECOND);
    assert_eq!(health.freshness(), Freshness::Fresh);
    pods.fresh();
    hand.pass(Duration::from_hours(1000));
    assert_eq!(health.freshness(), Freshness::Fresh, "without a deadline");
}

#[test]
fn stop_before_the_renewal_lengthens_nothing() {
    let hand = ManualClock::default();
    let health = hand.health();
    let pods = health.register(Resource::Pods, None);
    let mut runs = pods.lapse_detector();
    hand.pass(LEASE / 2);
    runs.run().unwrap();
    hand.pass(LEASE);
    pods.fresh_since(&runs);
    assert_eq!(health.freshness(), Freshness::Stale { age: LEASE });
}

#[test]
fn one_check_decides_for_a_batch() {
    let hand = ManualClock::default();
    let health = hand.health();
    let pods = health.register(Resource::Pods, None);
    let namespaces = health.register(Resource::Namespaces, None);
    pods.fresh_for(Duration::ZERO, SECOND);
    namespaces.fresh_for(Duration::ZERO, SECOND * 3);
    hand.pass(SECOND * 2);
    assert_eq!(health.checked_freshness(), Freshness::Fresh, "as at the last check");
    health.check();
    assert_eq!(health.checked_freshness(), Freshness::Stale { age: SECOND * 2 });
    namespaces.fresh_for(Duration::ZERO, SECOND * 3);
    assert_eq!(health.checked_freshness(), Freshness::Stale { age: SECOND * 2 }, "pods were not renewed");
    pods.fresh_for(Duration::ZERO, SECOND);
    health.check();
    assert_eq!(health.checked_freshness(), Freshness::Fresh);
}

#[test]
fn lapsed_watch_keeps_its_age() {
    let hand = ManualClock::default();
    let health = hand.health();
    let pods = health.register(Resource::Pods, None);
    pods.fresh_for(Duration::ZERO, SECOND);
    hand.pass(SECOND * 100);
    pods.stale(Instant::now(), "the watch is down");
    assert_eq!(age(health.freshness()), SECOND * 100);
}

#[test]
fn lapse_of_feed_is_reported_once() {
    let hand = ManualClock::default();
    let mut counter = hand.health().register(Resource::Pods, None).lapse_detector();
    hand.pass(LEASE / 2);
    assert_eq!(counter.run(), Ok(()));
    hand.pass(LEASE);
    assert_eq!(counter.run(), Err(Lapse(LEASE)));
    assert_eq!(counter.run(), Ok(()));
}

#[test]
fn namespaces_have_a_state_of_their_own() {
    let health = Health::default();
    assert_eq!(health.namespace_freshness(), Freshness::Unsynced);
    let pods = health.register(Resource::Pods, None);
    pods.fresh();
    assert_eq!(health.namespace_freshness(), Freshness::Fresh, "one watch stands for all");
    let namespaces = health.register(Resource::Namespaces, None);
    assert_eq!(health.namespace_freshness(), Freshness::Unsynced);
    namespaces.fresh();
    pods.stale(Instant::now(), "down");
    assert_eq!(health.namespace_freshness(), Freshness::Fresh);
    assert!(matches!(health.freshness(), Freshness::Stale { .. }));
    namespaces.stale(Instant::now(), "down");
    assert!(matches!(health.namespace_freshness(), Freshness::Stale { .. }));
}
