//! The cluster feed's connections: PINGs of HTTP/2, or probes of HTTP/1.1, tell a quiet server from a frozen one.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::support::Running;
use poddns_core::{Freshness, PodLookup as _};
use poddns_test_support::api_server::{ApiServer, RequestVerb, namespace, pod};
use poddns_test_support::wait::{pass, until_async as until};
use poddns_watch::{ClusterOptions, Scope, Source};
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

/// Short, for a test that waits for it.
const PROBE_INTERVAL: Duration = Duration::from_millis(300);

/// Protocol of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// With TLS.
    Http2,
    /// Without TLS.
    Http1,
}

/// An API server that can freeze.
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

/// Runs a future until the server freezes, and keeps it then.
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
                // As Go's servers. Otherwise the response to a PING after an event waits for a delayed ACK: 40 ms of
                // real time, in which the test's clock may go on by more than the time limit.
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
        self.feed_with(ClusterOptions::default().probe_interval).await
    }

    async fn feed_with(&self, probe_interval: Duration) -> Running {
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
        let options = ClusterOptions { kubeconfig: Some(path), probe_interval, ..ClusterOptions::default() };
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

async fn assert_frozen_server_is_noticed(protocol: Protocol) {
    let server = Server::start(protocol).await;
    let running = server.feed_with(PROBE_INTERVAL).await;
    server.frozen.send_replace(true);
    until("noticed", || matches!(running.index.freshness(), Freshness::Stale { .. })).await;
    let age = running.index.freshness().age().expect("it is stale");
    assert!(age >= PROBE_INTERVAL * 2, "counted from the last sign of life: {age:?}");
    assert!(running.stats.pods.errors() > 0);
}

async fn frozen_server_is_stale_without_a_ping() {
    assert_frozen_server_is_noticed(Protocol::Http2).await;
}

async fn frozen_server_is_stale_without_a_probe() {
    assert_frozen_server_is_noticed(Protocol::Http1).await;
}

/// Lets the other tasks of this thread do all that they can.
async fn settle() {
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Eleven minutes with a server that sends nothing but bookmarks: no watch breaks off, and no index grows stale.
async fn assert_idle_server_stays_fresh(protocol: Protocol) {
    const STEP: Duration = Duration::from_secs(1);
    const STEPS: u32 = 660;
    const WATCH_STEPS: u32 = 240;
    let server = Server::start(protocol).await;
    let running = server.feed().await;
    server.api.wait_for("pods", RequestVerb::Watch, 1).await;
    for step in 1..=STEPS {
        pass(STEP).await;
        settle().await;
        let watches = running.index.health().watches();
        assert_eq!(running.index.freshness(), Freshness::Fresh, "after {:?}: {watches:?}", STEP * step);
        for resource in ["pods", "namespaces"] {
            // About once a minute, and the server ends watches at their time.
            if step % 60 == 0 {
                server.api.bookmark(resource);
            }
            if step % WATCH_STEPS == 0 {
                let before = server.api.count(resource, RequestVerb::Watch);
                server.api.end_watches(resource);
                server.api.wait_for(resource, RequestVerb::Watch, before + 1).await;
                settle().await;
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
    // One interval of silence, and as long again for the answer.
    assert!(ClusterOptions::default().probe_interval * 2 <= Duration::from_secs(30));
}

poddns_test_support::in_both_encodings!(
    first_list_comes_from_the_watch_cache,
    frozen_server_is_stale_without_a_ping,
    frozen_server_is_stale_without_a_probe,
    idle_http2_server_stays_fresh,
    idle_http1_server_stays_fresh,
);
