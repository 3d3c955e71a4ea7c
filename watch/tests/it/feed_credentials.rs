//! The cluster feed's connection to the API server: TLS, proxies, and credentials that change or arrive late.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::Running;
use poddns_core::Freshness;
use poddns_core::PodLookup as _;
use poddns_test_support::api_server::{ApiServer, RequestVerb, SeenRequest, namespace, pod};
use poddns_test_support::wait::{pass, until_async as until};
use poddns_watch::{ClusterOptions, Feed, Scope, Source};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Returns the path of a certificate or key.
fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A server in front of another one; stopped when dropped.
struct Front {
    address: std::net::SocketAddr,
    _running: JoinSet<()>,
}

impl Front {
    /// Serves each connection with `serve`.
    async fn start<F: Future<Output = std::io::Result<()>> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let serving = serve(socket);
                connections.spawn(async move { drop(serving.await) });
            }
        });
        Self { address, _running: running }
    }

    /// Starts a server that terminates TLS with this certificate and forwards to `to`.
    async fn tls(certificate: &str, to: std::net::SocketAddr) -> Self {
        let chain = CertificateDer::pem_file_iter(tls_file(&format!("{certificate}.crt"))).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(tls_file(&format!("{certificate}.key"))).unwrap();
        let provider = Arc::new(default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |socket| {
            let acceptor = acceptor.clone();
            async move {
                let mut socket = acceptor.accept(socket).await?;
                copy_bidirectional(&mut socket, &mut TcpStream::connect(to).await?).await.map(|_| ())
            }
        })
        .await
    }

    /// Starts an HTTP proxy that requires requests to begin with `expected`, and forwards to `to`.
    async fn http_proxy(to: std::net::SocketAddr, expected: &'static str) -> Self {
        Self::start(move |mut socket| async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await?);
            }
            let head = String::from_utf8(head).map_err(std::io::Error::other)?;
            if !head.starts_with(expected) {
                return socket.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            copy_bidirectional(&mut socket, &mut TcpStream::connect(to).await?).await.map(|_| ())
        })
        .await
    }

    /// Starts a SOCKS proxy (RFC 1928) that requires the target `expected`, and forwards to `to`.
    async fn socks_proxy(to: std::net::SocketAddr, expected: &'static [u8]) -> Self {
        Self::start(move |mut socket| async move {
            let mut greeting = [0; 3];
            socket.read_exact(&mut greeting).await?;
            assert_eq!(greeting, [5, 1, 0], "version 5, one method: none");
            socket.write_all(&[5, 0]).await?;
            let mut request = vec![0; 3 + expected.len()];
            socket.read_exact(&mut request).await?;
            let granted = request.strip_prefix(&[5, 1, 0]) == Some(expected);
            socket.write_all(&[5, u8::from(!granted), 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            copy_bidirectional(&mut socket, &mut TcpStream::connect(to).await?).await.map(|_| ())
        })
        .await
    }
}

/// An API server with a pod, and a folder for kubeconfigs.
struct Place {
    api: ApiServer,
    folder: TempDir,
}

const ADDRESS: &str = "10.0.0.1";

impl Place {
    fn new() -> Self {
        let api = ApiServer::start();
        api.put(namespace("default"));
        api.put(pod("default", "web", &[ADDRESS]));
        Self { api, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a kubeconfig whose cluster and user have these fields.
    fn configure(&self, cluster: &Value, user: &Value) {
        let text = json!({
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        });
        std::fs::write(self.file("config"), text.to_string()).unwrap();
    }

    fn options(&self) -> ClusterOptions {
        ClusterOptions { kubeconfig: Some(self.file("config")), ..ClusterOptions::default() }
    }

    async fn feed(&self) -> Running {
        Running::start(Source::Cluster(self.options()), Scope::default()).await
    }

    /// Waits until a feed whose cluster has these fields is in sync.
    async fn is_reached_with(&self, cluster: &Value) {
        self.configure(cluster, &json!({}));
        let running = self.feed().await;
        in_sync(&running).await;
    }

    /// Returns the error of a feed whose cluster has these fields.
    async fn error_with(&self, cluster: &Value) -> String {
        self.configure(cluster, &json!({}));
        let running = self.feed().await;
        error(&running).await
    }

    /// Returns a user whose credential plugin is this script. It receives the variable `FOLDER`.
    fn plugin(&self, script: &str) -> Value {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "env": [{"name": "FOLDER", "value": self.folder.path()}],
        }})
    }

    fn lines(&self, file: &str) -> usize {
        std::fs::read_to_string(self.file(file)).unwrap_or_default().lines().count()
    }
}

async fn in_sync(running: &Running) {
    until("it is in sync", || running.index.freshness() == Freshness::Fresh).await;
    let label = "default".parse().unwrap();
    assert_eq!(running.index.contains(&label, ADDRESS.parse().unwrap()), Ok(true));
}

