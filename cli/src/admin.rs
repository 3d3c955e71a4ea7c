//! Client of the admin endpoints of a running poddnsd.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time;

use crate::outcome::CommandError;
use crate::query::ServerArg;
use crate::runtime::runtime;
use crate::text::show_text;

/// Default port of the admin endpoints.
const PORT: u16 = 8053;

/// Time limit of a whole exchange.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of bytes of a response.
const MAX_BODY: usize = 16 << 20;

/// Maximum number of characters of a response that an error quotes.
const MAX_QUOTE: usize = 500;

/// Reason why an endpoint returned no document.
#[derive(Debug, Error)]
enum AdminError {
    #[error("the server has no address")]
    NoAddress,
    #[error("cannot connect to {server}: {source}; is poddnsd running there, and with --admin?")]
    Connect { server: SocketAddr, source: io::Error },
    #[error("no response from {server} within {} s; is it the address of --admin?", TIMEOUT.as_secs())]
    Timeout { server: SocketAddr },
    #[error("{server} does not speak HTTP as poddnsd does: {source}")]
    Protocol { server: SocketAddr, source: Box<dyn Error + Send + Sync> },
    #[error("{server} refuses {path} ({status}): {}", quote(.body))]
    Refused { server: SocketAddr, path: String, status: StatusCode, body: String },
}

fn quote(body: &str) -> String {
    show_text(&body.trim().chars().take(MAX_QUOTE).collect::<String>())
}

/// A client of the admin endpoints.
pub(crate) struct Admin {
    servers: Vec<SocketAddr>,
    runtime: Runtime,
}

impl Admin {
    pub(crate) fn new(server: &ServerArg) -> Result<Self, CommandError> {
        Ok(Self { servers: server.addresses(PORT)?, runtime: runtime()? })
    }

    /// Returns the JSON document at a path with query. The addresses of the server are tried in turn.
    pub(crate) fn document(&self, path: &str) -> Result<Value, CommandError> {
        let mut last = AdminError::NoAddress;
        for &server in &self.servers {
            match self.runtime.block_on(get(server, path)) {
                Ok(document) => return Ok(document),
                Err(error @ AdminError::Connect { .. }) => last = error,
                Err(error) => return Err(CommandError::run(error)),
            }
        }
        Err(CommandError::run(last))
    }
}

async fn get(server: SocketAddr, path: &str) -> Result<Value, AdminError> {
    match time::timeout(TIMEOUT, exchange(server, path)).await {
        Ok(done) => done,
        Err(_) => Err(AdminError::Timeout { server }),
    }
}

async fn exchange(server: SocketAddr, path: &str) -> Result<Value, AdminError> {
    let stream = TcpStream::connect(server).await.map_err(|source| AdminError::Connect { server, source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| protocol(server, error))?;
    // Ends with the exchange, which reports errors of the connection.
    let connection = tokio::spawn(async { drop(connection.await) });
    let request = Request::get(path)
        .header(HOST, server.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| protocol(server, error))?;
    let response = sender.send_request(request).await.map_err(|error| protocol(server, error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|error| {
        let is_long = error.is::<LengthLimitError>();
        protocol(server, if is_long { format!("more than {MAX_BODY} bytes").into() } else { error })
    })?;
    connection.abort();
    let body = body.to_bytes();
    if status != StatusCode::OK {
        let body = String::from_utf8_lossy(&body).into_owned();
        return Err(AdminError::Refused { server, path: path.to_owned(), status, body });
    }
    serde_json::from_slice(&body).map_err(|error| protocol(server, error))
}

fn protocol(server: SocketAddr, source: impl Into<Box<dyn Error + Send + Sync>>) -> AdminError {
    AdminError::Protocol { server, source: source.into() }
}

/// Returns a query parameter with special characters as `%XX` (RFC 3986 2.1).
pub(crate) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// Returns the text of a field; empty if there is none.
pub(crate) fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the state of an index as text: `in sync`, `stale for 3 s`.
pub(crate) fn freshness(freshness: &Value) -> String {
    let age = freshness.get("age_seconds").and_then(Value::as_u64).unwrap_or_default();
    match text(freshness, "state") {
        "fresh" => "in sync".to_owned(),
        "unsynced" => "not listed yet".to_owned(),
        "stale" => format!("stale for {age} s"),
        "resyncing" => format!("stale for {age} s, being listed"),
        other => show_text(other),
    }
}
