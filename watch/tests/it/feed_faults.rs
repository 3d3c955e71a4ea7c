//! The cluster feed against a faulty API server.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::Running;
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{
    ApiServer, BodyEnd, PreparedResponse, RequestVerb, Streaming, namespace, pod,
};
use poddns_test_support::recordings::EXPIRED_CONTINUE;
use poddns_test_support::wait::{pass, until_async as until};
use poddns_watch::{ClusterOptions, Feed, FeedError, Scope, Source};
use serde_json::json;

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn has(running: &Running, address: &str) -> bool {
    running.index.contains(&label("default"), address.parse::<IpAddr>().expect("an address")).unwrap()
}

fn freshness(running: &Running) -> Freshness {
    running.index.freshness()
}

async fn fresh(running: &Running) {
    until("fresh", || freshness(running) == Freshness::Fresh).await;
}

/// Returns the errors of all watches.
fn errors(running: &Running) -> String {
    let watches = running.index.health().watches();
    watches.into_iter().filter_map(|watch| watch.error).collect::<Vec<_>>().join("\n")
}

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(namespace("default"));
    for n in 0..600 {
        server.put(pod("default", &format!("web-{n:03}"), &[&format!("10.0.{}.{}", n / 250, n % 250)]));
    }
    server
}

/// Returns a feed of 600 pods that is in sync.
async fn in_sync(server: &ApiServer) -> Running {
    let running = Running::follow(server, Scope::default()).await;
    fresh(&running).await;
    assert_eq!(running.index.stats().pods, 600);
    running
}

async fn broken_watch_resumes_at_its_version() {
    let server = server();
    let running = in_sync(&server).await;
    server.bookmark("pods");
    server.break_watches("pods");
    server.delete("pods", "default", "web-000");
    server.put(pod("default", "late", &["10.9.9.9"]));
    until("what happened meanwhile is learned", || has(&running, "10.9.9.9")).await;
    assert!(!has(&running, "10.0.0.0"));
    assert_eq!(running.stats.pods.lists(), 1, "without a new list");
    fresh(&running).await;
}

async fn watch_that_ends_in_time_succeeds() {
    let server = server();
    let running = in_sync(&server).await;
    server.end_watches("pods");
    server.put(pod("default", "late", &["10.9.9.9"]));
    until("what happened meanwhile is learned", || has(&running, "10.9.9.9")).await;
    assert_eq!((running.stats.pods.lists(), running.stats.pods.errors()), (1, 0));
    assert_eq!(freshness(&running), Freshness::Fresh);
}

async fn expired_watch_relists_in_place() {
    let server = server();
    let running = in_sync(&server).await;
    // The new list stalls halfway, so that the index can be inspected.
    let half = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web-001\",\"namespace\":\"default\",\
                \"uid\":\"default/web-001\",\"resourceVersion\":\"9\"},\"status\":{\"phase\":\"Running\",\
                \"podIP\":\"10.0.0.1\"}}}\n";
    server.next(
        "pods",
        RequestVerb::Stream,
        PreparedResponse::Part { body: half.into(), then: BodyEnd::Stall },
    );
    server.end_watches("pods");
    server.delete("pods", "default", "web-000");
    server.compact();
    server.wait_for("pods", RequestVerb::Stream, 2).await;
    until("in the list", || matches!(freshness(&running), Freshness::Resyncing { .. })).await;
    assert_eq!(running.index.stats().pods, 600, "nothing disappears during a list");
    assert!(has(&running, "10.0.0.0"), "nor does what is gone, before it is known to be");
    // The stream never continues, so the client lists in pages after its time limit.
    pass(Duration::from_secs(11)).await;
    until("swept", || !has(&running, "10.0.0.0")).await;
    assert_eq!(running.index.stats().pods, 599);
    fresh(&running).await;
}

