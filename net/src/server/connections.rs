//! Open connections of a thread, and the selection of connections to close when there are too many.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Maximum numbers of connections; 0 counts as 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) total: usize,
    pub(crate) per_client: usize,
}

/// Handle that closes a connection; dropping the handle does not close it.
pub(crate) trait Close {
    fn close(&self);
}

/// The task of a connection, once it has been spawned: aborting it drops the connection.
#[derive(Debug, Default)]
pub(crate) struct TaskHandle(OnceCell<AbortHandle>);

impl TaskHandle {
    pub(crate) fn set(&self, task: AbortHandle) {
        // Fails only if it is set already.
        let _ = self.0.set(task);
    }
}

impl Close for TaskHandle {
    fn close(&self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

impl<T: Close> Close for Rc<T> {
    fn close(&self) {
        (**self).close();
    }
}

/// Identifier of a connection in the table; unlike its index, it is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    index: usize,
    serial: u64,
}

#[derive(Debug)]
struct ConnectionEntry<C> {
    serial: u64,
    client: usize,
    opened: Instant,
    /// Time of the last exchange: when the last reply was sent, or when the connection was opened.
    since: Instant,
    /// True if a query is incomplete, or part of a reply is unsent.
    busy: bool,
    /// Memory of these parts, in bytes.
    held: usize,
    closer: C,
}

#[derive(Debug)]
struct ClientEntry {
    ip: IpAddr,
    connections: usize,
}

/// Table of all connections of the thread.
#[derive(Debug)]
pub(crate) struct ConnectionTable<C> {
    connections: Vec<Option<ConnectionEntry<C>>>,
    free: Vec<usize>,
    clients: Vec<ClientEntry>,
    free_clients: Vec<usize>,
    by_ip: HashMap<IpAddr, usize>,
    open: usize,
    busy: usize,
    held: usize,
    next_serial: u64,
}

impl<C> Default for ConnectionTable<C> {
    fn default() -> Self {
        Self {
            connections: Vec::new(),
            free: Vec::new(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            by_ip: HashMap::new(),
            open: 0,
            busy: 0,
            held: 0,
            next_serial: 0,
        }
    }
}

impl<C: Close> ConnectionTable<C> {
    /// Returns the number of connections.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Returns the number of connections with an incomplete query or an unsent reply.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    /// Returns the memory of incomplete queries and unsent replies, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Makes room for one more connection of this client, within the limits; returns the number of connections closed.
    ///
    /// If the client has too many connections, the one with the oldest exchange is closed, idle or busy: stalled
    /// connections must not prevent new ones of the same client. If there are too many in total, idle connections are
    /// closed before busy ones; among these, those of the client with the most connections; among these, the one with
    /// the oldest exchange.
    pub(crate) fn admit(&mut self, ip: IpAddr, limits: ConnectionLimits) -> usize {
        let mut closed = 0;
        while let Some(&client) = self.by_ip.get(&ip)
            && self.count(client) >= limits.per_client.max(1)
        {
            let own = self.each().filter(|(_, connection)| connection.client == client);
            let oldest = own.min_by_key(|(_, connection)| connection.since).map(|(index, _)| index);
            let Some(oldest) = oldest else { break };
            self.close(oldest);
            closed += 1;
        }
        while self.open >= limits.total.max(1)
            && let Some(victim) = self.victim()
        {
            self.close(victim);
            closed += 1;
        }
        closed
    }

    /// Adds a connection that has been admitted.
    pub(crate) fn insert(&mut self, ip: IpAddr, now: Instant, closer: C) -> ConnectionId {
        let client = self.client(ip);
        let serial = self.next_serial;
        self.next_serial += 1;
        let connection =
            ConnectionEntry { serial, client, opened: now, since: now, busy: false, held: 0, closer };
        let index = place(&mut self.connections, &mut self.free, Some(connection));
        if let Some(client) = self.clients.get_mut(client) {
            client.connections += 1;
        }
        self.open += 1;
        ConnectionId { index, serial }
    }

    /// Records the state of a connection: idle, or with parts of messages that occupy `held` bytes.
    pub(crate) fn note(&mut self, id: ConnectionId, busy: bool, held: usize) {
        if let Some(connection) = get(&mut self.connections, id) {
            self.busy = self.busy - usize::from(connection.busy) + usize::from(busy);
            connection.busy = busy;
            self.held = self.held - connection.held + held;
            connection.held = held;
        }
    }

    /// Records that replies were sent.
    pub(crate) fn exchanged(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = get(&mut self.connections, id) {
            connection.since = now;
        }
    }

    /// Removes a connection without closing it: its task is ending.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        if get(&mut self.connections, id).is_some() {
            self.take(id.index);
        }
    }

    /// Closes connections without an exchange for `timeout` or longer; returns their number.
    pub(crate) fn expire(&mut self, now: Instant, timeout: Duration) -> usize {
        self.close_where(|connection| now.duration_since(connection.since) >= timeout)
    }

