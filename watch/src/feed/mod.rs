//! The feeds: what keeps an index in step with a cluster or a file.

pub(crate) mod access;
mod cluster;
mod connection;
pub mod decode;
mod driver;
mod exchange;
pub(crate) mod explain;
mod faults;
mod file;
pub(crate) mod identity;
mod machine;
mod manifest;
mod reads;
mod report;
mod source;
mod staged;
mod stats;
mod target;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use poddns_core::{Freshness, Label, PodLookup};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use machine::listing::Method as ListMethod;
#[cfg(any(test, feature = "fuzzing"))]
pub use machine::model;
#[cfg(any(test, feature = "fuzzing"))]
pub use manifest::check::check as check_pods_file;
pub use reads::Reads;
pub use stats::{FeedStats, ResyncStats, WatchStats};
pub(crate) use target::SharedWriter;

use crate::kubeconfig::{KubeconfigError, PluginError};
use crate::snapshot::{self, Recorder, Restored, SnapshotError};
use crate::{Index, IndexOptions, index};
use cluster::ClusterFeed;
use file::FileFeed;
use identity::Origin;

/// What of the cluster goes into the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Watch pods: for mode `verified`. Without, only namespaces: for `insecure` with `check-namespaces`.
    pub pods: bool,
    /// Only these namespaces; all if empty. Pods are then watched namespace by namespace, so that rights in
    /// these are enough. Which of them exist still comes from the cluster's one watch of namespaces.
    pub namespaces: Vec<Label>,
    /// Whether pods with `hostNetwork: true` count, under their node's address.
    pub host_network: HostNetwork,
    /// Keep pod names, for answers by name and PTR.
    pub pod_names: bool,
}

impl Default for Scope {
    /// All pods of all namespaces, without names.
    fn default() -> Self {
        Self { pods: true, namespaces: Vec::new(), host_network: HostNetwork::Include, pod_names: false }
    }
}

impl Scope {
    /// What of its source an index with this scope holds, a line for each part.
    fn lines(&self) -> String {
        let Self { pods, namespaces, host_network, pod_names } = self;
        let host_network = match host_network {
            HostNetwork::Include => "include",
            HostNetwork::Exclude => "exclude",
        };
        let mut names: Vec<&str> = namespaces.iter().map(Label::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let names = if names.is_empty() { "all".to_owned() } else { names.join(", ") };
        let lines = [
            format!("pods: {pods}"),
            format!("host-network: {host_network}"),
            format!("pod-names: {pod_names}"),
            format!("namespaces: {names}"),
        ];
        lines.join("\n")
    }
}

/// Whether pods that share their node's network count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostNetwork {
    /// They count, under the node's address.
    #[default]
    Include,
    /// They do not.
    Exclude,
}

/// Where pods and namespaces come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server of a cluster.
    Cluster(ClusterOptions),
    /// A file that `kubectl get pods -A -o json` or `-o yaml` wrote: a `List` or a `PodList`. It is read again
    /// when it changes. The namespaces that its pods name exist, and those that it lists itself
    /// (`kubectl get namespaces,pods -A`). Nothing but a regular file is read.
    File(PathBuf),
    /// The same, or a pipe (`/dev/stdin`, a FIFO, a shell's `<(…)`), which is read once: opening the feed waits for its
    /// writers to close it.
    FileOrPipe(PathBuf),
}

/// How to reach a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// The kubeconfig file. Without: the service account of the pod we run in, else `$KUBECONFIG` or
    /// `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; its current one by default.
    pub context: Option<String>,
    /// Methods of listing, the preferred one first. Those that the server does not have are left out, and
    /// [`ListMethod::Paged`] is used if none is left.
    pub list_methods: Vec<ListMethod>,
    /// Objects in a page: at least 1, 500 by default.
    pub page_size: u32,
    /// Time after which a silent connection is probed, by a PING of HTTP/2 or a small request; 10 seconds by default.
    /// It is given up if there is no answer for as long again.
    pub probe_interval: Duration,
    /// Mean time between two comparisons of the index with the cluster; an hour by default, none without.
    pub resync_interval: Option<Duration>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        let list_methods = vec![ListMethod::Cached, ListMethod::Streaming, ListMethod::Paged];
        Self {
            kubeconfig: None,
            context: None,
            list_methods,
            page_size: 500,
            probe_interval: Duration::from_secs(10),
            resync_interval: Some(Duration::from_hours(1)),
        }
    }
}

