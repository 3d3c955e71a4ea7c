//! The state of one run of the model.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::index::Index;
use super::world::{Object, World};
use crate::feed::machine::Machine;
use crate::feed::machine::cause::{Cause, Refusal};

/// Source of decisions: returns a number below the given bound.
pub type Choose<'a> = dyn FnMut(u32) -> u32 + 'a;

/// The remaining part of the server's response.
#[derive(Debug)]
pub(super) enum Answer {
    /// Objects, then the end of the page.
    List { items: Vec<Object>, version: u64, token: Option<String> },
    /// The remaining initial events, then the end of the list, then changes.
    Stream { initial: Vec<Object>, ends: bool, sent: u64 },
    /// Changes after a version.
    Watch { sent: u64 },
    /// Nothing: the response has stalled.
    Stalled,
}

/// The remaining part of the list of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) items: Vec<Object>,
    pub(super) version: u64,
}

/// A machine, a server, and the current time.
pub(super) struct ModelRun<'a> {
    pub(super) machine: Machine<Index>,
    pub(super) world: World,
    pub(super) now: Instant,
    pub(super) answer: Option<Answer>,
    pub(super) choose: &'a mut Choose<'a>,
    /// True if the server makes no errors.
    pub(super) sound: bool,
    /// True if the cluster does not change until it is identified.
    pub(super) idle: bool,
    /// Support for streaming lists: 0 and 1 refuse them, 2 supports them, 3 ignores the parameter.
    pub(super) streams: u32,
    pub(super) synced: bool,
    /// Time between two comparisons of the index with the cluster.
    pub(super) interval: Option<Duration>,
    pub(super) comparison: Option<Comparison>,
    pub(super) faults: Faults,
    pub(super) log: String,
}

impl ModelRun<'_> {
    pub(super) fn choose(&mut self, bound: u32) -> u32 {
        (self.choose)(bound)
    }

    /// Returns true once in `rarity` calls on average; never if the server is to make no errors.
    pub(super) fn trouble(&mut self, rarity: u32) -> bool {
        !self.sound && self.choose(rarity) == 0
    }

    pub(super) fn note(&mut self, line: std::fmt::Arguments<'_>) {
        if self.log.len() < 1 << 16 {
            let _ = writeln!(self.log, "{line}");
        }
    }

    pub(super) fn fail(&mut self, cause: &Cause) {
        self.note(format_args!("fail {cause:?}"));
        self.answer = None;
        self.machine.failed(self.now, cause, self.now);
    }

    pub(super) fn refuse(&mut self, code: u16, message: &str) {
        self.fail(&Cause::Status(Refusal { code, message: message.to_owned(), retry_after: None }));
    }
}
