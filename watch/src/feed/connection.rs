//! The HTTP client of a cluster: kube's authentication and TLS over connections that record their liveness.
//!
//! With TLS it uses HTTP/2 if the server supports it: all watches share one connection, and a PING every
//! [`probe_interval`](super::ClusterOptions::probe_interval) distinguishes an idle server from one that is frozen or
//! unreachable. With HTTP/1.1 (plain HTTP, some proxies) the driver requests `/version` instead while a watch is
//! silent; TCP keepalive covers the path to the peer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Client as HyperClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use tokio::time::{Instant, timeout};
use tower::util::{MapErr, MapFuture, option_layer};
use tower::{BoxError, Layer, Service};

use crate::quote::QuotedUrl;

/// Time limit for a TCP connection: enough for a second SYN, which is sent after a second.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for a connection including proxy and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows of HTTP/2 in bytes, for one stream and for the whole connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// Maximum size of the read buffer of a connection of HTTP/1.1, in bytes.
const READ_BUFFER: usize = 1 << 18;

/// Reason why no client can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// Certificates, keys or names are not usable.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// The configuration's proxy has a scheme that is not supported.
    #[error("proxies of the kind {0:?} are not supported: use http://, https:// or socks5://")]
    Proxy(String),
    /// `tls-server-name` is not a host name.
    #[error("tls-server-name {0:?} is not a host name")]
    ServerName(String),
}

/// Liveness of one connection. Each response on the connection has it among its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Liveness(Arc<LivenessState>);

#[derive(Debug)]
struct LivenessState {
    base: Instant,
    /// Nanoseconds from `base` until the last read.
    last: AtomicU64,
}

impl Liveness {
    fn new() -> Self {
        Self(Arc::new(LivenessState { base: Instant::now(), last: AtomicU64::new(0) }))
    }

    /// Returns the time at which the peer was last known to be alive.
    pub(crate) fn last(&self) -> Instant {
        self.0.base + Duration::from_nanos(self.0.last.load(Ordering::Relaxed))
    }

    /// Records that the peer is alive.
    pub(crate) fn touch(&self) {
        let nanos = u64::try_from(self.0.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.last.fetch_max(nanos, Ordering::Relaxed);
    }
}

/// Makes a client from a configuration. Its connections are probed after `probe_interval` without data. Does not
/// connect yet.
///
/// Blocks if it reads the system's certificates. Must be called within a runtime.
pub(crate) fn client(config: Config, probe_interval: Duration) -> Result<Client, ConnectionError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(TCP_TIMEOUT));
    tcp.set_keepalive(Some(probe_interval));
    tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
    tcp.set_keepalive_retries(Some(2));
    let tcp = monitored(tcp);
    let Some(proxy) = config.proxy_url.clone() else { return over(tcp, config, probe_interval) };
    let name = proxy.to_string();
    match proxy.scheme_str() {
        Some("http") => over(with_proxy_in_errors(tunnel(&proxy, tcp), &name), config, probe_interval),
        Some("https") => {
            let tls = https(&config, tcp, false)?;
            over(with_proxy_in_errors(tunnel(&proxy, tls), &name), config, probe_interval)
        }
        Some("socks5") => over(with_proxy_in_errors(SocksV5::new(proxy, tcp), &name), config, probe_interval),
        other => Err(ConnectionError::Proxy(other.unwrap_or_default().to_owned())),
    }
}

/// Returns the SHA-256 fingerprints of the CA certificates in a configuration, in hexadecimal digits.
pub(crate) fn authorities(config: &Config) -> Vec<String> {
    let fingerprint = |certificate: &Vec<u8>| {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    config.root_cert.iter().flatten().map(fingerprint).collect()
}

/// Returns a connector through an HTTP proxy, with the credentials in the proxy's URL.
fn tunnel<C>(proxy: &Uri, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.clone(), connector);
    let user =
        proxy.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
    match user.and_then(basic) {
        Some(header) => tunnel.with_auth(header),
        None => tunnel,
    }
}

