//! The client of the API server and its credentials, both renewed when they expire or are refused.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use kube::config::Config;
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use tower::service_fn;
use tracing::{Instrument as _, Span, debug, info, warn};

use super::connection;
use super::error::FeedError;
use super::options::ClusterOptions;
use super::server::ConfiguredServer;
use crate::kubeconfig::plugin::{Plugin, PluginCredentials};
use crate::kubeconfig::{Authorization, ClientConfig, ConfigSource, KubeconfigError, read_token};
use crate::tls;

/// Time limit for reading the files of a configuration.
const FILE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for obtaining a client: that of a plugin, plus time for reading the files before it runs.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(45);
/// Time for which a request of a feed waits for a client. Shorter than any time limit of a response, so that the error
/// names the credentials rather than the API server.
pub(super) const CLIENT_WAIT_TIMEOUT: Duration = Duration::from_secs(8);
/// Minimum age of a client that is replaced because the server does not respond, which the client rarely causes.
const UNREACHABLE_AGE: Duration = Duration::from_mins(1);
/// Minimum age of a client that is replaced because the server's certificate is not issued by its CA.
const DISTRUST_AGE: Duration = Duration::from_secs(10);
/// Time before the expiry of credentials at which new ones are requested in the background.
const RENEW_BEFORE: Duration = Duration::from_mins(1);
/// Minimum time between two runs of a plugin, even if its credentials expire sooner.
const MIN_LIFETIME: Duration = Duration::from_secs(10);

/// Access to a cluster, shared by all watches.
///
/// A client has the server, CA, client certificate and token that were in the files when it was made. If it is refused,
/// it is replaced by a client made from the current files. Tokens in files are read for each request.
pub(crate) struct ClusterAccess {
    options: ClusterOptions,
    place: ConfigSource,
    server: StdMutex<ConfiguredServer>,
    current: Mutex<ClientSlot>,
    /// Reason why there is no client, or why the last attempt to replace it failed.
    reason: StdMutex<Option<Arc<FeedError>>>,
    refused: AtomicBool,
    unreachable: AtomicBool,
    distrusted: AtomicBool,
    /// Number of times that the client was replaced.
    generation: AtomicU64,
    /// Number of failed attempts to make a client.
    failures: AtomicU64,
}

#[derive(Default)]
struct ClientSlot {
    made: Option<ActiveClient>,
    /// The configuration read at the start, for the first client.
    loaded: Option<ClientConfig>,
    /// The attempt to make another client, at most one. It continues if the task that waits for it is cancelled.
    pending: JoinSet<Result<ActiveClient, FeedError>>,
}

/// A client, with the data it was made from.
struct ActiveClient {
    client: Client,
    server: ConfiguredServer,
    at: Instant,
    /// Expiry of its credentials.
    expires: Option<Instant>,
    plugin: Option<(Plugin, PluginCredentials)>,
}

/// Time at which the client is to be replaced, and need for new credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Later,
    /// Replace the client in the background, and use it meanwhile.
    Soon {
        credentials: bool,
    },
    Now {
        credentials: bool,
    },
}

