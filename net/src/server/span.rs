//! Spans of log lines.

use std::net::SocketAddr;

use tracing::Span;

/// Returns the span of log lines about a listener. Its level is error, so that a filter that selects a line also
/// selects its span.
pub(super) fn listener_span(address: SocketAddr) -> Span {
    tracing::error_span!("listener", %address)
}

/// Returns the span of log lines about a connection, which costs nothing unless its level, debug, is enabled. An
/// IPv4-mapped address of a client is shown as IPv4.
pub(super) fn connection_span(client: SocketAddr) -> Span {
    tracing::debug_span!("connection", peer = %SocketAddr::new(client.ip().to_canonical(), client.port()))
}
