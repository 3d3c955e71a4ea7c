//! The feed that settings ask for: what ties a server to the watch crate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use poddns_core::{Freshness, Label, NoPods, Owner, PodLookup, Unknown};
use poddns_watch::{
    ClusterOptions, Feed, FeedError, FeedStats, HostNetwork, Index, Recorder, Scope, Source, WatchStats,
};
use tokio::{task, time};
use tokio_util::sync::CancellationToken;

use super::settings::{Needs, PodSource, Settings};
use super::snapshots::{SnapshotState, Snapshots, restore};
use crate::server::pods::{FeedReport, IndexSize, Pods, PodsReport, SharedPods, WatchReport};
use crate::sys;

/// How often it is looked whether a list has come to its end.
const LOOK: Duration = Duration::from_secs(1);

/// What must be read, and from where. Settings with the same plan can share a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    source: PodSource,
    pods: bool,
    namespaces: Vec<Label>,
    host_network: HostNetwork,
    pod_names: bool,
}

impl Plan {
    /// What these settings need; `None` if that is nothing.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let plan = |pods| Self {
            source: settings.source.clone(),
            pods,
            namespaces: settings.namespaces().to_vec(),
            host_network: settings.host_network,
            pod_names: settings.pod_names,
        };
        match settings.needs() {
            Needs::Nothing => None,
            Needs::Namespaces => Some(plan(false)),
            Needs::Pods => Some(plan(true)),
        }
    }

    fn scope(&self) -> Scope {
        Scope {
            pods: self.pods,
            namespaces: self.namespaces.clone(),
            host_network: self.host_network,
            pod_names: self.pod_names,
        }
    }
}

/// Where the feed reads.
pub(crate) fn source(source: &PodSource) -> Source {
    match source {
        PodSource::File(path) => Source::FileOrPipe(path.clone()),
        PodSource::Cluster { kubeconfig, context } => Source::Cluster(ClusterOptions {
            kubeconfig: kubeconfig.clone(),
            context: context.clone(),
            ..ClusterOptions::default()
        }),
    }
}

/// Pods, and what keeps them in step until it is told to stop.
#[derive(Clone, Debug)]
pub(crate) struct OpenFeed {
    pub(crate) plan: Option<Plan>,
    pub(crate) pods: SharedPods,
    pub(crate) stop: CancellationToken,
    /// What keeps them for the next start. Nothing does for pods of others.
    pub(crate) snapshots: Option<Arc<Snapshots>>,
}

impl OpenFeed {
    /// Pods that somebody else keeps in step.
    pub(crate) fn of(pods: Arc<dyn Pods>) -> Self {
        Self { plan: None, pods: SharedPods(pods), stop: CancellationToken::new(), snapshots: None }
    }

    /// Opens the feed of a plan and runs it as a task of this thread, from a snapshot if one is named.
    pub(crate) async fn open(plan: Option<Plan>, snapshot: Option<&Path>) -> Result<Self, FeedError> {
        let Some(plan) = plan else { return Ok(Self::of(Arc::new(NoPods))) };
        let mut feed = Feed::open(source(&plan.source), plan.scope()).await?;
        let state = Arc::new(SnapshotState::default());
        if let Some(path) = snapshot {
            restore(&mut feed, path, &state);
        }
        let snapshots = Arc::new(Snapshots { recorder: feed.recorder(), state: Arc::clone(&state) });
        let watched =
            Watched { index: feed.index(), stats: feed.stats(), snapshots: state, recorder: feed.recorder() };
        let stop = CancellationToken::new();
        task::spawn_local(release_after_lists(feed.stats(), stop.clone()));
        task::spawn_local(feed.run(stop.clone()));
        Ok(Self { plan: Some(plan), pods: SharedPods(Arc::new(watched)), stop, snapshots: Some(snapshots) })
    }
}

/// Gives back the memory that lists leave free, until it is told to stop: a list is decoded from buffers between
/// which the index grows, so what they leave is not at the heap's end.
async fn release_after_lists(stats: Arc<FeedStats>, stop: CancellationToken) {
    let mut released = 0;
    while stop.run_until_cancelled(time::sleep(LOOK)).await.is_some() {
        let lists = stats.pods.lists() + stats.namespaces.lists();
        if lists != released {
            sys::release_free_memory();
            released = lists;
        }
    }
}

/// An index of the watch crate with its feed's counters.
struct Watched {
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    snapshots: Arc<SnapshotState>,
    recorder: Recorder,
}

impl PodLookup for Watched {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        self.index.namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: std::net::IpAddr) -> Result<bool, Unknown> {
        self.index.contains(namespace, address)
    }

    fn prefetch(&self, addresses: &[std::net::IpAddr]) {
        self.index.prefetch(addresses);
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(std::net::IpAddr),
    ) -> Result<(), Unknown> {
        self.index.addresses_of(namespace, pod, each)
    }

    fn owner_of(&self, address: std::net::IpAddr) -> Result<Owner, Unknown> {
        self.index.owner_of(address)
    }

    fn freshness(&self) -> Freshness {
        self.index.freshness()
    }

    fn serial(&self) -> u32 {
        self.index.serial()
    }
}

impl Pods for Watched {
    fn find_address(&self, which: &mut dyn FnMut(std::net::IpAddr) -> bool) -> Option<std::net::IpAddr> {
        self.recorder.find_address(which)
    }

    fn report(&self) -> PodsReport {
        let size = self.index.stats();
        let index = IndexSize {
            pods: size.pods,
            addresses: size.addresses,
            namespaces: size.namespaces,
            bytes: size.bytes,
        };
        let watches = self.index.health().watches().into_iter().map(|status| WatchReport {
            resource: status.watch.to_string(),
            namespace: status.namespace,
            freshness: status.freshness,
            error: status.error,
        });
        let feeds = vec![feed("pods", &self.stats.pods), feed("namespaces", &self.stats.namespaces)];
        let (watches, snapshot) = (watches.collect(), self.snapshots.report());
        PodsReport { index: Some(index), watches, feeds, snapshot }
    }
}

fn feed(resource: &'static str, stats: &WatchStats) -> FeedReport {
    FeedReport {
        resource,
        events: stats.events(),
        lists: stats.lists(),
        errors: stats.errors(),
        malformed: stats.malformed(),
    }
}
