//! Failures and their consequences.

use super::*;

#[test]
fn expired_watch_lists_no_older_version() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.event(EventKind::Modified, (1, 1, "12"));
    bench.refuse(410, "too old resource version");
    assert!(bench.is_immediate());
    assert!(matches!(bench.machine.status(), SyncStatus::Stale { .. }), "changes are lost");
    let read = ListConsistency::NotOlderThan("12".to_owned());
    assert_eq!(bench.request(), ApiRequest::List { read, limit: None, continue_token: None });
    bench.accept();
    assert!(matches!(bench.machine.status(), SyncStatus::Resyncing { .. }));
}

#[test]
fn lists_after_outage_are_spread_over_time() {
    let latest = |outage| {
        let delay = |seed| {
            let mut bench = Bench::in_sync(&CACHED_FIRST);
            bench.machine.random = fastrand::Rng::with_seed(seed);
            bench.fail(&Cause::broken("reset"));
            bench.now += Duration::from_secs(outage);
            bench.confirm("a", "20");
            bench.request();
            let before = bench.now;
            bench.refuse(410, "too old resource version");
            bench.machine.not_before.map_or(Duration::ZERO, |at| at - before)
        };
        (0..100).map(delay).max().unwrap().as_millis()
    };
    assert!((250..=550).contains(&latest(4)), "{}", latest(4));
    assert!((500..=1000).contains(&latest(600)), "no list is more than a second late: {}", latest(600));
}

#[test]
fn repeated_expiry_is_slowed_down() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.refuse(410, "too old");
    bench.list("10");
    bench.request();
    bench.refuse(410, "too old");
    assert!(!bench.is_immediate());
}

#[test]
fn server_behind_the_index_is_read_consistently() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.refuse(410, "too old");
    assert!(matches!(bench.request(), ApiRequest::List { read: ListConsistency::NotOlderThan(_), .. }));
    bench.refuse(504, "Timeout: Too large resource version: 10, current: 5");
    assert!(bench.is_immediate());
    assert!(matches!(bench.request(), ApiRequest::StreamingList { read: ListConsistency::Consistent, .. }));
}

#[test]
fn error_events_lead_to_what_they_mean() {
    for (code, lists) in [(410, true), (429, false), (500, false), (503, false), (504, false), (418, true)] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        bench.refuse(code, "as scripted");
        let mut request = bench.request();
        if request == ApiRequest::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
            request = bench.request();
        }
        assert_eq!(matches!(request, ApiRequest::List { .. }), lists, "{code}: {request:?}");
    }
}

#[test]
fn third_consecutive_internal_error_relists() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for number in 1..=3 {
        bench.refuse(500, "etcd is ill");
        let mut request = bench.request();
        if request == ApiRequest::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
            request = bench.request();
        }
        assert_eq!(matches!(request, ApiRequest::List { .. }), number == 3, "{number}");
    }
}

#[test]
fn retry_after_is_honoured_up_to_limit() {
    for (asked, least, most) in [(7, 7, 8), (1_000_000, 120, 121)] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        let retry_after = Some(Duration::from_secs(asked));
        bench.fail(&Cause::Status(Refusal { code: 429, message: String::new(), retry_after }));
        let delay = bench.machine.not_before.unwrap() - bench.now;
        assert!((least..most).contains(&delay.as_secs()), "{delay:?}");
    }
}

#[test]
fn malformed_change_leads_to_a_list() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.unreadable(bench.now, EventKind::Modified, "nonsense");
    assert!(matches!(bench.machine.goal, Goal::List(ListConsistency::NotOlderThan(_))));
}

#[test]
fn every_failure_is_stale_after_grace() {
    let causes = [
        Cause::Credentials(Box::<dyn std::error::Error + Send + Sync>::from("the plugin hangs").into()),
        Cause::unreachable("refused"),
        Cause::Status(Refusal { code: 401, ..Refusal::default() }),
        Cause::Status(Refusal { code: 503, ..Refusal::default() }),
        Cause::broken("reset"),
    ];
    for cause in causes {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        let down = bench.now;
        bench.fail(&cause);
        bench.pass(GRACE / 2);
        assert_eq!(bench.machine.status(), SyncStatus::Fresh, "{cause:?}");
        bench.pass(GRACE / 2);
        let status = bench.machine.status();
        assert!(matches!(status, SyncStatus::Stale { since, .. } if since == down), "{cause:?}: {status:?}");
    }
}

#[test]
fn unresponsive_server_is_stale_after_grace() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.ended(bench.now);
    bench.request();
    assert!(matches!(bench.machine.poll(bench.now), MachineStep::Wait(Some(at)) if at <= bench.now + GRACE));
    bench.pass(GRACE);
    assert!(matches!(bench.machine.status(), SyncStatus::Stale { .. }));
}