/// Returns the `Proxy-Authorization` header for the user in a URL.
fn basic(user: &str) -> Option<HeaderValue> {
    use base64::Engine as _;
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(decoded);
    let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Returns TLS over a connector. `http2` is true for the API server, false for a proxy; only the former is offered
/// HTTP/2.
fn https<C>(config: &Config, connector: C, http2: bool) -> Result<HttpsConnector<C>, ConnectionError> {
    let mut tls = config.rustls_client_config()?;
    if http2 {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(match config.tls_server_name.clone().filter(|_| http2) {
        Some(name) => {
            let parsed = name.clone().try_into().map_err(|_| ConnectionError::ServerName(name))?;
            HttpsConnector::new(connector, tls, false, Arc::new(FixedServerNameResolver::new(parsed)))
        }
        None => HttpsConnector::from((connector, tls)),
    })
}

fn over<C>(connector: C, config: Config, probe_interval: Duration) -> Result<Client, ConnectionError>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let connector = with_timeout(https(&config, connector, true)?);
    let client: HyperClient<_, Body> = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(READ_BUFFER)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(probe_interval)
        .http2_keep_alive_timeout(probe_interval)
        .build(connector);
    let client = MapErr::new(client, BoxError::from);
    let service = config.extra_headers_layer()?.layer(client);
    let service = option_layer(config.auth_layer()?).layer(service);
    let service = config.base_uri_layer().layer(service);
    Ok(Client::new(service, config.default_namespace))
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A connector that makes connections `T`.
trait Connector<T>:
    Service<Uri, Response = T, Error = BoxError, Future = Connecting<T>> + Clone + Send + Sync + 'static
{
}

impl<T, C> Connector<T> for C where
    C: Service<Uri, Response = T, Error = BoxError, Future = Connecting<T>> + Clone + Send + Sync + 'static
{
}

/// Returns a connector with a time limit of [`CONNECT_TIMEOUT`].
fn with_timeout<C>(connector: C) -> impl Connector<C::Response>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    BoxError: From<C::Error>,
{
    MapFuture::new(connector, |connecting: C::Future| -> Connecting<_> {
        Box::pin(async move {
            let Ok(connected) = timeout(CONNECT_TIMEOUT, connecting).await else {
                let text = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text).into());
            };
            Ok(connected?)
        })
    })
}

/// Reason why there is no connection through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("through the proxy {}", QuotedUrl(.proxy))]
struct ProxyError {
    proxy: Arc<str>,
    source: BoxError,
}

/// Returns a connector through a proxy. Its errors name the proxy.
fn with_proxy_in_errors<C>(connector: C, proxy: &str) -> impl Connector<C::Response>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    BoxError: From<C::Error>,
{
    let proxy: Arc<str> = proxy.into();
    MapFuture::new(connector, move |connecting: C::Future| -> Connecting<_> {
        let proxy = Arc::clone(&proxy);
        Box::pin(async move {
            connecting.await.map_err(|error| ProxyError { proxy, source: error.into() }.into())
        })
    })
}

/// Returns a connector with connections that record their liveness.
fn monitored<C>(connector: C) -> impl Connector<MonitoredConnection<C::Response>>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    BoxError: From<C::Error>,
{
    MapFuture::new(connector, |connecting: C::Future| -> Connecting<_> {
        Box::pin(
            async move { Ok(MonitoredConnection { inner: connecting.await?, liveness: Liveness::new() }) },
        )
    })
}

/// A connection that records its liveness.
struct MonitoredConnection<T> {
    inner: T,
    liveness: Liveness,
}

impl<T: Connection> Connection for MonitoredConnection<T> {
    fn connected(&self) -> Connected {
        self.inner.connected().extra(self.liveness.clone())
    }
}

impl<T: Read + Unpin> Read for MonitoredConnection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        // The end of the stream and a reset count as well: the peer was alive until then.
        if read.is_ready() {
            self.liveness.touch();
        }
        read
    }
}

impl<T: Write + Unpin> Write for MonitoredConnection<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}
