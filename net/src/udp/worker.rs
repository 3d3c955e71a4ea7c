//! A thread that answers over UDP: one socket for each address that is listened on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poddns_core::Transport;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::{Socket, serve};
use crate::answer::{Answerer, Current};
use crate::counters::Counters;

/// How long the sockets may take to hand over once there is nothing to wait for.
const LEAVING: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Answer here too.
    Listen(SocketAddr, std::net::UdpSocket),
    /// No longer answer here, but for what has come before.
    Forget(SocketAddr),
}

/// Serves until the sender of `orders` is dropped, and what has come before that.
pub(crate) async fn work(
    updates: watch::Receiver<Current>,
    counters: Arc<Counters>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut sockets: HashMap<SocketAddr, (oneshot::Sender<()>, JoinHandle<()>)> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Listen(address, socket) => match Socket::new(socket) {
                Ok(socket) => {
                    let (stop, stopped) = oneshot::channel();
                    let mut answerer = Answerer::new(updates.clone(), Arc::clone(&counters), Transport::Udp);
                    let task = task::spawn_local(async move { serve(&socket, &mut answerer, stopped).await });
                    sockets.insert(address, (stop, task));
                }
                Err(error) => tracing::error!(%error, %address, "cannot serve over UDP"),
            },
            Order::Forget(address) => drop(sockets.remove(&address)),
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
