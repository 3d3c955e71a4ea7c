//! The cluster feed: its watches, each with a machine and a driver.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use poddns_core::Label;
use tokio::time::sleep;
use tracing::{Instrument as _, Span, error, error_span};

use super::access::ClusterAccess;
use super::decode::Object;
use super::driver::{ClusterReachability, Driver};
use super::error::FeedError;
use super::exchange::{Endpoint, Requester};
use super::explain::WatchedObjects;
use super::faults::FaultLog;
use super::identity::{ClusterIdentity, IndexOrigin};
use super::machine::Machine;
use super::machine::listing::{ListMethod, MethodChoice};
use super::machine::target::ObjectTarget;
use super::options::ClusterOptions;
use super::report::WatchReport;
use super::scope::Scope;
use super::stats::FeedStats;
use super::target::{NamespaceTarget, PodTarget};
use crate::Resource;
use crate::freshness::Health;
use crate::index::SharedWriter;

/// Selects the pods that are served: see [`Phase::counts`](crate::Phase::counts). When a pod ends, the watch reports it
/// as deleted.
///
/// `CoreDNS` excludes pods of phase `Unknown` as well, but those have neither been deleted nor ended.
const PODS_THAT_COUNT: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Delay before a watch is restarted after its task has panicked.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// The watches of a cluster.
pub(crate) struct ClusterFeed {
    access: Arc<ClusterAccess>,
    identity: ClusterIdentity,
    watches: Vec<BoxFuture<'static, ()>>,
}

/// Parts that all watches of a feed share.
#[derive(Clone)]
struct WatchContext {
    access: Arc<ClusterAccess>,
    session: Arc<ClusterReachability>,
    identity: ClusterIdentity,
    writer: SharedWriter,
    health: Health,
    stats: Arc<FeedStats>,
    methods: Vec<ListMethod>,
    page_size: u32,
    probe_interval: Duration,
    resync_interval: Option<Duration>,
}

impl ClusterFeed {
    /// Reads the client's configuration and registers the watches. Makes no requests yet.
    pub(crate) async fn open(
        options: ClusterOptions,
        scope: &Scope,
        writer: SharedWriter,
        health: &Health,
        stats: Arc<FeedStats>,
    ) -> Result<Self, FeedError> {
        let ClusterOptions { list_methods: methods, page_size, probe_interval, resync_interval, .. } =
            options.clone();
        let access = Arc::new(ClusterAccess::open(options).await?);
        let (session, health) = (Arc::new(ClusterReachability::new()), health.clone());
        let identity = ClusterIdentity::default();
        let parts = WatchContext {
            access,
            session,
            identity,
            writer,
            health,
            stats,
            methods,
            page_size,
            probe_interval,
            resync_interval,
        };
        let mut watches = vec![parts.namespaces(scope)];
        match (scope.pods, scope.namespaces.as_slice()) {
            (false, _) => {}
            (true, []) => watches.push(parts.pods(scope, None)),
            (true, only) => {
                let only: std::collections::BTreeSet<&Label> = only.iter().collect();
                watches.extend(only.into_iter().map(|namespace| parts.pods(scope, Some(*namespace))));
            }
        }
        Ok(Self { access: parts.access, identity: parts.identity, watches })
    }

    /// Returns the origin of an index with this scope.
    pub(crate) fn origin(&self, scope: String) -> IndexOrigin {
        IndexOrigin::of_cluster(Arc::clone(&self.access), self.identity.clone(), scope)
    }

    /// Keeps the index in sync. Never returns.
    pub(crate) async fn run(self) {
        join_all(self.watches).await;
    }
}