async fn truncated_list_changes_nothing() {
    let server = server();
    let running = in_sync(&server).await;
    // Three failures: a stream that breaks, a second page with 410, and a second page with garbage.
    let first = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web-001\",\"namespace\":\"default\",\
                 \"uid\":\"default/web-001\",\"resourceVersion\":\"9\"},\"status\":{\"podIP\":\"10.0.0.1\"}}}\n";
    server.next(
        "pods",
        RequestVerb::Stream,
        PreparedResponse::Part { body: first.into(), then: BodyEnd::Break },
    );
    server.stream(Streaming::Refused);
    let page = |token: &str| {
        let items = "[{\"metadata\":{\"name\":\"web-002\",\"namespace\":\"default\",\"uid\":\"default/web-002\"},\
                     \"status\":{\"podIP\":\"10.0.0.2\"}}]";
        PreparedResponse::ok(format!(
            "{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"9\",\
             \"continue\":\"{token}\"}},\"items\":{items}}}"
        ))
    };
    server.next("pods", RequestVerb::List, page("1/default/web-002"));
    let expired = EXPIRED_CONTINUE;
    server.next("pods", RequestVerb::List, PreparedResponse::status(410, expired));
    server.next("pods", RequestVerb::List, page("999/default/web-002"));
    server.next("pods", RequestVerb::List, PreparedResponse::ok("<html>not what you want</html>"));
    server.end_watches("pods");
    server.delete("pods", "default", "web-000");
    server.compact();
    until("swept", || {
        let pods = running.index.stats().pods;
        assert!(pods >= 599, "{pods}: nothing that exists disappears");
        pods == 599
    })
    .await;
    assert!(!has(&running, "10.0.0.0"));
    fresh(&running).await;
    assert_eq!(server.unused(), 0);
    assert_eq!(running.stats.pods.lists(), 2, "one complete list in the end");
}

async fn malformed_watch_body_relists() {
    let server = server();
    let running = in_sync(&server).await;
    // This event was the only one that reported the deletion.
    server.garble();
    server.delete("pods", "default", "web-000");
    until("a new list", || running.stats.pods.lists() == 2).await;
    fresh(&running).await;
    assert!(!has(&running, "10.0.0.0"));
    assert_eq!(running.index.stats().pods, 599);
}

async fn a_server_that_ignores_streaming_lists() {
    let server = server();
    server.stream(Streaming::Ignored);
    let running = Running::follow(&server, Scope::default()).await;
    server.wait_for("pods", RequestVerb::Stream, 1).await;
    until("pods arrive", || running.index.stats().pods == 600).await;
    assert_eq!(freshness(&running), Freshness::Unsynced, "but the list does not end");
    pass(Duration::from_secs(11)).await;
    fresh(&running).await;
    assert!(server.count("pods", RequestVerb::List) >= 3);
}

async fn overload_is_waited_out() {
    let server = server();
    let busy =
        PreparedResponse::status(429, "Too many requests, please try again later.").with("retry-after", "7");
    server.next("pods", RequestVerb::Stream, busy);
    let running = Running::follow(&server, Scope::default()).await;
    until("it is reported", || errors(&running).contains("429")).await;
    assert!(errors(&running).contains("cannot watch pods in all namespaces"), "{}", errors(&running));
    pass(Duration::from_secs(6)).await;
    server.put(namespace("meanwhile"));
    until("the other watch works", || running.index.namespace_exists(&label("meanwhile")).unwrap()).await;
    assert_eq!(server.count("pods", RequestVerb::Stream), 1, "not before Retry-After");
    pass(Duration::from_secs(2)).await;
    fresh(&running).await;
    assert_eq!(errors(&running), "");
}

async fn refused_token_is_read_again() {
    let server = server();
    let running = in_sync(&server).await;
    server.require_token("second");
    server.break_watches("pods");
    until("it is reported", || errors(&running).contains("401")).await;
    assert!(matches!(freshness(&running), Freshness::Stale { .. }));
    assert!(errors(&running).contains("token"), "{}", errors(&running));
    server.write_token("second");
    server.put(pod("default", "late", &["10.9.9.9"]));
    until("it goes on", || has(&running, "10.9.9.9")).await;
    fresh(&running).await;
    assert_eq!(running.stats.pods.lists(), 1, "where it was");
    let seen = server.seen();
    let tokens: Vec<_> = seen.iter().filter_map(|seen| seen.token.as_deref()).collect();
    assert_eq!((tokens.first(), tokens.last()), (Some(&"first"), Some(&"second")));
}

