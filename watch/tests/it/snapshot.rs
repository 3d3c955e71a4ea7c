//! Snapshots through feeds: written by one, read by the next.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::options;
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{ApiServer, BodyEnd, PreparedResponse, RequestVerb, namespace, pod};
use poddns_test_support::wait::until_async as until;
use poddns_watch::check_snapshot_path;
use poddns_watch::snapshot_format::{SnapshotDecoder, SnapshotEncoder, SnapshotHeader, SnapshotItem};
use poddns_watch::{Feed, HostNetwork, Index, RestoredSnapshot, Scope, SnapshotError, Source};
use tokio_util::sync::CancellationToken;

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn has(index: &Index, namespace: &str, address: &str) -> bool {
    index.contains(&label(namespace), address.parse::<IpAddr>().expect("an address")).unwrap()
}

async fn open(server: &ApiServer, scope: Scope) -> Feed {
    Feed::open(Source::Cluster(options(server)), scope).await.expect("the feed opens")
}

/// Runs a feed until the future completes.
async fn running<T>(feed: Feed, then: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let (result, ()) = tokio::join!(
        async {
            let result = then.await;
            stop.cancel();
            result
        },
        feed.run(stop.clone())
    );
    result
}

fn small_cluster() -> ApiServer {
    let server = ApiServer::start();
    for name in ["default", "team-a", "empty"] {
        server.put(namespace(name));
    }
    server.put(pod("default", "web-1", &["10.0.0.1", "fd00::1"]));
    server.put(pod("default", "web-2", &["10.0.0.2"]));
    server.put(pod("team-a", "web-3", &["10.0.0.3"]));
    server
}

/// Writes a snapshot of the small cluster.
async fn snapshot_of(server: &ApiServer, scope: Scope, path: &Path) {
    let feed = open(server, scope).await;
    let (index, mut recorder) = (feed.index(), feed.recorder());
    assert_eq!(recorder.write(path).unwrap(), None, "what is not complete is not worth keeping");
    running(feed, until("fresh", || index.freshness() == Freshness::Fresh)).await;
    let written = recorder.write(path).unwrap().expect("something to write");
    assert_eq!(written.size, fs::metadata(path).unwrap().len());
    let (pods, namespaces) = (index.stats().pods, index.stats().namespaces);
    assert_eq!((written.pods as usize, written.namespaces as usize), (pods, namespaces));
    assert!(written.synced_at <= SystemTime::now());
}

/// Rewrites the snapshot with another time.
fn dated(path: &Path, synced_at: SystemTime) {
    let octets = fs::read(path).unwrap();
    let decoder = SnapshotDecoder::new(&octets[..]).unwrap();
    let header = SnapshotHeader { synced_at, ..decoder.header().clone() };
    let mut copy = Vec::new();
    let mut encoder = SnapshotEncoder::new(&mut copy, &header);
    decoder
        .read(|item| match item {
            SnapshotItem::Namespace(namespace) => encoder.namespace(&namespace),
            SnapshotItem::Pod(pod) => encoder.pod(&pod),
        })
        .unwrap();
    encoder.finish().unwrap();
    fs::write(path, copy).unwrap();
}