#[test]
fn returned_server_is_tried_at_once() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for _ in 0..20 {
        bench.fail(&Cause::unreachable("refused"));
        bench.request();
    }
    bench.fail(&Cause::unreachable("refused"));
    let delay = bench.machine.not_before.unwrap() - bench.now;
    assert!(delay <= Duration::from_millis(500), "{delay:?}");
    bench.machine.server_is_up();
    assert!(bench.is_immediate());
    // The delay after a refusal is not shortened.
    bench.request();
    bench.refuse(429, "no");
    bench.machine.server_is_up();
    assert!(!bench.is_immediate());
}

#[test]
fn forbidden_after_restart_names_no_role() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::broken("restart"));
    bench.confirm("a", "10");
    bench.request();
    bench.refuse(403, "pods is forbidden");
    let text = |bench: &mut Bench| format!("{:?}", bench.notices().pop());
    assert!(text(&mut bench).contains("loading its RBAC rules"));
    bench.now += Duration::from_mins(1);
    bench.confirm("a", "10");
    bench.request();
    bench.refuse(403, "pods is forbidden");
    assert!(text(&mut bench).contains("ClusterRole"), "it has had time enough");
}

#[test]
fn stopped_process_begins_its_watch_again() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    let stopped = bench.now;
    bench.now += Duration::from_mins(1);
    bench.machine.stopped(bench.now, Duration::from_mins(1));
    let status = bench.machine.status();
    assert!(matches!(status, SyncStatus::Stale { since, .. } if since == stopped), "{status:?}");
    bench.confirm("a", "10");
    assert!(matches!(bench.request(), ApiRequest::Watch { version, .. } if version == "10"));
    bench.accept();
    bench.pass(SETTLE);
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
}

#[test]
fn stopped_process_begins_its_list_again() {
    for methods in [CACHED_FIRST.as_slice(), &STREAMING_FIRST] {
        let mut bench = Bench::new(methods);
        bench.confirm("a", "10");
        let request = bench.request();
        bench.accept();
        for _ in 0..3 {
            bench.machine.stopped(bench.now, Duration::from_mins(1));
            bench.confirm("a", "10");
            let again = bench.request();
            assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&request), "{again:?}");
            bench.accept();
        }
    }
}

#[test]
fn transiently_refused_identity_is_requested_again() {
    for code in [401, 408, 429, 500, 503] {
        let mut bench = Bench::new(&CACHED_FIRST);
        for _ in 0..3 {
            assert_eq!(bench.request(), ApiRequest::Identify, "{code}");
            bench.refuse(code, "not now");
        }
    }
}

#[test]
fn missing_role_is_named_at_once() {
    let text = |message: &str| {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        bench.refuse(403, message);
        format!("{:?}", bench.notices().pop())
    };
    assert!(text("pods is forbidden").contains("ClusterRole with the rule"), "nothing was restarted");
    assert!(text("RBAC: clusterrole \"poddns\" not found").contains("loading its RBAC rules"));
}

#[test]
fn methods_are_given_up_for_permanent_failures() {
    for (code, given_up) in [(400, true), (405, true), (422, true), (408, false), (429, false), (500, false)]
    {
        let mut bench = Bench::new(&CACHED_FIRST);
        bench.confirm("a", "10");
        bench.request();
        bench.refuse(code, "no");
        let kept = bench.machine.listing.choose(&ListConsistency::Any) == ListMethod::Cached;
        assert_eq!(kept, !given_up, "{code}");
    }
}

#[test]
fn answers_without_lists_are_retried_once() {
    let mut bench = Bench::new(&CACHED_FIRST);
    for method in [ListMethod::Cached, ListMethod::Streaming] {
        while bench.request() == ApiRequest::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
        }
        assert_eq!(bench.machine.listing.choose(&ListConsistency::Any), ListMethod::Cached);
        bench.fail(&Cause::garbage("<html>"));
        assert_eq!(
            bench.machine.listing.choose(&ListConsistency::Any) == ListMethod::Cached,
            method == ListMethod::Cached
        );
    }
}

#[test]
fn short_broken_watch_is_delayed() {
    let delay = |lived: Duration| {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        bench.pass(lived.saturating_sub(SETTLE));
        bench.fail(&Cause::broken("reset"));
        (bench.machine.not_before.unwrap() - bench.now).as_millis()
    };
    assert!(delay(SHORT_WATCH) <= 100, "{}", delay(SHORT_WATCH));
    assert!(delay(SETTLE) >= 250, "{}", delay(SETTLE));
}
