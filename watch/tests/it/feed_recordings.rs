//! Exchanges recorded from a real API server and replayed to the real client. Afterwards the index must contain exactly
//! the recorded objects.

use crate::support::Running;
use crate::support::truth::Truth;
use poddns_core::{Freshness, PodLookup};
use poddns_test_support::api_server::{ApiServer, BodyEnd, PreparedResponse, RequestVerb, Streaming};
use poddns_test_support::recordings::{EXPIRED_CONTINUE, EXPIRED_WATCH, UNAUTHORIZED};
use poddns_test_support::wait::until_async as until;
use poddns_watch::{Scope, Source};

macro_rules! recording {
    ($name:literal) => {
        include_str!(concat!("../data/", $name))
    };
}

const NAMESPACES: &str = recording!("namespaces.json");
const NAMESPACE_WATCH: &str = recording!("watch-ns.ndjson");

/// Returns a recorded watch that stays open after the recording.
fn watch(recording: &'static str) -> PreparedResponse {
    PreparedResponse::Part { body: recording.into(), then: BodyEnd::Stall }
}

/// Returns a server that refuses streaming lists of pods and replays the recordings of namespaces.
fn server() -> ApiServer {
    let server = ApiServer::start();
    server.stream(Streaming::Refused);
    server.at_revision(1_000_000);
    server.next("namespaces", RequestVerb::List, PreparedResponse::ok(NAMESPACES));
    server.next("namespaces", RequestVerb::Watch, watch(NAMESPACE_WATCH));
    server
}

/// Runs a feed until it has received `events` changes of pods and all recorded changes of namespaces.
async fn replay(server: &ApiServer, events: u64) -> Running {
    let running = Running::follow(server, Scope { pod_names: true, ..Scope::default() }).await;
    until("all was replayed", || {
        let stats = &running.stats;
        stats.pods.events() == events && stats.namespaces.events() == 3 && server.unused() == 0
    })
    .await;
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
    assert_eq!(running.stats.pods.malformed() + running.stats.namespaces.malformed(), 0);
    running
}

fn truth() -> Truth {
    Truth::default().list(NAMESPACES).watch(NAMESPACE_WATCH)
}

#[tokio::test]
async fn a_list_and_a_watch() {
    let server = server();
    server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list.json")));
    server.next("pods", RequestVerb::Watch, watch(recording!("watch.ndjson")));
    let running = replay(&server, 12).await;
    truth().list(recording!("list.json")).watch(recording!("watch.ndjson")).assert_is(&running.index);
}

#[tokio::test]
async fn recorded_list_and_watch_fill_index() {
    let server = server();
    server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list-fieldselector.json")));
    server.next("pods", RequestVerb::Watch, watch(recording!("watch-fieldselector.ndjson")));
    let running = replay(&server, 10).await;
    let (list, watch) = (recording!("list-fieldselector.json"), recording!("watch-fieldselector.ndjson"));
    truth().list(list).watch(watch).assert_is(&running.index);
}

#[tokio::test]
async fn pages() {
    let server = server();
    let pages = [recording!("page-1.json"), recording!("page-2.json"), recording!("page-3.json")];
    for page in pages {
        server.next("pods", RequestVerb::List, PreparedResponse::ok(page));
    }
    server.next("pods", RequestVerb::Watch, watch(recording!("watch.ndjson")));
    let running = replay(&server, 12).await;
    let truth = pages.into_iter().fold(truth(), Truth::list).watch(recording!("watch.ndjson"));
    truth.assert_is(&running.index);
    let seen = server.seen();
    let lists: Vec<_> =
        seen.iter().filter(|seen| (seen.resource, seen.verb) == ("pods", RequestVerb::List)).collect();
    let tokens: Vec<_> = lists.iter().map(|seen| seen.param("continue")).collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], None);
    let first: serde_json::Value = serde_json::from_str(pages[0]).expect("JSON");
    assert_eq!(tokens[1], first["metadata"]["continue"].as_str(), "the token comes back as it was given");
    let watches = seen.iter().find(|seen| (seen.resource, seen.verb) == ("pods", RequestVerb::Watch));
    assert_eq!(
        watches.and_then(|seen| seen.param("resourceVersion")),
        Some("546"),
        "from where the list ends"
    );
}

