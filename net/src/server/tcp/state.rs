//! State that all tasks of the TCP thread share.

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{self, Instant};

use super::counters::TcpCounters;
use super::frames::{self, MessageOutcome, Replies, StreamProgress};
use crate::server::answer::Answerer;
use crate::server::connections::{Close, ConnectionId, ConnectionLimits, ConnectionTable, TaskHandle};
use crate::server::counters::Counters;
use crate::server::open_files;
use crate::server::settings::{Settings, TcpLimits};
use crate::server::transfer::TransferJob;
use crate::sys::Datagram;

/// Maximum size of one read in bytes: a few hundred queries.
const READ_SIZE: usize = 16 * 1024;

/// Size of replies in bytes beyond which no further query is answered until they have been sent.
const MAX_REPLIES_LEN: usize = 16 * 1024;

/// Maximum memory of incomplete messages and unread replies of all connections, in bytes.
const BUFFER_BUDGET: usize = 16 * 1024 * 1024;

/// Time to wait for the next query of a client that has just connected or received a response, while the server ends.
const QUERY_TIMEOUT: Duration = Duration::from_millis(200);

/// Minimum interval between two checks for connections to close.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Buffers that all connections share; one connection uses them at a time.
pub(super) struct Buffers {
    pub(super) input: Box<[u8]>,
    pub(super) replies: Replies,
}

/// Closes a connection by aborting its task.
pub(super) struct Closer {
    pub(super) task: TaskHandle,
    pub(super) stream: Rc<TcpStream>,
}

impl Close for Closer {
    fn close(&self) {
        self.task.close();
    }
}

impl Closer {
    fn quiet(&self) -> bool {
        quiet(&self.stream)
    }
}

