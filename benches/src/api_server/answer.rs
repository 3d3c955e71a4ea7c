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
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use super::format::{Format, ListMeta, Object, Resource};
use super::objects::{Change, Pod};
use super::{Listing, News, Shared};
use crate::pods::NAMESPACES;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Items of a list in one chunk, about 64 KiB of them.
const ITEMS: usize = 8;
/// Bytes in which so many items find room.
const ROOM: usize = ITEMS * (10 << 10);
/// Interval of the bookmarks on a quiet watch.
const BOOKMARK: Duration = Duration::from_secs(30);

/// The parameters of a request that matter here.
#[derive(Debug, Default)]
struct Query {
    watch: bool,
    send_initial_events: bool,
    limit: Option<usize>,
    /// The number of the pod that the next page begins with.
    continued: u32,
    /// `None` if none is asked for, and for 0, which means any version.
    version: Option<u32>,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut takes_any_version = false;
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "watch" => query.watch = value == "true" || value == "1",
                "sendInitialEvents" => query.send_initial_events = value == "true",
                "limit" => query.limit = value.parse().ok().filter(|limit| *limit > 0),
                "continue" => query.continued = value.parse().unwrap_or_default(),
                "resourceVersion" => {
                    takes_any_version = value == "0";
                    query.version = value.parse().ok().filter(|version| *version > 0);
                }
                _ => {}
            }
        }
        // As the real server does.
        query.limit = query.limit.filter(|_| !takes_any_version);
        query
    }
}

/// Answers a request.
pub(super) fn answer(shared: &Arc<Shared>, request: &Request<Incoming>) -> Response<Body> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept.unwrap_or_default(), shared.offer.protobuf);
    if query.watch && query.send_initial_events && shared.offer.listing == Listing::Paged {
        return refuse_streaming(format);
    }
    match (request.uri().path(), query.watch) {
        ("/api/v1/pods", false) => pods(shared, format, &query),
        ("/api/v1/pods", true) => watch_pods(shared, format, &query),
        ("/api/v1/namespaces", false) => namespaces(shared, format),
        ("/api/v1/namespaces", true) => watch_namespaces(shared, format, &query),
        (path, _) => failure(format, 404, "NotFound", &format!("{path} is not served")),
    }
}

/// A page of pods as they are now; all of them without a limit.
fn pods(shared: &Arc<Shared>, format: Format, query: &Query) -> Response<Body> {
    let limit = query.limit.unwrap_or(usize::MAX);
    let cluster = shared.cluster();
    let page: Vec<Pod> = cluster.from(query.continued).take(limit).copied().collect();
    let next = cluster.from(query.continued).nth(limit).map(|next| {
        // An estimate, as it may be: it counts a pod that has just been deleted.
        let left = cluster.pods().len() - next.number as usize;
        (next.number, u32::try_from(left).expect("at most MAX_PODS"))
    });
    let meta = ListMeta { version: cluster.version(), next };
    drop(cluster);
    let head = format.list_head(Resource::Pods, &meta, page.iter().copied().map(Object::Pod));
    let mut written = 0;
    let items = iter::from_fn(move || {
        let pods = page.get(written..(written + ITEMS).min(page.len()))?;
        let mut out = Vec::with_capacity(ROOM);
        for (at, pod) in pods.iter().enumerate() {
            format.item(&Object::Pod(*pod), written + at == 0, &mut out);
        }
        written += ITEMS;
        Some(Bytes::from(out))
    });
    let tail = Bytes::from_static(format.list_tail());
    ok(format.content_type(false), stream::iter(iter::once(head.into()).chain(items).chain(iter::once(tail))))
}

fn watch_pods(shared: &Arc<Shared>, format: Format, query: &Query) -> Response<Body> {
    let content_type = format.content_type(true);
    let cluster = shared.cluster();
    let (sender, news) = mpsc::unbounded_channel();
    let missed = match query.version {
        _ if query.send_initial_events => Some(Vec::new()),
        None => None,
        Some(version) => cluster.changes_since(version),
    };
    let Some(missed) = missed else {
        drop(cluster);
        return ok(content_type, stream::iter([expired(format)]));
    };
    // While nothing can change, so that nothing is missed.
    shared.watches.lock().expect("nothing panics with it").push(sender);
    drop(cluster);
    let missed = stream::iter(missed).map(move |change| event(format, &change));
    let live = follow(Arc::clone(shared), format, news);
    if query.send_initial_events {
        ok(content_type, initial_events(Arc::clone(shared), format).chain(live))
    } else {
        ok(content_type, missed.chain(live))
    }
}

