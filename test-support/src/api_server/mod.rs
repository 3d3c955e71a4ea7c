//! A fake API server: real clients talk HTTP to it over loopback, and it does on demand what a real one does only on bad
//! days. Its responses are shaped as recorded ones, in JSON and in protobuf.
//!
//! It has the objects that are put into it and, for benchmarks, up to millions of generated pods, which take a few bytes
//! each and are made when they are sent. They are shaped as kube-apiserver 1.36 sends them: see `data/pod.json`. Lists
//! have generated pods first, ordered by number instead of by name.

mod answer;
pub mod bodies;
mod encoding;
mod generated;
mod messages;
mod object;
mod protobuf;
mod request;
mod response;
mod reviews;
mod state;
mod store;
mod template;

use std::net::{self, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use encoding::{Encoding, with_encoding};
pub use generated::{GeneratedPod, MAX_PODS, NAMESPACES};
pub use object::{namespace, pod};
pub use request::{RequestVerb, SeenRequest};
pub use response::{BodyEnd, PreparedResponse};
pub use reviews::{ReviewedAccess, SERVICE_ACCOUNT};
pub use state::Streaming;

use crate::recordings::EXPIRED_WATCH;
use crate::wait::PATIENCE;
use answer::respond;
use encoding::Wire;
use object::ApiObject;
use state::{ApiServerState, SharedState};
use store::ObjectStore;

/// Interval of the bursts in which changes of generated pods are made.
const BURST_INTERVAL: Duration = Duration::from_millis(10);

/// The server. Its address stays the same when it is stopped and started again.
pub struct ApiServer {
    shared: SharedState,
    address: SocketAddr,
    running: Option<JoinSet<()>>,
    folder: TempDir,
    handle: Handle,
    /// Present if the server does not run in the runtime of the test.
    runtime: Option<Runtime>,
}

impl ApiServer {
    /// Starts it in the current runtime, which must exist.
    pub fn start() -> Self {
        let shared = Arc::new((Mutex::new(ApiServerState::new()), watch::Sender::new(Vec::new())));
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { shared, address, running: None, folder, handle: Handle::current(), runtime: None };
        server.restart();
        server.write_token("first");
        let config = kubeconfig(&server.url(), &json!({"tokenFile": server.token_file()}));
        std::fs::write(server.kubeconfig(), config).expect("a kubeconfig");
        server
    }

    /// Starts it on a thread of its own, for tests without a runtime.
    pub fn spawn() -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let mut server = Self::start();
        drop(entered);
        server.runtime = Some(runtime);
        server
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to listen, again if it was stopped.
    pub fn restart(&mut self) {
        let listener = net::TcpListener::bind(self.address).expect("the port is ours");
        listener.set_nonblocking(true).expect("a socket option");
        self.address = listener.local_addr().expect("an address");
        let handle = self.clone_handle();
        let mut running = JoinSet::new();
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("in a runtime");
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                // As Go's servers.
                drop(socket.set_nodelay(true));
                connections.spawn(handle.clone().serve_http1(socket));
            }
        };
        running.spawn_on(serve, &self.handle);
        self.running = Some(running);
    }

    /// Returns what serves connections that others have accepted.
    pub fn clone_handle(&self) -> ConnectionServer {
        ConnectionServer(Arc::clone(&self.shared))
    }

    /// Stops listening, and closes all connections.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.shutdown().await;
        }
        self.state(|state| state.watches.clear());
    }

    /// Stops a server that has a thread of its own.
    pub fn stop_spawned(&mut self) {
        let runtime = self.runtime.take().expect("it was started by `spawn`");
        runtime.block_on(self.stop());
        self.runtime = Some(runtime);
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut ApiServerState) -> T) -> T {
        use_it(&mut self.shared.0.lock().expect("no test panicked with it"))
    }

    /// Creates or replaces an object.
    pub fn put(&self, object: Value) {
        self.state(|state| state.change(|store| store.put(object)));
    }

    /// Deletes an object, which exists.
    pub fn delete(&self, resource: &'static str, namespace: &str, name: &str) {
        self.state(|state| state.change(|store| store.delete(resource, namespace, name)));
    }

    /// Adds so many running pods with one address each, spread over [`NAMESPACES`] namespaces, before any client connects.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PODS`].
    pub fn generate_pods(&self, count: u32) {
        self.state(|state| state.store.generate_pods(count));
    }

    /// Makes so many changes of the generated pods at this rate a second, and sends them to the watches.
    ///
    /// They are of four kinds, in turn: a new status, a new address, a pod deleted, another one added in its
    /// place. So after a multiple of four there are as many pods as before. Without pods nothing happens.
    pub fn change_pods(&self, changes: u32, rate: u32) {
        let begin = Instant::now();
        let mut made = 0;
        while made < changes {
            let due = u32::try_from(begin.elapsed().as_micros() * u128::from(rate) / 1_000_000);
            let due = due.unwrap_or(u32::MAX).clamp(made + 1, changes);
            for _ in made..due {
                self.state(|state| state.change(ObjectStore::change_generated));
            }
            made = due;
            std::thread::sleep(BURST_INTERVAL);
        }
    }

    /// Returns at most so many of the generated pods as they are now, spread evenly.
    pub fn sample_pods(&self, at_most: usize) -> Vec<GeneratedPod> {
        self.state(|state| state.store.generated.sample(at_most))
    }

    /// Returns the mean size of a generated pod as an item of a list, in bytes.
    pub fn pod_size(&self, encoding: Encoding) -> usize {
        let (wire, sample) = (Wire { only_metadata: false, encoding }, self.sample_pods(100));
        let sizes = sample.iter().map(|pod| ApiObject::Generated(*pod).size(wire));
        sizes.sum::<usize>().checked_div(sample.len()).unwrap_or_default()
    }

    /// Forgets the history: watches from versions before this one get 410.
    pub fn compact(&self) {
        self.state(|state| state.store.compact());
    }

    /// Sets the uid of kube-system.
    pub fn identify_as(&self, uid: &str) {
        self.state(|state| uid.clone_into(&mut state.identity));
    }

    /// Sets the revision of etcd, whatever the version of the objects.
    pub fn at_revision(&self, revision: u64) {
        self.state(|state| state.revision = Some(revision));
    }

    /// Sets the encoding of responses. JSON is sent to clients that do not accept it.
    pub fn encode_as(&self, encoding: Encoding) {
        self.state(|state| state.encoding = encoding);
    }

    /// Sets the answer to streaming lists.
    pub fn stream(&self, streaming: Streaming) {
        self.state(|state| state.streaming = streaming);
    }

    /// Accepts this bearer token only.
    pub fn require_token(&self, token: &str) {
        self.state(|state| state.token = Some(token.to_owned()));
    }

    /// Sets the permissions that access reviews report. By default everything is allowed.
    pub fn allow(&self, is_allowed: fn(&ReviewedAccess) -> bool) {
        self.state(|state| state.is_allowed = is_allowed);
    }

    /// Prepares the response to the next request of this kind. Several are used in turn.
    pub fn next(&self, resource: &'static str, verb: RequestVerb, reply: PreparedResponse) {
        self.state(|state| state.replies.push_back((resource, verb, reply)));
    }

    /// Number of prepared responses that are not used yet.
    pub fn unused(&self) -> usize {
        self.state(|state| state.replies.len())
    }

    /// Refuses requests that accept protobuf, from now on.
    pub fn refuse_protobuf(&self, status: u16) {
        self.state(|state| state.refuse_protobuf = Some(status));
    }

    /// Number of requests for the version so far.
    pub fn probes(&self) -> usize {
        self.state(|state| state.probes)
    }

    /// Paths of all requests so far, in order.
    pub fn paths(&self) -> Vec<String> {
        self.state(|state| state.paths.clone())
    }

    /// Sends the next change to open watches as garbage.
    pub fn garble(&self) {
        self.state(|state| state.garble = true);
    }

    /// Sends a bookmark to all watches of a resource.
    pub fn bookmark(&self, resource: &str) {
        self.state(|state| {
            let version = state.store.version;
            state.send(resource, |wire| wire.bookmark(resource, version, false));
        });
    }

    /// Breaks the connections of all watches of a resource.
    pub fn break_watches(&self, resource: &str) {
        self.state(|state| state.break_watches(resource));
    }

    /// Ends all watches of a resource, as the server does when their time is up.
    pub fn end_watches(&self, resource: &str) {
        self.state(|state| state.end_watches(resource));
    }

    /// Forgets the history, and ends all watches of a resource with 410, so that clients list again.
    pub fn expire_watches(&self, resource: &str) {
        let expired: Value = serde_json::from_str(EXPIRED_WATCH).expect("a recording");
        self.state(|state| {
            state.store.compact();
            state.send(resource, |wire| wire.error(&expired["object"]));
            state.end_watches(resource);
        });
    }

    /// Number of open watches of a resource.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.state(|state| state.watches_of(resource).count())
    }

    /// All requests for pods and namespaces so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.shared.1.borrow().clone()
    }

    /// Number of requests of this kind so far.
    pub fn count(&self, resource: &str, verb: RequestVerb) -> usize {
        count(&self.shared.1.borrow(), resource, verb)
    }

    /// Waits until there were so many requests of this kind.
    pub async fn wait_for(&self, resource: &str, verb: RequestVerb, times: usize) {
        let mut seen = self.shared.1.subscribe();
        let enough = seen.wait_for(|seen| count(seen, resource, verb) >= times);
        let waited = timeout(PATIENCE, enough).await;
        assert!(waited.is_ok(), "no {times} {verb:?} of {resource} arrived, but {:?}", self.seen());
    }

    /// File with the token of the kubeconfig, which is `first`.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Replaces the token in that file.
    pub fn write_token(&self, token: &str) {
        std::fs::write(self.token_file(), token).expect("a token file");
    }

    /// A kubeconfig of this server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

/// Returns a kubeconfig for this server and user.
pub fn kubeconfig(url: &str, user: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}

/// Serves connections that others have accepted.
#[derive(Clone)]
pub struct ConnectionServer(SharedState);

impl ConnectionServer {
    /// Serves a connection over HTTP/1.1.
    pub async fn serve_http1(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| respond(Arc::clone(&self.0), request));
        // A client that breaks off is no failure of the server.
        drop(http1::Builder::new().serve_connection(TokioIo::new(io), service).await);
    }

    /// Serves a connection over HTTP/2.
    pub async fn serve_http2(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| respond(Arc::clone(&self.0), request));
        let http = http2::Builder::new(TokioExecutor::new());
        drop(http.serve_connection(TokioIo::new(io), service).await);
    }
}

fn count(seen: &[SeenRequest], resource: &str, verb: RequestVerb) -> usize {
    seen.iter().filter(|seen| seen.resource == resource && seen.verb == verb).count()
}
