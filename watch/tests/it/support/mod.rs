//! An in-process API server: the real kube client talks HTTP to it over loopback, and it does on demand what a
//! real one does only on bad days. Its answers are shaped as the recordings in `tests/data`.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test uses its part of it")]
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

pub mod cluster;
pub mod http;
pub mod protobuf;
pub mod truth;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poddns_watch::feed::ListMethod;
use poddns_watch::feed::decode::Format;
use poddns_watch::{ClusterOptions, Feed, Index, Scope, Source};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use cluster::{Cluster, Event, View, partial};
use http::{Body, failure, json_response, parse, prepared, response};

pub use http::{Reply, Seen, Then, Verb};

tokio::task_local! {
    /// The encoding that servers of this test prefer.
    static FORMAT: Format;
}

/// Runs a test with servers that prefer this encoding.
pub async fn with(format: Format, test: impl Future<Output = ()>) {
    FORMAT.scope(format, test).await;
}

/// Makes a test of each function, for servers of either encoding.
#[macro_export]
macro_rules! in_both_formats {
    ($($test:ident),* $(,)?) => {
        mod json {
            $(#[tokio::test]
            async fn $test() {
                $crate::support::with(poddns_watch::feed::decode::Format::Json, super::$test()).await;
            })*
        }
        mod protobuf {
            $(#[tokio::test]
            async fn $test() {
                $crate::support::with(poddns_watch::feed::decode::Format::Protobuf, super::$test()).await;
            })*
        }
    };
}

/// How the server takes `sendInitialEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    Yes,
    /// 422, as 1.20 to 1.31 and 1.33 do by default.
    Refused,
    /// As if it were not there.
    Ignored,
}

struct State {
    cluster: Cluster,
    streaming: Streaming,
    /// The uid of kube-system.
    identity: String,
    /// The revision of etcd, if it is not the cluster's version.
    revision: Option<u64>,
    token: Option<String>,
    replies: VecDeque<(&'static str, Verb, Reply)>,
    watches: Vec<(View, Wire, mpsc::UnboundedSender<Line>)>,
    /// The next change is told to watches in a way that nobody can read.
    garble: bool,
    /// The preferred encoding of answers.
    format: Format,
    /// The status with which requests that accept protobuf are refused.
    refuse_protobuf: Option<u16>,
    /// Requests for the version.
    probes: usize,
}

enum Line {
    Event(Bytes),
    Break,
}

/// Response that a client is sent.
#[derive(Clone, Copy, Debug)]
struct Wire {
    metadata: bool,
    format: Format,
}

impl Wire {
    fn garbled(self) -> Line {
        Line::Event(match self.format {
            Format::Json => Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":nonsense}\n"),
            Format::Protobuf => protobuf::garbled().into(),
        })
    }

    fn line(self, event: &Value) -> Line {
        Line::Event(match self.format {
            Format::Json => format!("{event}\n").into(),
            Format::Protobuf => protobuf::event(event).into(),
        })
    }

    fn event(self, event: &Event) -> Line {
        let object = if self.metadata { partial(&event.object) } else { event.object.clone() };
        self.line(&json!({"type": event.kind, "object": object}))
    }
}

type Shared = Arc<(Mutex<State>, watch::Sender<Vec<Seen>>)>;

/// The server. Its address stays the same when it is stopped and started again.
pub struct ApiServer {
    shared: Shared,
    address: SocketAddr,
    running: Option<JoinSet<()>>,
    folder: TempDir,
}

