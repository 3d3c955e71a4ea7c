//! Zone transfer: versions of the zone, their differences, and walks over one version.
//!
//! # Records
//!
//! The zone has one [`ZoneRecord`] for each pair of namespace and address that at least one pod has, and, if pod names
//! are kept, one for each address of each named pod. The server decides which of them are in responses.
//!
//! # Versions
//!
//! [`Transfers::publish`] makes a version of the current contents of the index, at most once a second, with a serial
//! that follows the clock and never decreases. The changes of a record between two versions are condensed: a record
//! that is added and removed within a second is in no version. While a list is under way, a version waits for its end,
//! for two minutes at most, so a relist is one version. The differences are kept in a journal; above its size limit the
//! oldest ones are dropped. If the changes before a version exceed that limit, the version has no difference, and the
//! journal begins with the next one.
//!
//! # Walks
//!
//! A [`ZoneWalk`] returns each record of one version exactly once, while the index changes, and without a copy of it.
//! It holds the writer's lock for some hundred records at a time. Readers are not affected.
//!
//! Records are visited in an order in which none of them moves: addresses by their hash with its bits reversed, pod
//! names by the row of their pod. A table grows by splitting a bucket in two that are adjacent in that order, so no
//! bucket is visited twice or skipped. Records that change between the version and the visit are handled as follows:
//!
//! - At the first change of a record after the version, the walk notes whether the version has it, and, by its
//!   position, whether it has been returned. Later changes of it are ignored.
//! - A visited record is returned unless the walk has noted it. A record that is not noted is unchanged since the
//!   version, so it belongs to the version; and it has one position, so it is returned once.
//! - At the end, the noted records that are in the version and have not been returned are returned.
//!
//! The changes between the version and the beginning of a walk are those pending for the next version, and the walk
//! begins with them. The model tests run random changes, versions and steps of several walks in all orders. A walk is
//! lost if the changes during it exceed 4 MiB: [`ZoneWalk::next`] returns [`WalkLost`].
//!
//! None of this exists until [`Recorder::transfers`](crate::Recorder::transfers) is called.

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
    /// No version, because the first list has never been complete.
    Unsynced,
    /// No new version, because nothing has changed.
    Unchanged,
    /// No new version before this time.
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
    /// Number of versions in the journal.
    pub journal_versions: usize,
    /// Memory of the journal, in bytes.
    pub journal_bytes: usize,
    /// Memory of the changes pending for the next version, in bytes.
    pub pending_bytes: usize,
}
