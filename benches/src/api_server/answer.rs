//! Requests, and bodies that are made while they are sent.

use std::convert::Infallible;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use super::objects::{Cluster, FIRST_VERSION, namespace_metadata};
use super::{Listing, News, Shared};
use crate::pods::NAMESPACES;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Octets in which a pod finds room.
const ROOM: usize = 10 << 10;
/// A quiet watch is told this often that it is still in step.
const BOOKMARK: Duration = Duration::from_secs(30);

/// What is asked for, as far as it matters here.
#[derive(Debug, Default)]
struct Query {
    watch: bool,
    send_initial_events: bool,
    limit: Option<usize>,
    /// The number of the pod that the next page begins with.
    continued: u32,
    version: Option<u32>,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "watch" => query.watch = value == "true" || value == "1",
                "sendInitialEvents" => query.send_initial_events = value == "true",
                "limit" => query.limit = value.parse().ok().filter(|limit| *limit > 0),
                "continue" => query.continued = value.parse().unwrap_or_default(),
                // 0 means any version.
                "resourceVersion" => query.version = value.parse().ok().filter(|version| *version > 0),
                _ => {}
            }
        }
        query
    }
}

/// Answers a request.
pub(super) fn answer(shared: &Arc<Shared>, request: &Request<Incoming>) -> Response<Body> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    if query.watch && query.send_initial_events && shared.listing == Listing::Paged {
        return refuse_streaming();
    }
    match (request.uri().path(), query.watch) {
        ("/api/v1/pods", false) => pods(shared, &query),
        ("/api/v1/pods", true) => watch_pods(shared, &query),
        ("/api/v1/namespaces", false) => namespaces(),
        ("/api/v1/namespaces", true) => watch_namespaces(&query),
        (path, _) => failure(404, "NotFound", &format!("{path} is not served")),
    }
}

/// A page of pods; all of them without a limit.
fn pods(shared: &Arc<Shared>, query: &Query) -> Response<Body> {
    let limit = query.limit.unwrap_or(usize::MAX);
    let metadata = page_metadata(&shared.cluster(), query.continued, limit);
    let head = format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{metadata},"items":["#);
    let shared = Arc::clone(shared);
    let (mut next, mut left) = (query.continued, limit);
    let items = iter::from_fn(move || {
        let cluster = shared.cluster();
        let pod = cluster.from(next).next().filter(|_| left > 0)?;
        let mut text = String::with_capacity(ROOM);
        text.push_str(if left == limit { "" } else { "," });
        cluster.write_item(pod, &mut text);
        (next, left) = (pod.number + 1, left - 1);
        Some(Bytes::from(text))
    });
    let all = iter::once(Bytes::from(head)).chain(items).chain(iter::once(Bytes::from_static(b"]}\n")));
    ok(stream::iter(all))
}

fn page_metadata(cluster: &Cluster, from: u32, limit: usize) -> Value {
    let mut metadata = json!({"resourceVersion": cluster.version().to_string()});
    if let Some(next) = cluster.from(from).nth(limit) {
        metadata["continue"] = json!(next.number.to_string());
        // An estimate, as it may be: it counts a pod that has just been deleted.
        metadata["remainingItemCount"] = json!(cluster.pods().len() - next.number as usize);
    }
    metadata
}

fn watch_pods(shared: &Arc<Shared>, query: &Query) -> Response<Body> {
    let cluster = shared.cluster();
    let (sender, news) = mpsc::unbounded_channel();
    if !query.send_initial_events && query.version != Some(cluster.version()) {
        drop(cluster);
        return ok(stream::iter([expired()]));
    }
    // While nothing can change, so that nothing is missed.
    shared.watches.lock().expect("nothing panics with it").push(sender);
    drop(cluster);
    let live = follow(Arc::clone(shared), news);
    if query.send_initial_events { ok(initial_events(Arc::clone(shared)).chain(live)) } else { ok(live) }
}

/// All pods as added, and a bookmark that says so. Each is a frame, and so a chunk on the wire, as from the real
/// server.
fn initial_events(shared: Arc<Shared>) -> impl Stream<Item = Bytes> {
    let mut next = Some(0);
    stream::iter(iter::from_fn(move || {
        let cluster = shared.cluster();
        let pod = cluster.from(next?).next();
        next = pod.map(|pod| pod.number + 1);
        let Some(pod) = pod else { return Some(bookmark("Pod", "v1", cluster.version(), true).into()) };
        let mut text = String::with_capacity(ROOM);
        cluster.write_added(pod, &mut text);
        Some(Bytes::from(text))
    }))
}

/// What happens from now on, until the watch expires.
fn follow(shared: Arc<Shared>, news: UnboundedReceiver<News>) -> impl Stream<Item = Bytes> {
    stream::unfold(Some(news), move |news| {
        let shared = Arc::clone(&shared);
        async move {
            let mut news = news?;
            match timeout(BOOKMARK, news.recv()).await {
                Ok(Some(News::Line(line))) => Some((line, Some(news))),
                Ok(Some(News::Expired)) => Some((expired(), None)),
                Ok(None) => None,
                Err(_) => {
                    let bookmark = bookmark("Pod", "v1", shared.cluster().version(), false);
                    Some((bookmark.into(), Some(news)))
                }
            }
        }
    })
}

/// Namespaces do not change, and only their metadata is asked for.
fn namespaces() -> Response<Body> {
    let items: Vec<String> = (0..NAMESPACES).map(namespace_metadata).collect();
    let head = format!(
        r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"{FIRST_VERSION}"}},"items":["#
    );
    ok(stream::iter([Bytes::from(format!("{head}{}]}}\n", items.join(",")))]))
}

fn watch_namespaces(query: &Query) -> Response<Body> {
    let added = |number| format!("{{\"type\":\"ADDED\",\"object\":{}}}\n", namespace_metadata(number));
    let all = (0..NAMESPACES).map(added).chain(iter::once_with(|| namespaces_bookmark(true)));
    let first = all.map(Bytes::from).take(if query.send_initial_events { usize::MAX } else { 0 });
    let quiet = stream::unfold((), |()| async {
        tokio::time::sleep(BOOKMARK).await;
        Some((Bytes::from(namespaces_bookmark(false)), ()))
    });
    ok(stream::iter(first).chain(quiet))
}

fn namespaces_bookmark(ends_list: bool) -> String {
    bookmark("PartialObjectMetadata", "meta.k8s.io/v1", FIRST_VERSION, ends_list)
}

fn bookmark(kind: &str, api_version: &str, version: u32, ends_list: bool) -> String {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if ends_list {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let mut object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
    if kind == "Pod" {
        object["spec"] = json!({"containers": null});
        object["status"] = json!({});
    }
    line(&json!({"type": "BOOKMARK", "object": object}))
}

fn expired() -> Bytes {
    line(&json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")})).into()
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message, "reason": reason, "code": code})
}

fn refuse_streaming() -> Response<Body> {
    failure(
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden \
         for watch unless the WatchList feature gate is enabled",
    )
}

fn failure(code: u16, reason: &str, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(status(code, reason, message).to_string()));
    response(StatusCode::from_u16(code).expect("a status code"), body.boxed_unsync())
}

fn ok(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = chunks.map(|chunk| Ok(Frame::data(chunk)));
    response(StatusCode::OK, StreamBody::new(frames).boxed_unsync())
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(body).expect("a response")
}
