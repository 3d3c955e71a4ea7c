//! A list-watch state machine without I/O, clock or task.
//!
//! ```text
//!            .--------------------- interrupted: broken, silent, unreachable ----------------------.
//!            v                                                                                    |
//! start -> Identify --same cluster, not behind us--> Watch --410, unreadable, backwards--> List --+--> Watch
//!            `--------first time, other cluster, behind us--> List                          ^     |
//!                                                              `---cut off, given up--------'-----'
//! ```
//!
//! The driver calls [`poll`](Machine::poll), makes the request that it returns, and reports everything that happens:
//! headers, objects, the end, a failure. It calls `poll` again after each report and at the returned time. Operations
//! on the index go to the [`ObjectTarget`]; [`status`](Machine::status) is the state that health reports;
//! [`notices`](Machine::notices) are for log and counters.
//!
//! # Exactness
//! - A list begins with [`ObjectTarget::begin`]. Objects that it did not contain are removed only at its complete end.
//!   A list that was cut off begins again.
//! - The initial events of a streaming list may be interleaved with changes in any order. An object that has changed
//!   keeps its newest state: older initial events are ignored.
//! - A watch continues after the last applied version. An event before that version, a bookmark that goes back, or a
//!   server with a lower revision means that etcd was restored: a consistent list follows.
//! - Deletions are applied regardless of their version: the target removes an object only if its uid matches, and uids
//!   are never reused.

mod backoff;
pub(crate) mod cause;
mod comparison;
mod events;
mod failures;
mod limits;
pub(crate) mod listing;
mod notice;
pub(crate) mod request;
mod resource_version;
mod resync;
pub(crate) mod sync_status;
pub(crate) mod target;

#[cfg(any(test, feature = "fuzzing"))]
pub mod model;
#[cfg(all(test, not(poddns_loom)))]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::explain::WatchedObjects;
use super::server::ConfiguredServer;
use backoff::Backoff;
use comparison::Resync;
use listing::{ListMethod, MethodChoice};
pub(crate) use notice::Notice;
use request::{ApiRequest, ListConsistency};
use resource_version::ResourceVersion;
use sync_status::{GracePeriod, SyncStatus, SyncTracker};
use target::{ObjectKey, ObjectTarget};

/// Range of the timeouts of watches, in seconds. Drawn for each watch, so that replicas that began at the same time do
/// not stay synchronised.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 240..=300;
/// A watch is established once no event has arrived for this long after it was accepted. A server that no longer has
/// the requested version accepts the watch first and reports that in its first event.
const SETTLE: Duration = Duration::from_secs(1);
/// Maximum time for which a watch with changes may stay behind the revision that the cluster had when it began. After
/// that, a list follows.
const CATCH_UP: Duration = Duration::from_secs(15);
/// A watch that ends sooner than this was cut short: the next one is delayed.
const SHORT_WATCH: Duration = Duration::from_secs(5);
/// After a longer silence, the server may be another one, or have another history: it is identified before the next
/// watch or list. No API server restarts in less time.
const CONTACT: Duration = Duration::from_secs(1);
/// Maximum delay of a list after a 410, when many replicas may list at once.
const LONGEST_SPREAD: Duration = Duration::from_secs(1);
/// Maximum number of objects of which the newest version is remembered during a streaming list.
const MAX_CHANGED: usize = 1 << 18;

/// Next step of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MachineStep {
    /// Make this request; drop any request under way.
    Send(ApiRequest),
    /// Report events; call [`Machine::poll`] again at this time at the latest. If no exchange is [under
    /// way](Machine::is_waiting), drop the current request.
    Wait(Option<Instant>),
}

/// One request and its response.
#[derive(Clone, Debug)]
struct Exchange {
    request: ApiRequest,
    sent: Instant,
    /// Time at which the server accepted the request.
    opened: Option<Instant>,
    /// Time at which bytes of the response last arrived.
    heard: Instant,
    /// Time at which an event or a bookmark last arrived.
    event: Instant,
    /// True once the watch is established.
    settled: bool,
}

/// Next step once the cluster is identified.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    List(ListConsistency),
    Watch,
}

