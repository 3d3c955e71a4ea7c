//! One listening socket: it continues to accept connections after failures, and none is lost when it is closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{self, Instant};
use tokio::{select, task};

use super::counters::TcpCounters;

/// Delay after a connection could not be accepted, most often because the limit of open files is reached.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// Minimum interval between two log lines about such failures.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Time to drain a socket that receives no more connections, for handshakes in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Maximum time to drain a socket that still receives connections.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(1);

/// System calls of the loop. It is a trait so that tests can make each of them fail.
pub(super) trait Accept {
    /// Waits for a connection.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)>;

    /// Makes the kernel choose the socket with this number among those of the same address for new connections, if it
    /// exists. Returns true if connections that this socket still receives would be lost when it is closed.
    fn leave_to(&self, number: u32) -> io::Result<bool>;
}

/// A real socket.
#[derive(Debug)]
pub(super) struct ListeningSocket {
    socket: TcpListener,
    kept_by_systemd: bool,
}

impl ListeningSocket {
    /// Takes a listening, non-blocking socket. Must be called in a runtime.
    pub(super) fn new(socket: std::net::TcpListener, kept_by_systemd: bool) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        // The choice that the previous process set in the kernel remains in effect after its end.
        #[cfg(target_os = "linux")]
        if !kept_by_systemd && crate::sys::choose_any_listener(socket.as_fd()).is_ok() {
            tracing::debug!("new connections go to any of the processes again");
        }
        Ok(Self { socket, kept_by_systemd })
    }
}

impl Accept for &ListeningSocket {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    /// Closing the socket resets connections that are waiting to be accepted, and until then the kernel chooses it for
    /// its share of new ones. Any member of the group can set the choice for all.
    fn leave_to(&self, number: u32) -> io::Result<bool> {
        // The next process receives this same socket with its queue, so it must remain unchanged.
        if self.kept_by_systemd {
            return Ok(false);
        }
        #[cfg(target_os = "linux")]
        crate::sys::choose_listener(self.socket.as_fd(), number)?;
        Ok(true)
    }
}

/// Accepts connections until the sender of `stop` is dropped, and then those that have begun before.
pub(super) async fn listen<A: Accept>(
    socket: A,
    counters: &TcpCounters,
    stop: &mut oneshot::Receiver<()>,
    accepted: impl Fn(TcpStream, SocketAddr),
) {
    let mut failures = Failures { counters, logged: None };
    // Already terminated if this is a restart.
    while !stop.is_terminated() {
        let outcome = select! {
            biased;
            outcome = socket.accept() => outcome,
            _ = &mut *stop => break,
        };
        take(outcome, &mut failures, &accepted).await;
    }
    leave(&socket, &mut failures, accepted).await;
}

/// Leaves the address to the other sockets that are bound to it, and accepts the connections that have arrived before.
///
/// The kernel numbers the sockets in the order of their binding, so most likely this one has number 0 and its successor
/// number 1. The numbers cannot be queried; if connections still arrive here, they are the other way round.
async fn leave<A: Accept>(socket: &A, failures: &mut Failures<'_>, accepted: impl Fn(TcpStream, SocketAddr)) {
    let end = Instant::now() + MAX_DRAIN_TIME;
    let mut successor = 1;
    while Instant::now() < end {
        match socket.leave_to(successor) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "new connections cannot be led to another process"),
        }
        // Connections that are already waiting.
        while Instant::now() < end
            && let Ok(outcome) = time::timeout(Duration::ZERO, socket.accept()).await
        {
            take(outcome, failures, &accepted).await;
        }
        // Connections that still arrive.
        match time::timeout(DRAIN_TIMEOUT, socket.accept()).await {
            Ok(outcome) => take(outcome, failures, &accepted).await,
            Err(_) => return,
        }
        successor = 1 - successor;
    }
}

async fn take(
    outcome: io::Result<(TcpStream, SocketAddr)>,
    failures: &mut Failures<'_>,
    accepted: &impl Fn(TcpStream, SocketAddr),
) {
    match outcome {
        Ok((stream, peer)) => {
            accepted(stream, peer);
            // Its first query is read before the next connection is accepted: a connection that nothing has been read
            // from counts as idle, and could be closed to make room.
            task::yield_now().await;
        }
        Err(error) => failures.survive(&error).await,
    }
}

/// Handling of failures to accept.
struct Failures<'a> {
    counters: &'a TcpCounters,
    logged: Option<Instant>,
}

impl Failures<'_> {
    /// Counts a failure, and pauses if the next call is likely to fail too.
    async fn survive(&mut self, error: &io::Error) {
        self.counters.accept_errors.increment();
        if of_one_connection(error) {
            return;
        }
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_INTERVAL) {
            self.logged = Some(now);
            tracing::warn!(
                %error,
                "a TCP connection could not be accepted; is the limit of open files too low? See \
                 poddns_tcp_accept_errors"
            );
        }
        time::sleep(FAILURE_PAUSE).await;
    }
}

