//! The thread that serves all TCP connections, so that none of them can delay an answer over UDP.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{self, Instant};

use super::connection::Connection;
use super::counters::TcpCounters;
use super::frames::{self, Answered, Replies};
use super::listener::{Listener, listen};
use super::table::{Admission, Close, Id, Table};
use crate::server::answer::Answerer;
use crate::server::open_files;
use crate::server::settings::TcpLimits;
use crate::sys::Datagram;

/// What one read takes: some hundred queries.
const READ: usize = 16 * 1024;

/// Replies beyond this are made only when the client has taken those before.
const REPLIES: usize = 16 * 1024;

/// Octets that parts of messages may take in all connections together.
const BUDGET: usize = 16 * 1024 * 1024;

/// How long, in the end, clients are waited for that have just connected or got an answer: the next query may be
/// on its way.
const PAUSE: Duration = Duration::from_millis(200);

/// How often, at most, the thread looks for connections to close.
const TICK: Duration = Duration::from_millis(20);

/// Buffers that all connections share, one at a time.
pub(super) struct Buffers {
    pub(super) input: Box<[u8]>,
    pub(super) replies: Replies,
}

/// Closes a connection by dropping its task.
struct Closer {
    /// Set as soon as there is a task.
    task: OnceCell<AbortHandle>,
    stream: Rc<TcpStream>,
}