/// Waits until a watch has an error, and returns the first one.
async fn error(running: &Running) -> String {
    let errors = || running.index.health().watches().into_iter().find_map(|watch| watch.error);
    until("there is an error", || errors().is_some()).await;
    errors().unwrap_or_default()
}

fn https(front: &Front, authority: &str) -> Value {
    json!({"server": format!("https://{}", front.address), "certificate-authority": tls_file(authority)})
}

async fn a_server_with_tls_is_watched() {
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    place.is_reached_with(&https(&front, "ca.crt")).await;
    let server = format!("https://{}", front.address);
    place.is_reached_with(&json!({"server": server, "insecure-skip-tls-verify": true})).await;
}

async fn another_ca_is_explained() {
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    let error = place.error_with(&https(&front, "other-ca.crt")).await;
    assert!(error.contains("was not issued by the CA of the configuration"), "{error}");
    assert!(error.contains(&front.address.to_string()), "{error}");
}

async fn a_ca_as_server_certificate_is_explained() {
    let place = Place::new();
    let front = Front::tls("self-signed", place.api.address()).await;
    let error = place.error_with(&https(&front, "self-signed.crt")).await;
    assert!(error.contains("the server uses a CA certificate as its own"), "{error}");
}

async fn a_certificate_for_other_names_is_explained() {
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    let mut cluster = https(&front, "ca.crt");
    cluster["tls-server-name"] = json!("api.example");
    let error = place.error_with(&cluster).await;
    assert!(
        error.contains("the server's certificate is for other names") && error.contains("api.example"),
        "{error}"
    );
    cluster["tls-server-name"] = json!("kubernetes.default.svc");
    place.is_reached_with(&cluster).await;
}

async fn a_server_without_tls_is_explained() {
    let place = Place::new();
    let server = format!("https://{}", place.api.address());
    let error =
        place.error_with(&json!({"server": server, "certificate-authority": tls_file("ca.crt")})).await;
    assert!(error.contains("the server does not speak TLS"), "{error}");
}

async fn a_rotated_ca_is_read_again() {
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    let copy = |name: &str| std::fs::copy(tls_file(name), place.file("ca.crt")).unwrap();
    copy("other-ca.crt");
    let server = format!("https://{}", front.address);
    place.configure(&json!({"server": server, "certificate-authority": "ca.crt"}), &json!({}));
    let running = place.feed().await;
    error(&running).await;
    copy("ca.crt");
    // The file is read again every ten seconds at most.
    pass(Duration::from_secs(11)).await;
    in_sync(&running).await;
}

