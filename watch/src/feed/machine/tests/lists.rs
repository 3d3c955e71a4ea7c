//! Lists, by any method.

use super::*;

#[test]
fn first_list_comes_from_the_cache() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.confirm("a", "10");
    assert_eq!(
        bench.request(),
        ApiRequest::List { read: ListConsistency::Any, limit: None, continue_token: None }
    );
    bench.accept();
    bench.machine.listed(&(1, 1, "7"));
    assert_eq!(bench.machine.status(), SyncStatus::Unsynced { error: None });
    bench.machine.list_ended(bench.now, "9", None);
    assert_eq!(bench.machine.status(), SyncStatus::Unsynced { error: None }, "a watch must follow");
    assert_eq!(bench.diary(), "begin +1.1 end");
    assert!(matches!(bench.request(), ApiRequest::Watch { version, .. } if version == "9"));
    bench.accept();
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
}

#[test]
fn deletions_during_streaming_list_are_kept() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.event(EventKind::Added, (1, 1, "3"));
    bench.event(EventKind::Deleted, (2, 2, "11"));
    bench.event(EventKind::Modified, (3, 3, "12"));
    bench.event(EventKind::Added, (2, 2, "4"));
    bench.event(EventKind::Added, (3, 3, "5"));
    // Created again: newer than the deletion.
    bench.event(EventKind::Added, (2, 4, "13"));
    bench.machine.bookmark(bench.now, "13", true);
    assert_eq!(bench.diary(), "begin +1.1 -2.2 +3.3 +2.4 end");
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
    bench.event(EventKind::Deleted, (1, 1, "14"));
    assert_eq!(bench.diary(), "-1.1");
}

#[test]
fn truncated_list_restarts_without_sweep() {
    for methods in [&CACHED_FIRST[..], &STREAMING_FIRST[..]] {
        let mut bench = Bench::in_sync(methods);
        bench.refuse(410, "too old");
        bench.request();
        bench.accept();
        bench.fail(&Cause::broken("reset"));
        assert_eq!(bench.diary(), "begin");
        bench.confirm("a", "20");
        bench.list("20");
        assert_eq!(bench.diary(), "begin end");
    }
}

#[test]
fn refused_streaming_lists_become_pages() {
    for (code, counted) in [(400, 0), (422, 0), (500, 0)] {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        assert!(matches!(bench.request(), ApiRequest::StreamingList { .. }));
        bench.refuse(code, "no");
        assert!(bench.is_immediate(), "{code}");
        let notices = bench.notices();
        assert!(notices.iter().any(|notice| matches!(notice, Notice::GaveUp { .. })), "{code}");
        let failed = notices.iter().filter(|notice| matches!(notice, Notice::Failed { .. })).count();
        assert_eq!(failed, counted, "{code} is how an older server answers, no failure");
        assert!(matches!(bench.request(), ApiRequest::List { limit: Some(2), .. }), "{code}");
    }
}

#[test]
fn refusals_that_may_pass_keep_streaming_lists() {
    for code in [401, 403, 404, 429, 503] {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        for _ in 0..5 {
            while bench.request() == ApiRequest::Identify {
                bench.machine.accepted(bench.now);
                bench.machine.identified(bench.now, Some("a"), "10");
            }
            bench.refuse(code, "no");
        }
        assert_eq!(
            bench.machine.listing.choose(&ListConsistency::Consistent),
            ListMethod::Streaming,
            "{code}"
        );
    }
}

#[test]
fn streaming_list_without_an_end_becomes_pages() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.event(EventKind::Added, (1, 1, "3"));
    bench.now += STREAM_SILENCE;
    assert!(
        matches!(bench.machine.poll(bench.now), MachineStep::Send(ApiRequest::Identify)),
        "heard too long ago"
    );
    bench.machine.accepted(bench.now);
    bench.machine.identified(bench.now, Some("a"), "10");
    assert!(matches!(bench.request(), ApiRequest::List { limit: Some(2), .. }));
    assert_eq!(bench.diary(), "begin +1.1", "nothing is swept");
}

#[test]
fn streaming_lists_that_end_early_become_pages() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    for _ in 0..2 {
        while bench.request() == ApiRequest::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
        }
        bench.accept();
        bench.machine.ended(bench.now);
    }
    assert_eq!(bench.machine.listing.choose(&ListConsistency::Consistent), ListMethod::Paged);
}