impl ApiServer {
    pub async fn start() -> Self {
        let state = State {
            cluster: Cluster::at(100),
            streaming: Streaming::Yes,
            identity: "cluster-1".to_owned(),
            revision: None,
            token: None,
            replies: VecDeque::new(),
            watches: Vec::new(),
            garble: false,
            format: FORMAT.try_get().unwrap_or(Format::Json),
            refuse_protobuf: None,
            probes: 0,
        };
        let shared = Arc::new((Mutex::new(state), watch::Sender::new(Vec::new())));
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { shared, address, running: None, folder };
        server.restart().await;
        server.write_token("first");
        server.write_kubeconfig();
        server
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen, again if it was stopped.
    pub async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is ours");
        self.address = listener.local_addr().expect("an address");
        let shared = Arc::clone(&self.shared);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                // As Go's servers.
                drop(socket.set_nodelay(true));
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let http = hyper::server::conn::http1::Builder::new();
                let connection = http.serve_connection(TokioIo::new(socket), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        self.running = Some(running);
    }

    /// What serves connections that others have accepted.
    pub fn clone_handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Is gone, and all its connections with it.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.shutdown().await;
        }
        self.state(|state| state.watches.clear());
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.shared.0.lock().expect("no test panicked with it"))
    }

    fn change(&self, change: impl FnOnce(&mut Cluster)) {
        self.state(|state| {
            let before = state.cluster.version;
            change(&mut state.cluster);
            let State { cluster, watches, garble, .. } = state;
            let garbled = std::mem::take(garble);
            watches.retain(|(view, wire, line)| {
                let events = cluster.since(view, before);
                let mut lines =
                    events.iter().map(|event| if garbled { wire.garbled() } else { wire.event(event) });
                lines.all(|event| line.send(event).is_ok())
            });
        });
    }

    pub fn put(&self, object: Value) {
        self.change(|cluster| cluster.put(object));
    }

    pub fn delete(&self, resource: &'static str, namespace: &str, name: &str) {
        self.change(|cluster| cluster.delete(resource, namespace, name));
    }

    /// History is gone: watches from before get 410.
    pub fn compact(&self) {
        self.state(|state| state.cluster.compact());
    }

    /// The uid of kube-system from now on.
    pub fn identify_as(&self, uid: &str) {
        self.state(|state| uid.clone_into(&mut state.identity));
    }

    /// The revision of etcd from now on, whatever the cluster's version.
    pub fn at_revision(&self, revision: u64) {
        self.state(|state| state.revision = Some(revision));
    }

    /// How streaming lists are taken from now on.
    pub fn stream(&self, streaming: Streaming) {
        self.state(|state| state.streaming = streaming);
    }

    /// Only this bearer token is accepted.
    pub fn require_token(&self, token: &str) {
        self.state(|state| state.token = Some(token.to_owned()));
    }

    /// The next request of this kind is answered so. Several are used in turn.
    pub fn next(&self, resource: &'static str, verb: Verb, reply: Reply) {
        self.state(|state| state.replies.push_back((resource, verb, reply)));
    }

    /// Prepared answers not used yet.
    pub fn unused(&self) -> usize {
        self.state(|state| state.replies.len())
    }

    /// Refuses requests that accept protobuf, from now on.
    pub fn refuse_protobuf(&self, status: u16) {
        self.state(|state| state.refuse_protobuf = Some(status));
    }

    /// Requests for the version so far.
    pub fn probes(&self) -> usize {
        self.state(|state| state.probes)
    }

    fn to_watches(&self, resource: &str, line: impl Fn(Wire) -> Line) {
        self.state(|state| {
            for (view, wire, sender) in &state.watches {
                if view.resource == resource {
                    drop(sender.send(line(*wire)));
                }
            }
        });
    }

    /// The next change arrives at open watches as garbage.
    pub fn garble(&self) {
        self.state(|state| state.garble = true);
    }

    pub fn bookmark(&self, resource: &str) {
        let version = self.state(|state| state.cluster.version);
        let event = bookmark(resource, version, false);
        self.to_watches(resource, |wire| wire.line(&event));
    }

    /// Breaks the connections of all watches of a resource.
    pub fn break_watches(&self, resource: &str) {
        self.to_watches(resource, |_| Line::Break);
        self.state(|state| state.watches.retain(|(view, ..)| view.resource != resource));
    }

    /// Ends all watches of a resource, as the server does when their time is up.
    pub fn end_watches(&self, resource: &str) {
        self.state(|state| state.watches.retain(|(view, ..)| view.resource != resource));
    }

    /// How many watches of a resource are open.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.state(|state| state.watches.iter().filter(|(view, ..)| view.resource == resource).count())
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.1.borrow().clone()
    }

    /// How many requests of this kind there were.
    pub fn count(&self, resource: &str, verb: Verb) -> usize {
        count(&self.shared.1.borrow(), resource, verb)
    }

    /// Waits until there were so many requests of this kind.
    pub async fn wait_for(&self, resource: &str, verb: Verb, times: usize) {
        let mut seen = self.shared.1.subscribe();
        let enough = seen.wait_for(|seen| count(seen, resource, verb) >= times);
        let waited = tokio::time::timeout(PATIENCE, enough).await;
        assert!(waited.is_ok(), "no {times} {verb:?} of {resource} came, but {:?}", self.seen());
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    pub fn write_token(&self, token: &str) {
        std::fs::write(self.token_file(), token).expect("a token file");
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn write_kubeconfig(&self) {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "test", "user": {"tokenFile": self.token_file()}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        std::fs::write(self.kubeconfig(), config.to_string()).expect("a kubeconfig");
    }

    pub fn options(&self) -> ClusterOptions {
        // Streaming lists first, since most faults are theirs.
        let list_methods = vec![ListMethod::Streaming, ListMethod::Paged];
        ClusterOptions {
            kubeconfig: Some(self.kubeconfig()),
            list_methods,
            page_size: 250,
            ..ClusterOptions::default()
        }
    }

    /// A feed of this server, running until the test ends.
    pub async fn feed(&self, scope: Scope) -> Running {
        Running::start(Source::Cluster(self.options()), scope).await
    }
}

/// Serves connections that others have accepted.
#[derive(Clone)]
pub struct Handle(Shared);

impl Handle {
    /// Serves a connection over HTTP/1.1.
    pub async fn serve_http1<I>(self, io: I)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| answer(Arc::clone(&self.0), request));
        drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await);
    }

    /// Serves a connection over HTTP/2.
    pub async fn serve_http2<I>(self, io: I)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| answer(Arc::clone(&self.0), request));
        let http = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        drop(http.serve_connection(TokioIo::new(io), service).await);
    }
}

