//! A thread that answers over UDP: one socket for each address that is listened on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::{Socket, serve};
use crate::server::answer::{Answerer, Current};
use crate::server::counters::Counters;
use crate::server::rate_limit::Limiter;

/// How long the sockets may take to hand over once there is nothing to wait for.
const LEAVING: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Answer here too, on a socket that systemd keeps or does not.
    Listen { address: SocketAddr, socket: std::net::UdpSocket, kept_by_systemd: bool },
    /// No longer answer here, but for what has come before.
    Forget(SocketAddr),
    /// Say that the thread is alive.
    Ping(oneshot::Sender<()>),
}

/// Serves until the sender of `orders` is dropped, and what has come before that. `key` is for the table of the
/// thread's rate limiter.
pub(crate) async fn work(
    updates: watch::Receiver<Current>,
    counters: Arc<Counters>,
    key: [u8; 16],
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let limiter = Rc::new(Limiter::new(key));
    let mut sockets: HashMap<SocketAddr, (oneshot::Sender<()>, JoinHandle<()>)> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Listen { address, socket, kept_by_systemd } => {
                match Socket::new(socket, kept_by_systemd) {
                    Ok(socket) => {
                        let (stop, stopped) = oneshot::channel();
                        let (updates, counters) = (updates.clone(), Arc::clone(&counters));
                        let mut answerer = Answerer::udp(updates, counters, Rc::clone(&limiter));
                        let task =
                            task::spawn_local(async move { serve(&socket, &mut answerer, stopped).await });
                        sockets.insert(address, (stop, task));
                    }
                    Err(error) => tracing::error!(%error, %address, "cannot serve over UDP"),
                }
            }
            Order::Forget(address) => drop(sockets.remove(&address)),
            // Fails only if nobody waits any more.
            Order::Ping(pong) => drop(pong.send(())),
        }
    }
    // All at once, then wait for each.
    let tasks: Vec<_> = sockets.into_values().map(|(_, task)| task).collect();
    let end = time::Instant::now() + LEAVING;
    for task in tasks {
        // Nothing to do about one that panicked or cannot send.
        let _ = time::timeout_at(end, task).await;
    }
}