#[test]
fn expired_page_restarts_with_larger_pages() {
    let mut bench = Bench::new(&[ListMethod::Paged]);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "10", Some("token".to_owned()));
    assert!(matches!(bench.request(), ApiRequest::List { continue_token: Some(_), .. }));
    bench.refuse(410, "The provided continue parameter is too old");
    assert!(bench.is_immediate());
    let expected =
        ApiRequest::List { read: ListConsistency::Consistent, limit: Some(8), continue_token: None };
    assert_eq!(bench.request(), expected);
}

#[test]
fn pages_of_a_restored_history_begin_again() {
    let mut bench = Bench::new(&[ListMethod::Paged]);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "10", Some("token".to_owned()));
    bench.now += CONTACT + Duration::from_secs(1);
    bench.confirm("a", "9");
    assert!(matches!(bench.request(), ApiRequest::List { continue_token: None, .. }));
}

#[test]
fn inconsistent_pages_are_watched_from_first() {
    let mut bench = Bench::new(&[ListMethod::Paged]);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "10", Some("token".to_owned()));
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "15", None);
    assert!(matches!(bench.request(), ApiRequest::Watch { version, .. } if version == "10"));
}

#[test]
fn endless_pages_are_an_error() {
    let mut bench = Bench::new(&[ListMethod::Paged]);
    bench.confirm("a", "10");
    for _ in 0..2 {
        bench.request();
        bench.accept();
        bench.machine.list_ended(bench.now, "10", Some("same".to_owned()));
    }
    assert!(
        bench
            .notices()
            .iter()
            .any(|notice| matches!(notice, Notice::Failed { text, .. } if text.contains("same")))
    );
}

#[test]
fn list_of_lagging_server_sweeps_nothing() {
    for methods in [&CACHED_FIRST[..], &STREAMING_FIRST] {
        let mut bench = Bench::in_sync(methods);
        bench.refuse(410, "too old");
        let first = bench.request();
        bench.accept();
        if first.is_watch() {
            bench.machine.bookmark(bench.now, "9", true);
        } else {
            bench.machine.list_ended(bench.now, "9", None);
        }
        assert_eq!(bench.diary(), "begin");
        assert_ne!(bench.machine.status(), SyncStatus::Fresh);
        bench.confirm("a", "12");
        let request = bench.request();
        assert!(matches!(request, ApiRequest::StreamingList { read: ListConsistency::Consistent, .. }));
        bench.accept();
        bench.machine.bookmark(bench.now, "12", true);
        assert_eq!((bench.diary().as_str(), bench.machine.status()), ("begin end", SyncStatus::Fresh));
    }
}

#[test]
fn slow_list_is_not_given_up() {
    for (methods, silence) in [(&CACHED_FIRST[..], LIST_SILENCE), (&STREAMING_FIRST[..], STREAM_SILENCE)] {
        let mut bench = Bench::new(methods);
        bench.confirm("a", "10");
        bench.request();
        bench.accept();
        for _ in 0..5 {
            bench.pass(silence * 3 / 4);
            assert!(bench.machine.is_waiting(), "bytes arrive");
            bench.machine.heard(bench.now);
        }
        bench.now += silence;
        assert_eq!(bench.request(), ApiRequest::Identify, "silent for too long");
    }
}

#[test]
fn only_marked_bookmark_ends_streaming_list() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.event(EventKind::Added, (1, 1, "3"));
    bench.machine.bookmark(bench.now, "10", false);
    assert_eq!(bench.diary(), "begin +1.1");
    bench.machine.bookmark(bench.now, "10", true);
    assert_eq!(bench.diary(), "end");
}

#[test]
fn watch_resumes_after_newest_initial_event() {
    for (bookmark, newest) in [("11", "12"), ("12", "12"), ("13", "13")] {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        bench.request();
        bench.accept();
        bench.event(EventKind::Modified, (1, 1, "12"));
        bench.machine.bookmark(bench.now, bookmark, true);
        assert_eq!(bench.machine.version.as_str(), newest);
    }
}

#[test]
fn malformed_change_relists_malformed_item_does_not() {
    for (kind, goes_on) in
        [(EventKind::Added, true), (EventKind::Modified, false), (EventKind::Deleted, false)]
    {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        bench.request();
        bench.accept();
        bench.machine.unreadable(bench.now, kind, "nonsense");
        assert_eq!(bench.machine.is_waiting(), goes_on, "{kind:?}");
    }
}
