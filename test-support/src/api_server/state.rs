//! State of the fake API server: its objects, and the faults that tests have requested.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::encoding::{Encoding, Wire};
use super::messages::WatchPart;
use super::request::{RequestVerb, SeenRequest};
use super::response::PreparedResponse;
use super::reviews::ReviewedAccess;
use super::store::{ObjectStore, View};

/// The response to `sendInitialEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// The list as the beginning of the watch.
    Yes,
    /// Status 422, the default of Kubernetes 1.20 to 1.31 and 1.33.
    Refused,
    /// A watch, as if the parameter were absent.
    Ignored,
}

/// An open watch.
pub(super) struct OpenWatch {
    pub(super) view: View,
    pub(super) wire: Wire,
    pub(super) parts: mpsc::UnboundedSender<WatchPart>,
}

pub(super) struct ApiServerState {
    pub(super) store: ObjectStore,
    pub(super) streaming: Streaming,
    /// The uid of kube-system.
    pub(super) identity: String,
    /// The revision of etcd, if it differs from the version of the objects.
    pub(super) revision: Option<u64>,
    pub(super) token: Option<String>,
    pub(super) replies: VecDeque<(&'static str, RequestVerb, PreparedResponse)>,
    pub(super) watches: Vec<OpenWatch>,
    /// True if watches receive the next change as garbage.
    pub(super) garble: bool,
    /// The encoding of responses to clients that accept it; others receive JSON.
    pub(super) encoding: Encoding,
    /// The status of responses to requests that accept protobuf, if they are refused.
    pub(super) refuse_protobuf: Option<u16>,
    /// Number of requests for `/version`.
    pub(super) probes: usize,
    /// Paths of all requests, in order.
    pub(super) paths: Vec<String>,
    pub(super) is_allowed: fn(&ReviewedAccess) -> bool,
}

/// The state, and the requests so far.
pub(super) type SharedState = Arc<(Mutex<ApiServerState>, watch::Sender<Vec<SeenRequest>>)>;

impl ApiServerState {
    /// Returns a state without objects or faults. Its version is not 0, as if there were a history.
    pub(super) fn new() -> Self {
        Self {
            store: ObjectStore::at(100),
            streaming: Streaming::Yes,
            identity: "cluster-1".to_owned(),
            revision: None,
            token: None,
            replies: VecDeque::new(),
            watches: Vec::new(),
            garble: false,
            encoding: Encoding::of_test(),
            refuse_protobuf: None,
            probes: 0,
            paths: Vec::new(),
            is_allowed: |_| true,
        }
    }

    /// Changes the objects and sends the events to the watches.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut ObjectStore)) {
        let before = self.store.version;
        change(&mut self.store);
        let Self { store, watches, garble, .. } = self;
        let garbled = mem::take(garble);
        watches.retain(|OpenWatch { view, wire, parts }| {
            let mut events = store.since(view, before).into_iter().map(|event| {
                if garbled { WatchPart::Bytes(wire.garbled()) } else { WatchPart::Event(event) }
            });
            events.all(|event| parts.send(event).is_ok())
        });
    }

    /// Sends an event to all watches of a resource.
    pub(super) fn send(&self, resource: &str, event: impl Fn(Wire) -> Bytes) {
        for OpenWatch { wire, parts, .. } in self.watches_of(resource) {
            drop(parts.send(WatchPart::Bytes(event(*wire))));
        }
    }

    /// Breaks the connections of all watches of a resource.
    pub(super) fn break_watches(&mut self, resource: &str) {
        for watch in self.watches_of(resource) {
            drop(watch.parts.send(WatchPart::Break));
        }
        self.end_watches(resource);
    }

    /// Ends all watches of a resource.
    pub(super) fn end_watches(&mut self, resource: &str) {
        self.watches.retain(|watch| watch.view.resource != resource);
    }

    /// Returns the open watches of a resource.
    pub(super) fn watches_of(&self, resource: &str) -> impl Iterator<Item = &OpenWatch> {
        self.watches.iter().filter(move |watch| watch.view.resource == resource && !watch.parts.is_closed())
    }
}