#[tokio::test]
async fn streaming_lists() {
    for recording in [recording!("watchlist.ndjson"), recording!("watchlist-rv0.ndjson")] {
        let server = server();
        server.next("pods", RequestVerb::Stream, watch(recording));
        let running = replay(&server, 12).await;
        truth().watch(recording).assert_is(&running.index);
        assert_eq!(server.count("pods", RequestVerb::List), 0);
    }
}

#[tokio::test]
async fn bookmarks_say_where_to_go_on() {
    let server = server();
    server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list.json")));
    let ended = PreparedResponse::Part { body: recording!("watch.ndjson").into(), then: BodyEnd::End };
    server.next("pods", RequestVerb::Watch, ended);
    server.next("pods", RequestVerb::Watch, watch(""));
    let running = replay(&server, 12).await;
    server.wait_for("pods", RequestVerb::Watch, 2).await;
    let seen = server.seen();
    let last = seen.iter().rfind(|seen| (seen.resource, seen.verb) == ("pods", RequestVerb::Watch));
    assert_eq!(
        last.and_then(|seen| seen.param("resourceVersion")),
        Some("575"),
        "the last bookmark's version"
    );
    assert_eq!(running.stats.pods.lists(), 1);
}

/// Replays each recorded failure, once for the list and once for the watch, followed by successful responses.
#[tokio::test]
async fn every_recorded_error_is_survived() {
    let errors = [
        (401, UNAUTHORIZED),
        (403, recording!("err-403.json")),
        (504, recording!("err-list-future.json")),
        (500, recording!("err-bad-rv.json")),
        (400, recording!("err-continue-garbage.json")),
        (410, EXPIRED_CONTINUE),
    ];
    futures::future::join_all(errors.map(async |(status, body)| {
        let server = server();
        server.next("pods", RequestVerb::List, PreparedResponse::status(status, body));
        server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list.json")));
        server.next("pods", RequestVerb::Watch, PreparedResponse::status(status, body));
        // After 400 and 410 the watch cannot continue at that version.
        if status == 400 || status == 410 {
            server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list.json")));
        }
        server.next("pods", RequestVerb::Watch, watch(recording!("watch.ndjson")));
        let running = replay(&server, 12).await;
        truth().list(recording!("list.json")).watch(recording!("watch.ndjson")).assert_is(&running.index);
        assert!(running.stats.pods.errors() >= 2, "{status} is counted");
    }))
    .await;
}

#[tokio::test]
async fn expired_watch_version_leads_to_relist() {
    let server = server();
    server.next(
        "pods",
        RequestVerb::List,
        PreparedResponse::ok(recording!("page-3.json").replace("continue", "was")),
    );
    server.next("pods", RequestVerb::Watch, watch(EXPIRED_WATCH));
    server.next("pods", RequestVerb::List, PreparedResponse::ok(recording!("list.json")));
    server.next("pods", RequestVerb::Watch, watch(recording!("watch.ndjson")));
    let running = replay(&server, 12).await;
    truth().list(recording!("list.json")).watch(recording!("watch.ndjson")).assert_is(&running.index);
    assert_eq!(running.stats.pods.lists(), 2);
}

#[tokio::test]
async fn a_file_of_a_recorded_list() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/list.json").into();
    let running = Running::start(Source::File(path), Scope { pod_names: true, ..Scope::default() }).await;
    let list: serde_json::Value = serde_json::from_str(recording!("list.json")).expect("JSON");
    let mut truth = Truth::default().list(recording!("list.json"));
    for item in list["items"].as_array().expect("items") {
        let name = &item["metadata"]["namespace"];
        truth.put(&serde_json::json!({"metadata": {"name": name, "uid": name}}));
    }
    truth.assert_is(&running.index);
}
