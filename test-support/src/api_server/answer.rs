//! Responses to requests for pods and namespaces.

use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::encoding::{Encoding, ListMetadata, Wire};
use super::messages::WatchPart;
use super::object::ApiObject;
use super::request::{RequestVerb, SeenRequest};
use super::response::{
    PreparedResponse, ResponseBody, failure, failure_status, json_response, status_response, streamed,
};
use super::reviews;
use super::state::{ApiServerState, OpenWatch, SharedState, Streaming};
use super::store::{ListPage, ListPosition, ObjectEvent, View};
use crate::recordings::{EXPIRED_CONTINUE, EXPIRED_WATCH, UNAUTHORIZED};

/// Responds to a request. Never completes if the prepared response is [`PreparedResponse::Silence`].
pub(super) async fn respond(
    shared: SharedState,
    request: Request<Incoming>,
) -> io::Result<Response<ResponseBody>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    shared.0.lock().expect("no test panicked with it").paths.push(path.to_owned());
    let Some(seen) = SeenRequest::parse(&head) else {
        let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        return Ok(other(&shared, path, token.as_deref(), &body));
    };
    let reply = prepare(&shared, &seen);
    let status = reply.as_ref().map_or(0, |response| response.status().as_u16());
    shared.1.send_modify(|log| log.push(SeenRequest { status, ..seen }));
    match reply {
        Some(response) => Ok(response),
        None => std::future::pending().await,
    }
}

/// Responds to requests for `/version` and to access reviews.
fn other(shared: &SharedState, path: &str, token: Option<&str>, body: &[u8]) -> Response<ResponseBody> {
    let mut state = shared.0.lock().expect("no test panicked with it");
    if state.token.is_some() && state.token.as_deref() != token {
        return failure(401, "Unauthorized", "Unauthorized");
    }
    if path == "/version" {
        state.probes += 1;
        let mut version = json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"});
        for key in ["gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"] {
            version[key] = json!("");
        }
        return json_response(StatusCode::OK, &version);
    }
    reviews::review(path, serde_json::from_slice(body).unwrap_or_default(), state.is_allowed)
}

fn prepare(shared: &SharedState, seen: &SeenRequest) -> Option<Response<ResponseBody>> {
    let mut state = shared.0.lock().expect("no test panicked with it");
    let matches = |(resource, verb, _): &(&str, RequestVerb, PreparedResponse)| {
        *resource == seen.resource && *verb == seen.verb
    };
    if let Some(at) = state.replies.iter().position(matches) {
        return state.replies.remove(at).and_then(|(.., reply)| reply.into_response());
    }
    if state.token.is_some() && state.token != seen.token {
        return PreparedResponse::status(401, UNAUTHORIZED).into_response();
    }
    if let Some(status) = state.refuse_protobuf.filter(|_| seen.accept.contains("protobuf")) {
        return Some(failure(status, "NotAcceptable", "only application/json is served"));
    }
    Some(match seen.verb {
        RequestVerb::Identify => identity(&state, seen),
        RequestVerb::List => list(&state, seen),
        RequestVerb::Stream if state.streaming == Streaming::Refused => {
            refuse_streaming(wire(&state, seen).encoding)
        }
        RequestVerb::Stream | RequestVerb::Watch => watch(&mut state, seen),
    })
}

/// Returns the encoding that the server prefers of those that the client accepts.
fn wire(state: &ApiServerState, seen: &SeenRequest) -> Wire {
    let only_metadata = seen.accept.contains("as=PartialObjectMetadata");
    let encoding = if seen.accept.contains("protobuf") { state.encoding } else { Encoding::Json };
    Wire { only_metadata, encoding }
}

/// Returns a list of the namespace kube-system alone.
fn identity(state: &ApiServerState, seen: &SeenRequest) -> Response<ResponseBody> {
    let metadata = json!({"name": "kube-system", "uid": state.identity, "resourceVersion": "1"});
    let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": metadata});
    let page = ListPage { objects: vec![ApiObject::put(namespace)], next: None };
    let version = state.revision.unwrap_or(state.store.version);
    page_response(wire(state, seen), seen.resource, page, version)
}

fn refuse_streaming(encoding: Encoding) -> Response<ResponseBody> {
    let message = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is \
                   forbidden for watch unless the WatchList feature gate is enabled";
    status_response(encoding, &failure_status(422, "Invalid", message))
}

fn view(seen: &SeenRequest) -> View {
    let selector = seen.param("fieldSelector").unwrap_or_default();
    let not_phases = selector.split(',').filter_map(|term| term.strip_prefix("status.phase!="));
    View {
        resource: seen.resource,
        namespace: seen.namespace.clone(),
        not_phases: not_phases.map(str::to_owned).collect(),
    }
}

