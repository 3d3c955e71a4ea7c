//! The API server of the memory bench, followed by the feed that it is made for.

use std::sync::Arc;

use poddns_benches::api_server::{ApiServer, Listing, Offer, Pod};
use poddns_benches::pods::NAMESPACES;
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::wait::until;
use poddns_watch::{ClusterOptions, Feed, FeedStats, Index, Scope, Source};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const PODS: u32 = 600;
const PAGED: Offer = Offer { listing: Listing::Paged, ..Offer::ALL };

struct Follower {
    server: ApiServer,
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    /// Runs the feed.
    _runtime: Runtime,
}

impl Follower {
    fn start(pods: u32, offer: Offer) -> Self {
        let server = ApiServer::start(pods, offer).expect("a server");
        let options = ClusterOptions { kubeconfig: Some(server.kubeconfig()), ..ClusterOptions::default() };
        let runtime = Runtime::new().expect("a runtime");
        let feed = runtime.block_on(Feed::open(Source::Cluster(options), Scope::default())).expect("a feed");
        let (index, stats) = (feed.index(), feed.stats());
        runtime.spawn(feed.run(CancellationToken::new()));
        let follower = Self { server, index, stats, _runtime: runtime };
        until("in sync", || follower.index.freshness() == Freshness::Fresh);
        // Behind pages it is opened after that, and what changed before it would cost another list.
        until("the watch", || follower.server.watches() == 1);
        follower
    }

    fn lists(&self) -> u64 {
        self.stats.pods.lists()
    }

    fn has(&self, pod: &Pod) -> bool {
        let namespace: Label = pod.namespace().parse().expect("a label");
        let has = |address| self.index.contains(&namespace, std::net::IpAddr::V4(address)).unwrap();
        has(pod.address()) && !has(pod.other_address())
    }

    fn assert_in_step(&self) {
        let sample = self.server.sample(usize::MAX);
        assert_eq!(self.index.stats().pods, sample.len());
        assert_eq!(self.index.stats().namespaces, NAMESPACES as usize);
        let wrong: Vec<_> = sample.iter().filter(|pod| !self.has(pod)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

fn follows(offer: Offer) {
    let follower = Follower::start(PODS, offer);
    follower.assert_in_step();
    assert_eq!(follower.lists(), 1);

    let before = follower.server.sample(usize::MAX);
    follower.server.change(200, 20_000);
    until("all changes", || follower.stats.pods.events() == 200);
    follower.assert_in_step();
    assert_ne!(follower.server.sample(usize::MAX), before);
    assert_eq!(follower.lists(), 1, "from the watch");

    follower.server.expire();
    until("another list", || follower.lists() == 2);
    follower.assert_in_step();
}

#[test]
fn a_feed_follows_streaming_lists_and_changes() {
    follows(Offer::ALL);
}

#[test]
fn a_feed_follows_pages_and_changes() {
    follows(PAGED);
}

#[test]
fn a_cluster_may_have_no_pods() {
    for offer in [Offer::ALL, PAGED] {
        let follower = Follower::start(0, offer);
        follower.server.change(8, 20_000);
        follower.assert_in_step();
    }
}