/// All pods as added, and a bookmark that says so. Each is a frame, and so a chunk on the wire, as from the real
/// server.
fn initial_events(shared: Arc<Shared>, format: Format) -> impl Stream<Item = Bytes> {
    let mut next = Some(0);
    stream::iter(iter::from_fn(move || {
        let (pod, version) = {
            let cluster = shared.cluster();
            (cluster.from(next?).next().copied(), cluster.version())
        };
        next = pod.map(|pod| pod.number + 1);
        Some(Bytes::from(match pod {
            Some(pod) => format.event("ADDED", &Object::Pod(pod)),
            None => format.bookmark(Resource::Pods, version, true),
        }))
    }))
}

/// The changes from now on, until the watch expires.
fn follow(shared: Arc<Shared>, format: Format, news: UnboundedReceiver<News>) -> impl Stream<Item = Bytes> {
    stream::unfold(Some(news), move |news| {
        let shared = Arc::clone(&shared);
        async move {
            let mut news = news?;
            match timeout(BOOKMARK, news.recv()).await {
                Ok(Some(News::Change(change))) => Some((event(format, &change), Some(news))),
                Ok(Some(News::Expired)) => Some((expired(format), None)),
                Ok(None) => None,
                Err(_) => {
                    let version = shared.cluster().version();
                    Some((format.bookmark(Resource::Pods, version, false).into(), Some(news)))
                }
            }
        }
    })
}

fn event(format: Format, change: &Change) -> Bytes {
    format.event(change.kind.name(), &Object::Pod(change.pod)).into()
}

/// Namespaces do not change, and only their metadata is asked for.
fn namespaces(shared: &Shared, format: Format) -> Response<Body> {
    let meta = ListMeta { version: shared.cluster().version(), next: None };
    let all = || (0..NAMESPACES).map(Object::Namespace);
    let mut body = format.list_head(Resource::Namespaces, &meta, all());
    for (number, namespace) in all().enumerate() {
        format.item(&namespace, number == 0, &mut body);
    }
    body.extend(format.list_tail());
    ok(format.content_type(false), stream::iter([Bytes::from(body)]))
}

fn watch_namespaces(shared: &Arc<Shared>, format: Format, query: &Query) -> Response<Body> {
    let version = shared.cluster().version();
    let added = move |number| format.event("ADDED", &Object::Namespace(number));
    let end = iter::once_with(move || format.bookmark(Resource::Namespaces, version, true));
    let all = (0..NAMESPACES).map(added).chain(end);
    let first = all.map(Bytes::from).take(if query.send_initial_events { usize::MAX } else { 0 });
    let quiet = stream::unfold(Arc::clone(shared), move |shared| async move {
        tokio::time::sleep(BOOKMARK).await;
        let version = shared.cluster().version();
        Some((Bytes::from(format.bookmark(Resource::Namespaces, version, false)), shared))
    });
    ok(format.content_type(true), stream::iter(first).chain(quiet))
}

fn expired(format: Format) -> Bytes {
    format.error(410, "Expired", "too old resource version").into()
}

fn refuse_streaming(format: Format) -> Response<Body> {
    failure(
        format,
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden \
         for watch unless the WatchList feature gate is enabled",
    )
}

fn failure(format: Format, code: u16, reason: &str, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format.status(code, reason, message)));
    let status = StatusCode::from_u16(code).expect("a status code");
    response(status, format.content_type(false), body.boxed_unsync())
}

fn ok(content_type: &'static str, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let frames = chunks.map(|chunk| Ok(Frame::data(chunk)));
    response(StatusCode::OK, content_type, StreamBody::new(frames).boxed_unsync())
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    builder.body(body).expect("a response")
}
