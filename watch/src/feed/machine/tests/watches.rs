//! Watches, and for how long the index counts as in sync.

use super::*;

#[test]
fn watch_ended_in_time_resumes_fresh() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.pass(SHORT_WATCH);
    bench.machine.heard(bench.now);
    bench.machine.ended(bench.now);
    assert!(bench.is_immediate());
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
    bench.accept();
    bench.pass(GRACE * 2);
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
    assert_eq!(bench.notices().iter().filter(|notice| matches!(notice, Notice::Failed { .. })).count(), 0);
}

#[test]
fn short_watches_are_begun_with_backoff() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    let before = bench.now;
    for _ in 0..50 {
        bench.machine.ended(bench.now);
        while bench.request() == ApiRequest::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
        }
        bench.accept();
    }
    assert!(bench.now - before > Duration::from_mins(5), "{:?} for fifty watches", bench.now - before);
}

#[test]
fn quiet_watch_lasts_until_its_end() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for _ in 0..3 {
        bench.pass(Duration::from_secs(75));
        bench.machine.bookmark(bench.now, "10", false);
        assert!(bench.machine.is_waiting());
    }
    assert_eq!(
        (bench.notices(), bench.machine.status()),
        (vec![Notice::Listed { method: ListMethod::Cached, removed: 0 }], SyncStatus::Fresh)
    );
}

#[test]
fn interrupted_watch_is_fresh_after_catching_up() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::broken("reset"));
    bench.now += GRACE * 2;
    bench.confirm("a", "20");
    bench.request();
    bench.accept();
    bench.event(EventKind::Modified, (1, 1, "15"));
    assert!(matches!(bench.machine.status(), SyncStatus::Stale { .. }));
    bench.event(EventKind::Modified, (1, 1, "20"));
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
}
