//! DNS over UDP: one socket, one loop.

#[cfg(target_os = "linux")]
mod batched;
#[cfg(test)]
mod faults;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
mod worker;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::{select, task, time};
use tracing::Span;

#[cfg(target_os = "linux")]
pub(crate) use self::batched::MmsgSocket as Socket;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::portable::PortableSocket as Socket;
pub(crate) use self::worker::{UdpCommand, WorkerInputs, work};
use crate::server::counters::Counters;
use crate::sys::Datagram;

/// Number of batches that are answered before other tasks of the thread run.
const BATCHES_PER_TURN: usize = 16;

/// Number of consecutive failed receptions after which the loop pauses, so that a persistent error does not occupy a
/// core.
const MAX_FAILURES: u32 = 64;
/// Length of that pause.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);

/// Time to drain a socket after it has left its reuseport group.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// A socket that receives and sends batches of datagrams: the system calls of the loop. It is a trait so that tests can
/// make each of them fail.
pub(crate) trait DatagramSocket {
    /// Buffers for queries and replies.
    type Batch: DatagramBatch;

    /// Returns the span of the listener. It is the parent of log lines, and is never entered: entering it at each
    /// wake-up would cost more than a query.
    fn span(&self) -> &Span;

    /// Returns an empty batch.
    fn batch(&self) -> Self::Batch;

    /// Waits until there may be a datagram. Fails only when the runtime ends.
    async fn readable(&self) -> io::Result<()>;

    /// Waits until there may be room for a reply. Fails only when the runtime ends.
    async fn writable(&self) -> io::Result<()>;

    /// Receives the datagrams that have arrived, without waiting; fails with `WouldBlock` if there are none. After
    /// that, and after [`QueueState::Empty`], [`readable`](Self::readable) waits for the next datagram.
    fn receive(&self, batch: &mut Self::Batch) -> io::Result<QueueState>;

    /// Sends replies from number `from` on, without waiting, and returns how many were sent; an error concerns reply
    /// `from`.
    fn send(&self, batch: &mut Self::Batch, from: usize) -> io::Result<usize>;

    /// Makes the kernel choose the other sockets of the same address for new queries.
    fn leave(&self) -> io::Result<()>;
}

/// State of a socket after a reception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// No datagram is left.
    Empty,
    /// There may be more datagrams: the next reception determines this.
    Unknown,
}

/// Queries that one call receives, and the replies to them.
pub(crate) trait DatagramBatch {
    /// Returns every query that was received.
    fn queries(&self) -> impl Iterator<Item = &[u8]>;

    /// Returns the number of queries that were received.
    fn received(&self) -> usize {
        self.queries().count()
    }

    /// Calls `each` with every query that may have a reply, and with a buffer for the reply; `each` returns the reply's
    /// length.
    fn answer(&mut self, each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>);

    /// Returns the number of queries that have no reply because they were sent to a broadcast or multicast address.
    fn not_unicast(&self) -> usize {
        0
    }

    /// Returns the number of replies to send.
    fn replies(&self) -> usize;
}

/// Answers the queries of a socket.
pub(crate) trait BatchResponder {
    /// Answers all queries of a batch.
    fn answer(&mut self, batch: &mut impl DatagramBatch);

    /// Returns true if one of this many queries, which are answered next, is a sample whose duration must be measured.
    fn is_measured(&self, _queries: usize) -> bool {
        false
    }

    /// Returns the counters of the loop's failures.
    fn counters(&self) -> &Counters;
}

/// Outcome of a reception.
enum Received {
    /// Queries were answered; there may be more.
    Some,
    /// All queries were answered.
    All,
    /// The reception failed, which has been counted.
    Failure,
}