fn count(seen: &[Seen], resource: &str, verb: Verb) -> usize {
    seen.iter().filter(|seen| seen.resource == resource && seen.verb == verb).count()
}

/// A feed that runs until it is dropped.
pub struct Running {
    pub index: Arc<Index>,
    pub stats: Arc<poddns_watch::FeedStats>,
    _task: JoinSet<()>,
}

impl Running {
    pub async fn start(source: Source, scope: Scope) -> Self {
        let feed = Feed::open(source, scope).await.expect("the feed opens");
        let (index, stats) = (feed.index(), feed.stats());
        let mut task = JoinSet::new();
        task.spawn(feed.run(CancellationToken::new()));
        Self { index, stats, _task: task }
    }
}

/// How long a condition may take to come true. Only failing tests take as long.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Waits for a condition that the other side of a socket, or of a file, brings about.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets this much time pass at once. Needs a runtime of one thread.
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn answer(shared: Shared, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    if request.uri().path() == "/version" {
        shared.0.lock().expect("no test panicked with it").probes += 1;
        return Ok(json_response(StatusCode::OK, &json!({"gitVersion": "v1.36.0"})));
    }
    let (seen, reply) = prepare(&shared, &request);
    let status = reply.as_ref().map_or(0, |response| response.status().as_u16());
    shared.1.send_modify(|log| log.push(Seen { status, ..seen }));
    match reply {
        Some(response) => Ok(response),
        None => std::future::pending().await,
    }
}

fn prepare(shared: &Shared, request: &Request<Incoming>) -> (Seen, Option<Response<Body>>) {
    let seen = parse(request);
    let mut state = shared.0.lock().expect("no test panicked with it");
    let matches =
        |(resource, verb, _): &(&str, Verb, Reply)| *resource == seen.resource && *verb == seen.verb;
    if let Some(at) = state.replies.iter().position(matches) {
        let reply = state.replies.remove(at).map(|(.., reply)| reply);
        return (seen, reply.and_then(prepared));
    }
    if state.token.is_some() && state.token != seen.token {
        return (seen, prepared(Reply::status(401, include_str!("../../data/err-401.json"))));
    }
    if let Some(status) = state.refuse_protobuf.filter(|_| seen.accept.contains("protobuf")) {
        return (seen, Some(failure(status, "NotAcceptable", "only application/json is served")));
    }
    let response = match seen.verb {
        Verb::Identify => identity(&state, &seen),
        Verb::List => list(&state, &seen),
        Verb::Stream if state.streaming == Streaming::Refused => refuse_streaming(),
        Verb::Stream | Verb::Watch => watch(&mut state, &seen),
    };
    (seen, Some(response))
}

/// The encoding of an answer, as the server likes it and the client accepts it.
fn wire(state: &State, seen: &Seen) -> Wire {
    let metadata = seen.accept.contains("as=PartialObjectMetadata");
    let format = if seen.accept.contains("protobuf") { state.format } else { Format::Json };
    Wire { metadata, format }
}

