//! Connections of the admin endpoints: probes are answered, whatever other clients do.
//!
//! # Turns
//!
//! A document such as that of `/metrics` occupies the control thread longer than anything else that it does. Documents
//! are therefore created one at a time, whatever the number of connections and pipelined requests. Before each of them,
//! all other tasks that are ready run, and all sockets are polled. Probes and feeds wait for one or two documents.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::{self, Instant};
use tracing::Instrument;

use super::reply::text;
use crate::server::connections::{ConnectionId, ConnectionLimits, ConnectionTable, TaskHandle};
use crate::server::open_files::MAX_ADMIN_CONNECTIONS;
use crate::server::span::connection_span;
use crate::server::state::ServerState;
use crate::server::supervise::caught;

/// Limits of connections: enough for a few probes and scrapers. Beyond them, of the client with the most connections,
/// the one with the oldest request is closed.
const LIMITS: ConnectionLimits = ConnectionLimits { total: MAX_ADMIN_CONNECTIONS, per_client: 16 };

/// Time for a request's header, and for the next request on the same connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum lifetime of a connection, since a client may not read its responses.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum size of a request's header in bytes: the smallest one that hyper permits.
const HEADER_SIZE: usize = 8 * 1024;

/// Delay after a connection could not be accepted, most often because the limit of open files is reached.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// The connections, and the function that answers their requests.
pub(super) struct AdminConnections<F> {
    state: Arc<ServerState>,
    /// Returns true for the path of a probe.
    is_probe: fn(&str) -> bool,
    respond: F,
    /// Permit to create a document.
    turn: Semaphore,
    table: RefCell<ConnectionTable<Rc<TaskHandle>>>,
}

/// Removes a connection from the table when its task ends.
struct ConnectionGuard<F: Fn(&Request<Incoming>) -> Response<Full<Bytes>>> {
    connections: Rc<AdminConnections<F>>,
    id: ConnectionId,
}

impl<F: Fn(&Request<Incoming>) -> Response<Full<Bytes>>> Drop for ConnectionGuard<F> {
    fn drop(&mut self) {
        self.connections.table.borrow_mut().remove(self.id);
    }
}

impl<F: Fn(&Request<Incoming>) -> Response<Full<Bytes>> + 'static> AdminConnections<F> {
    /// Returns an empty set of connections. Requests for paths for which `is_probe` returns false wait for their turn.
    pub(super) fn new(state: Arc<ServerState>, is_probe: fn(&str) -> bool, respond: F) -> Self {
        Self { state, is_probe, respond, turn: Semaphore::new(1), table: RefCell::default() }
    }

    /// Accepts connections; never returns.
    pub(super) async fn accept(self: &Rc<Self>, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.serve(stream, peer);
                    // Its request is read before the next connection is accepted, which could evict it.
                    task::yield_now().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "an admin connection could not be accepted");
                    time::sleep(ACCEPT_DELAY).await;
                }
            }
        }
    }

    /// Serves a connection in a separate task.
    fn serve(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let client = self.state.current().settings.client(peer.ip());
        let handle = Rc::new(TaskHandle::default());
        let id = {
            let mut table = self.table.borrow_mut();
            table.admit(client, LIMITS);
            table.insert(client, Instant::now(), Rc::clone(&handle))
        };
        let guard = ConnectionGuard { connections: Rc::clone(self), id };
        let served = async move {
            let connections = &guard.connections;
            let served = caught(time::timeout(CONNECTION_TIMEOUT, connections.converse(stream, id))).await;
            match served {
                Ok(Ok(Err(error))) => tracing::debug!(%error, "the connection failed"),
                Ok(Ok(Ok(())) | Err(_)) => {}
                Err(_) => connections.panicked(),
            }
        };
        let task = task::spawn_local(served.instrument(connection_span(peer)));
        handle.set(task.abort_handle());
    }

    async fn converse(&self, stream: TcpStream, id: ConnectionId) -> io::Result<()> {
        let service = service_fn(async |request| Ok::<_, Infallible>(self.respond(&request, id).await));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client such as `nc` closes its side after the request.
            .half_close(true)
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_SIZE)
            .serve_connection(TokioIo::new(stream), service);
        connection.await.map_err(io::Error::other)
    }

    async fn respond(&self, request: &Request<Incoming>, id: ConnectionId) -> Response<Full<Bytes>> {
        self.table.borrow_mut().exchanged(id, Instant::now());
        let mut turn = None;
        if !(self.is_probe)(request.uri().path()) {
            // Fails only if the semaphore is closed, which it never is.
            turn = self.turn.acquire().await.ok();
            task::yield_now().await;
        }
        let _turn = turn;
        catch_unwind(AssertUnwindSafe(|| (self.respond)(request))).unwrap_or_else(|_| {
            self.panicked();
            text(StatusCode::INTERNAL_SERVER_ERROR, "a bug, please report it: see the log\n")
        })
    }

    fn panicked(&self) {
        self.state.admin_panics.increment();
        tracing::error!("a request to the admin endpoints panicked: a bug, please report it");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Read, Write};
    use std::net::Shutdown;

    use poddns_core::Freshness;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::sync::Notify;

    use super::*;
    use crate::server::admin::samples;

    const CONNECTIONS: usize = 12;
    const PIPELINED: usize = 20;
    /// Number of the document during which the probe is sent, when all connections have been accepted.
    const BEFORE: usize = 60;

    fn send(address: SocketAddr, path: &str, times: usize) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.repeat(times).as_bytes()).unwrap();
        stream
    }

    #[test]
    fn probe_overtakes_pending_documents() {
        // Creates and drops a runtime.
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (documents, probe, answered) = (Cell::new(0), RefCell::new(None), Rc::<Notify>::default());
            let (at_probe, notifier) = (Rc::<Cell<usize>>::default(), Rc::clone(&answered));
            let at_answer = Rc::clone(&at_probe);
            let respond = move |request: &Request<Incoming>| {
                if request.uri().path() == "/probe" {
                    at_answer.set(documents.get());
                    notifier.notify_one();
                } else {
                    documents.set(documents.get() + 1);
                    if documents.get() == BEFORE {
                        probe.replace(Some(send(address, "/probe", 1)));
                    }
                }
                text(StatusCode::OK, "")
            };
            let connections = Rc::new(AdminConnections::new(state, |path| path == "/probe", respond));
            let _clients: Vec<_> = (0..CONNECTIONS).map(|_| send(address, "/", PIPELINED)).collect();
            task::spawn_local(async move { connections.accept(&listener).await });
            answered.notified().await;
            let between = at_probe.get() - BEFORE;
            assert!(between <= 4, "{between} of {} documents come first", CONNECTIONS * PIPELINED - BEFORE);
        });
    }

    #[test]
    fn half_closed_connection_gets_its_document() {
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = send(listener.local_addr().unwrap(), "/", 1);
            client.shutdown(Shutdown::Write).unwrap();
            let respond = |_: &Request<Incoming>| text(StatusCode::OK, "document");
            let connections = Rc::new(AdminConnections::new(state, |_| false, respond));
            task::spawn_local(async move { connections.accept(&listener).await });
            let read = task::spawn_blocking(move || {
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                answer
            });
            let answer = read.await.unwrap();
            assert!(answer.ends_with("document"), "{answer:?}");
        });
    }
}
