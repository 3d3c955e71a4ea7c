//! The admin endpoints: HTTP/1.1, read only, for probes, people and Prometheus.

mod audit;
mod connections;
#[cfg(test)]
pub(crate) mod document;
mod explain;
mod exposition;
mod fields;
mod lookups;
mod metrics;
mod page;
mod proc;
mod reply;
#[cfg(test)]
pub(crate) mod samples;
mod status;

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::registry::Registry;
use tokio::task;
use tokio::time::{self, MissedTickBehavior};
use tracing::{Instrument, Span};

use self::connections::AdminConnections;
use self::exposition::{Exposition, OPENMETRICS, TEXT_0_0_4};
use self::page::PageView;
use self::reply::{HTML, JSON, reply, text};
use crate::server::history::{History, INTERVAL};
use crate::server::span::listener_span;
use crate::server::state::ServerState;
use crate::server::supervise::supervise;

pub use self::explain::explain_json;
pub use self::fields::status_reference;
pub use self::metrics::metrics_reference;

/// Serves on all listeners, which share the limits of connections; never returns.
pub(crate) async fn serve(listeners: Vec<TcpListener>, state: Arc<ServerState>) {
    let endpoints = Rc::new(Endpoints::new(Arc::clone(&state)));
    let (answering, sampling) = (Rc::clone(&endpoints), Rc::clone(&endpoints));
    let connections = Rc::new(AdminConnections::new(Arc::clone(&state), is_probe, move |request| {
        answering.respond(request)
    }));
    for listener in listeners {
        let span = listener.local_addr().map_or_else(|_| Span::none(), listener_span);
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(parent: &span, %error, "cannot serve the admin endpoints");
                continue;
            }
        };
        let (connections, state) = (Rc::clone(&connections), Arc::clone(&state));
        let accepting = async move {
            supervise("admin endpoints", &state.admin_panics, async || connections.accept(&listener).await)
                .await;
        };
        // The task ends with the thread.
        task::spawn_local(accepting.instrument(span));
    }
    supervise("history", &state.admin_panics, async || sampling.sample().await).await;
}

/// Returns true for the paths of probes, whose replies cost little time.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/livez" | "/health" | "/readyz" | "/ready")
}

/// State that requests are answered from.
struct Endpoints {
    state: Arc<ServerState>,
    metrics: Registry,
    history: RefCell<History>,
}

impl Endpoints {
    fn new(state: Arc<ServerState>) -> Self {
        let metrics = metrics::registry(Arc::clone(&state));
        let history = RefCell::new(History::new(&state, Instant::now()));
        Self { state, metrics, history }
    }

    /// Adds samples to the history; never returns.
    async fn sample(&self) {
        let mut interval = time::interval_at(time::Instant::now() + INTERVAL, INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.history.borrow_mut().sample(&self.state, Instant::now());
        }
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let (state, query) = (&*self.state, request.uri().query().unwrap_or_default());
        match request.uri().path() {
            "/" => self.page(),
            // Any reply suffices: if a worker dies, the process exits.
            "/healthz" | "/livez" | "/health" => text(StatusCode::OK, "ok\n"),
            "/readyz" | "/ready" => ready(state),
            "/audit" => audit::document(state),
            "/pods" => lookups::pods(state, query),
            "/explain" => lookups::explain(state, query),
            "/status" => {
                let recent = self.history.borrow();
                let document = status::document(state, &recent.recent(state, Instant::now()));
                reply(StatusCode::OK, JSON, status::text(&document))
            }
            "/metrics" => match metrics::text(&self.metrics) {
                Ok(metrics) => exposition(request, metrics),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /, /healthz, /readyz, /status, /metrics, /audit, /pods and /explain\n",
            ),
        }
    }

    /// Replies with the page, and with headers that restrict it in a browser.
    fn page(&self) -> Response<Full<Bytes>> {
        let history = self.history.borrow();
        let recent = history.recent(&self.state, Instant::now());
        let document = status::document(&self.state, &recent);
        let audit = audit::value(&self.state);
        let page = page::page(&PageView { status: &document, audit: audit.as_ref(), recent: &recent });
        let mut response = reply(StatusCode::OK, HTML, page);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, page::POLICY.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
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

fn ready(state: &ServerState) -> Response<Full<Bytes>> {
    let pending = state.pending();
    if pending.is_empty() {
        // Ready even if stale: answers are marked stale, and other replicas have no newer ones.
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