fn identity(state: &State, seen: &Seen) -> Response<Body> {
    let version = state.revision.unwrap_or(state.cluster.version).to_string();
    let items = json!([{"metadata": {"name": "kube-system", "uid": state.identity, "resourceVersion": "1"}}]);
    let body = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                      "metadata": {"resourceVersion": version}, "items": items});
    response(StatusCode::OK, wire(state, seen).format, &body)
}

fn refuse_streaming() -> Response<Body> {
    failure(
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden \
         for watch unless the WatchList feature gate is enabled",
    )
}

fn view(seen: &Seen) -> View {
    let selector = seen.param("fieldSelector").unwrap_or_default();
    let not_phases = selector.split(',').filter_map(|term| term.strip_prefix("status.phase!="));
    View {
        resource: seen.resource,
        namespace: seen.namespace.clone(),
        not_phases: not_phases.map(str::to_owned).collect(),
    }
}

/// A page. The continue token is `version/namespace/name`.
fn list(state: &State, seen: &Seen) -> Response<Body> {
    let Wire { metadata: only_metadata, format } = wire(state, seen);
    let mut version = state.cluster.version;
    let mut after = None;
    if let Some(token) = seen.param("continue") {
        let mut parts = token.splitn(3, '/');
        let mut part = || parts.next().expect("a token of ours").to_owned();
        version = part().parse().expect("a version");
        after = Some((part(), part()));
        if version < state.cluster.compacted {
            let body = recorded(include_str!("../../data/err-410-continue.json"));
            return response(StatusCode::GONE, format, &body);
        }
    }
    let limit = seen.param("limit").map_or(usize::MAX, |limit| limit.parse().expect("a number"));
    let (mut items, more) = state.cluster.list(&view(seen), after.as_ref(), limit);
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if more {
        let last = &items.last().expect("more than none")["metadata"];
        let field = |name: &str| last[name].as_str().unwrap_or_default();
        metadata["continue"] = json!(format!("{version}/{}/{}", field("namespace"), field("name")));
    }
    let kind = match (only_metadata, seen.resource) {
        (true, _) => "PartialObjectMetadataList",
        (false, "pods") => "PodList",
        (false, _) => "NamespaceList",
    };
    for item in &mut items {
        if only_metadata {
            *item = partial(item);
        } else if let Some(fields) = item.as_object_mut() {
            // As in a real list: the items do not say their kind.
            fields.remove("kind");
            fields.remove("apiVersion");
        }
    }
    let api_version = if only_metadata { "meta.k8s.io/v1" } else { "v1" };
    let body = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items});
    response(StatusCode::OK, format, &body)
}

fn recorded(text: &str) -> Value {
    serde_json::from_str(text).expect("a recording")
}

fn bookmark(resource: &str, version: u64, ends_list: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if ends_list {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let kind = if resource == "pods" { "Pod" } else { "Namespace" };
    json!({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": metadata,
           "spec": {"containers": null}, "status": {}}})
}

fn watch(state: &mut State, seen: &Seen) -> Response<Body> {
    let (view, wire) = (view(seen), wire(state, seen));
    let (sender, receiver) = mpsc::unbounded_channel();
    let say = |line| drop(sender.send(line));
    let from: u64 = seen.param("resourceVersion").map_or(0, |version| version.parse().expect("a version"));
    let compacted = from != 0 && from < state.cluster.compacted;
    if seen.verb == Verb::Stream || from == 0 {
        for object in state.cluster.list(&view, None, usize::MAX).0 {
            say(wire.event(&Event { version: 0, kind: "ADDED", object, before: None }));
        }
        if state.streaming == Streaming::Yes {
            say(wire.line(&bookmark(seen.resource, state.cluster.version, true)));
        }
    } else if compacted {
        say(wire.line(&recorded(include_str!("../../data/err-410-watch.ndjson"))));
    } else {
        state.cluster.since(&view, from).iter().for_each(|event| say(wire.event(event)));
    }
    if !compacted {
        state.watches.push((view, wire, sender));
    }
    let lines = stream::unfold(receiver, |mut receiver| async {
        let frame = match receiver.recv().await? {
            Line::Event(bytes) => Ok(Frame::data(bytes)),
            Line::Break => Err(std::io::Error::other("broken")),
        };
        Some((frame, receiver))
    });
    let kind = format!("{};stream=watch", wire.format.media_type());
    let builder = Response::builder().header(header::CONTENT_TYPE, kind);
    builder.body(StreamBody::new(lines).boxed_unsync()).expect("a response")
}