/// Returns true if no bytes of the client are waiting to be read.
pub(super) fn quiet(stream: &TcpStream) -> bool {
    let mut octet = [MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut octet) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// State of the thread. No borrow of it is held across an await.
pub(super) struct TcpState {
    answerer: RefCell<Answerer>,
    buffers: RefCell<Buffers>,
    table: RefCell<ConnectionTable<Rc<Closer>>>,
    pub(super) counters: Arc<TcpCounters>,
    /// Limit of open files.
    files: u64,
    /// Counters of responses, and of panics of the thread's tasks.
    pub(super) answers: Arc<Counters>,
    draining: Cell<bool>,
    all_closed: Notify,
}

impl TcpState {
    pub(super) fn new(answerer: Answerer, counters: Arc<TcpCounters>) -> Self {
        let buffers = Buffers { input: vec![0; READ_SIZE].into(), replies: Replies::new(MAX_REPLIES_LEN) };
        Self {
            answers: Arc::clone(answerer.counters()),
            answerer: RefCell::new(answerer),
            buffers: RefCell::new(buffers),
            table: RefCell::default(),
            counters,
            files: open_files::limit(),
            draining: Cell::new(false),
            all_closed: Notify::new(),
        }
    }

    pub(super) fn buffers(&self) -> RefMut<'_, Buffers> {
        self.buffers.borrow_mut()
    }

    /// Answers the complete messages at the front of `input`, up to one whose answer is a transfer, which is returned.
    pub(super) fn answer(
        &self,
        input: &[u8],
        peer: SocketAddr,
        replies: &mut Replies,
    ) -> (StreamProgress, Option<Box<TransferJob>>) {
        replies.clear();
        let mut answerer = self.answerer.borrow_mut();
        let answers = answerer.batch();
        let mut transfer = None;
        let is_logged = answers.is_logged();
        let result = frames::answer(input, replies, |octets, out| {
            let query = Datagram { octets, peer, cut: false };
            let len = if is_logged { answers.answer_and_log(query, out) } else { answers.answer(query, out) };
            if let Some(len) = len {
                return MessageOutcome::Reply(len);
            }
            transfer = answers.take_transfer();
            if transfer.is_some() { MessageOutcome::Several } else { MessageOutcome::None }
        });
        (result, transfer)
    }

    /// Returns the current time if the duration of the next query must be measured.
    pub(super) fn begin(&self) -> Option<Instant> {
        self.answers.latency.is_due(self.answers.queries.get(), 1).then(Instant::now)
    }

    /// Adds the duration of a query that is measured.
    pub(super) fn end(&self, begin: Option<Instant>) {
        if let Some(begin) = begin {
            self.answers.latency.add(begin.elapsed());
        }
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.get()
    }

    pub(super) fn exchanged(&self, id: ConnectionId, now: Instant) {
        self.table.borrow_mut().exchanged(id, now);
    }

    pub(super) fn note(&self, id: ConnectionId, busy: bool, held: usize) {
        let mut table = self.table.borrow_mut();
        table.note(id, busy, held);
        if table.held() > BUFFER_BUDGET {
            self.counters.evicted.add(table.relieve(BUFFER_BUDGET) as u64);
        }
        self.publish(&table);
    }

    pub(super) fn closed(&self, id: ConnectionId) {
        self.counters.closed.increment();
        let mut table = self.table.borrow_mut();
        table.remove(id);
        self.publish(&table);
        if table.open() == 0 {
            self.all_closed.notify_one();
        }
    }

    fn publish(&self, table: &ConnectionTable<Rc<Closer>>) {
        self.counters.busy.set(table.busy());
        self.counters.buffered.set(table.held());
    }

    fn with_settings<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(self.answerer.borrow_mut().refresh())
    }

    fn limits(&self) -> TcpLimits {
        self.with_settings(|settings| settings.tcp)
    }

    /// Returns the number of connections that the limit of open files allows.
    fn most(&self) -> usize {
        self.with_settings(|settings| open_files::for_connections(self.files, settings))
    }

    /// Makes room for a connection of this client and adds it to the table.
    pub(super) fn admit(&self, peer: SocketAddr, closer: Rc<Closer>) -> ConnectionId {
        self.counters.accepted.increment();
        let (client, limits) = self.with_settings(|settings| (settings.client(peer.ip()), settings.tcp));
        let most = self.most();
        let limits = ConnectionLimits { total: limits.connections.min(most), per_client: limits.per_client };
        let mut table = self.table.borrow_mut();
        self.counters.evicted.add(table.admit(client, limits) as u64);
        table.insert(client, Instant::now(), closer)
    }

    /// Closes connections that exceed the idle time-out or the maximum lifetime; never returns.
    ///
    /// RFC 7766 6.2.3 leaves the idle time-out to the server; RFC 9210 also has limits on the total duration of a
    /// connection, after which clients reconnect.
    pub(super) async fn expire(&self) {
        loop {
            let TcpLimits { idle_timeout: idle, lifetime, .. } = self.limits();
            time::sleep((idle / 8).clamp(CHECK_INTERVAL, Duration::from_secs(1))).await;
            let (now, mut table) = (Instant::now(), self.table.borrow_mut());
            self.counters.expired.add(table.expire(now, idle) as u64);
            if let Some(lifetime) = lifetime {
                let retired = table.retire(now, lifetime, idle, |closer| closer.quiet());
                self.counters.retired.add(retired as u64);
            }
        }
    }

    /// Lets clients finish the exchanges that they have begun, within the idle time-out.
    pub(super) async fn drain(&self) {
        self.draining.set(true);
        let end = Instant::now() + self.limits().idle_timeout;
        loop {
            let before = Instant::now().checked_sub(QUERY_TIMEOUT);
            self.table.borrow_mut().close_idle(before, |closer| closer.quiet());
            let open = self.table.borrow().open();
            if open == 0 || Instant::now() >= end {
                return;
            }
            // Woken early when the last connection is closed.
            let _ = time::timeout(CHECK_INTERVAL, self.all_closed.notified()).await;
        }
    }
}