impl WatchContext {
    fn pods(&self, scope: &Scope, namespace: Option<Label>) -> BoxFuture<'static, ()> {
        let path = match namespace {
            Some(namespace) => format!("{}/{namespace}/pods", Endpoint::NAMESPACES),
            None => "/api/v1/pods".to_owned(),
        };
        let endpoint = Endpoint { path, selector: Some(PODS_THAT_COUNT), metadata_only: false };
        let (writer, stats) = (self.writer.clone(), Arc::clone(&self.stats));
        let host_network = scope.host_network;
        let target = move || {
            let faults = FaultLog::new(Arc::clone(&stats));
            PodTarget::new(writer.clone(), namespace, host_network, faults)
        };
        self.watch(endpoint, Resource::Pods, namespace, target)
    }

    fn namespaces(&self, scope: &Scope) -> BoxFuture<'static, ()> {
        let path = Endpoint::NAMESPACES.to_owned();
        let endpoint = Endpoint { path, selector: None, metadata_only: true };
        let (writer, stats, only) = (self.writer.clone(), Arc::clone(&self.stats), scope.namespaces.clone());
        let target =
            move || NamespaceTarget::new(writer.clone(), only.clone(), FaultLog::new(Arc::clone(&stats)));
        self.watch(endpoint, Resource::Namespaces, None, target)
    }

    /// Registers a watch and returns the future that runs it.
    fn watch<T>(
        &self,
        endpoint: Endpoint,
        resource: Resource,
        namespace: Option<Label>,
        target: impl Fn() -> T + Send + 'static,
    ) -> BoxFuture<'static, ()>
    where
        T: ObjectTarget + Send + 'static,
        T::Object: Object + Send,
    {
        let requester = Requester::new(Arc::clone(&self.access), endpoint, self.probe_interval);
        let report = WatchReport::new(&self.health, resource, namespace, Arc::clone(&self.stats));
        let parts = self.clone();
        let subject = move || WatchedObjects { resource, namespace, url: parts.access.url() };
        let (identity, number) = (self.identity.clone(), self.identity.register());
        let resync_interval = self.resync_interval;
        let (session, listing) =
            (Arc::clone(&self.session), MethodChoice::new(&self.methods, self.page_size));
        let watching = supervise(report, move |report, again| {
            let random = fastrand::Rng::new();
            let mut machine = Machine::new(target(), subject(), listing.clone(), random);
            if again || identity.is_restored() {
                machine.filled_from(identity.of(number));
            }
            machine.resync_every(resync_interval);
            let identity = (identity.clone(), number);
            Driver::new(machine, requester.clone(), Arc::clone(&session), identity, report).run()
        });
        Box::pin(watching.instrument(span(resource, namespace)))
    }
}

/// Returns the span of all log lines of a watch. Its level is error, so it is enabled whenever one of these lines is.
fn span(resource: Resource, namespace: Option<Label>) -> Span {
    let scope = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    error_span!("watch", resource = format_args!("{resource}{scope}"))
}

/// Runs a watch, and restarts it when it panics. The argument of `begin` is true for restarts.
async fn supervise<F: Future<Output = ()>>(report: WatchReport, begin: impl Fn(WatchReport, bool) -> F) {
    let mut again = false;
    loop {
        let running = AssertUnwindSafe(begin(report.clone(), again)).catch_unwind();
        let Err(panic) = running.await else { return };
        let text = format!("the feed panicked: {}; restarting it", message(&*panic));
        error!("{text}");
        report.clone().panicked(&text);
        sleep(RESTART_DELAY).await;
        again = true;
    }
}

/// Returns the text of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use poddns_core::Freshness;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn panicked_watch_is_stale_and_restarts() {
        let (health, stats) = (Health::default(), Arc::<FeedStats>::default());
        let report = WatchReport::new(&health, Resource::Pods, None, Arc::clone(&stats));
        supervise(report, |mut report, again| {
            let health = health.clone();
            async move {
                if again {
                    let watch = health.watches().remove(0);
                    assert!(matches!(watch.freshness, Freshness::Stale { .. }), "{watch:?}");
                    assert!(watch.error.is_some_and(|error| error.contains("injected")));
                    return;
                }
                report.set_in_sync();
                panic!("injected");
            }
        })
        .await;
        assert_eq!(stats.pods.panics(), 1);
    }
}
