//! The state of one history.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::index::Index;
use super::world::{Object, World};
use crate::feed::machine::Machine;
use crate::feed::machine::cause::{Cause, Refusal};

/// Source of decisions: a number below the bound.
pub type Choose<'a> = dyn FnMut(u32) -> u32 + 'a;

/// The rest of the server's response.
#[derive(Debug)]
pub(super) enum Answer {
    /// Objects, then the end of the page.
    List { items: Vec<Object>, version: u64, token: Option<String> },
    /// The initial events that are left, then the end of the list, then changes.
    Stream { initial: Vec<Object>, ends: bool, sent: u64 },
    /// Changes after a version.
    Watch { sent: u64 },
    /// Nothing any more.
    Stalled,
}

/// The list of a comparison, as far as it has not been sent.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) items: Vec<Object>,
    pub(super) version: u64,
}

/// A machine, a server, and the time.
pub(super) struct Life<'a> {
    pub(super) machine: Machine<Index>,
    pub(super) world: World,
    pub(super) now: Instant,
    pub(super) answer: Option<Answer>,
    pub(super) choose: &'a mut Choose<'a>,
    /// True if the server behaves.
    pub(super) sound: bool,
    /// True if it waits until it is identified.
    pub(super) idle: bool,
    /// True if it has streaming lists.
    pub(super) streams: u32,
    pub(super) synced: bool,
    /// Time between two comparisons of the index with the cluster.
    pub(super) interval: Option<Duration>,
    pub(super) comparison: Option<Comparison>,
    pub(super) faults: Faults,
    pub(super) log: String,
}

impl Life<'_> {
    pub(super) fn choose(&mut self, bound: u32) -> u32 {
        (self.choose)(bound)
    }

    /// One in so many, unless the server behaves.
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