/// Why a feed cannot be opened. That a cluster cannot be reached is no such reason.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A kubeconfig cannot be read, does not have the context, or has a fault in it.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[source] KubeconfigError),
    /// We seem to run in a pod, but its service account cannot be used.
    #[error(
        "cannot use the pod's service account: {0}; is `automountServiceAccountToken` off? Otherwise name a \
         kubeconfig"
    )]
    InCluster(#[source] KubeconfigError),
    /// Neither a pod nor a kubeconfig in the usual places.
    #[error("no cluster to watch: not in a pod, and {0}; name a kubeconfig, or use a pods file")]
    NoCluster(#[source] KubeconfigError),
    /// The configuration was read, but no client can be made of it: a certificate and a key that do not belong
    /// together, a CA that is none.
    #[error("cannot make a client of the cluster's configuration: {cause}")]
    Client {
        /// What failed.
        cause: String,
    },
    /// A credential plugin gave no credentials. Never when a feed is opened: it is tried again.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The configuration cannot be read just now: the file system does not answer.
    #[error("cannot read the cluster's configuration: {cause}")]
    Unavailable {
        /// What failed.
        cause: String,
    },
    /// The file of pods cannot be read.
    #[error("cannot use pods file {path}: {cause}", path = path.display())]
    PodsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with line and column where they are known.
        cause: String,
    },
}

impl FeedError {
    /// Whether the operator's configuration is at fault, rather than something that may pass by itself.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Plugin(_) | Self::Unavailable { .. })
    }
}

/// An index and what keeps it in step.
///
/// ```no_run
/// # async fn run() -> Result<(), poddns_watch::FeedError> {
/// use poddns_watch::{ClusterOptions, Feed, Scope, Source};
/// use tokio_util::sync::CancellationToken;
///
/// let feed = Feed::open(Source::Cluster(ClusterOptions::default()), Scope::default()).await?;
/// let index = feed.index();
/// tokio::spawn(feed.run(CancellationToken::new()));
/// // `index` answers; its `health()` says how well it is in step.
/// # Ok(())
/// # }
/// ```
pub struct Feed {
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    writer: SharedWriter,
    /// What a snapshot is of.
    origin: Origin,
    /// When a snapshot was read.
    restored: Option<Instant>,
    kind: Kind,
}

enum Kind {
    Cluster(ClusterFeed),
    File(Box<FileFeed>),
}

impl Feed {
    /// Reads the configuration, or the file; a file is in the index from then on. Nothing is asked of a
    /// cluster before [`run`](Self::run).
    pub async fn open(source: Source, scope: Scope) -> Result<Self, FeedError> {
        let (writer, index) = index(IndexOptions { pod_names: scope.pod_names });
        let writer = SharedWriter::new(writer);
        let stats = Arc::new(FeedStats::default());
        let (health, counted) = (index.health(), Arc::clone(&stats));
        let (own, sink) = (writer.clone(), writer);
        let (kind, origin) = match source {
            Source::Cluster(options) => {
                let feed = ClusterFeed::open(options, &scope, sink, health, counted).await?;
                let origin = feed.origin(scope.lines());
                (Kind::Cluster(feed), origin)
            }
            Source::File(ref path) | Source::FileOrPipe(ref path) => {
                let (shown, pipes) = (path.display().to_string(), matches!(source, Source::FileOrPipe(_)));
                let feed = FileFeed::open(path.clone(), pipes, &scope, sink, health, counted).await?;
                (Kind::File(Box::new(feed)), Origin::of_file(shown, scope.lines()))
            }
        };
        Ok(Self { index, stats, writer: own, origin, restored: None, kind })
    }

    /// Fills the index from a snapshot of the same cluster and scope, and says what was in it; `None` if there is no
    /// such file. The index is then stale, as old as the snapshot, until the first list is complete: that list is
    /// one like any later, so nothing that exists disappears during it, and nothing that is gone survives it.
    ///
    /// Nothing happens if the index is filled already, as it is from a file of pods. Reads the file twice, which
    /// takes the time of that; an error leaves the index empty, and the feed as good as without a snapshot.
    pub fn restore(&mut self, path: &Path) -> Result<Option<Restored>, SnapshotError> {
        if self.index.freshness() != Freshness::Unsynced {
            return Ok(None);
        }
        let restored = snapshot::restore(path, &self.origin, &self.writer, self.index.health())?;
        if restored.is_some() {
            self.restored = Some(Instant::now());
        }
        Ok(restored)
    }

    /// What [`restore`](Self::restore) would do with this file.
    pub fn look_at(&self, path: &Path) -> Result<Option<Restored>, SnapshotError> {
        snapshot::look(path, &self.origin)
    }

    /// What writes snapshots of the index, while the feed runs and after.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        let (writer, health) = (self.writer.clone(), self.index.health().clone());
        Recorder::new(writer, health, self.origin.clone(), self.restored)
    }

    /// The index that is kept in step.
    #[must_use]
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// The feed's counters.
    #[must_use]
    pub fn stats(&self) -> Arc<FeedStats> {
        Arc::clone(&self.stats)
    }

    /// Keeps the index in step until stopped. What fails is retried for ever: how things stand is in the
    /// index's health.
    pub async fn run(self, stop: CancellationToken) {
        let run = async {
            match self.kind {
                Kind::Cluster(feed) => feed.run().await,
                Kind::File(feed) => feed.run().await,
            }
        };
        stop.run_until_cancelled(run).await;
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("health", self.index.health()).finish_non_exhaustive()
    }
}
