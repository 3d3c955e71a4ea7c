//! Zone transfer: versions of what an index answers, their differences, and walks over one version.
//!
//! # Records
//!
//! The zone has one [`ZoneRecord`] for each pair of namespace and address that some pod has, and, where pod names are kept, one
//! for each address of each named pod. The server decides which of them it answers.
//!
//! # Versions
//!
//! [`Transfers::publish`] makes a version of what the index holds at that moment, at most once a second, with a serial
//! that follows the clock and never goes back. Between two versions a change of a record is kept once: a record that
//! comes and goes within a second is in none. While a list is under way a version waits for its end, for two minutes
//! at most, so a relist is one version. The differences are kept in a journal, and beyond its size the oldest are
//! dropped. If more than the size of the journal changes before a version, that version has no difference, and
//! the journal begins anew behind it.
//!
//! # Walks
//!
//! A [`ZoneWalk`] returns each record of one version exactly once, while the index changes, and without a copy of
//! it. It takes the writer's lock for some hundred records at a time. Readers notice nothing.
//!
//! It visits records in an order in which none of them moves: addresses by the bits of their hash, from the last to
//! the first, pod names by the row of their pod. A table grows by splitting a bucket in two that are neighbours in that
//! order, so neither a bucket that was visited comes again nor is one skipped. What is left is what changes
//! between the version and the visit:
//!
//! - The first time that a record changes after the version, the walk notes, before the change: whether the
//!   version has it, and, from its position, whether it has been returned. Later changes of it are
//!   ignored.
//! - A record that is visited is returned unless it has been noticed. One that has not is as it was in the version, so it
//!   belongs there; and it has one position, so it is returned once.
//! - At the end the noticed ones are returned that the version has and that were not returned before.
//!
//! Changes between the version and the beginning of a walk are those that wait for the next version, and the walk
//! begins with them. The model tests run random changes, versions and steps of several walks in all orders. A walk
//! next to which more than 4 MiB change is given up: [`ZoneWalk::next`] returns [`WalkLost`].
//!
//! Nothing of this is there until [`Recorder::transfers`](crate::Recorder::transfers) is called.

mod difference;
mod handle;
mod journal;
mod record;
mod serial;
mod versions;

pub use handle::{Transfers, WalkLost, ZoneWalk};
pub use journal::{ZoneChanges, ZoneVersion};
pub(crate) use record::RecordKey;
pub use record::{ZoneRecord, ZoneRecords};
pub(crate) use versions::{Position, Versions, WalkId, WalkPhase};

use std::time::Instant;

/// Result of [`Transfers::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// No version, because the index has never been complete.
    Unsynced,
    /// No new version, because nothing has changed.
    Unchanged,
    /// No new version before that time.
    Later(Instant),
    /// A new version with this serial.
    New(u32),
}

/// State of the versions of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferStats {
    /// Serial of the version published last.
    pub serial: Option<u32>,
    /// Versions in the journal.
    pub journal_versions: usize,
    /// Memory of the journal in bytes.
    pub journal_bytes: usize,
    /// Memory of the changes that wait for the next version, in bytes.
    pub pending_bytes: usize,
}