async fn proxies_of_the_kubeconfig_are_used() {
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    // This address is reserved for documentation (RFC 5737), so the server is reachable only through the proxy.
    let cluster = |proxy: String| {
        json!({"server": "https://192.0.2.1:6443", "certificate-authority": tls_file("ca.crt"),
               "tls-server-name": "kubernetes.default.svc", "proxy-url": proxy})
    };
    let proxy = Front::http_proxy(front.address, "CONNECT 192.0.2.1:6443 HTTP/1.1\r\n").await;
    place.is_reached_with(&cluster(format!("http://{}", proxy.address))).await;
    let proxy = Front::socks_proxy(front.address, &[1, 192, 0, 2, 1, 0x19, 0x2b]).await;
    place.is_reached_with(&cluster(format!("socks5://{}", proxy.address))).await;
    let cluster = json!({"server": "http://192.0.2.1", "proxy-url": format!("socks5h://{}", proxy.address)});
    let error = place.error_with(&cluster).await;
    assert!(error.contains("cannot reach the API server at http://192.0.2.1:80/"), "{error}");
    let shown = format!(r#"through the proxy "socks5://{}/""#, proxy.address);
    assert!(error.contains(&shown), "{error}");
    let cluster = json!({"server": "http://192.0.2.1", "proxy-url": "http://user:secret@127.0.0.1:1"});
    let error = place.error_with(&cluster).await;
    assert!(
        error.contains(r#"through the proxy "...@127.0.0.1:1/""#) && !error.contains("secret"),
        "{error}"
    );
}

/// Environment variable of the process that runs with a proxy: the path of its kubeconfig.
const KUBECONFIG: &str = "PODDNS_TEST_KUBECONFIG";

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_excludes_the_server() {
    if let Some(path) = std::env::var_os(KUBECONFIG) {
        let options = ClusterOptions { kubeconfig: Some(path.into()), ..ClusterOptions::default() };
        let running = Running::start(Source::Cluster(options), Scope::default()).await;
        return in_sync(&running).await;
    }
    let place = Place::new();
    let front = Front::tls("server", place.api.address()).await;
    // Linux connects to this address over loopback. The usual address, 127.0.0.1, would need no NO_PROXY.
    let server = format!("https://0.0.0.0:{}", front.address.port());
    let cluster = json!({"server": server, "certificate-authority": tls_file("ca.crt"),
                         "tls-server-name": "kubernetes.default.svc"});
    place.configure(&cluster, &json!({}));
    let config = place.file("config");
    let child = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "feed_credentials::no_proxy_excludes_the_server"])
            .env(KUBECONFIG, config)
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("NO_PROXY", "0.0.0.0/32")
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn rotated_tokens_are_read_for_each_request() {
    let place = Place::new();
    let server = format!("http://{}", place.api.address());
    std::fs::write(place.file("token"), "first\n").unwrap();
    place.api.require_token("first");
    place.configure(&json!({"server": server}), &json!({"tokenFile": "token"}));
    let running = place.feed().await;
    in_sync(&running).await;
    place.api.wait_for("pods", RequestVerb::Watch, 1).await;
    place.api.wait_for("namespaces", RequestVerb::Watch, 1).await;
    std::fs::write(place.file("token"), "second\n").unwrap();
    place.api.require_token("second");
    let watches = place.api.count("pods", RequestVerb::Watch);
    place.api.end_watches("pods");
    place.api.wait_for("pods", RequestVerb::Watch, watches + 1).await;
    assert!(place.api.seen().iter().all(|seen| seen.status != 401), "none with the old token");
}

const ANSWER: &str = r#"echo run >> "$FOLDER/runs"
echo '{"kind": "ExecCredential", "status": {"token": "'$(cat "$FOLDER/token")'"}}'"#;

async fn a_plugin_runs_once_for_all_watches() {
    let place = Place::new();
    let server = format!("http://{}", place.api.address());
    std::fs::write(place.file("token"), "first").unwrap();
    place.api.require_token("first");
    place.configure(&json!({"server": server}), &place.plugin(ANSWER));
    let running = place.feed().await;
    in_sync(&running).await;
    assert_eq!(place.lines("runs"), 1);
    std::fs::write(place.file("token"), "second").unwrap();
    place.api.require_token("second");
    place.api.end_watches("pods");
    let is_known = |seen: &SeenRequest| seen.token.as_deref() == Some("second") && seen.status == 200;
    until("it comes with the new one", || place.api.seen().iter().any(is_known)).await;
    assert_eq!(place.lines("runs"), 2, "again when it was refused");
}

async fn start_does_not_wait_for_plugin() {
    let place = Place::new();
    let script = r#"echo $$ > "$FOLDER/pid"; exec sleep 100000"#;
    place.configure(&json!({"server": "https://192.0.2.1"}), &place.plugin(script));
    let feed = Feed::open(Source::Cluster(place.options()), Scope::default()).await.unwrap();
    assert!(!place.file("pid").exists(), "it is not even run before the feed");
    let index = feed.index();
    let stop = CancellationToken::new();
    let running = tokio::spawn(feed.run(stop.clone()));
    until("it runs", || place.lines("pid") == 1).await;
    assert_eq!(index.freshness(), Freshness::Unsynced);
    let errors =
        || -> Vec<String> { index.health().watches().into_iter().filter_map(|watch| watch.error).collect() };
    // Longer than a request waits for credentials, and shorter than it waits for a response.
    pass(Duration::from_secs(9)).await;
    until("both watches name it", || errors().len() == 2).await;
    let text = errors().concat();
    assert!(
        text.contains(r#"credential plugin "sh" has not ended yet"#) && !text.contains("cannot reach"),
        "{text}"
    );
    let pid = std::fs::read_to_string(place.file("pid")).unwrap();
    stop.cancel();
    running.await.unwrap();
    let process = PathBuf::from("/proc").join(pid.trim()).join("cmdline");
    let is_gone = || std::fs::read(&process).unwrap_or_default().is_empty();
    until("it ends with the feed", is_gone).await;
}

async fn a_plugin_that_fails_is_tried_again() {
    let place = Place::new();
    let server = format!("http://{}", place.api.address());
    let script = format!("test -e \"$FOLDER/token\" || {{ echo 'not\tlogged in' >&2; exit 1; }}\n{ANSWER}");
    place.configure(&json!({"server": server}), &place.plugin(&script));
    let running = place.feed().await;
    let text = error(&running).await;
    assert!(
        text.contains(r#"credential plugin "sh" failed (exit status: 1); stderr: "not\tlogged in""#),
        "{text}"
    );
    assert!(!text.contains("cannot reach"), "{text}");
    std::fs::write(place.file("token"), "t").unwrap();
    in_sync(&running).await;
}

poddns_test_support::in_both_encodings!(
    a_server_with_tls_is_watched,
    another_ca_is_explained,
    a_ca_as_server_certificate_is_explained,
    a_certificate_for_other_names_is_explained,
    a_server_without_tls_is_explained,
    a_rotated_ca_is_read_again,
    proxies_of_the_kubeconfig_are_used,
    rotated_tokens_are_read_for_each_request,
    a_plugin_runs_once_for_all_watches,
    start_does_not_wait_for_plugin,
    a_plugin_that_fails_is_tried_again,
);
