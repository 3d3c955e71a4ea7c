//! Sources of pods.

use std::path::PathBuf;
use std::time::Duration;

use super::machine::listing::ListMethod;

/// The source of pods and namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server of a cluster.
    Cluster(ClusterOptions),
    /// A file written by `kubectl get pods -A -o json` or `-o yaml`: a `List` or a `PodList`. It is read again when it
    /// changes. The namespaces of its pods exist, and so do the namespaces that it lists (`kubectl get namespaces,pods
    /// -A`). It must be a regular file.
    File(PathBuf),
    /// As [`File`](Self::File), or a pipe (`/dev/stdin`, a FIFO, a shell's `<(…)`). A pipe is read once: opening the
    /// feed waits until its writers have closed it.
    FileOrPipe(PathBuf),
}

/// Options of the connection to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// The kubeconfig file. `None` selects the service account of the pod in which the process runs; outside of a pod
    /// `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; `None` selects the current context.
    pub context: Option<String>,
    /// List methods, the preferred one first. Methods that the server does not support are skipped;
    /// [`ListMethod::Paged`] is used if none remains.
    pub list_methods: Vec<ListMethod>,
    /// Number of objects in a page: at least 1, 500 by default.
    pub page_size: u32,
    /// Time without data after which a connection is probed, by an HTTP/2 PING or a small request; 10 seconds by
    /// default. The connection is closed if there is no response within the same time.
    pub probe_interval: Duration,
    /// Mean time between two comparisons of the index with the cluster, an hour by default; `None` for no comparisons.
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
