//! Errors of opening a feed.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinError;

use super::explain::{Cleaned, chain};
use super::manifest::PodsFileError;
use crate::kubeconfig::{KubeconfigError, PluginError};

/// Reason why a feed cannot be opened. An unreachable cluster is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A kubeconfig cannot be read, lacks the context, or is invalid.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[source] KubeconfigError),
    /// The process seems to run in a pod, but the service account cannot be used.
    #[error(
        "cannot use the pod's service account: {0}; is `automountServiceAccountToken` off? Otherwise name a \
         kubeconfig"
    )]
    InCluster(#[source] KubeconfigError),
    /// There is neither a service account nor a kubeconfig in the usual places.
    #[error("no cluster to watch: not in a pod, and {0}; name a kubeconfig, or use a pods file")]
    NoCluster(#[source] KubeconfigError),
    /// The configuration was read, but no client can be made from it: certificate and key do not match, or a CA is not
    /// a certificate.
    #[error("cannot make a client of the cluster's configuration: {}", Cleaned(&chain(&**.0)))]
    Client(#[source] Box<dyn Error + Send + Sync>),
    /// A credential plugin returned no credentials. Not returned when a feed is opened, because plugins run later.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The configuration could not be read within this time: the file system does not respond.
    #[error("cannot read the cluster's configuration: its files could not be read within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Reading the configuration panicked.
    #[error("cannot read the cluster's configuration: a defect of this program or a library: {0}")]
    Panicked(#[source] JoinError),
    /// The pods file cannot be read.
    #[error("cannot use pods file {path}: {cause}", path = path.display())]
    PodsFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        cause: PodsFileError,
    },
}

impl FeedError {
    /// Returns whether the configuration is at fault, rather than a transient condition.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Plugin(_) | Self::TimedOut(_) | Self::Panicked(_))
    }
}
