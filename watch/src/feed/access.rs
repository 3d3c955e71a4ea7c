//! The client of the API server, made again when its credentials are refused.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{ClusterOptions, FeedError};
use crate::feed::explain::chain;

/// How long to wait for a TCP connection and its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The client is not made again more often than this for a broken connection, which rarely is its fault.
const RENEW_UNREACHABLE: Duration = Duration::from_mins(1);

/// Where the cluster is and who we are: one for all watches.
///
/// kube reads token files again once a minute. That is not enough: until then an API server that has revoked
/// the old token answers 401, and what else a kubeconfig holds (inline token, client certificate, CA, server)
/// would never be read again. So a refused client is made anew from the files, and the watches go on with it.
pub(crate) struct Access {
    options: ClusterOptions,
    url: Arc<str>,
    current: Mutex<Current>,
    refused: AtomicBool,
    unreachable: AtomicBool,
}

struct Current {
    client: Client,
    made: Instant,
}

impl Access {
    /// Reads the configuration and makes the first client. Connects to nothing yet.
    pub(crate) async fn open(options: ClusterOptions) -> Result<Self, FeedError> {
        let config = load(&options).await?;
        let url = config.cluster_url.to_string().into();
        let client = connect(config).await?;
        let current = Mutex::new(Current { client, made: Instant::now() });
        let [refused, unreachable] = [AtomicBool::new(false), AtomicBool::new(false)];
        Ok(Self { options, url, current, refused, unreachable })
    }

    /// Returns the URL of the API server that is asked now, for messages: another one after the configuration
    /// was read again and names another server.
    pub(crate) fn url(&self) -> Arc<str> {
        Arc::clone(&self.url)
    }

    /// Returns the client; a new one if the last was refused. If the files cannot be read just now (a mount
    /// being swapped) the old one stays.
    ///
    /// Fails while there are no credentials yet: a credential plugin is running for too long, or fails.
    pub(crate) async fn client(&self) -> Result<Client, FeedError> {
        let mut current = self.current.lock().await;
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let unreachable = self.unreachable.swap(false, Ordering::Relaxed);
        if refused || (unreachable && current.made.elapsed() > RENEW_UNREACHABLE) {
            current.made = Instant::now();
            match self.renew().await {
                Ok(client) => {
                    info!(server = %self.url, "read the credentials again");
                    current.client = client;
                }
                Err(error) => warn!(%error, "cannot read the credentials again; going on with the old ones"),
            }
        }
        Ok(current.client.clone())
    }

    async fn renew(&self) -> Result<Client, FeedError> {
        connect(load(&self.options).await?).await
    }

    /// The server answered 401: the next request comes with credentials read anew.
    pub(crate) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// No answer, because of `error`: the configuration may have changed.
    pub(crate) fn unreachable(&self, _error: &(dyn Error + 'static)) {
        self.unreachable.store(true, Ordering::Relaxed);
    }
}

async fn load(options: &ClusterOptions) -> Result<Config, FeedError> {
    let context = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && options.context.is_none();
    let mut config = match &options.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .map_err(|error| FeedError::Kubeconfig { path: path.clone(), cause: chain(&error) })?;
            Config::from_custom_kubeconfig(kubeconfig, &context)
                .await
                .map_err(|error| FeedError::Kubeconfig { path: path.clone(), cause: chain(&error) })?
        }
        None if in_cluster => {
            Config::incluster_env().map_err(|error| FeedError::InCluster { cause: chain(&error) })?
        }
        None => Config::from_kubeconfig(&context)
            .await
            .map_err(|error| FeedError::NoCluster { cause: chain(&error) })?,
    };
    // Up to fifteen silent retries would hide from readiness and metrics that the server is in trouble.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Bounds the wait for an answer and the silence on a watch. It must count from the request, not from when
    // the pooled connection went idle.
    config.read_timeout = Some(options.idle_timeout);
    config.reset_reader_on_write = true;
    Ok(config)
}

async fn connect(config: Config) -> Result<Client, FeedError> {
    // A credential plugin of a kubeconfig runs here, and blocks.
    let made = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(FeedError::Client { cause: chain(&error) }),
        Err(error) => Err(FeedError::Client { cause: error.to_string() }),
    }
}