/// Returns a page. The continue token is `version/number` or `version/namespace/name`.
fn list(state: &ApiServerState, seen: &SeenRequest) -> Response<ResponseBody> {
    let wire = wire(state, seen);
    let (mut version, mut position) = (state.store.version, ListPosition::Generated(0));
    if let Some(token) = seen.param("continue") {
        (version, position) = read_token(token).expect("a token of ours");
        if version < state.store.compacted {
            return status_response(wire.encoding, &recorded(EXPIRED_CONTINUE));
        }
    }
    let limit = seen.param("limit").map_or(usize::MAX, |limit| limit.parse().expect("a number"));
    page_response(wire, seen.resource, state.store.list(&view(seen), &position, limit), version)
}

fn read_token(token: &str) -> Option<(u64, ListPosition)> {
    let (version, position) = token.split_once('/')?;
    let position = match position.split_once('/') {
        Some((namespace, name)) => ListPosition::After(namespace.to_owned(), name.to_owned()),
        None => ListPosition::Generated(position.parse().ok()?),
    };
    Some((version.parse().ok()?, position))
}

fn token(version: u64, position: &ListPosition) -> String {
    match position {
        ListPosition::Generated(number) => format!("{version}/{number}"),
        ListPosition::After(namespace, name) => format!("{version}/{namespace}/{name}"),
    }
}

/// Number of items of a list in one part of a body: about 64 KiB of whole pods.
const ITEMS_PER_PART: usize = 8;
/// Initial capacity of the buffer of such a part, in bytes.
const PART_CAPACITY: usize = ITEMS_PER_PART * (10 << 10);

/// Returns a page of a list. Items are encoded while the page is sent.
fn page_response(wire: Wire, resource: &str, page: ListPage, version: u64) -> Response<ResponseBody> {
    let ListPage { objects, next } = page;
    let next = next.map(|(position, left)| (token(version, &position), left));
    let head = wire.list_head(resource, &ListMetadata { version, next }, &objects);
    let mut written = 0;
    let items = std::iter::from_fn(move || {
        let part = objects.get(written..(written + ITEMS_PER_PART).min(objects.len()))?;
        let mut out = Vec::with_capacity(PART_CAPACITY);
        for (at, object) in part.iter().enumerate() {
            wire.item(object, written + at == 0, &mut out);
        }
        written += ITEMS_PER_PART;
        Some(Bytes::from(out))
    });
    let tail = Bytes::from_static(wire.list_tail());
    let parts = std::iter::once(head.into()).chain(items).chain(std::iter::once(tail));
    streamed(wire.encoding.media_type(), stream::iter(parts.map(Ok)))
}

fn recorded(text: &str) -> Value {
    serde_json::from_str(text).expect("a recording")
}

/// Returns a watch that begins with the current objects, with the changes since a version, or with a failure.
fn watch(state: &mut ApiServerState, seen: &SeenRequest) -> Response<ResponseBody> {
    let (view, wire) = (view(seen), wire(state, seen));
    let from: u64 = seen.param("resourceVersion").map_or(0, |version| version.parse().expect("a version"));
    let (mut objects, mut first) = (Vec::new(), Vec::new());
    if seen.verb == RequestVerb::Stream || from == 0 {
        objects = state.store.list(&view, &ListPosition::Generated(0), usize::MAX).objects;
        if state.streaming == Streaming::Yes {
            first.push(WatchPart::Bytes(wire.bookmark(seen.resource, state.store.version, true)));
        }
    } else if from < state.store.compacted {
        let end = WatchPart::Bytes(wire.error(&recorded(EXPIRED_WATCH)["object"]));
        return watch_response(wire, stream::iter([end]));
    } else {
        first.extend(state.store.since(&view, from).into_iter().map(WatchPart::Event));
    }
    let (parts, receiver) = mpsc::unbounded_channel();
    state.watches.push(OpenWatch { view, wire, parts });
    let added = |object| WatchPart::Event(ObjectEvent { version: 0, kind: "ADDED", object, before: None });
    let live = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    watch_response(wire, stream::iter(objects).map(added).chain(stream::iter(first)).chain(live))
}

/// Returns the body of a watch. Events are encoded while the body is sent.
fn watch_response(
    wire: Wire,
    parts: impl Stream<Item = WatchPart> + Send + 'static,
) -> Response<ResponseBody> {
    let parts = parts.map(move |part| match part {
        WatchPart::Event(event) => Ok(wire.event(event.kind, &event.object)),
        WatchPart::Bytes(bytes) => Ok(bytes),
        WatchPart::Break => Err(io::Error::other("broken")),
    });
    streamed(&format!("{};stream=watch", wire.encoding.media_type()), parts)
}
