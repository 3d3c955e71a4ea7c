//! The cluster feed over HTTP/2: one connection, and PINGs that tell a quiet server from a frozen one.

mod support;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use poddns_core::{Freshness, PodLookup as _};
use poddns_watch::{ClusterOptions, Scope, Source};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use support::cluster::{namespace, pod};
use support::http::Verb;
use support::{ApiServer, Running, until};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Short, for a test that waits for it.
const PROBE_INTERVAL: Duration = Duration::from_millis(300);

/// An API server that speaks nothing but HTTP/2, and can freeze.
struct Http2 {
    api: ApiServer,
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

impl Http2 {
    async fn start() -> Self {
        let api = ApiServer::start().await;
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
                let (acceptor, server, frozen) = (acceptor.clone(), server.clone(), receiver.clone());
                connections.spawn(unless_frozen(frozen, async move {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        server.serve_http2(socket).await;
                    }
                }));
            }
        });
        Self { api, frozen, folder: tempfile::tempdir().unwrap(), address, _running: running }
    }

    async fn feed(&self) -> Running {
        self.feed_with(ClusterOptions::default().probe_interval).await
    }

    async fn feed_with(&self, probe_interval: Duration) -> Running {
        let server = format!("https://{}", self.address);
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

#[tokio::test]
async fn first_list_comes_from_the_watch_cache() {
    let server = Http2::start().await;
    let running = server.feed().await;
    assert_eq!(running.index.stats().pods, 1);
    let seen = server.api.seen();
    let list = seen.iter().find(|seen| (seen.resource, seen.verb) == ("pods", Verb::List)).expect("a list");
    assert_eq!((list.param("resourceVersion"), list.param("limit")), (Some("0"), None));
    assert!(
        list.accept.starts_with("application/vnd.kubernetes.protobuf,application/json"),
        "{}",
        list.accept
    );
}

#[tokio::test]
async fn frozen_server_is_stale_once_a_ping_is_not_answered() {
    let server = Http2::start().await;
    let running = server.feed_with(PROBE_INTERVAL).await;
    server.frozen.send_replace(true);
    until("noticed", || matches!(running.index.freshness(), Freshness::Stale { .. })).await;
    let age = running.index.freshness().age().expect("it is stale");
    assert!(age >= PROBE_INTERVAL * 2, "counted from the last sign of life: {age:?}");
    assert!(running.stats.pods.errors() > 0);
}
