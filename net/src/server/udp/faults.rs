//! The loop with a socket that fails in every way: the loop does not end, send a reply twice, or spin.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use poddns_core::NoPods;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::Span;

use super::portable::PortableSocket;
use super::{DRAIN_TIMEOUT, DatagramBatch, DatagramSocket, FAILURE_PAUSE, MAX_FAILURES, QueueState, serve};
use crate::server::answer::{Answerer, ResponseInputs};
use crate::server::counters::Counters;
use crate::server::pods::SharedPods;
use crate::server::rate_limit::ThreadLimiter;
use crate::server::settings::Settings;
use crate::server::supervise::supervise;
use crate::sys::Datagram;

/// Outcome of a scripted call.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// Receives this many queries, or sends as many replies.
    Do(usize),
    /// Receives this many queries, and reports that no more are queued.
    Last(usize),
    /// Fails with this error number.
    Fail(i32),
    /// Panics.
    Panic,
}

use Call::{Do, Fail, Last, Panic};

/// A socket that follows scripts. At the end of the script for receiving, it stops the loop; at the end of the script
/// for sending, it sends without errors.
struct Scripted {
    receive: RefCell<VecDeque<Call>>,
    send: RefCell<VecDeque<Call>>,
    next_id: Cell<u16>,
    sent: RefCell<Vec<u16>>,
    /// Number of waits for readiness, for which a real socket waits in epoll.
    waits: Cell<usize>,
    receptions: Cell<usize>,
    left: Cell<bool>,
    /// True to panic once when the socket leaves its group.
    panics_at_leave: Cell<bool>,
    stop: Cell<Option<oneshot::Sender<()>>>,
    span: Span,
}

#[derive(Default)]
struct Queries {
    queries: Vec<[u8; 17]>,
    replies: Vec<u16>,
}

