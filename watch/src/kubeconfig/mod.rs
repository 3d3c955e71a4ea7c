//! The configuration of a cluster's client: a kubeconfig or a pod's service account, interpreted as `kubectl` does.
//!
//! It is read here rather than by kube, so that only the selected context, its cluster and its user have an effect, and
//! so that faults in these are reported here rather than by a library.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod check;
mod config_source;
mod error;
mod files;
mod header;
mod merge;
mod pem;
pub(crate) mod plugin;
mod proxy;
mod server;
mod user;
mod yaml_node;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use http::Uri;
use kube::config::Config;

pub(crate) use config_source::ConfigSource;
pub use error::KubeconfigError;
use merge::{ChosenContext, KubeconfigEntry};
use pem::{ClientCertificate, Pem};
pub use plugin::PluginError;
pub(crate) use user::{Authorization, read_token};
use yaml_node::YamlNode;

/// A complete configuration, except for the credentials of a plugin.
pub(crate) struct ClientConfig {
    /// Server, CA, client certificate, proxy and impersonation. Credentials for the `Authorization` header are not in
    /// it, so that kube neither reads tokens nor runs programs.
    pub(crate) config: Config,
    /// The `Authorization` header.
    pub(crate) authorization: Authorization,
}

impl ClientConfig {
    /// Returns the plugin that must be run for credentials, if any.
    pub(crate) fn plugin(&self) -> Option<&plugin::Plugin> {
        match &self.authorization {
            Authorization::Plugin(plugin) => Some(plugin),
            _ => None,
        }
    }
}

impl ConfigSource {
    /// Reads the configuration of a context; `None` selects the current context.
    ///
    /// Blocks: it reads files.
    pub(crate) fn load(
        &self,
        context: Option<&str>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<ClientConfig, KubeconfigError> {
        self.choose(context)?.load(variable)
    }

    fn choose(&self, context: Option<&str>) -> Result<ChosenContext, KubeconfigError> {
        match self {
            Self::Pod { server, account } => Ok(ChosenContext::of_pod(server, account)),
            Self::Named(_) | Self::Usual(_) => self.merged()?.choose(context),
        }
    }

    /// Returns the files that [`load`](Self::load) reads and the program that must be run. A kubeconfig that cannot be
    /// read contributes none.
    pub(crate) fn reads(&self, context: Option<&str>) -> (Vec<PathBuf>, Option<String>) {
        let mut files = self.kubeconfigs().to_vec();
        let Ok(ChosenContext { cluster, user, .. }) = self.choose(context) else { return (files, None) };
        let authority = Pem::of(&cluster, "certificate-authority-data", "certificate-authority");
        let identity = ClientCertificate::parts(&user).unwrap_or_default();
        let named = [authority.ok().flatten()].into_iter().chain(identity).flatten();
        files.extend(named.filter_map(|pem| pem.file().cloned()));
        files.extend(user.path("tokenFile").ok().flatten());
        (files, user::program(&user))
    }
}

impl ChosenContext {
    fn load(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<ClientConfig, KubeconfigError> {
        let Self { cluster, user, warning } = self;
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
        let authority = Pem::of(cluster, "certificate-authority-data", "certificate-authority")?;
        let insecure = cluster.flag("insecure-skip-tls-verify")?;
        if insecure && authority.is_some() {
            return Err(
                cluster.fault("insecure-skip-tls-verify and a certificate-authority exclude each other")
            );
        }
        let identity = ClientCertificate::of(user)?;
        let authorization = user::authorization(user, cluster)?;
        let secrets = identity.is_some() || !matches!(authorization, Authorization::None);
        let url = self.url(authority.is_some() || insecure || secrets)?;
        let proxy = proxy::choose(&url, cluster.text("proxy-url")?, variable);
        let proxy = proxy.map_err(|fault| cluster.fault(fault))?;
        // A proxy tunnel connects to port 443 unless the URL has a port.
        let url = if proxy.is_some() { server::with_port(url) } else { url };
        let mut config = Config::new(url);
        config.root_cert = authority.map(|authority| authority.certificates(cluster)).transpose()?;
        config.accept_invalid_certs = insecure;
        config.tls_server_name = cluster.text("tls-server-name")?.map(str::to_owned);
        config.proxy_url = proxy;
        config.auth_info = user::impersonation(user)?;
        if let Some(identity) = identity {
            identity.put_into(&mut config.auth_info);
        }
        Ok(ClientConfig { config, authorization })
    }

    fn url(&self, tls: bool) -> Result<Uri, KubeconfigError> {
        let server = self.cluster.text("server")?;
        let server = server.ok_or_else(|| self.cluster.fault("it names no server"))?;
        server::url(server, tls).map_err(|fault| self.cluster.fault(fault))
    }

    /// Returns the context of a pod's service account.
    fn of_pod(server: &str, account: &Path) -> Self {
        let entry = |fields: &[(&str, &str)]| {
            let field = |(name, value): &(&str, &str)| {
                ((*name).to_owned(), YamlNode::Scalar((*value).to_owned(), false))
            };
            let node = YamlNode::Map(fields.iter().map(field).collect());
            KubeconfigEntry::new("service account".to_owned(), node, account)
        };
        let server = format!("https://{server}");
        Self {
            cluster: entry(&[("server", &server), ("certificate-authority", "ca.crt")]),
            user: entry(&[("tokenFile", "token")]),
            warning: None,
        }
    }
}

#[cfg(test)]
mod tests;