    /// Closes connections of age `lifetime` that are not busy and for which `done` returns true, and all connections of
    /// age `lifetime + grace`. Returns their number.
    pub(crate) fn retire(
        &mut self,
        now: Instant,
        lifetime: Duration,
        grace: Duration,
        done: impl Fn(&C) -> bool,
    ) -> usize {
        self.close_where(|connection| {
            let age = now.duration_since(connection.opened);
            age >= lifetime && (age >= lifetime + grace || !connection.busy && done(&connection.closer))
        })
    }

    /// Closes connections that hold parts of messages, those with the oldest exchange first, until at most `budget`
    /// bytes are held; returns their number.
    pub(crate) fn relieve(&mut self, budget: usize) -> usize {
        let mut closed = 0;
        while self.held > budget {
            let holding = |&(_, connection): &(usize, &ConnectionEntry<C>)| connection.held > 0;
            let oldest = self.each().filter(holding).min_by_key(|(_, connection)| connection.since);
            let Some((index, _)) = oldest else { break };
            self.close(index);
            closed += 1;
        }
        closed
    }

    /// Closes connections that are not busy, have had no exchange after `before`, and for which `done` returns true;
    /// returns their number. Closes none if `before` is `None`.
    pub(crate) fn close_idle(&mut self, before: Option<Instant>, done: impl Fn(&C) -> bool) -> usize {
        self.close_where(|connection| {
            !connection.busy && Some(connection.since) <= before && done(&connection.closer)
        })
    }

    fn close_where(&mut self, which: impl Fn(&ConnectionEntry<C>) -> bool) -> usize {
        let chosen: Vec<usize> =
            self.each().filter(|(_, connection)| which(connection)).map(|(index, _)| index).collect();
        for &index in &chosen {
            self.close(index);
        }
        chosen.len()
    }

    /// Returns the connection to close when there are too many. Scans all connections, at about ten nanoseconds each,
    /// but only when the table is full.
    fn victim(&self) -> Option<usize> {
        self.each()
            .min_by_key(|(_, connection)| {
                (connection.busy, Reverse(self.count(connection.client)), connection.since)
            })
            .map(|(index, _)| index)
    }

    fn each(&self) -> impl Iterator<Item = (usize, &ConnectionEntry<C>)> {
        self.connections
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| slot.as_ref().map(|slot| (index, slot)))
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.take(index) {
            connection.closer.close();
        }
    }

    fn take(&mut self, index: usize) -> Option<ConnectionEntry<C>> {
        let connection = self.connections.get_mut(index)?.take()?;
        self.free.push(index);
        self.open -= 1;
        self.busy -= usize::from(connection.busy);
        self.held -= connection.held;
        let client = self.clients.get_mut(connection.client)?;
        client.connections -= 1;
        if client.connections == 0 {
            self.by_ip.remove(&client.ip);
            self.free_clients.push(connection.client);
        }
        Some(connection)
    }

    fn count(&self, client: usize) -> usize {
        self.clients.get(client).map_or(0, |client| client.connections)
    }

    fn client(&mut self, ip: IpAddr) -> usize {
        if let Some(&client) = self.by_ip.get(&ip) {
            return client;
        }
        let client = place(&mut self.clients, &mut self.free_clients, ClientEntry { ip, connections: 0 });
        self.by_ip.insert(ip, client);
        client
    }
}

fn get<C>(
    connections: &mut [Option<ConnectionEntry<C>>],
    id: ConnectionId,
) -> Option<&mut ConnectionEntry<C>> {
    connections.get_mut(id.index)?.as_mut().filter(|connection| connection.serial == id.serial)
}

