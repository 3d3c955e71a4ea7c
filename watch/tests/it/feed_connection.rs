//! The cluster feed's connections: PINGs of HTTP/2, or probes of HTTP/1.1, distinguish a quiet server from a frozen one.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Running, turns};
use poddns_core::{Freshness, PodLookup as _};
use poddns_test_support::api_server::{ApiServer, RequestVerb, namespace, pod};
use poddns_test_support::wait::{pass, until_async as until};
use poddns_watch::{ClusterOptions, Resource, Scope, Source};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Protocol of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// HTTP/2 with TLS.
    Http2,
    /// HTTP/1.1 without TLS.
    Http1,
}

/// An API server that can freeze: its connections stay open, but nothing is read or written.
struct Server {
    api: ApiServer,
    protocol: Protocol,
    frozen: watch::Sender<bool>,
    folder: TempDir,
    address: std::net::SocketAddr,
    _running: JoinSet<()>,
}

fn tls_file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(tls_file("server.crt")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Runs a future until the server freezes. From then on the future is kept, but not polled.
async fn unless_frozen(mut frozen: watch::Receiver<bool>, serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    let freezes = async move { drop(frozen.wait_for(|frozen| *frozen).await) };
    tokio::select! {
        () = &mut serving => {}
        () = freezes => std::future::pending().await,
    }
}

impl Server {
    async fn start(protocol: Protocol) -> Self {
        let api = ApiServer::start();
        api.put(namespace("default"));
        api.put(pod("default", "web", &["10.0.0.1"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (frozen, acceptor) = (watch::Sender::new(false), acceptor());
        let mut running = JoinSet::new();
        let (receiver, server) = (frozen.subscribe(), api.clone_handle());
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                // Like Go's servers. Otherwise the response to a PING after an event waits for a delayed ACK: 40 ms of
                // real time, in which the test's clock may advance by more than the time limit.
                socket.set_nodelay(true).unwrap();
                let (acceptor, server, frozen) = (acceptor.clone(), server.clone(), receiver.clone());
                connections.spawn(unless_frozen(frozen, async move {
                    match protocol {
                        Protocol::Http1 => server.serve_http1(socket).await,
                        Protocol::Http2 => {
                            let Ok(socket) = acceptor.accept(socket).await else { return };
                            server.serve_http2(socket).await;
                        }
                    }
                }));
            }
        });
        Self { api, protocol, frozen, folder: tempfile::tempdir().unwrap(), address, _running: running }
    }

    async fn feed(&self) -> Running {
        let scheme = if self.protocol == Protocol::Http2 { "https" } else { "http" };
        let server = format!("{scheme}://{}", self.address);
        let config = json!({
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": tls_file("ca.crt")}}],
            "users": [{"name": "u", "user": {}}],
        });
        let path = self.folder.path().join("config");
        std::fs::write(&path, config.to_string()).unwrap();
        let options = ClusterOptions { kubeconfig: Some(path), ..ClusterOptions::default() };
        let running = Running::start(Source::Cluster(options), Scope::default()).await;
        until("fresh", || running.index.freshness() == Freshness::Fresh).await;
        running
    }
}

async fn first_list_comes_from_the_watch_cache() {
    let server = Server::start(Protocol::Http2).await;
    let running = server.feed().await;
    assert_eq!(running.index.stats().pods, 1);
    let seen = server.api.seen();
    let list =
        seen.iter().find(|seen| (seen.resource, seen.verb) == ("pods", RequestVerb::List)).expect("a list");
    assert_eq!((list.param("resourceVersion"), list.param("limit")), (Some("0"), None));
    assert!(
        list.accept.starts_with("application/vnd.kubernetes.protobuf,application/json"),
        "{}",
        list.accept
    );
}

/// Returns the error of the pods watch of a feed whose server accepts bytes but never reads them. The index is fresh
/// until the time limit for a response to a PING or a probe.
async fn error_of_frozen_server(protocol: Protocol) -> String {
    let server = Server::start(protocol).await;
    let running = server.feed().await;
    for resource in ["pods", "namespaces"] {
        server.api.wait_for(resource, RequestVerb::Watch, 1).await;
    }
    pass_in_steps(Duration::from_secs(2)).await;
    server.frozen.send_replace(true);
    let probe_interval = ClusterOptions::default().probe_interval;
    // One interval of silence, and another one for the response, less the time since the last bytes.
    pass_in_steps(probe_interval.saturating_mul(2).saturating_sub(Duration::from_secs(4))).await;
    assert_eq!(running.index.freshness(), Freshness::Fresh);
    pass_in_steps(Duration::from_secs(6)).await;
    until("noticed", || matches!(running.index.freshness(), Freshness::Stale { .. })).await;
    until("counted", || running.stats.pods.errors() > 0).await;
    let watches = running.index.health().watches();
    let pods = watches.into_iter().find(|watch| watch.resource == Resource::Pods).expect("a watch of pods");
    pods.error.expect("an error")
}

async fn frozen_server_is_stale_without_a_ping() {
    let error = error_of_frozen_server(Protocol::Http2).await;
    let (_, silence) = error
        .split_once("no answer to a PING: nothing has arrived for ")
        .unwrap_or_else(|| panic!("{error}"));
    let seconds: f32 = silence.trim_end_matches(" s").parse().unwrap_or_else(|_| panic!("{error}"));
    assert!((20.0..26.0).contains(&seconds), "counted from the last sign of life: {error}");
}

async fn frozen_server_is_stale_without_a_probe() {
    let error = error_of_frozen_server(Protocol::Http1).await;
    assert!(error.ends_with("no answer to a probe within 10s"), "{error}");
}

/// Advances the clock by `time` in steps of one second, and lets tasks run after each step.
async fn pass_in_steps(time: Duration) {
    for _ in 0..time.as_secs() {
        pass(Duration::from_secs(1)).await;
        turns().await;
    }
}

/// Follows a server that sends only bookmarks for eleven minutes: no watch fails, and the index stays fresh.
async fn assert_idle_server_stays_fresh(protocol: Protocol) {
    const STEP: Duration = Duration::from_secs(1);
    const STEPS: u32 = 660;
    const WATCH_STEPS: u32 = 240;
    let server = Server::start(protocol).await;
    let running = server.feed().await;
    server.api.wait_for("pods", RequestVerb::Watch, 1).await;
    for step in 1..=STEPS {
        pass(STEP).await;
        turns().await;
        let watches = running.index.health().watches();
        assert_eq!(running.index.freshness(), Freshness::Fresh, "after {:?}: {watches:?}", STEP * step);
        for resource in ["pods", "namespaces"] {
            // The server sends a bookmark about once a minute, and ends watches at their time limit.
            if step % 60 == 0 {
                server.api.bookmark(resource);
            }
            if step % WATCH_STEPS == 0 {
                let before = server.api.count(resource, RequestVerb::Watch);
                server.api.end_watches(resource);
                server.api.wait_for(resource, RequestVerb::Watch, before + 1).await;
                turns().await;
            }
        }
    }
    let stats = &running.stats;
    assert_eq!((stats.pods.errors(), stats.namespaces.errors()), (0, 0));
    assert_eq!((stats.pods.lists(), stats.namespaces.lists()), (1, 1));
    let watches = 1 + (STEPS / WATCH_STEPS) as usize;
    assert_eq!(server.api.count("pods", RequestVerb::Watch), watches, "none but those that the server ended");
    let probes = server.api.probes();
    assert!(if protocol == Protocol::Http1 { probes > 50 } else { probes == 0 }, "{probes} probes");
}

async fn idle_http2_server_stays_fresh() {
    assert_idle_server_stays_fresh(Protocol::Http2).await;
}

async fn idle_http1_server_stays_fresh() {
    assert_idle_server_stays_fresh(Protocol::Http1).await;
}

#[test]
fn default_probes_notice_within_half_a_minute() {
    // One interval of silence, and another one for the response.
    assert!(ClusterOptions::default().probe_interval * 2 <= Duration::from_secs(30));
}

poddns_test_support::in_both_encodings!(
    first_list_comes_from_the_watch_cache,
    frozen_server_is_stale_without_a_ping,
    frozen_server_is_stale_without_a_probe,
    idle_http2_server_stays_fresh,
    idle_http1_server_stays_fresh,
);