fn stale(index: &Index) -> Duration {
    match index.freshness() {
        Freshness::Stale { age } => age,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn restarted_feed_answers_without_api_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut server = small_cluster();
    snapshot_of(&server, Scope { pod_names: true, ..Scope::default() }, &path).await;
    server.stop().await;

    let hour_ago = SystemTime::now() - Duration::from_hours(1);
    dated(&path, hour_ago);
    let mut feed = open(&server, Scope { pod_names: true, ..Scope::default() }).await;
    let restored = feed.restore(&path).unwrap().expect("it is there");
    assert_eq!((restored.namespaces, restored.pods), (3, 3));
    let index = feed.index();
    assert!(stale(&index) >= Duration::from_hours(1), "{:?}", index.freshness());
    assert_eq!(index.health().pending(), [], "nothing is waited for");
    for (namespace, address) in
        [("default", "10.0.0.1"), ("default", "fd00::1"), ("default", "10.0.0.2"), ("team-a", "10.0.0.3")]
    {
        assert!(has(&index, namespace, address), "{address}");
    }
    assert!(!has(&index, "team-a", "10.0.0.1") && !has(&index, "default", "10.0.0.9"));
    assert!(
        index.namespace_exists(&label("empty")).unwrap() && !index.namespace_exists(&label("other")).unwrap()
    );
    let mut named = Vec::new();
    index
        .addresses_of(&label("default"), &label("web-1"), &mut |address| named.push(address.to_string()))
        .unwrap();
    assert_eq!(named, ["10.0.0.1", "fd00::1"]);

    // Failures do not make it fresher, and no object disappears because of them.
    let mut recorder = feed.recorder();
    let stats = feed.stats();
    running(feed, until("tried", || stats.pods.errors() > 1 && stats.namespaces.errors() > 1)).await;
    assert!(stale(&index) >= Duration::from_hours(1));
    assert!(has(&index, "default", "10.0.0.2"));
    // Failures do not cause a snapshot either: there is nothing newer to keep.
    assert_eq!(recorder.write(&path).unwrap(), None);
}

/// Pods that were deleted while no feed ran disappear with the first complete list and not before, even if other lists
/// fail first. Existing pods are present all the time.
#[tokio::test]
async fn first_list_after_snapshot_is_a_relist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let server = small_cluster();
    snapshot_of(&server, Scope::default(), &path).await;
    server.delete("pods", "default", "web-2");
    server.delete("namespaces", "", "empty");
    server.put(pod("team-a", "web-4", &["10.0.0.4"]));
    server.put(namespace("new"));
    // A list that breaks off after one pod, and one that never ends.
    let first = format!(
        "{}\n",
        serde_json::json!({"type": "ADDED", "object": pod("default", "web-1", &["10.0.0.1", "fd00::1"])})
    );
    server.next(
        "pods",
        RequestVerb::Stream,
        PreparedResponse::Part { body: first.into(), then: BodyEnd::Break },
    );

    let mut feed = open(&server, Scope::default()).await;
    feed.restore(&path).unwrap().expect("it is there");
    let index = feed.index();
    let lost = Arc::new(AtomicBool::new(false));
    let (watched, seen_lost) = (Arc::clone(&index), Arc::clone(&lost));
    running(feed, async {
        until("in sync", move || {
            let kept = ["10.0.0.1", "fd00::1"].iter().all(|address| has(&watched, "default", address))
                && has(&watched, "team-a", "10.0.0.3");
            seen_lost.fetch_or(!kept, Ordering::Relaxed);
            watched.freshness() == Freshness::Fresh
        })
        .await;
    })
    .await;
    assert!(!lost.load(Ordering::Relaxed), "what exists never disappears");
    assert_eq!(server.unused(), 0);
    assert!(!has(&index, "default", "10.0.0.2"), "what is gone does not survive");
    assert!(has(&index, "team-a", "10.0.0.4"));
    assert!(
        index.namespace_exists(&label("new")).unwrap() && !index.namespace_exists(&label("empty")).unwrap()
    );
    assert_eq!(index.stats().pods, 3);
}

/// Returns the reason why the file is rejected. The feed then works as without a snapshot.
async fn refused(server: &ApiServer, scope: Scope, path: &Path) -> String {
    let mut feed = open(server, scope).await;
    let error = feed.restore(path).expect_err("it is refused");
    let index = feed.index();
    assert_eq!(index.freshness(), Freshness::Unsynced);
    assert_eq!((index.stats().pods, index.stats().namespaces), (0, 0));
    running(feed, until("fresh all the same", || index.freshness() == Freshness::Fresh)).await;
    error.to_string()
}