impl ClusterAccess {
    /// Reads the configuration and, unless that requires running a plugin, makes the first client. Does not connect
    /// yet.
    pub(crate) async fn open(options: ClusterOptions) -> Result<Self, FeedError> {
        let place = ConfigSource::of(&options, |name| env::var_os(name));
        let loaded = timeout(FILE_TIMEOUT, load(place.clone(), options.clone()));
        let loaded = loaded.await.unwrap_or_else(|_| Err(FeedError::TimedOut(FILE_TIMEOUT)))?;
        let server = configured_server(&loaded.config);
        let mut current = ClientSlot::default();
        let probe_interval = options.probe_interval;
        if matches!(loaded.authorization, Authorization::Plugin(_)) {
            current.loaded = Some(loaded);
        } else {
            current.made = Some(make(loaded, None, probe_interval).await?);
        }
        Ok(Self {
            options,
            place,
            server: StdMutex::new(server),
            current: Mutex::new(current),
            reason: StdMutex::new(None),
            refused: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            distrusted: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Returns the server of the client in use. It changes if the configuration was read again and names another
    /// server.
    pub(crate) fn server(&self) -> ConfiguredServer {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the URL of the server of the client in use, for messages.
    pub(crate) fn url(&self) -> Arc<str> {
        self.server().url
    }

    /// Returns the client, or a new one if the last one was refused. If no new one can be made (a mount that is being
    /// replaced, a plugin that fails), the old one stays in use.
    ///
    /// Fails if there is none at all: a credential plugin has failed, or exceeded its time limit.
    pub(crate) async fn client(&self) -> Result<Client, Arc<FeedError>> {
        self.client_within(CLIENT_TIMEOUT).await
    }

    /// As [`client`](Self::client), with another time limit. The attempt to make a client continues after it.
    pub(crate) async fn client_within(&self, patience: Duration) -> Result<Client, Arc<FeedError>> {
        let end = Instant::now() + patience;
        let failures = self.failures.load(Ordering::Acquire);
        let Ok(mut current) = timeout_at(end, self.current.lock()).await else {
            return Err(self.why_not(patience));
        };
        if let Some(ended) = current.pending.try_join_next() {
            self.adopt(&mut current, ended.unwrap_or_else(|error| Err(FeedError::Panicked(error))));
        }
        match self.due(&current) {
            Renewal::Later => {}
            Renewal::Soon { credentials } => self.begin(&mut current, credentials),
            // The attempt that has just failed was awaited by another request: it is not repeated.
            Renewal::Now { .. } if self.failures.load(Ordering::Acquire) != failures => {}
            Renewal::Now { credentials } => {
                self.begin(&mut current, credentials);
                if let Ok(Some(ended)) = timeout_at(end, current.pending.join_next()).await {
                    self.adopt(&mut current, ended.unwrap_or_else(|error| Err(FeedError::Panicked(error))));
                }
            }
        }
        current.made.as_ref().map(|made| made.client.clone()).ok_or_else(|| self.why_not(patience))
    }

    fn why_not(&self, patience: Duration) -> Arc<FeedError> {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reason.unwrap_or_else(|| Arc::new(FeedError::TimedOut(patience)))
    }

    fn set_reason(&self, reason: Option<FeedError>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(Arc::new);
    }

    /// Returns the generation of the client that [`client`](Self::client) returned last. A client of another generation
    /// may be for another cluster.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Records a 401: for the next request, the credentials are read again.
    pub(crate) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Records that there was no response because of `error`: the configuration may have changed.
    pub(crate) fn unreachable(&self, error: &(dyn Error + 'static)) {
        let flag = if tls::is_distrust(error) { &self.distrusted } else { &self.unreachable };
        flag.store(true, Ordering::Relaxed);
    }

    fn due(&self, current: &ClientSlot) -> Renewal {
        let taken = |flag: &AtomicBool| flag.swap(false, Ordering::Relaxed);
        let [refused, distrusted, unreachable] =
            [&self.refused, &self.distrusted, &self.unreachable].map(taken);
        let Some(made) = &current.made else { return Renewal::Now { credentials: true } };
        let age = made.at.elapsed();
        let left = made.expires.map_or(Duration::MAX, |expires| expires - Instant::now());
        if refused || left.is_zero() {
            Renewal::Now { credentials: true }
        } else if distrusted && age > DISTRUST_AGE {
            Renewal::Now { credentials: false }
        } else if left < RENEW_BEFORE && age > MIN_LIFETIME {
            Renewal::Soon { credentials: true }
        } else if unreachable && age > UNREACHABLE_AGE {
            Renewal::Soon { credentials: false }
        } else {
            Renewal::Later
        }
    }

    /// Begins to make another client, unless an attempt is under way. Without `credentials`, a plugin that has returned
    /// credentials is not run again.
    fn begin(&self, current: &mut ClientSlot, credentials: bool) {
        if !current.pending.is_empty() {
            return;
        }
        let (place, options) = (self.place.clone(), self.options.clone());
        let loaded = current.loaded.take();
        let last = current.made.as_ref().and_then(|made| made.plugin.clone());
        let asked =
            loaded.as_ref().and_then(ClientConfig::plugin).or(last.as_ref().map(|(plugin, _)| plugin));
        if let Some(plugin) = asked {
            // If there is an error of the last attempt, it is more specific.
            let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            reason.get_or_insert_with(|| Arc::new(plugin.pending().into()));
        }
        let known = last.filter(|_| !credentials);
        let attempt = async move {
            let probe_interval = options.probe_interval;
            let loaded = match loaded {
                Some(loaded) => loaded,
                None => load(place, options).await?,
            };
            make(loaded, known, probe_interval).await
        };
        current.pending.spawn(attempt.in_current_span());
    }

    fn adopt(&self, current: &mut ClientSlot, made: Result<ActiveClient, FeedError>) {
        match made {
            Ok(made) => {
                *self.server.lock().unwrap_or_else(PoisonError::into_inner) = made.server.clone();
                match &current.made {
                    None => {}
                    // This happens whenever the credentials of a plugin expire, so it is not logged at level info.
                    Some(before) if before.server == made.server => {
                        debug!(server = %made.server.url, "read the credentials again");
                    }
                    Some(before) => {
                        let (before, server) = (&before.server.url, &made.server.url);
                        info!(%before, %server, "the configuration names another server or CA now");
                    }
                }
                current.made = Some(made);
                self.set_reason(None);
                self.generation.fetch_add(1, Ordering::Release);
            }
            Err(error) => {
                if let Some(made) = &mut current.made {
                    warn!(%error, "cannot read the credentials again; keeping the old ones");
                    made.at = Instant::now();
                }
                self.set_reason(Some(error));
                self.failures.fetch_add(1, Ordering::Release);
            }
        }
    }
}

fn configured_server(config: &Config) -> ConfiguredServer {
    ConfiguredServer {
        url: config.cluster_url.to_string().into(),
        authorities: connection::authorities(config).into(),
    }
}

/// Reads the configuration.
async fn load(place: ConfigSource, options: ClusterOptions) -> Result<ClientConfig, FeedError> {
    let context = options.context.clone();
    let in_pod = matches!(place, ConfigSource::Pod { .. });
    let span = Span::current();
    let read = move || place.load(context.as_deref(), |name| env::var_os(name));
    let loaded = spawn_blocking(move || span.in_scope(read)).await.map_err(FeedError::Panicked)?;
    loaded.map_err(|error| match error {
        error if in_pod => FeedError::InCluster(error),
        error @ KubeconfigError::Missing(_) => FeedError::NoCluster(error),
        error => FeedError::Kubeconfig(error),
    })
}

/// Makes a client. Runs the plugin, if there is one, unless its credentials are `known`.
async fn make(
    loaded: ClientConfig,
    known: Option<(Plugin, PluginCredentials)>,
    probe_interval: Duration,
) -> Result<ActiveClient, FeedError> {
    let ClientConfig { mut config, mut authorization } = loaded;
    let mut plugin = None;
    if let Authorization::Plugin(wanted) = authorization {
        let credentials = match known {
            Some((asked, credentials)) if asked == wanted => credentials,
            _ => wanted.run().await?,
        };
        if let Some(identity) = &credentials.identity {
            identity.put_into(&mut config.auth_info);
        }
        authorization = credentials.header.clone().map_or(Authorization::None, Authorization::Fixed);
        plugin = Some((wanted, credentials));
    }
    let expires = plugin.as_ref().and_then(|(_, credentials)| credentials.expires).map(|at| {
        let left = Timestamp::now().duration_until(at);
        Instant::now() + Duration::try_from(left).unwrap_or_default().max(MIN_LIFETIME)
    });
    let server = configured_server(&config);
    let client = authorized(connect(config, probe_interval).await?, authorization);
    Ok(ActiveClient { client, server, at: Instant::now(), expires, plugin })
}

async fn connect(config: Config, probe_interval: Duration) -> Result<Client, FeedError> {
    // Without a CA, this reads the system's certificates, which blocks.
    match spawn_blocking(move || connection::client(config, probe_interval)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(FeedError::Client(Box::new(error))),
        Err(error) => Err(FeedError::Panicked(error)),
    }
}

/// Returns a client that sends the `Authorization` header with each request.
fn authorized(client: Client, authorization: Authorization) -> Client {
    let authorization = Arc::new(StdMutex::new(authorization));
    let send = move |mut request: Request<Body>| {
        let (client, authorization) = (client.clone(), Arc::clone(&authorization));
        async move {
            if let Some(header) = header(&authorization).await {
                request.headers_mut().insert(AUTHORIZATION, header);
            }
            client.send(request).await
        }
    };
    Client::new(service_fn(send), "default")
}

/// Returns the header for a request. If the file cannot be read, or not in time, the last token stays in use.
async fn header(authorization: &StdMutex<Authorization>) -> Option<HeaderValue> {
    let lock = || authorization.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, last) = match &*lock() {
        Authorization::TokenFile { path, token } => (path.clone(), token.clone()),
        Authorization::Fixed(header) => return Some(header.clone()),
        Authorization::None | Authorization::Plugin(_) => return None,
    };
    match timeout(FILE_TIMEOUT, spawn_blocking(move || read_token(&path))).await {
        Ok(Ok(Ok(read))) => {
            if let Authorization::TokenFile { token, .. } = &mut *lock() {
                token.clone_from(&read);
            }
            Some(read)
        }
        Ok(Ok(Err(error))) => {
            warn!(%error, "cannot read the token file; keeping the token that was read before");
            Some(last)
        }
        Ok(Err(_)) | Err(_) => Some(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &tempfile::TempDir, cluster: &str, user: &str) -> ClusterOptions {
        let path = folder.path().join("config");
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: c, user: {{{user}}}}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        ClusterOptions { kubeconfig: Some(path), ..ClusterOptions::default() }
    }

    const SERVER: &str = "server: 'https://127.0.0.1:1'";

    /// Waits until the attempt in the background has ended.
    async fn ended(access: &ClusterAccess) {
        while access.current.lock().await.pending.try_join_next().is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let access = ClusterAccess::open(options(&folder, SERVER, "token: t")).await.unwrap();
        let mut current = access.current.lock().await;
        current.made = None;
        current.pending.spawn(async { panic!("a library's") });
        drop(current);
        let error = access.client().await.err().unwrap();
        assert!(!error.is_configuration());
        assert!(error.to_string().contains("a library's"), "{error}");
        assert!(access.client().await.is_ok(), "the next one is made");
    }

    #[tokio::test]
    async fn running_plugin_is_named_to_all_waiters() {
        let folder = tempfile::tempdir().unwrap();
        let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['1000']}";
        let access = ClusterAccess::open(options(&folder, SERVER, exec)).await.unwrap();
        let patience = Duration::from_millis(50);
        let answers = futures::future::join_all((0..3).map(|_| access.client_within(patience))).await;
        for answer in answers {
            let error = answer.err().unwrap();
            assert_eq!(error.to_string(), r#"credential plugin "sleep" has not ended yet"#);
            assert!(!error.is_configuration());
        }
        assert_eq!(access.current.lock().await.pending.len(), 1, "it is waited for on");
    }

    #[tokio::test]
    async fn unusable_client_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for cluster in [
            "server: 'https://127.0.0.1:1', tls-server-name: 'a b'",
            "server: 'https://127.0.0.1:1', certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmFHRnNiRzg9Ci0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K",
        ] {
            let error = ClusterAccess::open(options(&folder, cluster, "")).await.err().unwrap();
            assert!(error.is_configuration(), "{error}");
            assert!(
                error.to_string().starts_with("cannot make a client of the cluster's configuration: "),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn url_is_that_of_last_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let access = ClusterAccess::open(options(&folder, SERVER, "")).await.unwrap();
        options(&folder, "server: 'https://127.0.0.2:1'", "");
        access.client().await.unwrap();
        assert_eq!(&*access.url(), "https://127.0.0.1:1/");
        access.refused();
        access.client().await.unwrap();
        assert_eq!(&*access.url(), "https://127.0.0.2:1/");
        options(&folder, "server: '#'", "");
        access.refused();
        access.client().await.unwrap();
        assert_eq!(&*access.url(), "https://127.0.0.2:1/", "what cannot be used changes nothing");
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::now() + Duration::from_mins(5);
        let runs = folder.path().join("runs");
        let script = format!(
            "echo run >> {runs}; echo \"{{kind: ExecCredential, status: {{token: t, expirationTimestamp: {at}}}}}\"",
            runs = runs.display()
        );
        let script = serde_json::Value::from(script);
        let exec = format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', {script}]}}"
        );
        let access = ClusterAccess::open(options(&folder, SERVER, &exec)).await.unwrap();
        let runs = || std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
        assert_eq!(runs(), 0);
        access.client().await.unwrap();
        access.client().await.unwrap();
        assert_eq!(runs(), 1);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(245)).await;
        tokio::time::resume();
        access.client().await.unwrap();
        ended(&access).await;
        assert_eq!(runs(), 2);
    }
}
