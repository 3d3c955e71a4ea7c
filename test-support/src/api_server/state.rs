//! State of the server: its cluster, and what tests have ordered.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use super::cluster::{Cluster, View};
use super::format::{Format, Line, Wire};
use super::reply::Reply;
use super::request::{Seen, Verb};
use super::reviews::Access;

/// The server's answer to `sendInitialEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// The list, as the beginning of the watch.
    Yes,
    /// 422, as 1.20 to 1.31 and 1.33 do by default.
    Refused,
    /// A watch, as if the parameter were not there.
    Ignored,
}

/// An open watch.
pub(super) struct Watch {
    pub(super) view: View,
    pub(super) wire: Wire,
    pub(super) lines: mpsc::UnboundedSender<Line>,
}

pub(super) struct State {
    pub(super) cluster: Cluster,
    pub(super) streaming: Streaming,
    /// The uid of kube-system.
    pub(super) identity: String,
    /// The revision of etcd, if it is not the cluster's version.
    pub(super) revision: Option<u64>,
    pub(super) token: Option<String>,
    pub(super) replies: VecDeque<(&'static str, Verb, Reply)>,
    pub(super) watches: Vec<Watch>,
    /// True if watches receive the next change as garbage.
    pub(super) garble: bool,
    /// The preferred encoding of responses.
    pub(super) format: Format,
    /// The status with which requests that accept protobuf are refused.
    pub(super) refuse_protobuf: Option<u16>,
    /// Requests for the version.
    pub(super) probes: usize,
    /// Paths of all requests, in order.
    pub(super) paths: Vec<String>,
    pub(super) is_allowed: fn(&Access) -> bool,
}

/// The state, and the requests so far.
pub(super) type Shared = Arc<(Mutex<State>, watch::Sender<Vec<Seen>>)>;

impl State {
    /// An empty cluster with some history, and no faults.
    pub(super) fn new() -> Self {
        Self {
            cluster: Cluster::at(100),
            streaming: Streaming::Yes,
            identity: "cluster-1".to_owned(),
            revision: None,
            token: None,
            replies: VecDeque::new(),
            watches: Vec::new(),
            garble: false,
            format: Format::of_test(),
            refuse_protobuf: None,
            probes: 0,
            paths: Vec::new(),
            is_allowed: |_| true,
        }
    }

    /// Changes the cluster, and sends the events to the watches.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Cluster)) {
        let before = self.cluster.version;
        change(&mut self.cluster);
        let Self { cluster, watches, garble, .. } = self;
        let garbled = mem::take(garble);
        watches.retain(|Watch { view, wire, lines }| {
            let events = cluster.since(view, before);
            let mut events =
                events.iter().map(|event| if garbled { wire.garbled() } else { wire.event(event) });
            events.all(|event| lines.send(event).is_ok())
        });
    }

    /// Sends a line to all watches of a resource.
    pub(super) fn send(&self, resource: &str, line: impl Fn(Wire) -> Line) {
        for Watch { view, wire, lines } in &self.watches {
            if view.resource == resource {
                drop(lines.send(line(*wire)));
            }
        }
    }
}