#[tokio::test]
async fn unusable_snapshots_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let server = small_cluster();
    assert_eq!(open(&server, Scope::default()).await.restore(&path).unwrap(), None, "there is none");
    snapshot_of(&server, Scope::default(), &path).await;
    let octets = fs::read(&path).unwrap();
    let shown = path.display();
    for (length, why) in
        [(0, "it is not a snapshot of poddns".to_owned()), (octets.len() - 1, "it ends after".to_owned())]
    {
        fs::write(&path, &octets[..length]).unwrap();
        let message = refused(&server, Scope::default(), &path).await;
        assert!(message.starts_with(&format!("snapshot {shown} is not used: {why}")), "{message}");
    }
    let mut damaged = octets.clone();
    damaged[octets.len() / 2] ^= 0x10;
    fs::write(&path, &damaged).unwrap();
    assert!(refused(&server, Scope::default(), &path).await.contains("damaged"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refused(&server, Scope::default(), &path).await.ends_with("it is not a snapshot of poddns"));
}

#[tokio::test]
async fn snapshot_that_others_can_write_is_refused() {
    let server = small_cluster();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("snapshot");
    snapshot_of(&server, Scope::default(), &path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).expect("changed");
    let error = refused(&server, Scope::default(), &path).await;
    assert!(error.contains("is not used: others than its owner can write to it (mode 660)"), "{error}");
    // The next snapshot is written as usual, and trusted again.
    snapshot_of(&server, Scope::default(), &path).await;
    let mut feed = open(&server, Scope::default()).await;
    assert!(feed.restore(&path).expect("trusted").is_some());
}

#[tokio::test]
async fn a_snapshot_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let server = small_cluster();
    snapshot_of(&server, Scope::default(), &path).await;
    let only = Scope { namespaces: vec![label("team-a")], ..Scope::default() };
    for (scope, was, is) in [
        (Scope { pods: false, ..Scope::default() }, "pods: true", "pods: false"),
        (Scope { pod_names: true, ..Scope::default() }, "pod-names: false", "pod-names: true"),
        (
            Scope { host_network: HostNetwork::Exclude, ..Scope::default() },
            "host-network: include",
            "host-network: exclude",
        ),
        (only, "namespaces: all", "namespaces: team-a"),
    ] {
        let message = refused(&server, scope, &path).await;
        assert!(message.ends_with(&format!("it was written with {was}, and now it is {is}")), "{message}");
    }
    let other = small_cluster();
    assert!(
        refused(&other, Scope::default(), &path)
            .await
            .contains("it was written with source: http://127.0.0.1:")
    );
    let twice =
        Scope { namespaces: vec![label("team-a"), label("default"), label("team-a")], ..Scope::default() };
    snapshot_of(&server, twice, &path).await;
    let same = Scope { namespaces: vec![label("default"), label("team-a")], ..Scope::default() };
    assert!(open(&server, same).await.restore(&path).unwrap().is_some(), "the order is no matter");
}

#[tokio::test]
async fn clock_set_back_makes_age_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let server = small_cluster();
    snapshot_of(&server, Scope::default(), &path).await;
    dated(&path, SystemTime::now() + Duration::from_hours(1));
    let mut feed = open(&server, Scope::default()).await;
    let restored = feed.restore(&path).unwrap().expect("it is used");
    assert!(matches!(restored, RestoredSnapshot { age: None, .. }));
    assert!(stale(&feed.index()) > Duration::from_hours(24 * 365));
    assert!(has(&feed.index(), "default", "10.0.0.1"));
    dated(&path, SystemTime::UNIX_EPOCH);
    let mut feed = open(&server, Scope::default()).await;
    assert!(
        feed.restore(&path).unwrap().and_then(|restored| restored.age) > Some(Duration::from_hours(24 * 365))
    );
}

