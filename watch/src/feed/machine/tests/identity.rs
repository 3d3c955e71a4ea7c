//! Other clusters, and other histories of the same cluster.

use super::*;
use crate::feed::server::ConfiguredServer;

#[test]
fn first_list_behind_a_snapshot_is_consistent() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.machine.filled_from(Some("a".to_owned()));
    bench.confirm("a", "10");
    assert!(matches!(bench.request(), ApiRequest::StreamingList { read: ListConsistency::Consistent, .. }));
}

#[test]
fn snapshot_of_another_cluster_is_refused() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.machine.filled_from(Some("a".to_owned()));
    bench.confirm("b", "10");
    assert!(
        matches!(&bench.notices()[..], [Notice::SnapshotRefused { text }] if text.contains("another cluster"))
    );
    assert!(matches!(bench.machine.status(), SyncStatus::Unsynced { error: Some(_) }));
    assert!(matches!(bench.request(), ApiRequest::List { read: ListConsistency::Any, .. }));
}

#[test]
fn history_that_went_back_is_listed_consistently() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::broken("restart"));
    bench.confirm("a", "4");
    assert!(matches!(bench.request(), ApiRequest::StreamingList { read: ListConsistency::Consistent, .. }));
    assert!(
        bench
            .notices()
            .iter()
            .any(|notice| matches!(notice, Notice::OutOfSync { text } if text.contains("backup")))
    );
}

#[test]
fn bookmark_or_event_from_past_relists() {
    for bookmark in [true, false] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        if bookmark {
            bench.machine.bookmark(bench.now, "9", false);
        } else {
            bench.event(EventKind::Modified, (1, 1, "9"));
        }
        assert_eq!(bench.diary(), "", "not applied");
        assert!(!bench.is_immediate(), "it may go back again");
        bench.confirm("a", "10");
        assert!(matches!(bench.request(), ApiRequest::List { read: ListConsistency::NotOlderThan(_), .. }));
    }
}

#[test]
fn deletion_from_the_past_is_applied() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.event(EventKind::Deleted, (1, 1, "9"));
    assert_eq!(bench.diary(), "-1.1");
    assert!(bench.machine.is_waiting());
    assert_eq!(bench.machine.version.as_str(), "10");
}

#[test]
fn another_cluster_is_stale_until_listed() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.reconnect(bench.now);
    bench.confirm("b", "1000");
    assert!(
        matches!(bench.machine.status(), SyncStatus::Stale { error, .. } if error.contains("another cluster"))
    );
    assert!(bench.machine.is_of_other_cluster());
    bench.list("1000");
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
    assert_eq!((bench.machine.cluster(), bench.machine.is_of_other_cluster()), (Some("b"), false));
}

#[test]
fn server_without_identity_is_watched() {
    for code in [403, 404, 400] {
        let mut bench = Bench::new(&CACHED_FIRST);
        assert_eq!(bench.request(), ApiRequest::Identify);
        bench.refuse(code, "no");
        assert!(matches!(bench.request(), ApiRequest::List { .. }), "{code}");
    }
}

/// Each event follows the previous one sooner than the silence that would establish the watch.
#[test]
fn objects_in_their_own_etcd_are_followed() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.reconnect(bench.now);
    bench.confirm("a", "1000");
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
    bench.accept();
    let versions = ["11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25"];
    for version in versions {
        bench.now += Duration::from_millis(950);
        bench.event(EventKind::Modified, (1, 1, version));
        bench.machine.poll(bench.now);
    }
    assert!(matches!(bench.machine.status(), SyncStatus::Stale { .. }), "as one that lags");
    bench.now += Duration::from_millis(950);
    bench.machine.heard(bench.now);
    bench.event(EventKind::Modified, (1, 1, "26"));
    let request = bench.request();
    assert!(
        matches!(request, ApiRequest::StreamingList { read: ListConsistency::Consistent, .. }),
        "{request:?}"
    );
    bench.accept();
    bench.machine.bookmark(bench.now, "27", true);
    assert_eq!(bench.machine.status(), SyncStatus::Fresh);
    bench.machine.reconnect(bench.now);
    bench.confirm("a", "1001");
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
    bench.accept();
    bench.event(EventKind::Modified, (1, 1, "28"));
    assert_eq!(
        (bench.machine.status(), bench.machine.grace()),
        (SyncStatus::Fresh, None),
        "known from then on"
    );
}

