//! The identity of a cluster with an unchanged URL: the uid of its namespace kube-system.

use crate::support::{Running, options};
use poddns_core::{Freshness, PodLookup as _};
use poddns_test_support::api_server::{ApiServer, PreparedResponse, RequestVerb, namespace, pod};
use poddns_test_support::wait::{pass, until_async as until};
use poddns_watch::{Feed, Scope, Source};
use tokio_util::sync::CancellationToken;

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(namespace("default"));
    server.put(pod("default", "web", &["10.0.0.1"]));
    server
}

fn has(index: &poddns_watch::Index, address: &str) -> bool {
    let namespace = "default".parse().expect("a label");
    index.contains(&namespace, address.parse().expect("an address")) == Ok(true)
}

async fn another_cluster_behind_the_url_is_listed() {
    let server = server();
    let running = Running::follow(&server, Scope::default()).await;
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
    // A watch from the old version would continue with the changes of the other cluster.
    server.delete("pods", "default", "web");
    server.put(pod("default", "other", &["10.0.0.2"]));
    server.identify_as("cluster-2");
    server.next("pods", RequestVerb::Stream, PreparedResponse::Silence);
    server.break_watches("pods");
    server.break_watches("namespaces");
    server.wait_for("pods", RequestVerb::Stream, 2).await;
    until("stale", || running.index.freshness() != Freshness::Fresh).await;
    let errors =
        || running.index.health().watches().into_iter().filter_map(|watch| watch.error).collect::<String>();
    until("it is reported", || errors().contains("another cluster")).await;
    pass(std::time::Duration::from_secs(16)).await;
    until("listed", || running.stats.pods.lists() == 2 && running.stats.namespaces.lists() == 2).await;
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
    assert!(has(&running.index, "10.0.0.2") && !has(&running.index, "10.0.0.1"));
}

async fn etcd_restored_from_a_backup_is_listed() {
    let server = server();
    let running = Running::follow(&server, Scope::default()).await;
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
    server.at_revision(50);
    server.break_watches("pods");
    until("the second list", || running.stats.pods.lists() == 2).await;
    let seen = server.seen();
    let list = seen
        .iter()
        .rfind(|seen| (seen.resource, seen.verb) == ("pods", RequestVerb::Stream))
        .expect("a list");
    assert_eq!(list.param("resourceVersion"), None, "a consistent one");
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
}

async fn snapshot_of_other_cluster_is_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("snapshot");
    let server = server();
    let open =
        async || Feed::open(Source::Cluster(options(&server)), Scope::default()).await.expect("it opens");
    let feed = open().await;
    let (index, mut recorder) = (feed.index(), feed.recorder());
    let stop = CancellationToken::new();
    let running = tokio::spawn(feed.run(stop.clone()));
    until("fresh", || index.freshness() == Freshness::Fresh).await;
    recorder.write(&path).expect("written").expect("something");
    stop.cancel();
    running.await.expect("it ends");

    server.identify_as("cluster-2");
    server.next("pods", RequestVerb::Stream, PreparedResponse::Silence);
    let mut feed = open().await;
    feed.restore(&path).expect("nobody knows yet").expect("a snapshot");
    let index = feed.index();
    assert!(matches!(index.freshness(), Freshness::Stale { .. }));
    let stop = CancellationToken::new();
    let running = tokio::spawn(feed.run(stop.clone()));
    until("it is not served", || index.freshness() == Freshness::Unsynced).await;
    let pending = index.health().pending();
    assert!(
        pending
            .iter()
            .any(|watch| watch.error.as_ref().is_some_and(|error| error.contains("another cluster")))
    );
    stop.cancel();
    running.await.expect("it ends");
}

async fn mixture_of_two_clusters_is_no_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("snapshot");
    let server = server();
    let feed = Feed::open(Source::Cluster(options(&server)), Scope::default()).await.expect("it opens");
    let (index, stats, mut recorder) = (feed.index(), feed.stats(), feed.recorder());
    let stop = CancellationToken::new();
    let running = tokio::spawn(feed.run(stop.clone()));
    until("fresh", || index.freshness() == Freshness::Fresh).await;
    server.identify_as("cluster-2");
    server.next("pods", RequestVerb::Stream, PreparedResponse::Silence);
    server.break_watches("pods");
    server.break_watches("namespaces");
    // The index now has the namespaces of the new cluster and the pods of the old one.
    server.wait_for("pods", RequestVerb::Stream, 2).await;
    until("listed", || stats.namespaces.lists() == 2).await;
    until("stale", || index.freshness() != Freshness::Fresh).await;
    assert!(recorder.write(&path).expect("no error").is_none());
    pass(std::time::Duration::from_secs(16)).await;
    until("listed", || stats.pods.lists() == 2).await;
    until("fresh", || index.freshness() == Freshness::Fresh).await;
    assert!(recorder.write(&path).expect("written").is_some());
    stop.cancel();
    running.await.expect("it ends");
}

poddns_test_support::in_both_encodings!(
    another_cluster_behind_the_url_is_listed,
    etcd_restored_from_a_backup_is_listed,
    snapshot_of_other_cluster_is_not_served,
    mixture_of_two_clusters_is_no_snapshot,
);
