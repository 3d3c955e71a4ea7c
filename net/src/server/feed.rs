//! Pods that settings require, from feeds of the watch crate.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use poddns_core::{Freshness, Label, LookupWrapper, NoPods, PodLookup, Unknown};
use poddns_watch::{Feed, FeedError, FeedStats, Index, Recorder, Resource, Scope, Source, WatchStatus};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::error::StartError;
use super::listing::{IndexId, ListError, PodCursor, PodEntry, PodPage};
use super::pods::{PodsReport, ServedPods, SharedPods};
use super::settings::{Needs, Settings};
use super::snapshots::{SnapshotState, Snapshots, restore};
use super::supervise::Tasks;
use crate::sys;

/// Interval between checks whether a list has completed.
const LIST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Origin of the pods that a server answers from. Settings with the same origin can share a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PodOrigin {
    /// No pods: every answer depends on the question alone.
    Nothing,
    /// Not known yet: the first feed is being opened.
    Unopened,
    /// Pods of the embedding program, whatever the settings require.
    Program,
    /// A feed.
    Feed(FeedPlan),
}

/// Scope and source of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedPlan {
    pub(super) source: Source,
    pub(super) scope: Scope,
}

impl PodOrigin {
    /// Returns the origin that settings require.
    pub(super) fn of(settings: &Settings) -> Self {
        let plan = || FeedPlan { source: settings.source.clone(), scope: settings.scope() };
        match settings.needs() {
            Needs::Nothing => Self::Nothing,
            Needs::Namespaces | Needs::Pods => Self::Feed(plan()),
        }
    }
}

/// Pods that are served, and the token that ends their feed.
#[derive(Clone, Debug)]
pub(super) struct OpenPods {
    pub(super) origin: PodOrigin,
    pub(super) pods: SharedPods,
    pub(super) stop: CancellationToken,
    /// Writes snapshots of the pods; `None` unless they have a feed.
    pub(super) snapshots: Option<Arc<Snapshots>>,
}

impl OpenPods {
    /// Returns pods without a feed.
    pub(super) fn without_feed(origin: PodOrigin, pods: Arc<dyn ServedPods>) -> Self {
        Self { origin, pods: SharedPods(pods), stop: CancellationToken::new(), snapshots: None }
    }

    /// Runs a feed as a task of this thread.
    pub(super) fn run(plan: FeedPlan, opened: OpenedFeed, tasks: &Tasks) -> Self {
        let OpenedFeed { feed, state } = opened;
        let snapshots = Arc::new(Snapshots { recorder: feed.recorder(), state: Arc::clone(&state) });
        let watched = FeedPods {
            index: feed.index(),
            stats: feed.stats(),
            snapshots: state,
            recorder: feed.recorder(),
            listed: plan.scope.pods.then(IndexId::new),
        };
        let stop = CancellationToken::new();
        let (stats, stopped) = (feed.stats(), stop.clone());
        tasks.spawn("memory release", async move || release_after_lists(&stats, &stopped).await);
        // A feed restarts its parts itself, with its state marked stale.
        tasks.spawn_once("feed", feed.run(stop.clone()));
        let pods = SharedPods(Arc::new(watched));
        Self { origin: PodOrigin::Feed(plan), pods, stop, snapshots: Some(snapshots) }
    }

    /// Returns the pods of settings that need none.
    pub(super) fn nothing() -> Self {
        Self::without_feed(PodOrigin::Nothing, Arc::new(NoPods))
    }

    /// Returns true if these are the same pods, not merely pods of the same origin.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pods.0, &other.pods.0)
    }

    /// Returns true if the pods are unknown: neither listed nor restored from a snapshot.
    pub(super) fn is_unsynced(&self) -> bool {
        self.pods.0.freshness() == Freshness::Unsynced
    }
}

/// A feed that is not running yet.
#[derive(Debug)]
pub(super) struct OpenedFeed {
    feed: Feed,
    state: Arc<SnapshotState>,
}