/// Returns true if an error of accept(2) concerns one connection, which failed before it was accepted.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::future::pending;

    use super::*;
    use crate::server::counters::Counter;
    use crate::server::supervise::supervise;

    /// Fails according to the script, then returns one connection, and then stops the loop.
    struct Scripted {
        errors: RefCell<VecDeque<i32>>,
        address: SocketAddr,
        connected: Cell<bool>,
        left: Cell<bool>,
        stop: Cell<Option<oneshot::Sender<()>>>,
    }

    impl Accept for &Scripted {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let error = self.errors.borrow_mut().pop_front();
            assert_ne!(error, Some(PANIC), "injected");
            if let Some(error) = error {
                return Err(io::Error::from_raw_os_error(error));
            }
            if !self.connected.replace(true) {
                return Ok((TcpStream::connect(self.address).await?, self.address));
            }
            drop(self.stop.take());
            pending().await
        }

        fn leave_to(&self, _number: u32) -> io::Result<bool> {
            self.left.set(true);
            Ok(true)
        }
    }

    /// Error number for which the call panics.
    const PANIC: i32 = -1;

    thread_local! {
        /// Number of panics in the last run.
        static PANICS: Cell<u64> = const { Cell::new(0) };
    }

    /// Returns the number of errors counted, and the duration of the loop on the runtime's clock, which advances only
    /// while all tasks wait for it.
    fn run(errors: impl IntoIterator<Item = i32>) -> (u64, Duration) {
        let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let socket = Scripted {
            errors: RefCell::new(errors.into_iter().collect()),
            address: peer.local_addr().unwrap(),
            connected: Cell::new(false),
            left: Cell::new(false),
            stop: Cell::new(Some(stop)),
        };
        let counters = TcpCounters::default();
        let (accepted, panics) = (Cell::new(0), Counter::default());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let time = runtime.block_on(async {
            let start = Instant::now();
            supervise("test", &panics, async || {
                listen(&socket, &counters, &mut stopped, |_, _| accepted.set(accepted.get() + 1)).await;
            })
            .await;
            start.elapsed()
        });
        assert_eq!(accepted.get(), 1, "the connection behind the errors is accepted");
        assert!(socket.left.get(), "it leaves before it closes");
        PANICS.set(panics.get());
        (counters.accept_errors.get(), time.saturating_sub(DRAIN_TIMEOUT))
    }

    #[test]
    fn early_failures_do_not_delay_other_connections() {
        let errors = [libc::ECONNABORTED, libc::ECONNRESET, libc::EINTR];
        let (counted, time) = run(errors.repeat(1000));
        assert_eq!(counted, 3000);
        assert!(time < FAILURE_PAUSE, "{time:?}");
    }

    #[test]
    fn persistent_errors_make_the_loop_pause() {
        for error in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EPERM] {
            let (counted, time) = run([error; 100]);
            assert_eq!(counted, 100);
            assert!(time >= 100 * FAILURE_PAUSE, "{time:?}");
        }
    }

    #[test]
    fn connections_are_accepted_after_a_panic() {
        let (counted, _) = run([PANIC, libc::ECONNABORTED, PANIC]);
        assert_eq!((counted, PANICS.get()), (1, 2));
    }

    fn shared(address: SocketAddr) -> std::net::TcpListener {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(1024).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.into()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn new_connections_go_to_remaining_listener() {
        for leaver in [0, 1] {
            let first = shared("127.0.0.1:0".parse().unwrap());
            let address = first.local_addr().unwrap();
            let mut group =
                [first, shared(address)].map(|socket| Some(ListeningSocket::new(socket, false).unwrap()));
            let connect = || (0..50).map(|_| std::net::TcpStream::connect(address).unwrap());
            let mut clients: Vec<_> = connect().collect();
            let counters = TcpCounters::default();
            let accepted = Cell::new(0);
            let (stop, mut stopped) = oneshot::channel();
            drop(stop);
            let leaving = group[leaver].take().unwrap();
            // Fewer than the queue of the other socket can hold.
            let others = std::thread::spawn(move || {
                (0..500).map(|_| std::net::TcpStream::connect(address).unwrap()).collect::<Vec<_>>()
            });
            listen(&leaving, &counters, &mut stopped, |_, _| accepted.set(accepted.get() + 1)).await;
            drop(leaving);
            clients.extend(others.join().unwrap());
            // No connection is reset: the other socket has all that the closed one did not accept.
            let stays = group[1 - leaver].take().unwrap();
            for _ in accepted.get()..clients.len() {
                (&stays).accept().await.unwrap();
            }
            // A new socket receives a share of the connections, not all.
            let next = ListeningSocket::new(shared(address), false).unwrap();
            clients.extend(connect());
            (&stays).accept().await.unwrap();
            (&next).accept().await.unwrap();
        }
    }

    #[tokio::test]
    async fn sockets_of_systemd_are_left_alone() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = ListeningSocket::new(socket, true).unwrap();
        assert!(!(&listener).leave_to(1).unwrap());
        std::net::TcpStream::connect(address).unwrap();
    }
}