/// Answers queries until the sender of `stop` is dropped, and then those that have arrived before.
pub(crate) async fn serve<D: DatagramSocket, A: BatchResponder>(
    socket: &D,
    answers: &mut A,
    stop: &mut oneshot::Receiver<()>,
) {
    let mut batch = socket.batch();
    let mut failures = 0;
    // Already terminated if this is a restart.
    while !stop.is_terminated() {
        // `stop` is checked only if no query is ready or the turn is over; the check takes no lock.
        select! {
            biased;
            ready = socket.readable() => if ready.is_err() { return },
            _ = &mut *stop => break,
        }
        if turn(socket, &mut batch, answers, &mut failures).await {
            continue;
        }
        if stop.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
            break;
        }
        task::yield_now().await;
    }
    leave(socket, &mut batch, answers).await;
}

/// Answers the queries that have arrived, up to [`BATCHES_PER_TURN`] batches; returns true if none is left.
async fn turn<D: DatagramSocket, A: BatchResponder>(
    socket: &D,
    batch: &mut D::Batch,
    answers: &mut A,
    failures: &mut u32,
) -> bool {
    for _ in 0..BATCHES_PER_TURN {
        match exchange(socket, batch, answers).await {
            Received::Some => *failures = 0,
            Received::All => return true,
            Received::Failure => *failures += 1,
        }
        if *failures >= MAX_FAILURES {
            *failures = 0;
            time::sleep(FAILURE_PAUSE).await;
        }
    }
    false
}

/// Leaves the address to the other sockets that are bound to it, and answers the queries that have arrived before.
async fn leave<D: DatagramSocket, A: BatchResponder>(socket: &D, batch: &mut D::Batch, answers: &mut A) {
    if let Err(error) = socket.leave() {
        tracing::debug!(parent: socket.span(), %error, "a socket could not leave its reuseport group before it is closed");
    }
    let end = time::Instant::now() + DRAIN_TIMEOUT;
    loop {
        match exchange(socket, batch, answers).await {
            Received::Some => {}
            Received::Failure => task::yield_now().await,
            Received::All => {
                if time::timeout_at(end, socket.readable()).await.is_err() {
                    return;
                }
            }
        }
        // Without other sockets, queries continue to arrive, so the time is bounded.
        if time::Instant::now() >= end + DRAIN_TIMEOUT {
            return;
        }
    }
}

/// Receives one batch, answers it and sends the replies.
async fn exchange<D: DatagramSocket, A: BatchResponder>(
    socket: &D,
    batch: &mut D::Batch,
    answers: &mut A,
) -> Received {
    let left = match socket.receive(batch) {
        Ok(left) => left,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::All,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Received::Some,
        Err(error) => {
            // Most often an ICMP error about an earlier reply, which needs no action.
            answers.counters().receive_errors.increment();
            tracing::debug!(parent: socket.span(), %error, "receiving failed");
            return Received::Failure;
        }
    };
    let measured = answers.is_measured(batch.received()).then(Instant::now);
    // Replies queued before a panic are complete, and the next reception overwrites the rest of the batch.
    let done = catch_unwind(AssertUnwindSafe(|| answers.answer(batch)));
    if done.is_err() {
        answers.counters().panics.increment();
        tracing::error!(parent: socket.span(), "a query made the responder panic: a bug, please report it; its batch is dropped");
    }
    send(socket, batch, answers.counters()).await;
    if let Some(begin) = measured {
        answers.counters().latency.add(begin.elapsed());
    }
    match left {
        QueueState::Empty => Received::All,
        QueueState::Unknown => Received::Some,
    }
}

/// Sends all replies of a batch; a failure does not prevent the following ones from being sent.
async fn send<D: DatagramSocket>(socket: &D, batch: &mut D::Batch, counters: &Counters) {
    let mut done = 0;
    while done < batch.replies() {
        match socket.send(batch, done) {
            Ok(0) => return,
            Ok(sent) => done += sent,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.writable().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                counters.send_errors.increment();
                tracing::debug!(parent: socket.span(), %error, "sending a reply failed");
                done += 1;
            }
        }
    }
}
