//! The cluster of the model, with its history.

use std::collections::BTreeMap;

use crate::feed::decode::EventKind;

/// Number of object names. The object with the first name always exists.
pub(super) const NAMES: u32 = 6;
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) name: u32,
    pub(super) uid: u32,
    pub(super) address: u32,
    pub(super) version: String,
}

pub(super) type State = BTreeMap<u32, Object>;

#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) kind: EventKind,
    pub(super) object: Object,
}

/// A cluster, with its history.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) cluster: String,
    /// The state at each version, in ascending order.
    pub(super) states: Vec<(u64, State)>,
    pub(super) changes: Vec<Change>,
    pub(super) compacted: u64,
    pub(super) uids: u32,
}

impl World {
    pub(super) fn new(cluster: u32, version: u64, uids: u32) -> Self {
        let mut world = Self {
            // Names are unique within a run.
            cluster: format!("cluster-{cluster}-{uids}"),
            states: vec![(version, State::new())],
            changes: Vec::new(),
            compacted: 0,
            uids,
        };
        world.put(0, 0);
        world.states.remove(0);
        world.compacted = world.version();
        world
    }

    pub(super) fn version(&self) -> u64 {
        self.states.last().map_or(0, |(version, _)| *version)
    }

    pub(super) fn state(&self) -> &State {
        self.states.last().map(|(_, state)| state).expect("there is always one")
    }

    pub(super) fn state_at(&self, version: u64) -> &State {
        let found = self.states.iter().rev().find(|(at, _)| *at <= version);
        found.map_or(&self.states[0].1, |(_, state)| state)
    }

    fn record(&mut self, kind: EventKind, mut object: Object, skip: u64) {
        let version = self.version() + 1 + skip;
        object.version = version.to_string();
        let mut state = self.state().clone();
        match kind {
            EventKind::Deleted => drop(state.remove(&object.name)),
            _ => drop(state.insert(object.name, object.clone())),
        }
        self.states.push((version, state));
        self.changes.push(Change { version, kind, object });
    }

    pub(super) fn put(&mut self, name: u32, address: u32) {
        let known = self.state().get(&name).map(|object| object.uid);
        self.uids += u32::from(known.is_none());
        let kind = if known.is_some() { EventKind::Modified } else { EventKind::Added };
        let uid = known.unwrap_or(self.uids);
        self.record(kind, Object { name, uid, address, version: String::new() }, 0);
    }

    pub(super) fn delete(&mut self, name: u32) {
        if let Some(object) = self.state().get(&name).cloned() {
            self.record(EventKind::Deleted, object, 0);
        }
    }

    /// Deletes an object and creates it again; watches receive only the new one.
    pub(super) fn replace(&mut self, name: u32, address: u32) {
        self.uids += 1;
        let object = Object { name, uid: self.uids, address, version: String::new() };
        self.record(EventKind::Modified, object, 1);
    }

    /// Restores the state of an earlier version, as from a backup.
    pub(super) fn restore(&mut self, version: u64) {
        self.states.retain(|(at, _)| *at <= version);
        self.changes.retain(|change| change.version <= version);
        self.compacted = self.compacted.min(self.version());
    }
}