/// Returns a query for NS of the root, which is answered with REFUSED.
fn query(id: u16) -> [u8; 17] {
    let [high, low] = id.to_be_bytes();
    [high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
}

impl DatagramBatch for Queries {
    fn queries(&self) -> impl Iterator<Item = &[u8]> {
        self.queries.iter().map(<[u8; 17]>::as_slice)
    }

    fn answer(&mut self, mut each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>) {
        let mut out = [0; 1232];
        let peer = SocketAddr::from(([127, 0, 0, 1], 4000));
        for query in self.queries.drain(..) {
            if each(Datagram { octets: &query, peer, cut: false }, &mut out).is_some() {
                self.replies.push(u16::from_be_bytes([out[0], out[1]]));
            }
        }
    }

    fn replies(&self) -> usize {
        self.replies.len()
    }
}

impl DatagramSocket for Scripted {
    type Batch = Queries;

    fn span(&self) -> &Span {
        &self.span
    }

    fn batch(&self) -> Queries {
        Queries::default()
    }

    async fn readable(&self) -> io::Result<()> {
        self.waits.set(self.waits.get() + 1);
        if self.receive.borrow().is_empty() {
            drop(self.stop.take());
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        self.waits.set(self.waits.get() + 1);
        Ok(())
    }

    fn receive(&self, batch: &mut Queries) -> io::Result<QueueState> {
        batch.replies.clear();
        self.receptions.set(self.receptions.get() + 1);
        let call = self.receive.borrow_mut().pop_front();
        match call {
            Some(Do(count) | Last(count)) => {
                let first = self.next_id.get();
                let after = first + u16::try_from(count).unwrap();
                self.next_id.set(after);
                batch.queries = (first..after).map(query).collect();
                Ok(if matches!(call, Some(Last(_))) { QueueState::Empty } else { QueueState::Unknown })
            }
            Some(Fail(error)) => Err(io::Error::from_raw_os_error(error)),
            Some(Panic) => panic!("injected"),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn send(&self, batch: &mut Queries, from: usize) -> io::Result<usize> {
        let rest = &batch.replies[from..];
        let count = match self.send.borrow_mut().pop_front() {
            Some(Do(count) | Last(count)) => count.min(rest.len()),
            Some(Fail(error)) => return Err(io::Error::from_raw_os_error(error)),
            Some(Panic) => panic!("injected"),
            None => rest.len(),
        };
        self.sent.borrow_mut().extend(&rest[..count]);
        Ok(count)
    }

    fn leave(&self) -> io::Result<()> {
        assert!(!self.panics_at_leave.take(), "injected");
        self.left.set(true);
        Ok(())
    }
}

fn answerer(counters: &Arc<Counters>) -> (watch::Sender<ResponseInputs>, Answerer) {
    let mut settings = Settings::default();
    settings.source = poddns_watch::Source::File("unused".into());
    let pods = SharedPods(Arc::new(NoPods));
    let current = watch::Sender::new(ResponseInputs {
        settings: Arc::new(settings),
        pods,
        cookies: None,
        audit: None,
        transfers: None,
    });
    let (response_limiter, negative_limiter) = (ThreadLimiter::new([0; 16]), ThreadLimiter::new([0; 16]));
    let answerer = Answerer::udp(
        current.subscribe(),
        Arc::clone(counters),
        Rc::new(response_limiter),
        Rc::new(negative_limiter),
        0,
    );
    (current, answerer)
}

/// Result of a script.
struct RunOutcome {
    sent: Vec<u16>,
    receive_errors: u64,
    send_errors: u64,
    panics: u64,
    waits: usize,
    /// Number of calls that receive.
    receptions: usize,
    /// Duration on the runtime's clock, which advances only while all tasks wait for it.
    time: Duration,
}

fn run(receive: impl IntoIterator<Item = Call>, send: impl IntoIterator<Item = Call>) -> RunOutcome {
    run_to_the_end(receive, send, false)
}

fn run_to_the_end(
    receive: impl IntoIterator<Item = Call>,
    send: impl IntoIterator<Item = Call>,
    panics_at_leave: bool,
) -> RunOutcome {
    let (stop, mut stopped) = oneshot::channel();
    let socket = Scripted {
        receive: RefCell::new(receive.into_iter().collect()),
        send: RefCell::new(send.into_iter().collect()),
        next_id: Cell::new(0),
        sent: RefCell::default(),
        waits: Cell::new(0),
        receptions: Cell::new(0),
        left: Cell::new(false),
        panics_at_leave: Cell::new(panics_at_leave),
        stop: Cell::new(Some(stop)),
        span: Span::none(),
    };
    let counters = Arc::new(Counters::default());
    let (_current, mut answerer) = answerer(&counters);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let time = runtime.block_on(async {
        let start = Instant::now();
        supervise("test", &counters.panics, async || serve(&socket, &mut answerer, &mut stopped).await).await;
        start.elapsed()
    });
    assert!(socket.left.get(), "it leaves its group before it ends");
    RunOutcome {
        sent: socket.sent.take(),
        receive_errors: counters.receive_errors.get(),
        send_errors: counters.send_errors.get(),
        panics: counters.panics.get(),
        waits: socket.waits.get(),
        receptions: socket.receptions.get(),
        time,
    }
}

fn ids(range: std::ops::Range<u16>) -> Vec<u16> {
    range.collect()
}

#[test]
fn partial_sends_are_resumed() {
    let outcome = run([Do(10), Do(3)], [Do(1), Do(4), Do(4), Do(1), Do(2)]);
    assert_eq!(outcome.sent, ids(0..13));
    assert_eq!(outcome.send_errors, 0);
}

#[test]
fn a_full_send_buffer_is_waited_for() {
    let storm = std::iter::repeat_n(Fail(libc::EAGAIN), 1000);
    let outcome = run([Do(5)], [Do(2)].into_iter().chain(storm));
    assert_eq!(outcome.sent, ids(0..5));
    assert_eq!(outcome.send_errors, 0);
    assert!(outcome.waits >= 1000, "each time it waits for room, {} times", outcome.waits);
}

#[test]
fn a_failed_reply_does_not_delay_others() {
    let errors = [
        libc::ENOBUFS,
        libc::EMSGSIZE,
        libc::ECONNREFUSED,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EPERM,
        libc::EINVAL,
        libc::ENOMEM,
    ];
    for error in errors {
        let outcome = run([Do(5), Do(2)], [Do(2), Fail(error), Do(2), Fail(error), Fail(libc::EINTR), Do(1)]);
        assert_eq!(outcome.sent, [0, 1, 3, 4, 6], "{}", io::Error::from_raw_os_error(error));
        assert_eq!(outcome.send_errors, 2);
    }
}

#[test]
fn all_replies_failing_ends_nothing() {
    let outcome = run([Do(32), Do(1)], [Fail(libc::ENOBUFS); 32]);
    assert_eq!(outcome.sent, [32]);
    assert_eq!(outcome.send_errors, 32);
}

#[test]
fn errors_on_receive_are_survived() {
    let errors = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENOMEM, libc::EINTR, libc::EMSGSIZE];
    let script: Vec<Call> = errors.into_iter().flat_map(|error| [Fail(error), Do(1)]).collect();
    let outcome = run(script, []);
    assert_eq!(outcome.sent, ids(0..5));
    assert_eq!(outcome.receive_errors, 4, "an interruption is none");
}

#[test]
fn persistent_errors_make_the_loop_pause() {
    let script = std::iter::repeat_n(Fail(libc::ENOMEM), 10_000).chain([Do(1)]);
    let outcome = run(script, []);
    assert_eq!(outcome.sent, [0]);
    assert_eq!(outcome.receive_errors, 10_000);
    let pauses = 10_000 / MAX_FAILURES;
    assert!(outcome.time >= FAILURE_PAUSE * pauses, "{:?}", outcome.time);
    // On the runtime's clock, only the pauses and the drain take time.
    assert!(
        outcome.time <= FAILURE_PAUSE * pauses + 2 * DRAIN_TIMEOUT,
        "one pause for so many failures: {:?}",
        outcome.time
    );
    assert_eq!(outcome.panics, 0);
}

#[test]
fn the_socket_is_read_after_a_panic() {
    let outcome = run([Do(2), Panic, Do(3), Panic, Panic, Do(1)], [Do(1), Panic, Do(2)]);
    // The second reply is lost, since sending it panics.
    assert_eq!(outcome.sent, [0, 2, 3, 4, 5]);
    assert_eq!(outcome.panics, 4);
}

#[test]
fn the_socket_is_left_after_a_panic() {
    let outcome = run_to_the_end([Do(2)], [], true);
    assert_eq!((outcome.sent, outcome.panics), (vec![0, 1], 1));
}

#[test]
fn an_empty_socket_is_not_asked_again() {
    let outcome = run([Last(1), Do(32), Last(3), Last(2)], []);
    assert_eq!(outcome.sent, ids(0..38));
    // One reception each, and one more when the socket leaves its group.
    assert_eq!(outcome.receptions, 5);
}

#[test]
fn empty_wake_ups_are_survived() {
    let outcome = run(std::iter::repeat_n(Fail(libc::EAGAIN), 1000).chain([Do(1)]), []);
    assert_eq!(outcome.sent, [0]);
    assert_eq!((outcome.receive_errors, outcome.send_errors), (0, 0));
    assert!(outcome.waits > 1000, "each time it waits for readiness, {} times", outcome.waits);
}

#[test]
fn the_portable_socket_answers_until_stopped() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let address = server.local_addr().unwrap();
        let server = PortableSocket::new(server, false, Span::none()).unwrap();
        let counters = Arc::new(Counters::default());
        let (_current, mut answerer) = answerer(&counters);
        let (stop, mut stopped) = oneshot::channel();
        let client = async {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(address).await.unwrap();
            let mut response = [0; 512];
            for id in 0..200_u8 {
                socket.send(&[]).await.unwrap();
                socket.send(&[0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]).await.unwrap();
                let len = socket.recv(&mut response).await.unwrap();
                assert!(len >= 12);
                assert_eq!((response[1], response[3] & 15), (id, 5));
            }
            drop(stop);
        };
        tokio::join!(serve(&server, &mut answerer, &mut stopped), client);
        assert_eq!(counters.queries.get(), 400);
    });
}
