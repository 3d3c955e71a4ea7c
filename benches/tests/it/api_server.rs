//! The API server of the benchmarks: its generated pods, and a feed that follows them.

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod as FullPod;
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{
    ApiServer, Encoding, GeneratedPod, NAMESPACES, Streaming, bodies, namespace, pod,
};
use poddns_test_support::wait::until;
use poddns_watch::decode::{Format, ListDecoder, ListItem, WatchDecoder, WatchFrame};
use poddns_watch::{ClusterOptions, Feed, FeedStats, Index, Pod, Scope, Source};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const PODS: u32 = 600;

struct Follower {
    server: ApiServer,
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    /// Runs the feed.
    _runtime: Runtime,
}

impl Follower {
    fn start(pods: u32, streaming: Streaming, encoding: Encoding) -> Self {
        let server = ApiServer::spawn();
        server.stream(streaming);
        server.encode_as(encoding);
        server.generate_pods(pods);
        let options = ClusterOptions { kubeconfig: Some(server.kubeconfig()), ..ClusterOptions::default() };
        let runtime = Runtime::new().expect("a runtime");
        let feed = runtime.block_on(Feed::open(Source::Cluster(options), Scope::default())).expect("a feed");
        let (index, stats) = (feed.index(), feed.stats());
        runtime.spawn(feed.run(CancellationToken::new()));
        let follower = Self { server, index, stats, _runtime: runtime };
        until("in sync", || follower.index.freshness() == Freshness::Fresh);
        // With paged lists the watch is opened later, and changes before it would cause another list.
        until("the watch", || follower.server.open_watches("pods") == 1);
        follower
    }

    fn lists(&self) -> u64 {
        self.stats.pods.lists()
    }

    fn has(&self, pod: &GeneratedPod) -> bool {
        let namespace: Label = pod.namespace().parse().expect("a label");
        let has = |address| self.index.contains(&namespace, std::net::IpAddr::V4(address)).unwrap();
        has(pod.address()) && !has(pod.other_address())
    }

    fn assert_in_sync(&self) {
        let sample = self.server.sample_pods(usize::MAX);
        assert_eq!(self.index.stats().pods, sample.len());
        assert_eq!(self.index.stats().namespaces, NAMESPACES as usize);
        let wrong: Vec<_> = sample.iter().filter(|pod| !self.has(pod)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

fn follows(streaming: Streaming, encoding: Encoding) {
    let follower = Follower::start(PODS, streaming, encoding);
    follower.assert_in_sync();
    assert_eq!(follower.lists(), 1);

    let before = follower.server.sample_pods(usize::MAX);
    follower.server.change_pods(200, 20_000);
    until("all changes", || follower.stats.pods.events() == 200);
    follower.assert_in_sync();
    assert_ne!(follower.server.sample_pods(usize::MAX), before);
    assert_eq!(follower.lists(), 1, "from the watch");

    follower.server.expire_watches("pods");
    until("another list", || follower.lists() == 2);
    follower.assert_in_sync();
}

#[test]
fn feed_follows_streaming_lists_and_changes() {
    follows(Streaming::Yes, Encoding::Protobuf);
}

#[test]
fn feed_follows_pages_and_changes() {
    follows(Streaming::Refused, Encoding::Protobuf);
}

#[test]
fn feed_follows_json_and_changes() {
    follows(Streaming::Yes, Encoding::Json);
}

#[test]
fn cluster_may_have_no_pods() {
    for streaming in [Streaming::Yes, Streaming::Refused] {
        let follower = Follower::start(0, streaming, Encoding::Protobuf);
        follower.server.change_pods(8, 20_000);
        follower.assert_in_sync();
    }
}

#[test]
fn generated_and_put_pods_are_listed() {
    for streaming in [Streaming::Yes, Streaming::Refused] {
        let follower = Follower::start(PODS, streaming, Encoding::Json);
        follower.server.put(namespace("web"));
        follower.server.put(pod("web", "a", &["192.0.2.1"]));
        follower.server.expire_watches("pods");
        until("another list", || follower.lists() == 2);
        assert_eq!(follower.index.stats().pods, PODS as usize + 1);
    }
}

#[test]
fn generated_pod_equals_recording_except_chosen_fields() {
    let list: List<FullPod> = serde_json::from_slice(&bodies::list(Encoding::Json, 3)).expect("a list");
    let pod = &list.items[2];
    assert_eq!(pod.metadata.name.as_deref(), Some("frontend-7c9f7b8d6-00000200"));
    assert_eq!(pod.metadata.namespace.as_deref(), Some("team-2"));
    let status = pod.status.as_ref().expect("a status");
    assert_eq!(status.pod_ips.as_ref().map(Vec::len), Some(1));
    assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.2"));
    let server = ApiServer::spawn();
    server.generate_pods(3);
    let sizes = [Encoding::Json, Encoding::Protobuf].map(|encoding| server.pod_size(encoding));
    assert!((9000..9500).contains(&sizes[0]), "{} bytes, as recorded", sizes[0]);
    assert!((6500..6700).contains(&sizes[1]), "{} bytes, as recorded", sizes[1]);
}

#[test]
fn both_encodings_hold_the_same_list() {
    let list = |encoding, format| {
        let mut decoder = ListDecoder::<Pod>::new(format);
        decoder.push(Bytes::from(bodies::page(encoding, 12, 3)));
        let mut items = Vec::new();
        while let Some(item) = decoder.next().expect("a list") {
            match item {
                ListItem::Object(pod) => items.push(pod),
                ListItem::Malformed(object) => panic!("{object:?}"),
            }
        }
        (items, decoder.finish().expect("a whole list"))
    };
    let (items, end) = list(Encoding::Json, Format::Json);
    assert_eq!((items.len(), end.remaining, end.continue_token.as_deref()), (3, Some(9), Some("token")));
    assert!(list(Encoding::Protobuf, Format::Protobuf) == (items, end));
}

#[test]
fn both_encodings_hold_the_same_events() {
    let events = |encoding, format| {
        let mut decoder = WatchDecoder::<Pod>::new(format);
        decoder.push(Bytes::from([bodies::events(encoding, 4), bodies::end_events(encoding)].concat()));
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next().expect("events") {
            frames.push(frame);
        }
        assert_eq!(decoder.finish(), Ok(()));
        frames
    };
    let json = events(Encoding::Json, Format::Json);
    assert!(matches!(&json[4..], [_, _, WatchFrame::Error(status)] if status.code == 410));
    assert!(events(Encoding::Protobuf, Format::Protobuf) == json);
}