/// A list under way.
#[derive(Clone, Debug)]
struct OngoingList {
    method: ListMethod,
    /// Continue token of the next page.
    token: Option<String>,
    /// The version of the first page.
    version: Option<ResourceVersion>,
    /// The revision of the cluster before the first page.
    revision: Option<u64>,
    /// The newest version of each object that has changed during a streaming list.
    changed: HashMap<ObjectKey, u64>,
}

/// The state machine of one watch.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each of which a branch of its own asks for"
)]
pub(crate) struct Machine<T> {
    target: T,
    subject: WatchedObjects,
    listing: MethodChoice,
    random: fastrand::Rng,
    /// The uid of the cluster that the index is from.
    cluster: Option<String>,
    /// The server that responded last, and (`index_server`) the one that the index is from.
    server: ConfiguredServer,
    index_server: Option<ConfiguredServer>,
    /// True if the index was filled before the first list, from a snapshot or before a panic.
    is_filled: bool,
    /// True while the index contains objects of another cluster.
    of_other_cluster: bool,
    /// True if the server is known to be of the cluster `cluster`.
    confirmed: bool,
    /// The revision of the cluster when it was last identified.
    revision: Option<u64>,
    /// True if the objects are in an etcd of their own (`--etcd-servers-overrides`), with revisions of its own.
    has_own_etcd: bool,
    /// Time at which the server was last heard from.
    contact: Option<Instant>,
    /// Version that the index has reached.
    version: ResourceVersion,
    goal: Goal,
    list: Option<OngoingList>,
    exchange: Option<Exchange>,
    not_before: Option<Instant>,
    /// True if `not_before` is for a server that could not be reached.
    unreachable: bool,
    tracker: SyncTracker,
    connections: Backoff,
    answers: Backoff,
    short: Backoff,
    /// Number of consecutive failures that the server reported for a watch.
    refusals: u32,
    /// Number of consecutive lists and watches that expired: their version was too old.
    expiries: u32,
    /// True if the connection has been lost since a watch was last established.
    interrupted: bool,
    /// True if the server sends bookmarks.
    bookmarks: bool,
    /// Time since which the server has responded with 403.
    forbidden: Option<Instant>,
    resync: Resync,
    notices: Vec<Notice>,
}