/// Stores an item at a free index, or appends it; returns its index.
fn place<T>(items: &mut Vec<T>, free: &mut Vec<usize>, item: T) -> usize {
    if let Some(index) = free.pop()
        && let Some(slot) = items.get_mut(index)
    {
        *slot = item;
        return index;
    }
    items.push(item);
    items.len() - 1
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Records its name when it is closed.
    struct Named(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Close for Named {
        fn close(&self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    struct World {
        table: ConnectionTable<Named>,
        closed: Rc<RefCell<Vec<&'static str>>>,
        start: Instant,
        limits: ConnectionLimits,
    }

    impl World {
        fn new(connections: usize, per_client: usize) -> Self {
            let limits = ConnectionLimits { total: connections, per_client };
            Self { table: ConnectionTable::default(), closed: Rc::default(), start: Instant::now(), limits }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn connect(&mut self, host: u8, name: &'static str, seconds: u64) -> (usize, ConnectionId) {
            let ip = IpAddr::from([10, 0, 0, host]);
            let closed = self.table.admit(ip, self.limits);
            (closed, self.table.insert(ip, self.at(seconds), Named(name, Rc::clone(&self.closed))))
        }

        fn closed(&self) -> Vec<&'static str> {
            self.closed.take()
        }
    }

    #[test]
    fn full_tables_close_the_greediest_clients_oldest() {
        let mut world = World::new(4, 10);
        for (host, name, seconds) in
            [(1, "modest", 0), (2, "greedy 1", 1), (2, "greedy 2", 2), (2, "greedy 3", 3)]
        {
            assert_eq!(world.connect(host, name, seconds).0, 0);
        }
        assert_eq!(world.connect(3, "new", 4).0, 1);
        assert_eq!(world.closed(), ["greedy 1"]);
        assert_eq!(world.table.open(), 4);
    }

    #[test]
    fn idle_ones_go_before_busy_ones() {
        let mut world = World::new(3, 10);
        for (host, name) in [(1, "busy 1"), (1, "busy 2")] {
            let id = world.connect(host, name, 0).1;
            world.table.note(id, true, 100);
        }
        world.connect(2, "idle", 9);
        assert_eq!(world.connect(3, "new", 10).0, 1);
        assert_eq!(world.closed(), ["idle"], "of a client with fewer, and younger");
        let id = world.connect(4, "newer", 11).1;
        assert_eq!(world.closed(), ["new"]);
        world.table.note(id, true, 1);
        assert_eq!(world.connect(5, "newest", 12).0, 1);
        assert_eq!(world.closed(), ["busy 1"], "when all are busy, of the client with most");
    }

    #[test]
    fn client_beyond_limit_loses_oldest_connection() {
        let mut world = World::new(100, 2);
        world.connect(9, "other", 0);
        let first = world.connect(1, "a", 1).1;
        let second = world.connect(1, "b", 2).1;
        world.table.exchanged(first, world.at(3));
        assert_eq!(world.connect(1, "c", 4), (1, ConnectionId { index: 2, serial: 3 }));
        assert_eq!(world.closed(), ["b"]);
        world.table.remove(second);
        assert_eq!(world.table.open(), 3, "already gone, and its place is taken");
        // Busy connections are closed too: "a" had its last exchange at 3, "c" was opened at 4.
        world.table.note(first, true, 1);
        assert_eq!(world.connect(1, "d", 5).0, 1);
        assert_eq!(world.closed(), ["a"]);
        assert_eq!(world.connect(2, "e", 5).0, 0);
        assert!(world.closed().is_empty());
        (world.limits.per_client, world.limits.total) = (0, 0);
        assert_eq!(world.connect(3, "f", 6).0, 4, "0 is 1");
        assert_eq!(world.table.open(), 1);
    }

    #[test]
    fn only_an_exchange_counts_against_expiry() {
        let mut world = World::new(10, 10);
        let slow = world.connect(1, "slow", 0).1;
        let live = world.connect(1, "live", 0).1;
        world.table.note(slow, true, 10);
        world.table.exchanged(live, world.at(6));
        assert_eq!(world.table.expire(world.at(9), Duration::from_secs(10)), 0);
        assert_eq!(world.table.expire(world.at(10), Duration::from_secs(10)), 1);
        assert_eq!(world.closed(), ["slow"]);
        assert_eq!((world.table.open(), world.table.busy(), world.table.held()), (1, 0, 0));
    }

    #[test]
    fn old_connections_are_closed_when_idle() {
        let mut world = World::new(10, 10);
        let [life, grace] = [100, 10].map(Duration::from_secs);
        for (name, seconds) in [("idle", 0), ("talking", 0), ("young", 1)] {
            let id = world.connect(1, name, seconds).1;
            // A recent exchange does not extend the lifetime.
            world.table.exchanged(id, world.at(99));
        }
        let busy = world.connect(1, "busy", 0).1;
        world.table.note(busy, true, 10);
        let quiet = |named: &Named| named.0 != "talking";
        assert_eq!(world.table.retire(world.at(99), life, grace, quiet), 0);
        assert_eq!(world.table.retire(world.at(100), life, grace, quiet), 1);
        assert_eq!(world.closed(), ["idle"]);
        world.table.note(busy, false, 0);
        assert_eq!(world.table.retire(world.at(109), life, grace, quiet), 2);
        assert_eq!(world.closed(), ["young", "busy"], "but not what talks");
        assert_eq!(world.table.retire(world.at(110), life, grace, quiet), 1);
        assert_eq!(world.closed(), ["talking"]);
        assert_eq!(world.table.open(), 0);
    }

    #[test]
    fn too_much_memory_closes_the_longest_stalled() {
        let mut world = World::new(10, 10);
        let ids: Vec<ConnectionId> =
            [("a", 3), ("b", 1), ("c", 2)].map(|(name, at)| world.connect(1, name, at).1).into();
        for &id in &ids {
            world.table.note(id, true, 40);
        }
        world.connect(2, "idle", 0);
        assert_eq!(world.table.relieve(120), 0);
        assert_eq!(world.table.relieve(119), 1);
        assert_eq!(world.closed(), ["b"]);
        assert_eq!(world.table.relieve(0), 2);
        assert_eq!((world.table.open(), world.table.held()), (1, 0));
    }

    #[test]
    fn gone_clients_leave_nothing() {
        let mut world = World::new(1000, 1000);
        for round in 0..3 {
            let ids: Vec<ConnectionId> = (0..=255).map(|host| world.connect(host, "x", round).1).collect();
            for id in ids {
                world.table.remove(id);
            }
        }
        assert_eq!((world.table.connections.len(), world.table.clients.len()), (256, 256));
        assert!(world.table.by_ip.is_empty());
    }
}
