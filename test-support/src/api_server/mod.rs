//! A fake API server, to which real clients connect over loopback. It produces on demand faults that are rare in a real
//! one. Its responses have the form of recorded ones, in JSON and in protobuf.
//!
//! It serves the objects that are put into it and, for benchmarks, up to millions of generated pods, which take a few
//! bytes each and are rendered when they are sent. They have the fields that kube-apiserver 1.36 sends: see
//! `data/pod.json`. Lists begin with the generated pods, ordered by number instead of by name.

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

/// Interval between bursts of changes to generated pods.
const BURST_INTERVAL: Duration = Duration::from_millis(10);

/// A fake API server. Its address stays the same when it is stopped and started again.
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
    /// Starts a server in the current runtime, which must exist.
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

    /// Starts a server on its own thread, for tests without a runtime.
    pub fn spawn() -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let mut server = Self::start();
        drop(entered);
        server.runtime = Some(runtime);
        server
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts listening; also after [`stop`](Self::stop).
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
                // Like Go's servers.
                drop(socket.set_nodelay(true));
                connections.spawn(handle.clone().serve_http1(socket));
            }
        };
        running.spawn_on(serve, &self.handle);
        self.running = Some(running);
    }

    /// Returns a handle that serves connections accepted elsewhere.
    pub fn clone_handle(&self) -> ConnectionServer {
        ConnectionServer(Arc::clone(&self.shared))
    }

    /// Stops listening and closes all connections.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.shutdown().await;
        }
        self.state(|state| state.watches.clear());
    }

    /// Stops a server that has its own thread.
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

    /// Deletes an object, which must exist.
    pub fn delete(&self, resource: &'static str, namespace: &str, name: &str) {
        self.state(|state| state.change(|store| store.delete(resource, namespace, name)));
    }

    /// Adds `count` running pods with one address each, in [`NAMESPACES`] namespaces. To be called before any client
    /// connects.
    ///
    /// # Panics
    ///
    /// Panics if there are more than [`MAX_PODS`].
    pub fn generate_pods(&self, count: u32) {
        self.state(|state| state.store.generate_pods(count));
    }

    /// Makes `changes` changes of the generated pods, `rate` per second, and sends them to the watches.
    ///
    /// There are four kinds, in turn: a new status, a new address, a deleted pod, and a new pod in its place. So the
    /// number of pods after a multiple of four changes is the same as before. Does nothing if there are no pods.
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

    /// Returns the current states of at most `at_most` generated pods, evenly spread.
    pub fn sample_pods(&self, at_most: usize) -> Vec<GeneratedPod> {
        self.state(|state| state.store.generated.sample(at_most))
    }

    /// Returns the mean size of a generated pod as an item of a list, in bytes.
    pub fn pod_size(&self, encoding: Encoding) -> usize {
        let (wire, sample) = (Wire { only_metadata: false, encoding }, self.sample_pods(100));
        let sizes = sample.iter().map(|pod| ApiObject::Generated(*pod).size(wire));
        sizes.sum::<usize>().checked_div(sample.len()).unwrap_or_default()
    }

    /// Discards the history: watches from versions before the current one fail with 410.
    pub fn compact(&self) {
        self.state(|state| state.store.compact());
    }

    /// Sets the uid of kube-system.
    pub fn identify_as(&self, uid: &str) {
        self.state(|state| uid.clone_into(&mut state.identity));
    }

    /// Sets the revision of etcd, independently of the version of the objects.
    pub fn at_revision(&self, revision: u64) {
        self.state(|state| state.revision = Some(revision));
    }

    /// Sets the encoding of responses. Clients that do not accept it receive JSON.
    pub fn encode_as(&self, encoding: Encoding) {
        self.state(|state| state.encoding = encoding);
    }

    /// Sets the response to streaming lists.
    pub fn stream(&self, streaming: Streaming) {
        self.state(|state| state.streaming = streaming);
    }

    /// Rejects all bearer tokens but this one.
    pub fn require_token(&self, token: &str) {
        self.state(|state| state.token = Some(token.to_owned()));
    }

    /// Sets the permissions that access reviews report. By default everything is allowed.
    pub fn allow(&self, is_allowed: fn(&ReviewedAccess) -> bool) {
        self.state(|state| state.is_allowed = is_allowed);
    }

    /// Prepares the response to the next request of this kind. Several responses are used in the order of the calls.
    pub fn next(&self, resource: &'static str, verb: RequestVerb, reply: PreparedResponse) {
        self.state(|state| state.replies.push_back((resource, verb, reply)));
    }

    /// Returns the number of prepared responses that are not used yet.
    pub fn unused(&self) -> usize {
        self.state(|state| state.replies.len())
    }

    /// From now on, refuses requests that accept protobuf, with this status.
    pub fn refuse_protobuf(&self, status: u16) {
        self.state(|state| state.refuse_protobuf = Some(status));
    }

    /// Returns the number of requests for `/version` so far.
    pub fn probes(&self) -> usize {
        self.state(|state| state.probes)
    }

    /// Returns the paths of all requests so far, in order.
    pub fn paths(&self) -> Vec<String> {
        self.state(|state| state.paths.clone())
    }

    /// Makes the next change arrive as garbage at open watches.
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

    /// Ends all watches of a resource, as a server does when their time limit is reached.
    pub fn end_watches(&self, resource: &str) {
        self.state(|state| state.end_watches(resource));
    }

    /// Discards the history, and ends all watches of a resource with 410, so that clients list again.
    pub fn expire_watches(&self, resource: &str) {
        let expired: Value = serde_json::from_str(EXPIRED_WATCH).expect("a recording");
        self.state(|state| {
            state.store.compact();
            state.send(resource, |wire| wire.error(&expired["object"]));
            state.end_watches(resource);
        });
    }

    /// Returns the number of open watches of a resource.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.state(|state| state.watches_of(resource).count())
    }

    /// Returns all requests for pods and namespaces so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.shared.1.borrow().clone()
    }

    /// Returns the number of requests of this kind so far.
    pub fn count(&self, resource: &str, verb: RequestVerb) -> usize {
        count(&self.shared.1.borrow(), resource, verb)
    }

    /// Waits until `times` requests of this kind have arrived.
    pub async fn wait_for(&self, resource: &str, verb: RequestVerb, times: usize) {
        let mut seen = self.shared.1.subscribe();
        let enough = seen.wait_for(|seen| count(seen, resource, verb) >= times);
        let waited = timeout(PATIENCE, enough).await;
        assert!(waited.is_ok(), "no {times} {verb:?} of {resource} arrived, but {:?}", self.seen());
    }

    /// Returns the path of the token file in the kubeconfig. Its initial content is `first`.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Replaces the token in the token file.
    pub fn write_token(&self, token: &str) {
        std::fs::write(self.token_file(), token).expect("a token file");
    }

    /// Returns the path of a kubeconfig for this server.
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

/// Serves connections accepted elsewhere.
#[derive(Clone)]
pub struct ConnectionServer(SharedState);

impl ConnectionServer {
    /// Serves a connection over HTTP/1.1.
    pub async fn serve_http1(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| respond(Arc::clone(&self.0), request));
        // A client that disconnects is not an error.
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
