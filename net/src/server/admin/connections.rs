//! Connections of the admin endpoints: a probe is answered whatever the others do.

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
use tokio::task;
use tokio::time::{self, Instant};
use tracing::Instrument;

use super::reply::text;
use crate::server::connections::{ConnectionId, ConnectionLimits, ConnectionTable, TaskHandle};
use crate::server::open_files::ADMIN;
use crate::server::state::ServerState;
use crate::server::supervise::caught;

/// Connections at a time: a few probes and scrapers. Beyond it the oldest without a request is closed, of the client
/// with the most.
const LIMITS: ConnectionLimits = ConnectionLimits { total: ADMIN, per_client: 16 };

/// Time for a request's header, and for the next request on the same connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Lifetime of a connection, so that one whose client does not read ends.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes of a request's header, the least that hyper takes.
const HEADER_SIZE: usize = 8 * 1024;

/// Delay after a connection could not be accepted, for want of file descriptors most often.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// The connections, and the function that answers their requests.
pub(super) struct AdminConnections<F> {
    state: Arc<ServerState>,
    respond: F,
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
    pub(super) fn new(state: Arc<ServerState>, respond: F) -> Self {
        Self { state, respond, table: RefCell::default() }
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(self: &Rc<Self>, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.serve(stream, peer);
                    // Its request before the next connection, which might take its place.
                    task::yield_now().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "an admin connection could not be accepted");
                    time::sleep(ACCEPT_DELAY).await;
                }
            }
        }
    }

    /// Serves a connection as a task of its own.
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
        let task = task::spawn_local(served.instrument(tracing::debug_span!("connection", %peer)));
        handle.set(task.abort_handle());
    }

    async fn converse(&self, stream: TcpStream, id: ConnectionId) -> io::Result<()> {
        let service = service_fn(async |request| Ok::<_, Infallible>(self.respond(&request, id)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_SIZE)
            .serve_connection(TokioIo::new(stream), service);
        connection.await.map_err(io::Error::other)
    }

    fn respond(&self, request: &Request<Incoming>, id: ConnectionId) -> Response<Full<Bytes>> {
        self.table.borrow_mut().exchanged(id, Instant::now());
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
