//! Comparisons of the index with the cluster.

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// Returns a bench with a comparison under way.
fn resyncing() -> Bench {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.resync_every(Some(HOUR));
    assert_eq!(bench.machine.poll_resync(bench.now), None, "not at once");
    assert_eq!(bench.machine.poll_resync(bench.now + HOUR / 2), None);
    bench.now += HOUR * 2;
    let read = ListConsistency::NotOlderThan("10".to_owned());
    let expected = ApiRequest::List { read, limit: None, continue_token: None };
    assert_eq!(bench.machine.poll_resync(bench.now), Some(expected));
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
    bench.notices();
    bench
}

fn differences(bench: &mut Bench) -> Vec<(IndexDifference, String)> {
    let differs = |notice| match notice {
        Notice::Differs { difference, object } => Some((difference, object)),
        _ => None,
    };
    bench.notices().into_iter().filter_map(differs).collect()
}

#[test]
fn comparison_mends_what_is_certain() {
    let mut bench = resyncing();
    bench.event(EventKind::Modified, (102, 1, "11"));
    bench.machine.resync_listed(&(1, 1, "5"));
    bench.machine.resync_listed(&(101, 1, "10"));
    bench.machine.resync_listed(&(102, 1, "5"));
    bench.machine.resync_listed(&(103, 1, "12"));
    assert_eq!(bench.diary(), "compare +102.1 ?1 ?101 +101.1 ?102 ?103", "one is touched, one is newer");
    assert_eq!(differences(&mut bench), [(IndexDifference::Missing, "101".to_owned())]);
}

#[test]
fn comparison_sweeps_after_watch_caught_up() {
    let mut bench = resyncing();
    bench.machine.resync_ended("12");
    assert_eq!(bench.diary(), "compare");
    bench.event(EventKind::Deleted, (1, 1, "11"));
    assert_eq!(bench.diary(), "-1.1");
    bench.machine.bookmark(bench.now, "12", false);
    assert_eq!(bench.diary(), "compared");
    assert!(bench.machine.notices.contains(&Notice::Compared));
    assert_eq!(differences(&mut bench), [(IndexDifference::Gone, "ghost".to_owned())]);
}

#[test]
fn comparison_with_older_list_sweeps_nothing() {
    let mut bench = resyncing();
    bench.machine.resync_ended("9");
    assert_eq!(bench.diary(), "compare");
    assert!(
        matches!(&bench.notices()[..], [Notice::ComparisonFailed { why }] if why.contains("older than the requested 10"))
    );
}

#[test]
fn comparison_that_is_interrupted_sweeps_nothing() {
    let mut bench = resyncing();
    bench.refuse(410, "too old");
    bench.list("20");
    bench.machine.resync_listed(&(101, 1, "5"));
    bench.machine.resync_ended("15");
    assert_eq!(bench.diary(), "compare begin end");
    assert!(!bench.machine.is_resyncing());
    let given_up = |notice: &Notice| matches!(notice, Notice::ComparisonFailed { .. });
    assert_eq!(bench.notices().iter().filter(|notice| given_up(notice)).count(), 1);
}

#[test]
fn comparison_is_off_without_an_interval() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.resync_every(None);
    assert_eq!(bench.machine.poll_resync(bench.now + HOUR * 1000), None);
    assert_eq!(bench.machine.resync_deadline(), None);
}
