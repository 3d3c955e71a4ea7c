//! The thread that serves all TCP connections, so that none of them can delay a response over UDP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinHandle};
use tracing::{Instrument, Span};

use super::connection::TcpConnection;
use super::counters::TcpCounters;
use super::listener::{ListeningSocket, listen};
use super::state::{Closer, TcpState};
use crate::server::answer::Answerer;
use crate::server::connections::TaskHandle;
use crate::server::span::connection_span;
use crate::server::supervise::{caught, supervise};

/// Commands to the thread.
#[derive(Debug)]
pub(crate) enum TcpCommand {
    /// Accept connections on this socket; `kept_by_systemd` is true if systemd holds it too.
    Listen { address: SocketAddr, socket: std::net::TcpListener, kept_by_systemd: bool, span: Span },
    /// Stop accepting connections on this address.
    Forget(SocketAddr),
    /// Reply, to show that the thread is not stuck.
    Ping(oneshot::Sender<()>),
}

/// Serves until the sender of `commands` is dropped, then drains.
pub(crate) async fn serve(
    answerer: Answerer,
    counters: Arc<TcpCounters>,
    mut commands: mpsc::UnboundedReceiver<TcpCommand>,
) {
    let shared = Rc::new(TcpState::new(answerer, counters));
    let expiry = task::spawn_local(expire(Rc::clone(&shared)));
    let mut listeners: HashMap<SocketAddr, (oneshot::Sender<()>, JoinHandle<()>)> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            TcpCommand::Listen { address, socket, kept_by_systemd, span } => {
                match span.in_scope(|| ListeningSocket::new(socket, kept_by_systemd)) {
                    Ok(listener) => {
                        let (stop, stopped) = oneshot::channel();
                        let task =
                            task::spawn_local(accept(Rc::clone(&shared), listener, stopped).instrument(span));
                        listeners.insert(address, (stop, task));
                    }
                    Err(error) => tracing::error!(parent: &span, %error, "cannot listen over TCP"),
                }
            }
            TcpCommand::Forget(address) => drop(listeners.remove(&address)),
            // Fails only if the caller no longer waits.
            TcpCommand::Ping(pong) => drop(pong.send(())),
        }
    }
    // Stops all listeners by dropping the senders, then waits for each.
    let tasks: Vec<_> = listeners.into_values().map(|(_, task)| task).collect();
    for task in tasks {
        // Fails only if the task panicked: then there is nothing to wait for.
        let _ = task.await;
    }
    shared.drain().await;
    expiry.abort();
}

async fn expire(shared: Rc<TcpState>) {
    supervise("TCP time-outs", &shared.answers.panics, async || shared.expire().await).await;
}

/// Accepts connections until the sender of `stop` is dropped.
async fn accept(shared: Rc<TcpState>, listener: ListeningSocket, mut stop: oneshot::Receiver<()>) {
    supervise("TCP listener", &shared.answers.panics, async || {
        listen(&listener, &shared.counters, &mut stop, |stream, peer| {
            serve_connection(&shared, stream, peer);
        })
        .await;
    })
    .await;
}

/// Serves a connection in a separate task. A panic closes the connection.
fn serve_connection(shared: &Rc<TcpState>, stream: TcpStream, peer: SocketAddr) {
    let stream = Rc::new(stream);
    let closer = Rc::new(Closer { task: TaskHandle::default(), stream: Rc::clone(&stream) });
    let id = shared.admit(peer, Rc::clone(&closer));
    let (connection, answers) =
        (TcpConnection { stream, peer, id, shared: Rc::clone(shared) }, Arc::clone(&shared.answers));
    let served = async move {
        if caught(connection.converse()).await.is_err() {
            answers.panics.increment();
            tracing::error!("a query over TCP panicked: a bug, please report it; its connection is closed");
        }
    };
    let task = task::spawn_local(served.instrument(connection_span(peer)));
    closer.task.set(task.abort_handle());
}