/// A snapshot is due only if the index was in sync after the last one.
#[tokio::test]
async fn only_what_is_newer_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut server = small_cluster();
    let feed = open(&server, Scope::default()).await;
    let (index, mut recorder) = (feed.index(), feed.recorder());
    running(feed, async {
        until("fresh", || index.freshness() == Freshness::Fresh).await;
        let first = recorder.write(&path).unwrap().expect("a first one");
        server.put(pod("default", "web-9", &["10.0.0.9"]));
        until("known", || has(&index, "default", "10.0.0.9")).await;
        let second = recorder.write(&path).unwrap().expect("it is still in sync");
        assert!(second.synced_at >= first.synced_at && second.pods == first.pods + 1);
        server.stop().await;
        until("stale", || matches!(index.freshness(), Freshness::Stale { .. })).await;
        // A third one is written only if the index was in sync after the second one was begun.
        let last = recorder.write(&path).unwrap();
        assert!(last.is_none_or(|last| last.synced_at + Duration::from_millis(1) >= second.synced_at));
        assert_eq!(recorder.write(&path).unwrap(), None, "and has not been since");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_snapshot_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pods.json");
    let server = small_cluster();
    fs::write(&path, "{\"kind\": \"List\"}").unwrap();
    let feed = open(&server, Scope::default()).await;
    let (index, mut recorder) = (feed.index(), feed.recorder());
    running(feed, until("fresh", || index.freshness() == Freshness::Fresh)).await;
    let message = recorder.write(&path).unwrap_err().to_string();
    let expected =
        format!("cannot write snapshot {}: the file exists and is not a snapshot of poddns", path.display());
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(check_snapshot_path(&path).unwrap_err().to_string(), message);
    assert_eq!(fs::read(&path).unwrap(), b"{\"kind\": \"List\"}");
    for damaged in [&b""[..], b"\x89poddns\nand then nothing that makes sense"] {
        fs::write(&path, damaged).unwrap();
        check_snapshot_path(&path).unwrap();
        let mut feed = open(&server, Scope::default()).await;
        assert!(feed.restore(&path).is_err());
        let (index, mut recorder) = (feed.index(), feed.recorder());
        running(feed, until("fresh", || index.freshness() == Freshness::Fresh)).await;
        assert!(recorder.write(&path).unwrap().is_some(), "a damaged one is");
    }
}

/// An unwritable path is reported before there is anything to write.
#[test]
fn unwritable_paths_are_reported() {
    let error = check_snapshot_path(Path::new("/nonexistent/snapshot")).unwrap_err();
    assert!(matches!(error, SnapshotError::Unwritable { .. }));
    let message = error.to_string();
    assert!(message.starts_with("cannot write snapshot /nonexistent/snapshot: No such file"), "{message}");
}

/// Pods are added and removed while a snapshot is written: it has the pods that existed all the time, and none that
/// never existed.
#[tokio::test]
async fn snapshot_during_churn_has_stable_pods() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let server = ApiServer::start();
    server.put(namespace("default"));
    let address = |number: usize| format!("10.1.{}.{}", number / 256, number % 256);
    for number in 0..3000 {
        server.put(pod("default", &format!("stays-{number}"), &[&address(number)]));
    }
    let feed = open(&server, Scope::default()).await;
    let (index, mut recorder) = (feed.index(), feed.recorder());
    running(feed, async {
        until("fresh", || index.freshness() == Freshness::Fresh).await;
        let to = path.clone();
        let writing = tokio::task::spawn_blocking(move || {
            for _ in 0..20 {
                recorder.write(&to).unwrap().expect("it is in sync");
            }
        });
        let mut round = 0;
        while !writing.is_finished() {
            let name = format!("comes-{}", round % 7);
            server.put(pod("default", &name, &[&format!("10.2.0.{}", round % 256)]));
            if round % 3 == 0 {
                server.delete("pods", "default", &name);
            }
            round += 1;
            tokio::task::yield_now().await;
        }
        writing.await.unwrap();
    })
    .await;
    let mut feed = open(&server, Scope::default()).await;
    feed.restore(&path).unwrap().expect("it is there");
    let index = feed.index();
    assert!((0..3000).all(|number| has(&index, "default", &address(number))));
    assert!(!has(&index, "default", "10.3.0.1"));
    assert!(index.stats().pods <= 3000 + 7 * 2, "{}", index.stats().pods);
}
