//! The admin endpoints: HTTP/1.1, read only, for probes, people and Prometheus.

mod metrics;
mod process;
mod status;

use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::{task, time};

use crate::server::state::State;

/// Connections at a time: a few probes and scrapers. Others wait.
const CONNECTIONS: usize = 64;

/// How long a client may take for a request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may last, so that silent ones do not keep others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(10);

/// The break after a connection could not be accepted, for want of file descriptors most often.
const ACCEPT_BREAK: Duration = Duration::from_millis(50);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin endpoints");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let metrics = Rc::new(metrics::registry(Arc::clone(&state)));
    loop {
        // Never closed, so this never fails.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "an admin connection could not be accepted");
                time::sleep(ACCEPT_BREAK).await;
                continue;
            }
        };
        let (state, metrics) = (Arc::clone(&state), Rc::clone(&metrics));
        let service = service_fn(move |request: Request<Incoming>| {
            let response = respond(&request, &state, &metrics);
            async move { Ok::<_, Infallible>(response) }
        });
        task::spawn_local(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = time::timeout(CONNECTION_TIMEOUT, connection).await {
                tracing::debug!(%error, "an admin connection failed");
            }
            drop(place);
        });
    }
}

fn respond(
    request: &Request<Incoming>,
    state: &State,
    metrics: &prometheus_client::registry::Registry,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        // That this is answered is all there is to know: a dead worker ends the process.
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => ready(state),
        "/status" => reply(StatusCode::OK, JSON, status::document(state)),
        "/metrics" => match metrics::text(metrics) {
            Ok(metrics) => reply(StatusCode::OK, OPENMETRICS, metrics),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "there are /healthz, /readyz, /status and /metrics\n"),
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
