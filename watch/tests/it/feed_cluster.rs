//! The cluster feed against an API server without faults: lists, watches, scopes.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{Running, options};
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{ApiServer, PreparedResponse, RequestVerb, Streaming, namespace, pod};
use poddns_test_support::wait::until_async as until;
use poddns_watch::{ClusterOptions, HostNetwork, Scope, Source};
use serde_json::json;

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn has(running: &Running, namespace: &str, address: &str) -> bool {
    running.index.contains(&label(namespace), address.parse::<IpAddr>().expect("an address")).unwrap()
}

async fn fresh(running: &Running) {
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
}

fn small_cluster() -> ApiServer {
    let server = ApiServer::start();
    for name in ["default", "team-a", "empty"] {
        server.put(namespace(name));
    }
    server.put(pod("default", "web-1", &["10.0.0.1", "fd00::1"]));
    server.put(pod("team-a", "web-2", &["10.0.0.2"]));
    server
}

async fn follows_a_cluster_with_streaming_lists() {
    let server = small_cluster();
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert!(has(&running, "default", "10.0.0.1"));
    assert!(has(&running, "default", "fd00::1"), "any address of a pod, not just the first");
    assert!(has(&running, "team-a", "10.0.0.2"));
    assert!(!has(&running, "team-a", "10.0.0.1"));
    assert!(running.index.namespace_exists(&label("empty")).unwrap());
    assert_eq!(running.index.stats().pods, 2);
    assert_eq!(server.count("pods", RequestVerb::List), 0, "nothing is listed in pages");

    server.put(pod("default", "web-3", &["10.0.0.3"]));
    until("added", || has(&running, "default", "10.0.0.3")).await;
    server.put(pod("default", "web-3", &["10.0.0.33"]));
    until("its address changed", || has(&running, "default", "10.0.0.33")).await;
    assert!(!has(&running, "default", "10.0.0.3"));
    server.delete("pods", "default", "web-3");
    until("deleted", || !has(&running, "default", "10.0.0.33")).await;

    server.put(namespace("new"));
    until("a namespace was added", || running.index.namespace_exists(&label("new")).unwrap()).await;
    server.delete("namespaces", "", "new");
    until("and deleted", || !running.index.namespace_exists(&label("new")).unwrap()).await;
    assert_eq!(running.index.freshness(), Freshness::Fresh);
    assert_eq!(running.stats.pods.lists(), 1);
    assert_eq!(running.stats.pods.errors() + running.stats.namespaces.errors(), 0);
}

async fn only_needed_objects_are_requested() {
    let server = small_cluster();
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    let seen = server.seen();
    let pods = seen.iter().find(|seen| seen.resource == "pods").expect("pods are asked for");
    assert_eq!(pods.param("fieldSelector"), Some("status.phase!=Succeeded,status.phase!=Failed"));
    assert_eq!(
        pods.param("resourceVersion"),
        Some("0"),
        "whatever the watch cache has: nothing is known yet"
    );
    assert_eq!(pods.param("allowWatchBookmarks"), Some("true"));
    assert_eq!(pods.token.as_deref(), Some("first"));
    let timeout: u32 = pods.param("timeoutSeconds").expect("bounded").parse().expect("a number");
    assert!((240..=300).contains(&timeout), "{timeout}");
    let namespaces =
        seen.iter().find(|seen| seen.resource == "namespaces").expect("namespaces are asked for");
    assert!(namespaces.accept.contains("as=PartialObjectMetadata"), "metadata only: {}", namespaces.accept);
}

async fn pages_follow_refused_streaming_list() {
    let server = small_cluster();
    server.stream(Streaming::Refused);
    for n in 0..700 {
        let address = format!("10.1.{}.{}", n / 250, n % 250);
        server.put(pod("default", &format!("many-{n:03}"), &[&address]));
    }
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert_eq!(running.index.stats().pods, 702);
    assert_eq!(server.count("pods", RequestVerb::Stream), 1, "asked once");
    assert_eq!(server.count("pods", RequestVerb::List), 3, "702 pods in pages of 250");
    server.put(pod("default", "late", &["10.0.9.9"]));
    until("the watch goes on from the list", || has(&running, "default", "10.0.9.9")).await;
}