#[test]
fn revision_between_pages_is_not_another_etcds() {
    let mut bench = Bench::in_sync(&[ListMethod::Paged]);
    bench.machine.reconnect(bench.now);
    bench.confirm("a", "9");
    assert!(matches!(bench.request(), ApiRequest::List { continue_token: None, .. }));
    bench.accept();
    bench.machine.list_ended(bench.now, "18", Some("next".to_owned()));
    // The server is identified again before the second page, and the cluster has changed meanwhile.
    bench.now += CONTACT + Duration::from_secs(1);
    bench.confirm("a", "20");
    assert!(matches!(bench.request(), ApiRequest::List { continue_token: Some(_), .. }));
    bench.accept();
    bench.machine.list_ended(bench.now, "18", None);
    assert!(matches!(bench.request(), ApiRequest::Watch { version, .. } if version == "18"));
    bench.machine.reconnect(bench.now);
    bench.confirm("a", "7");
    let request = bench.request();
    assert!(
        matches!(request, ApiRequest::List { .. }),
        "the history went back, so a list follows, not {request:?}"
    );
}

#[test]
fn identity_refused_at_first_is_asked_again() {
    let mut bench = Bench::new(&CACHED_FIRST);
    assert_eq!(bench.request(), ApiRequest::Identify);
    bench.refuse(403, "no");
    assert!(matches!(bench.request(), ApiRequest::List { .. }));
    bench.refuse(403, "no");
    bench.confirm("a", "10");
    bench.list("10");
    assert_eq!(bench.machine.cluster(), Some("a"));
}

#[test]
fn identity_learned_late_leads_to_a_list() {
    let mut bench = Bench::new(&CACHED_FIRST);
    assert_eq!(bench.request(), ApiRequest::Identify);
    bench.refuse(403, "no");
    bench.list("10");
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
    bench.accept();
    bench.machine.reconnect(bench.now);
    // The new cluster's history is longer, so its revision does not show that it is another cluster.
    bench.confirm("b", "1000");
    assert!(
        matches!(bench.machine.status(), SyncStatus::Stale { error, .. } if error.contains("may be another"))
    );
    bench.list("1000");
    assert_eq!((bench.machine.status(), bench.machine.cluster()), (SyncStatus::Fresh, Some("b")));
    bench.machine.reconnect(bench.now);
    bench.confirm("b", "1001");
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }), "known from now on");
}

fn server(url: &str) -> ConfiguredServer {
    ConfiguredServer { url: url.into(), ..ConfiguredServer::default() }
}

impl Bench {
    /// Responds to the identity request as this server without an identity: by a refusal, or by an empty list.
    fn confirm_nameless(&mut self, url: &str, is_refused: bool) {
        assert_eq!(self.request(), ApiRequest::Identify);
        self.machine.answers_from(server(url));
        if is_refused {
            self.refuse(403, "no");
        } else {
            self.machine.accepted(self.now);
            self.machine.identified(self.now, None, "10");
        }
    }
}

#[test]
fn other_server_without_identity_is_listed() {
    for is_refused in [false, true] {
        let mut bench = Bench::new(&CACHED_FIRST);
        bench.confirm_nameless("https://a/", is_refused);
        bench.list("10");
        assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
        bench.accept();
        bench.machine.reconnect(bench.now);
        bench.confirm_nameless("https://a/", is_refused);
        assert!(matches!(bench.request(), ApiRequest::Watch { .. }), "the same server");
        bench.accept();
        bench.machine.reconnect(bench.now);
        bench.confirm_nameless("https://b/", is_refused);
        assert!(
            matches!(bench.machine.status(), SyncStatus::Stale { error, .. } if error.contains("names another"))
        );
        assert!(bench.machine.is_of_other_cluster());
        bench.list("10");
        assert_eq!((bench.machine.status(), bench.machine.is_of_other_cluster()), (SyncStatus::Fresh, false));
        bench.machine.reconnect(bench.now);
        bench.confirm_nameless("https://b/", is_refused);
        assert!(matches!(bench.request(), ApiRequest::Watch { .. }), "known from now on");
    }
}

#[test]
fn snapshot_of_other_nameless_server_is_refused() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.machine.filled_from(None);
    bench.confirm_nameless("https://a/", true);
    bench.machine.reconnect(bench.now);
    bench.notices();
    bench.confirm_nameless("https://b/", true);
    assert!(matches!(&bench.notices()[..], [Notice::SnapshotRefused { .. }]));
    assert!(matches!(bench.machine.status(), SyncStatus::Unsynced { error: Some(_) }));
}

#[test]
fn first_list_may_be_of_other_server() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.confirm_nameless("https://a/", true);
    bench.machine.reconnect(bench.now);
    bench.confirm_nameless("https://b/", true);
    assert_eq!(bench.notices(), []);
    bench.list("10");
    bench.machine.reconnect(bench.now);
    bench.confirm_nameless("https://b/", true);
    assert!(matches!(bench.request(), ApiRequest::Watch { .. }));
}
