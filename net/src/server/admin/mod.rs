//! The admin endpoints: HTTP/1.1, read only, for probes, people and Prometheus.

mod connections;
#[cfg(test)]
pub(crate) mod document;
mod explain;
mod exposition;
mod lookups;
mod metrics;
mod proc;
#[cfg(test)]
mod samples;
mod status;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::registry::Registry;

use self::connections::Connections;
use self::exposition::{Exposition, OPENMETRICS, TEXT_0_0_4};
use crate::server::state::State;
use crate::server::supervise::supervise;

pub use self::explain::explain_json;
pub use self::metrics::metrics_reference;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin endpoints");
            return;
        }
    };
    let metrics = metrics::registry(Arc::clone(&state));
    let panics = Arc::clone(&state);
    let connections =
        Rc::new(Connections::new(Arc::clone(&state), move |request| respond(request, &state, &metrics)));
    supervise("admin endpoints", &panics.admin_panics, async || connections.accept(&listener).await).await;
}

fn respond(request: &Request<Incoming>, state: &State, metrics: &Registry) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        // That this is answered is all there is to know: a dead worker ends the process.
        "/healthz" | "/livez" | "/health" => text(StatusCode::OK, "ok\n"),
        "/readyz" | "/ready" => ready(state),
        "/pods" => lookups::pods(state, request.uri().query().unwrap_or_default()),
        "/explain" => lookups::explain(state, request.uri().query().unwrap_or_default()),
        "/status" => reply(StatusCode::OK, JSON, status::document(state)),
        "/metrics" => match metrics::text(metrics) {
            Ok(metrics) => exposition(request, metrics),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /healthz, /readyz, /status, /metrics, /pods and /explain\n",
        ),
    }
}

/// Replies with the metrics in the format that the client prefers.
fn exposition(request: &Request<Incoming>, metrics: String) -> Response<Full<Bytes>> {
    let accept = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    match Exposition::preferred(accept) {
        Exposition::OpenMetrics => reply(StatusCode::OK, OPENMETRICS, metrics),
        Exposition::Text => reply(StatusCode::OK, TEXT_0_0_4, exposition::to_text(&metrics)),
    }
}

fn ready(state: &State) -> Response<Full<Bytes>> {
    let pending = state.pending();
    if pending.is_empty() {
        // Ready all the same: answers say that they are stale, and there is nobody better to ask.
        return match state.current().pods.0.freshness().age() {
            None => text(StatusCode::OK, "ready\n"),
            Some(age) => {
                text(StatusCode::OK, format!("ready\nstale: the pods are {} s old\n", age.as_secs()))
            }
        };
    }
    let mut reasons = pending.join("\n");
    reasons.push('\n');
    text(StatusCode::SERVICE_UNAVAILABLE, reasons)
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    reply(status, TEXT, body)
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