async fn a_pod_counts_until_it_ends() {
    let server = small_cluster();
    let mut ending = pod("default", "job", &["10.0.0.7"]);
    server.put(ending.clone());
    let mut terminating = pod("default", "term", &["10.0.0.8"]);
    terminating["metadata"]["deletionTimestamp"] = json!("2026-11-22T14:34:34Z");
    server.put(terminating);
    let mut lost = pod("default", "lost", &["10.0.0.9"]);
    lost["status"]["phase"] = json!("Unknown");
    server.put(lost);
    let mut ended = pod("default", "ended", &["10.0.0.10"]);
    ended["status"]["phase"] = json!("Failed");
    server.put(ended);
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert!(has(&running, "default", "10.0.0.7"));
    assert!(has(&running, "default", "10.0.0.8"), "terminating pods run");
    assert!(has(&running, "default", "10.0.0.9"), "pods of an unreachable node may run");
    assert!(!has(&running, "default", "10.0.0.10"));
    ending["status"]["phase"] = json!("Succeeded");
    server.put(ending);
    until("it ended", || !has(&running, "default", "10.0.0.7")).await;
}

async fn ended_pods_never_count() {
    let server = ApiServer::start();
    let mut ended = pod("default", "ended", &["10.0.0.10"]);
    ended["status"]["phase"] = json!("Succeeded");
    let items = json!([ended, pod("default", "web", &["10.0.0.1"])]);
    let list =
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": items});
    server.stream(Streaming::Refused);
    server.next("pods", RequestVerb::List, PreparedResponse::ok(list.to_string()));
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert_eq!(running.index.stats().pods, 1);
}

async fn host_network_pods_can_be_left_out() {
    let server = small_cluster();
    let mut host = pod("default", "host", &["192.168.1.10"]);
    host["spec"]["hostNetwork"] = json!(true);
    server.put(host);
    let with = Running::follow(&server, Scope::default()).await;
    let without =
        Running::follow(&server, Scope { host_network: HostNetwork::Exclude, ..Scope::default() }).await;
    fresh(&with).await;
    fresh(&without).await;
    assert!(has(&with, "default", "192.168.1.10"));
    assert!(!has(&without, "default", "192.168.1.10"));
    assert!(has(&without, "default", "10.0.0.1"));
}

async fn only_some_namespaces() {
    let server = small_cluster();
    server.put(namespace("team-b"));
    server.put(pod("team-b", "web", &["10.0.0.3"]));
    let namespaces = vec![label("team-a"), label("team-b"), label("team-a"), label("absent")];
    let running = Running::follow(&server, Scope { namespaces, ..Scope::default() }).await;
    fresh(&running).await;
    assert!(has(&running, "team-a", "10.0.0.2") && has(&running, "team-b", "10.0.0.3"));
    assert_eq!(running.index.stats().pods, 2);
    assert!(running.index.namespace_exists(&label("team-a")).unwrap());
    assert!(
        !running.index.namespace_exists(&label("absent")).unwrap(),
        "it is configured but does not exist"
    );
    assert!(!running.index.namespace_exists(&label("default")).unwrap(), "it exists but is not configured");
    let seen = server.seen();
    let of_pods = seen.iter().filter(|seen| seen.resource == "pods");
    let mut asked: Vec<_> = of_pods.map(|seen| seen.namespace.as_deref().unwrap_or("all")).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["absent", "team-a", "team-b"], "pods of these, each once, and of no others");

    // One namespace is listed again; the pods of the others stay.
    server.end_watches("pods");
    server.delete("pods", "team-a", "web-2");
    server.compact();
    until("the deletion was learned from a list", || !has(&running, "team-a", "10.0.0.2")).await;
    fresh(&running).await;
    assert!(has(&running, "team-b", "10.0.0.3"));
}

async fn namespaces_alone() {
    let server = small_cluster();
    let running = Running::follow(&server, Scope { pods: false, ..Scope::default() }).await;
    fresh(&running).await;
    assert!(running.index.namespace_exists(&label("team-a")).unwrap());
    assert_eq!(running.index.stats().pods, 0);
    assert!(server.seen().iter().all(|seen| seen.resource == "namespaces"));
}

