//! Responses to requests for pods and namespaces.

use std::io;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::cluster::{Event, View, partial};
use super::format::{Format, Line, Wire, bookmark};
use super::reply::{Body, Reply, failure, json_response, response};
use super::request::{Seen, Verb};
use super::reviews;
use super::state::{Shared, State, Streaming, Watch};
use crate::recordings::{EXPIRED_CONTINUE, EXPIRED_WATCH, UNAUTHORIZED};

/// Responds to a request; never, if that is prepared.
pub(super) async fn respond(shared: Shared, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    shared.0.lock().expect("no test panicked with it").paths.push(path.to_owned());
    let Some(seen) = Seen::parse(&head) else {
        let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        return Ok(other(&shared, path, token.as_deref(), &body));
    };
    let reply = prepare(&shared, &seen);
    let status = reply.as_ref().map_or(0, |response| response.status().as_u16());
    shared.1.send_modify(|log| log.push(Seen { status, ..seen }));
    match reply {
        Some(response) => Ok(response),
        None => std::future::pending().await,
    }
}

/// The version, and access reviews.
fn other(shared: &Shared, path: &str, token: Option<&str>, body: &[u8]) -> Response<Body> {
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

fn prepare(shared: &Shared, seen: &Seen) -> Option<Response<Body>> {
    let mut state = shared.0.lock().expect("no test panicked with it");
    let matches =
        |(resource, verb, _): &(&str, Verb, Reply)| *resource == seen.resource && *verb == seen.verb;
    if let Some(at) = state.replies.iter().position(matches) {
        return state.replies.remove(at).and_then(|(.., reply)| reply.into_response());
    }
    if state.token.is_some() && state.token != seen.token {
        return Reply::status(401, UNAUTHORIZED).into_response();
    }
    if let Some(status) = state.refuse_protobuf.filter(|_| seen.accept.contains("protobuf")) {
        return Some(failure(status, "NotAcceptable", "only application/json is served"));
    }
    Some(match seen.verb {
        Verb::Identify => identity(&state, seen),
        Verb::List => list(&state, seen),
        Verb::Stream if state.streaming == Streaming::Refused => refuse_streaming(),
        Verb::Stream | Verb::Watch => watch(&mut state, seen),
    })
}

/// Returns the encoding that the server prefers of those that the client accepts.
fn wire(state: &State, seen: &Seen) -> Wire {
    let only_metadata = seen.accept.contains("as=PartialObjectMetadata");
    let format = if seen.accept.contains("protobuf") { state.format } else { Format::Json };
    Wire { only_metadata, format }
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
    let Wire { only_metadata, format } = wire(state, seen);
    let mut version = state.cluster.version;
    let mut after = None;
    if let Some(token) = seen.param("continue") {
        let mut parts = token.splitn(3, '/');
        let mut part = || parts.next().expect("a token of ours").to_owned();
        version = part().parse().expect("a version");
        after = Some((part(), part()));
        if version < state.cluster.compacted {
            return response(StatusCode::GONE, format, &recorded(EXPIRED_CONTINUE));
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
            // As in a real list: items have no kind.
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

fn watch(state: &mut State, seen: &Seen) -> Response<Body> {
    let (view, wire) = (view(seen), wire(state, seen));
    let (lines, receiver) = mpsc::unbounded_channel();
    let send = |line| drop(lines.send(line));
    let from: u64 = seen.param("resourceVersion").map_or(0, |version| version.parse().expect("a version"));
    let compacted = from != 0 && from < state.cluster.compacted;
    if seen.verb == Verb::Stream || from == 0 {
        for object in state.cluster.list(&view, None, usize::MAX).0 {
            send(wire.event(&Event { version: 0, kind: "ADDED", object, before: None }));
        }
        if state.streaming == Streaming::Yes {
            send(wire.line(&bookmark(seen.resource, state.cluster.version, true)));
        }
    } else if compacted {
        send(wire.line(&recorded(EXPIRED_WATCH)));
    } else {
        state.cluster.since(&view, from).iter().for_each(|event| send(wire.event(event)));
    }
    if !compacted {
        state.watches.push(Watch { view, wire, lines });
    }
    watch_response(wire.format, receiver)
}

fn watch_response(format: Format, receiver: mpsc::UnboundedReceiver<Line>) -> Response<Body> {
    let lines = stream::unfold(receiver, |mut receiver| async {
        let frame = match receiver.recv().await? {
            Line::Event(bytes) => Ok::<_, io::Error>(Frame::<Bytes>::data(bytes)),
            Line::Break => Err(io::Error::other("broken")),
        };
        Some((frame, receiver))
    });
    let kind = format!("{};stream=watch", format.media_type());
    let builder = Response::builder().header(header::CONTENT_TYPE, kind);
    builder.body(StreamBody::new(lines).boxed_unsync()).expect("a response")
}