impl OpenedFeed {
    /// Opens the feed of a plan and fills it from a snapshot, if one is given. A pipe for a pods file is accepted if
    /// `pipes` is true.
    pub(super) async fn open(
        plan: FeedPlan,
        pipes: bool,
        snapshot: Option<&Path>,
    ) -> Result<Self, FeedError> {
        let source = match plan.source {
            Source::File(path) if pipes => Source::FileOrPipe(path),
            source => source,
        };
        let mut feed = Feed::open(source, plan.scope).await?;
        let state = Arc::new(SnapshotState::default());
        if let Some(path) = snapshot {
            restore(&mut feed, path, &state);
        }
        Ok(Self { feed, state })
    }
}

/// Placeholder for pods whose feed is not open yet: every look-up returns [`Unknown`].
#[derive(Debug, Default)]
pub(super) struct UnopenedPods {
    error: OnceLock<String>,
}

impl UnopenedPods {
    /// Sets the reason why the feed cannot be opened, for the admin endpoints.
    pub(super) fn failed(&self, error: &StartError) {
        // Set once at most: there is no second attempt.
        let _ = self.error.set(error.to_string());
    }
}

impl PodLookup for UnopenedPods {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Err(Unknown)
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        Err(Unknown)
    }

    fn freshness(&self) -> Freshness {
        Freshness::Unsynced
    }
}

impl ServedPods for UnopenedPods {
    fn list(
        &self,
        _: Option<PodCursor>,
        _: usize,
        _: &dyn Fn(&PodEntry) -> bool,
    ) -> Result<PodPage, ListError> {
        Err(ListError::NotRead)
    }

    fn report(&self) -> PodsReport {
        let error = self.error.get().cloned().unwrap_or_else(|| "the configuration is being read".to_owned());
        let watch = WatchStatus {
            resource: Resource::Pods,
            namespace: None,
            freshness: Freshness::Unsynced,
            error: Some(error),
        };
        PodsReport { watches: vec![watch], ..PodsReport::default() }
    }
}

/// Returns free memory to the system after each list, until `stop`: the index grows between the buffers that a list is
/// decoded from, so these are not at the end of the heap when they are freed.
async fn release_after_lists(stats: &FeedStats, stop: &CancellationToken) {
    let mut released = 0;
    while stop.run_until_cancelled(time::sleep(LIST_POLL_INTERVAL)).await.is_some() {
        let lists = stats.pods.lists() + stats.namespaces.lists();
        if lists != released {
            sys::release_free_memory();
            released = lists;
        }
    }
}

/// An index of the watch crate with its feed's counters.
struct FeedPods {
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    snapshots: Arc<SnapshotState>,
    recorder: Recorder,
    /// Identity of the index in the cursors of a listing, if it contains pods.
    listed: Option<IndexId>,
}

impl LookupWrapper for FeedPods {
    type Inner = Index;

    fn inner(&self) -> &Index {
        &self.index
    }

    fn freshness(&self) -> Freshness {
        self.index.health().checked_freshness()
    }

    fn namespace_freshness(&self) -> Freshness {
        // If the pods are fresh, no clock is read, as in `freshness`.
        match LookupWrapper::freshness(self) {
            Freshness::Fresh => Freshness::Fresh,
            _ => self.index.namespace_freshness(),
        }
    }
}

impl ServedPods for FeedPods {
    fn check_freshness(&self) {
        self.index.health().check();
    }

    fn list(
        &self,
        from: Option<PodCursor>,
        limit: usize,
        wanted: &dyn Fn(&PodEntry) -> bool,
    ) -> Result<PodPage, ListError> {
        self.listed.ok_or(ListError::NoPods)?.page(&self.index, from, limit, wanted)
    }

    fn find_address(&self, which: &mut dyn FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        self.recorder.find_address(which)
    }

    fn report(&self) -> PodsReport {
        PodsReport {
            index: Some(self.index.stats()),
            watches: self.index.health().watches(),
            feeds: self.stats.watches().to_vec(),
            resync: self.stats.resync.counts(),
            snapshot: self.snapshots.report(),
        }
    }
}