impl<T: ObjectTarget> Machine<T> {
    /// Returns a machine that begins with a list.
    pub(crate) fn new(
        target: T,
        subject: WatchedObjects,
        listing: MethodChoice,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            target,
            subject,
            listing,
            random,
            cluster: None,
            server: ConfiguredServer::default(),
            index_server: None,
            is_filled: false,
            of_other_cluster: false,
            confirmed: false,
            revision: None,
            has_own_etcd: false,
            contact: None,
            version: ResourceVersion::default(),
            goal: Goal::List(ListConsistency::Any),
            list: None,
            exchange: None,
            not_before: None,
            unreachable: false,
            tracker: SyncTracker::default(),
            connections: Backoff::of_connections(),
            answers: Backoff::of_answers(),
            short: Backoff::of_short_watches(),
            refusals: 0,
            expiries: 0,
            interrupted: false,
            bookmarks: false,
            forbidden: None,
            resync: Resync::default(),
            notices: Vec::new(),
        }
    }

    /// Reports that the index contains the state of a cluster, from a snapshot or from before a panic: the first list
    /// must not be older.
    pub(crate) fn filled_from(&mut self, cluster: Option<String>) {
        self.cluster = cluster;
        self.is_filled = true;
        self.goal = Goal::List(ListConsistency::Consistent);
    }

    /// Returns the next step.
    pub(crate) fn poll(&mut self, now: Instant) -> MachineStep {
        self.tick(now);
        if let Some(exchange) = &self.exchange {
            return MachineStep::Wait(earliest([Some(self.limit(exchange)), self.tracker.deadline()]));
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return MachineStep::Wait(earliest([Some(at), self.tracker.deadline()]));
        }
        self.confirmed &= self.contact.is_some_and(|at| now <= at + CONTACT);
        let request = self.next_request();
        if matches!(self.goal, Goal::List(_)) {
            self.resync_failed("changes were lost; listing again".to_owned());
        }
        self.exchange = Some(Exchange {
            request: request.clone(),
            sent: now,
            opened: None,
            heard: now,
            event: now,
            settled: false,
        });
        MachineStep::Send(request)
    }

    /// Returns whether a watch is established.
    fn is_established(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.settled)
    }

    /// Returns whether an exchange is under way.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.exchange.is_some()
    }

    /// Returns the synchronisation state of the index.
    pub(crate) fn status(&self) -> SyncStatus {
        self.tracker.status()
    }

    /// Returns the period in which the index counts as in sync although no watch is established.
    pub(crate) const fn grace(&self) -> Option<GracePeriod> {
        self.tracker.grace()
    }

    /// Returns whether the index contains objects of another cluster, until a list of this one is complete.
    pub(crate) const fn is_of_other_cluster(&self) -> bool {
        self.of_other_cluster
    }

    /// Returns the uid of the cluster that the index is from, if known.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Removes and returns the notices since the last call.
    pub(crate) fn notices(&mut self) -> std::vec::Drain<'_, Notice> {
        self.notices.drain(..)
    }

    /// Returns the watched resource and namespace.
    pub(crate) const fn subject(&mut self) -> &mut WatchedObjects {
        &mut self.subject
    }

    /// Returns the target of objects.
    pub(crate) const fn target(&mut self) -> &mut T {
        &mut self.target
    }

    /// Reports that another watch has reached the server: the next attempt is made at once.
    pub(crate) fn server_is_up(&mut self) {
        if std::mem::take(&mut self.unreachable) {
            self.not_before = None;
            self.connections.reset();
        }
    }

    /// Reports the server of the response that follows.
    pub(crate) fn answers_from(&mut self, server: ConfiguredServer) {
        self.subject.url = Arc::clone(&server.url);
        // The contents of a snapshot are attributed to the server that is configured at the start.
        self.index_server.get_or_insert_with(|| server.clone());
        self.server = server;
    }

    /// Reports that the configuration was read again: its server may be of another cluster.
    pub(crate) fn reconnect(&mut self, now: Instant) {
        if let Some(exchange) = self.exchange.take()
            && matches!(exchange.request, ApiRequest::Watch { .. })
        {
            self.tracker.down(now, now);
        }
        self.confirmed = false;
        self.interrupted = true;
        self.list = None;
        self.not_before = None;
    }

    fn next_request(&mut self) -> ApiRequest {
        self.not_before = None;
        self.unreachable = false;
        if !self.confirmed {
            return ApiRequest::Identify;
        }
        let timeout = self.random.u32(WATCH_SECONDS);
        let Goal::List(read) = &self.goal else {
            return ApiRequest::Watch { version: self.version.as_str().to_owned(), timeout };
        };
        let (listing, revision) = (&self.listing, self.revision);
        let list = self.list.get_or_insert_with(|| OngoingList {
            method: listing.choose(read),
            token: None,
            version: None,
            revision,
            changed: HashMap::new(),
        });
        match list.method {
            ListMethod::Cached => ApiRequest::List { read: read.clone(), limit: None, continue_token: None },
            ListMethod::Streaming => ApiRequest::StreamingList { read: read.clone(), timeout },
            ListMethod::Paged => ApiRequest::List {
                read: ListConsistency::Consistent,
                limit: Some(listing.page_size()),
                continue_token: list.token.clone(),
            },
        }
    }

    /// Marks the watch as established: the index is in sync.
    fn settle(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.settled = true;
        }
        self.tracker.established();
        self.answers.reset();
        self.refusals = 0;
        self.expiries = 0;
        self.interrupted = false;
        self.forbidden = None;
    }

    /// Begins a list that is as recent as `read` requires, because changes are lost.
    fn relist(&mut self, now: Instant, read: ListConsistency) {
        self.tracker.lose(now);
        self.goal = Goal::List(read);
        self.list = None;
        self.exchange = None;
    }

    /// Returns the consistency of a list that is not older than the index.
    fn not_older(&self) -> ListConsistency {
        match self.version.as_str() {
            "" => ListConsistency::Consistent,
            version => ListConsistency::NotOlderThan(version.to_owned()),
        }
    }
}

fn earliest(times: [Option<Instant>; 2]) -> Option<Instant> {
    times.into_iter().flatten().min()
}