impl Close for Rc<Closer> {
    fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Closer {
    fn quiet(&self) -> bool {
        quiet(&self.stream)
    }
}

/// Whether the client has sent nothing that is still to be read.
pub(super) fn quiet(stream: &TcpStream) -> bool {
    let mut octet = [MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut octet) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// What the thread's tasks share. Nothing borrowed from it is kept while a task waits.
pub(super) struct Shared {
    answerer: RefCell<Answerer>,
    buffers: RefCell<Buffers>,
    table: RefCell<Table<Rc<Closer>>>,
    counters: Arc<TcpCounters>,
    /// The most connections that the limit of open files allows.
    most: usize,
    draining: Cell<bool>,
    all_closed: Notify,
}

impl Shared {
    fn new(answerer: Answerer, counters: Arc<TcpCounters>) -> Self {
        let buffers = Buffers { input: vec![0; READ].into(), replies: Replies::new(REPLIES) };
        Self {
            answerer: RefCell::new(answerer),
            buffers: RefCell::new(buffers),
            table: RefCell::default(),
            counters,
            most: open_files::connections(),
            draining: Cell::new(false),
            all_closed: Notify::new(),
        }
    }

    pub(super) fn buffers(&self) -> RefMut<'_, Buffers> {
        self.buffers.borrow_mut()
    }

    pub(super) fn answer(&self, input: &[u8], peer: SocketAddr, replies: &mut Replies) -> Answered {
        replies.clear();
        let mut answerer = self.answerer.borrow_mut();
        let answers = answerer.batch();
        frames::answer(input, replies, |octets, out| {
            answers.answer(Datagram { octets, peer, cut: false }, out)
        })
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.get()
    }

    pub(super) fn exchanged(&self, id: Id, now: Instant) {
        self.table.borrow_mut().exchanged(id, now);
    }

    pub(super) fn note(&self, id: Id, busy: bool, held: usize) {
        let mut table = self.table.borrow_mut();
        table.note(id, busy, held);
        if table.held() > BUDGET {
            self.counters.evicted.add(table.relieve(BUDGET) as u64);
        }
        self.publish(&table);
    }

    pub(super) fn closed(&self, id: Id) {
        self.counters.closed.increment();
        let mut table = self.table.borrow_mut();
        table.remove(id);
        self.publish(&table);
        if table.open() == 0 {
            self.all_closed.notify_one();
        }
    }

    fn publish(&self, table: &Table<Rc<Closer>>) {
        self.counters.busy.set(table.busy());
        self.counters.buffered.set(table.held());
    }

    fn limits(&self) -> TcpLimits {
        let mut limits = self.answerer.borrow_mut().refresh().tcp;
        limits.connections = limits.connections.min(self.most);
        limits
    }

    async fn listen(self: Rc<Self>, listener: Listener, stop: oneshot::Receiver<()>) {
        listen(listener, &self.counters, stop, |stream, peer| self.accepted(stream, peer)).await;
    }

    /// Lets a connection in, if the limits allow it.
    fn accepted(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        self.counters.accepted.increment();
        match self.table.borrow_mut().admit(peer.ip(), &self.limits()) {
            Admission::Free => {}
            Admission::Evicted => self.counters.evicted.increment(),
            Admission::Refused => {
                self.counters.refused.increment();
                self.counters.closed.increment();
                return;
            }
        }
        let stream = Rc::new(stream);
        let closer = Rc::new(Closer { task: OnceCell::new(), stream: Rc::clone(&stream) });
        let id = self.table.borrow_mut().insert(peer.ip(), Instant::now(), Rc::clone(&closer));
        let connection = Connection { stream, peer, id, shared: Rc::clone(self) };
        // Fails only if it is set already.
        let _ = closer.task.set(task::spawn_local(connection.converse()).abort_handle());
    }

    /// Closes connections without an exchange for too long, and old ones, for ever.
    ///
    /// RFC 7766 6.2.3 is about idle ones, and leaves the time to the server; RFC 9210 has limits of a connection's
    /// whole duration beside that, and clients that come again.
    async fn expire(self: Rc<Self>) {
        loop {
            let TcpLimits { idle_timeout: idle, lifetime, .. } = self.limits();
            time::sleep((idle / 8).clamp(TICK, Duration::from_secs(1))).await;
            let (now, mut table) = (Instant::now(), self.table.borrow_mut());
            self.counters.expired.add(table.expire(now, idle) as u64);
            if let Some(lifetime) = lifetime {
                let retired = table.retire(now, lifetime, idle, |closer| closer.quiet());
                self.counters.retired.add(retired as u64);
            }
        }
    }

    /// Lets clients finish what they have begun, for no longer than the idle time-out.
    async fn drain(&self) {
        self.draining.set(true);
        let end = Instant::now() + self.limits().idle_timeout;
        loop {
            let before = Instant::now().checked_sub(PAUSE);
            self.table.borrow_mut().close_idle(before, |closer| closer.quiet());
            let open = self.table.borrow().open();
            if open == 0 || Instant::now() >= end {
                return;
            }
            // Woken early when the last one is gone.
            let _ = time::timeout(TICK, self.all_closed.notified()).await;
        }
    }
}

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Accept here too, on a socket that systemd keeps or does not.
    Listen { address: SocketAddr, socket: std::net::TcpListener, kept_by_systemd: bool },
    /// No longer accept here.
    Forget(SocketAddr),
    /// Say that the thread is alive.
    Ping(oneshot::Sender<()>),
}

/// Serves until the sender of `orders` is dropped, and drains.
pub(crate) async fn serve(
    answerer: Answerer,
    counters: Arc<TcpCounters>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let shared = Rc::new(Shared::new(answerer, counters));
    let expiry = task::spawn_local(Rc::clone(&shared).expire());
    let mut listeners: HashMap<SocketAddr, (oneshot::Sender<()>, JoinHandle<()>)> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Listen { address, socket, kept_by_systemd } => {
                match Listener::new(socket, kept_by_systemd) {
                    Ok(listener) => {
                        let (stop, stopped) = oneshot::channel();
                        let task = task::spawn_local(Rc::clone(&shared).listen(listener, stopped));
                        listeners.insert(address, (stop, task));
                    }
                    Err(error) => tracing::error!(%error, %address, "cannot listen over TCP"),
                }
            }
            Order::Forget(address) => drop(listeners.remove(&address)),
            // Fails only if nobody waits any more.
            Order::Ping(pong) => drop(pong.send(())),
        }
    }
    // All at once, then wait for each.
    let tasks: Vec<_> = listeners.into_values().map(|(_, task)| task).collect();
    for task in tasks {
        // Fails only if it panicked, and then there is nothing to wait for.
        let _ = task.await;
    }
    shared.drain().await;
    expiry.abort();
}