async fn one_malformed_pod_costs_only_itself() {
    let server = small_cluster();
    server.stream(Streaming::Refused);
    let good = pod("default", "good", &["10.0.0.5"]);
    let items = json!([
        null, 7, {}, {"metadata": null, "status": {"podIP": "10.6.6.6"}},
        {"metadata": {"name": "no-namespace"}, "status": {"podIP": "10.6.6.6", "phase": "Running"}},
        {"metadata": {"name": "odd", "namespace": "Not_A_Label"}, "status": {"podIP": "10.6.6.6"}},
        {"metadata": {"name": "half", "namespace": "default"}, "spec": 7,
         "status": {"phase": "Napping", "podIP": "10.0.0.6", "podIPs": [{"ip": "10.0.0.6"}, {"ip": "10.0.0.666"}]}},
        good,
    ]);
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "104"}, "items": items});
    server.next("pods", RequestVerb::List, PreparedResponse::ok(list.to_string()));
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert!(has(&running, "default", "10.0.0.5"));
    assert!(has(&running, "default", "10.0.0.6"), "what can be read of a malformed pod is served");
    until("the watch still works", || has(&running, "team-a", "10.0.0.2")).await;
    assert_eq!(running.index.stats().pods, 3);
    assert!(running.stats.pods.malformed() >= 6, "{}", running.stats.pods.malformed());
}

async fn comparisons_mend_the_index_and_are_counted() {
    let server = small_cluster();
    let mut ghost = pod("default", "ghost", &["10.0.0.9"]);
    ghost["metadata"]["resourceVersion"] = json!("1");
    // The first comparison receives another pod than those of the index, the later ones receive the actual pods. The
    // server begins at version 100 and has five objects, so a list of version 105 is as new as requested.
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "105"}, "items": [ghost]});
    server.next("pods", RequestVerb::List, PreparedResponse::ok(list.to_string()));
    server.next("namespaces", RequestVerb::List, PreparedResponse::ok("<html>"));
    let resync_interval = Some(Duration::from_millis(50));
    let options = ClusterOptions { resync_interval, ..options(&server) };
    let running = Running::start(Source::Cluster(options), Scope::default()).await;
    let found = &running.stats.resync;
    until("mended there and back", || (found.missing(), found.gone()) == (3, 3)).await;
    until("namespaces could not be compared once", || found.failed() == 1).await;
    until("but are now", || found.complete() >= 3).await;
    assert_eq!((found.missing(), found.gone(), found.changed()), (3, 3, 0), "and no more");
    assert!(has(&running, "default", "10.0.0.1") && !has(&running, "default", "10.0.0.9"));
    assert_eq!(running.index.freshness(), Freshness::Fresh);
    assert_eq!(running.stats.pods.errors() + running.stats.namespaces.errors(), 0);
}

async fn assert_json_is_fallback_for(status: u16) {
    let server = small_cluster();
    server.refuse_protobuf(status);
    let running = Running::follow(&server, Scope::default()).await;
    fresh(&running).await;
    assert!(has(&running, "team-a", "10.0.0.2"));
    server.put(pod("default", "late", &["10.0.9.9"]));
    until("the watch goes on", || has(&running, "default", "10.0.9.9")).await;
    let protobuf = server.seen().iter().filter(|seen| seen.accept.contains("protobuf")).count();
    assert_eq!(protobuf, 2, "each watch asks for protobuf once");
    assert_eq!(running.stats.pods.errors() + running.stats.namespaces.errors(), 0);
}

async fn json_is_read_where_protobuf_is_refused() {
    assert_json_is_fallback_for(406).await;
    assert_json_is_fallback_for(415).await;
}

poddns_test_support::in_both_encodings!(
    json_is_read_where_protobuf_is_refused,
    follows_a_cluster_with_streaming_lists,
    only_needed_objects_are_requested,
    pages_follow_refused_streaming_list,
    a_pod_counts_until_it_ends,
    ended_pods_never_count,
    host_network_pods_can_be_left_out,
    only_some_namespaces,
    namespaces_alone,
    one_malformed_pod_costs_only_itself,
    comparisons_mend_the_index_and_are_counted,
);
