//! The cluster feed: kube's watchers, and what they are asked for.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, join_all};
use kube::Api;
use kube::runtime::watcher::{self, watcher};
use poddns_core::Label;

use super::access::Access;
use super::drive::{Driver, Listing, Target};
use super::explain::Subject;
use super::faults::FaultLog;
use super::link::{Link, Signs};
use super::report::Report;
use super::stats::FeedStats;
use super::target::{NamespaceTarget, PodTarget, SharedWriter};
use super::{ClusterOptions, FeedError, Scope};
use crate::freshness::{Health, Watch};
use crate::namespace::Namespace;
use crate::pod::Pod;

/// Pods that count: see [`Phase::counts`](crate::Phase::counts). A pod that ends arrives as deleted.
///
/// `CoreDNS` leaves out `status.phase!=Unknown` pods as well, but those are neither deleted nor ended.
const PODS_THAT_COUNT: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Bounds, in seconds, of how long the server keeps a watch open. Drawn anew for each watch, so that replicas
/// that began together do not go on beginning together.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 240..=300;

/// The watches of a cluster.
pub(crate) struct ClusterFeed {
    access: Arc<Access>,
    watches: Vec<BoxFuture<'static, ()>>,
}

/// What all watches share.
struct Parts<'a> {
    access: Arc<Access>,
    writer: SharedWriter,
    health: &'a Health,
    stats: Arc<FeedStats>,
    page_size: u32,
}

impl ClusterFeed {
    /// Reads the client's configuration and registers the watches. Asks the server for nothing yet.
    pub(crate) async fn open(
        options: ClusterOptions,
        scope: &Scope,
        writer: SharedWriter,
        health: &Health,
        stats: Arc<FeedStats>,
    ) -> Result<Self, FeedError> {
        let page_size = options.page_size.max(1);
        let access = Arc::new(Access::open(options).await?);
        let parts = Parts { access, writer, health, stats, page_size };
        let mut watches = vec![parts.namespaces(scope)];
        match (scope.pods, scope.namespaces.as_slice()) {
            (false, _) => {}
            (true, []) => watches.push(parts.pods(scope, None)),
            (true, only) => {
                let only: std::collections::BTreeSet<&Label> = only.iter().collect();
                watches.extend(only.into_iter().map(|namespace| parts.pods(scope, Some(*namespace))));
            }
        }
        Ok(Self { access: parts.access, watches })
    }

    /// The URL of the API server.
    pub(crate) fn url(&self) -> Arc<str> {
        self.access.url()
    }

    /// Keeps the index in step. Never returns.
    pub(crate) async fn run(self) {
        join_all(self.watches).await;
    }
}

impl Parts<'_> {
    fn pods(&self, scope: &Scope, namespace: Option<Label>) -> BoxFuture<'static, ()> {
        let faults = FaultLog::new(Arc::clone(&self.stats));
        let target = PodTarget::new(self.writer.clone(), namespace, scope.host_network, faults);
        let (driver, client) = self.driver(target, Watch::Pods, namespace);
        let api: Api<Pod> = match namespace {
            Some(namespace) => Api::namespaced(client, namespace.as_str()),
            None => Api::all(client),
        };
        let open = move |listing| watcher(api.clone(), config(listing).fields(PODS_THAT_COUNT));
        driver.run(open).boxed()
    }

    fn namespaces(&self, scope: &Scope) -> BoxFuture<'static, ()> {
        let faults = FaultLog::new(Arc::clone(&self.stats));
        let target = NamespaceTarget::new(self.writer.clone(), scope.namespaces.clone(), faults);
        let (driver, client) = self.driver(target, Watch::Namespaces, None);
        let api: Api<Namespace> = Api::all(client);
        driver.run(move |listing| watcher(api.clone(), config(listing))).boxed()
    }

    fn driver<T: Target>(
        &self,
        target: T,
        watch: Watch,
        namespace: Option<Label>,
    ) -> (Driver<T>, kube::Client) {
        let resource = match watch {
            Watch::Pods => "pods",
            Watch::Namespaces => "namespaces",
        };
        let subject = Subject { resource, namespace, url: self.access.url().as_ref().to_owned() };
        let report = Report::new(self.health, watch, namespace, Arc::clone(&self.stats));
        let signs = Arc::new(Signs::new());
        let client = Link::client(Arc::clone(&self.access), Arc::clone(&signs));
        (Driver::new(target, subject, report, signs, self.page_size), client)
    }
}

fn config(listing: Listing) -> watcher::Config {
    let config = watcher::Config::default().timeout(fastrand::u32(WATCH_SECONDS));
    match listing {
        Listing::Streamed => config.streaming_lists(),
        Listing::Paged(size) => config.page_size(size),
    }
}
