//! Sources of a cluster's configuration.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::KubeconfigError;
use super::files::{self, MAX_KUBECONFIG};
use super::merge::MergedKubeconfigs;
use crate::ClusterOptions;

/// The directory of a pod's service account. The kubelet replaces token and certificates by renaming a symbolic link in
/// it.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A source of a cluster's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    /// The pod that this process runs in.
    Pod {
        /// `host:port` of the API server.
        server: String,
        /// The directory with the token and the CA's certificate.
        account: PathBuf,
    },
    /// The kubeconfig in the options, which must exist.
    Named(PathBuf),
    /// Kubeconfigs in the default places, in order of precedence; missing ones are skipped.
    Usual(Vec<PathBuf>),
}

impl ConfigSource {
    /// Returns the source of the configuration according to the options and the environment.
    pub(crate) fn of(options: &ClusterOptions, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        if let Some(path) = &options.kubeconfig {
            return Self::Named(path.clone());
        }
        if let Some(host) = set("KUBERNETES_SERVICE_HOST").filter(|_| options.context.is_none()) {
            let port = set("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
            let server = authority(&host.to_string_lossy(), &port.to_string_lossy());
            return Self::Pod { server, account: SERVICE_ACCOUNT.into() };
        }
        if let Some(paths) = set("KUBECONFIG") {
            return Self::Usual(env::split_paths(&paths).filter(|path| path != Path::new("")).collect());
        }
        Self::Usual(set("HOME").map(|home| PathBuf::from(home).join(".kube/config")).into_iter().collect())
    }

    /// Returns the kubeconfigs of this source, whether they exist or not.
    pub(crate) fn kubeconfigs(&self) -> &[PathBuf] {
        match self {
            Self::Pod { .. } => &[],
            Self::Named(path) => std::slice::from_ref(path),
            Self::Usual(paths) => paths,
        }
    }

    /// Reads and merges the kubeconfigs; in a pod there are none.
    pub(crate) fn merged(&self) -> Result<MergedKubeconfigs, KubeconfigError> {
        let mut merged = MergedKubeconfigs::default();
        let mut missing = Vec::new();
        for path in self.kubeconfigs() {
            match files::read(path, MAX_KUBECONFIG) {
                Ok(content) => merged.add(path, &content)?,
                // kubectl only warns ("Config not found") about a missing file, except for that of --kubeconfig.
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound && matches!(self, Self::Usual(_)) =>
                {
                    missing.push(path.display().to_string());
                }
                Err(source) => {
                    return Err(KubeconfigError::Read { what: "kubeconfig", path: path.clone(), source });
                }
            }
        }
        match self {
            Self::Usual(paths) if paths.is_empty() => {
                Err(KubeconfigError::Missing("neither KUBECONFIG nor HOME is set".to_owned()))
            }
            Self::Usual(paths) if missing.len() == paths.len() => {
                Err(KubeconfigError::Missing(format!("{} does not exist", missing.join(", "))))
            }
            _ => Ok(merged),
        }
    }
}

/// Joins a host and a port, with brackets around an IPv6 address.
fn authority(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