async fn missing_permissions_are_named_then_used() {
    let server = server();
    for _ in 0..2 {
        let body = include_str!("../data/err-403-watch.json");
        server.next("pods", RequestVerb::Stream, PreparedResponse::status(403, body));
    }
    let running = Running::follow(&server, Scope::default()).await;
    server.wait_for("pods", RequestVerb::Stream, 2).await;
    let pending = running.index.health().pending();
    let pods = pending
        .iter()
        .find(|watch| watch.resource == poddns_watch::Resource::Pods)
        .expect("pods are pending");
    let error = pods.error.clone().unwrap_or_default();
    assert!(error.contains("403") && error.contains("verbs: [list, watch]"), "{error}");
    fresh(&running).await;
}

async fn unreachable_server_is_retried_until_it_answers() {
    let mut server = server();
    server.stop().await;
    let running = Running::follow(&server, Scope::default()).await;
    until("it is reported", || errors(&running).contains("cannot reach the API server at http://127.0.0.1"))
        .await;
    assert_eq!(freshness(&running), Freshness::Unsynced);
    server.restart();
    fresh(&running).await;
    // The same after the feed has been in sync.
    server.stop().await;
    until("noticed", || matches!(freshness(&running), Freshness::Stale { .. })).await;
    assert!(has(&running, "10.0.0.7"), "answers go on");
    server.restart();
    server.put(pod("default", "late", &["10.9.9.9"]));
    until("it goes on", || has(&running, "10.9.9.9")).await;
    fresh(&running).await;
    assert_eq!(running.stats.pods.lists(), 1, "with what it had");
}

/// Events that a watch sends twice, or events of deleted or unknown pods, as after a list that was newer than its
/// version.
async fn repeated_and_late_events_change_nothing() {
    let server = server();
    let running = in_sync(&server).await;
    let line = |kind: &str, name: &str, address: &str| {
        let mut object = pod("default", name, &[address]);
        object["metadata"]["resourceVersion"] = "9000".into();
        format!("{}\n", serde_json::json!({"type": kind, "object": object}))
    };
    let events = [
        line("ADDED", "web-001", "10.0.0.1"),
        line("ADDED", "new", "10.9.9.1"),
        line("ADDED", "new", "10.9.9.1"),
        line("MODIFIED", "new", "10.9.9.2"),
        line("MODIFIED", "new", "10.9.9.2"),
        line("DELETED", "web-002", "10.0.0.2"),
        line("DELETED", "web-002", "10.0.0.2"),
        line("DELETED", "never-seen", "10.0.0.3"),
        line("ADDED", "last", "10.9.9.9"),
    ];
    server.next(
        "pods",
        RequestVerb::Watch,
        PreparedResponse::Part { body: events.concat().into(), then: BodyEnd::Stall },
    );
    server.end_watches("pods");
    until("all events are applied", || has(&running, "10.9.9.9")).await;
    assert!(has(&running, "10.0.0.1") && has(&running, "10.9.9.2") && !has(&running, "10.9.9.1"));
    assert!(!has(&running, "10.0.0.2"));
    assert!(has(&running, "10.0.0.3"), "another pod's address does not go with one that nobody knew");
    assert_eq!(running.index.stats().pods, 600 + 2 - 1);
    assert_eq!(running.stats.pods.errors(), 0);
}

/// As on a machine that was suspended: timers of several hours expire at once.
async fn hours_that_pass_at_once_are_survived() {
    let server = server();
    let running = in_sync(&server).await;
    for round in 0..3 {
        pass(Duration::from_hours(5)).await;
        let address = format!("10.9.9.{round}");
        server.put(pod("default", &format!("late-{round}"), &[&address]));
        until("it goes on", || has(&running, &address)).await;
        fresh(&running).await;
    }
    assert_eq!(running.index.stats().pods, 603);
}

async fn a_silent_connection_is_noticed() {
    let server = server();
    let running = in_sync(&server).await;
    // The next watch is accepted, but sends nothing, not even bookmarks.
    server.next("pods", RequestVerb::Watch, PreparedResponse::Part { body: "".into(), then: BodyEnd::Stall });
    server.end_watches("pods");
    server.wait_for("pods", RequestVerb::Watch, 1).await;
    server.put(pod("default", "late", &["10.9.9.9"]));
    server.end_watches("namespaces");
    server.wait_for("namespaces", RequestVerb::Watch, 1).await;
    pass(Duration::from_secs(181)).await;
    until("noticed", || running.stats.pods.errors() == 1).await;
    until("it goes on", || has(&running, "10.9.9.9")).await;
    fresh(&running).await;
    assert_eq!(running.stats.pods.lists(), 1);
}

