//! Comparisons in the model: lists beside the watch, and faults of the index, each of which must be found once.

use std::time::Duration;

use super::faults::WRONG;
use super::run::{Comparison, ModelRun};
use super::world::{NAMES, Object};
use crate::feed::machine::Notice;
use crate::feed::machine::request::ApiRequest;
use crate::feed::machine::target::IndexDifference;

impl ModelRun<'_> {
    /// Begins a comparison if one is due, or ends one that was given up.
    pub(super) fn begin_comparison(&mut self) {
        let Some(request) = self.machine.poll_resync(self.now) else {
            if !self.machine.is_resyncing() {
                self.comparison = None;
            }
            return;
        };
        self.note(format_args!("compare {request:?}"));
        let ApiRequest::List { read, limit: None, continue_token: None } = &request else {
            panic!("{request:?} is not a list to compare with")
        };
        match self.seen(read) {
            Some(version) if !self.trouble(8) => {
                let items = self.world.state_at(version).values().cloned().collect();
                self.faults.compared = version;
                self.faults.repeated.clear();
                self.comparison = Some(Comparison { items, version });
            }
            _ => self.machine.resync_failed("no".to_owned()),
        }
    }

    /// Sends the next part of the list of a comparison.
    pub(super) fn advance_comparison(&mut self) {
        if self.trouble(20) {
            self.comparison = None;
            return self.machine.resync_failed("reset".to_owned());
        }
        let Some(Comparison { items, version }) = &mut self.comparison else { return };
        self.machine.resync_heard(self.now);
        if let Some(object) = items.pop() {
            self.machine.resync_listed(&object);
        } else {
            let version = version.to_string();
            self.comparison = None;
            self.note(format_args!("list to compare with ends at {version}"));
            self.machine.resync_ended(&version);
        }
    }

    /// Corrupts the index, unless a comparison under way might then find only part of the fault.
    pub(super) fn spoil(&mut self) {
        if self.interval.is_none() || self.machine.is_comparing() || !self.machine.is_established() {
            return;
        }
        let (kind, name) = (self.choose(3), self.choose(NAMES));
        let known = self.machine.target().objects.get(&name).map(|(object, _)| object.clone());
        // A difference that the watch is about to remove is not one that a comparison must find.
        let is_right = known.is_some() && known.as_ref() == self.world.state().get(&name);
        let objects = &mut self.machine.target().objects;
        let (name, fault) = match (kind, known) {
            (0, Some(_)) if is_right && name > 0 => {
                objects.remove(&name);
                (name, IndexDifference::Missing)
            }
            (1, Some(object)) if is_right => {
                objects.insert(name, (Object { address: WRONG, ..object }, true));
                (name, IndexDifference::Changed)
            }
            (2, _) => {
                let ghost =
                    Object { name: NAMES + name, uid: u32::MAX, address: WRONG, version: "1".to_owned() };
                objects.insert(NAMES + name, (ghost, true));
                (NAMES + name, IndexDifference::Gone)
            }
            _ => return,
        };
        self.note(format_args!("{name} is {fault:?} from now on"));
        self.faults.open.insert(name, fault);
    }

    /// Checks the notices of the machine about comparisons.
    pub(super) fn check_comparison(&mut self) {
        let notices: Vec<Notice> = self.machine.notices().collect();
        for notice in &notices {
            self.synced |= matches!(notice, Notice::Listed { .. });
            if let Err(text) = self.faults.notice(notice) {
                panic!("{text}\n{}", self.log);
            }
        }
        self.faults.settle(self.machine.target(), &self.world);
        let missed = notices.contains(&Notice::Compared) && self.faults.were_missed();
        assert!(!missed, "{:?} were not found\n{}", self.faults, self.log);
    }

    /// Stops the process for some time: neither the feed nor its connections run.
    pub(super) fn stop(&mut self) {
        let span = Duration::from_secs(10 + u64::from(self.choose(100)));
        self.note(format_args!("stopped for {span:?}"));
        self.now += span;
        self.answer = None;
        self.machine.stopped(self.now, span);
    }
}