async fn a_server_that_never_answers_is_noticed() {
    let server = server();
    server.next("pods", RequestVerb::Stream, PreparedResponse::Silence);
    let running = Running::follow(&server, Scope::default()).await;
    server.wait_for("pods", RequestVerb::Stream, 1).await;
    server.wait_for("namespaces", RequestVerb::Stream, 1).await;
    pass(Duration::from_secs(91)).await;
    until("it is reported", || running.stats.pods.errors() == 1).await;
    fresh(&running).await;
}

async fn short_watches_are_begun_with_pauses() {
    let server = server();
    for _ in 0..50 {
        server.next(
            "pods",
            RequestVerb::Watch,
            PreparedResponse::Part { body: "".into(), then: BodyEnd::End },
        );
    }
    let running = in_sync(&server).await;
    server.end_watches("pods");
    server.wait_for("pods", RequestVerb::Watch, 2).await;
    // Enough time for a request after each response.
    for n in 0..100 {
        let name = format!("namespace-{n}");
        server.put(namespace(&name));
        until("the other watch works", || running.index.namespace_exists(&label(&name)).unwrap()).await;
    }
    assert!(server.unused() > 25, "{} of 50 left: each waits longer than the one before", server.unused());
}

async fn unusable_configuration_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    let open = async |path: &std::path::Path, context: Option<&str>| {
        let options = ClusterOptions {
            kubeconfig: Some(path.to_owned()),
            context: context.map(str::to_owned),
            ..ClusterOptions::default()
        };
        Feed::open(Source::Cluster(options), Scope::default()).await.expect_err("it is refused")
    };
    let error = open(&path, None).await;
    assert!(matches!(error, FeedError::Kubeconfig { .. }) && error.is_configuration());
    assert!(error.to_string().contains("No such file"), "{error}");
    std::fs::write(&path, "clusters: [").expect("written");
    let error = open(&path, None).await.to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    let server = server();
    let error = open(&server.kubeconfig(), Some("elsewhere")).await.to_string();
    assert!(error.contains("elsewhere"), "{error}");
}

/// Log lines, written by a subscriber.
#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn log_lines_name_their_watch() {
    let lines = LogLines::default();
    let (writer, only) = (lines.clone(), tracing::Level::WARN);
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(only);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let server = ApiServer::start();
    let mut malformed = pod("a", "web", &["10.0.0.1"]);
    malformed["status"]["phase"] = json!("Napping");
    server.put(namespace("a"));
    server.put(malformed);
    server.next("pods", RequestVerb::Stream, PreparedResponse::status(403, "no"));
    let running = Running::follow(&server, Scope { namespaces: vec![label("a")], ..Scope::default() }).await;
    fresh(&running).await;
    server.break_watches("namespaces");
    let text = || String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    for expected in [
        "watch{resource=pods in namespace a}: poddns_watch::feed::report: cannot watch pods in namespace a: 403",
        "watch{resource=pods in namespace a}: poddns_watch::feed::faults: malformed object",
        "watch{resource=namespaces}: poddns_watch::feed::report: the watch of namespaces broke off",
    ] {
        until(expected, || text().contains(expected)).await;
    }
}

poddns_test_support::in_both_encodings!(
    broken_watch_resumes_at_its_version,
    watch_that_ends_in_time_succeeds,
    expired_watch_relists_in_place,
    truncated_list_changes_nothing,
    malformed_watch_body_relists,
    a_server_that_ignores_streaming_lists,
    overload_is_waited_out,
    refused_token_is_read_again,
    missing_permissions_are_named_then_used,
    unreachable_server_is_retried_until_it_answers,
    repeated_and_late_events_change_nothing,
    hours_that_pass_at_once_are_survived,
    a_silent_connection_is_noticed,
    a_server_that_never_answers_is_noticed,
    short_watches_are_begun_with_pauses,
    unusable_configuration_is_refused,
);
