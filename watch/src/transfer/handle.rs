//! Versions and walks: the interface for the sender of a transfer.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use poddns_core::Freshness;
use thiserror::Error;
use tokio::sync::Notify;

use super::{Publication, TransferStats, WalkId, ZoneChanges, ZoneRecords};
use crate::freshness::Health;
use crate::index::SharedWriter;

/// Versions of the zone of a feed's index. Created by [`Recorder::transfers`](crate::Recorder::transfers).
#[derive(Clone)]
pub struct Transfers {
    writer: SharedWriter,
    health: Health,
    changed: Arc<Notify>,
}

/// Too much has changed during a walk, or before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too much of the zone changed while it was sent")]
pub struct WalkLost;

impl Transfers {
    pub(crate) fn new(writer: SharedWriter, health: Health, limit: usize, floor: Option<u32>) -> Self {
        let changed = writer.lock().begin_versions(limit, floor);
        Self { writer, health, changed }
    }

    /// Waits for a change after the version published last. A change before the call counts as well.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Publishes the contents of the index as a version, unless they have not changed or the last version is less than
    /// a second old. `at` is the time of the call, `unix` the same in Unix seconds, modulo 2^32.
    #[must_use]
    pub fn publish(&self, at: Instant, unix: u32) -> Publication {
        if self.health.freshness() == Freshness::Unsynced {
            return Publication::Unsynced;
        }
        self.writer.lock().publish_version(at, unix)
    }

    /// Makes all serials greater than this one, if there is no version yet.
    pub fn set_floor(&self, floor: u32) {
        if let Some(versions) = self.writer.lock().versions_mut() {
            versions.set_floor(floor);
        }
    }

    /// Publishes a version without a difference from earlier ones, so that secondaries transfer the whole zone. For
    /// changes of the zone's records that are not changes of the index. `None` if there is no version yet.
    #[must_use]
    pub fn reset(&self, at: Instant, unix: u32) -> Option<u32> {
        self.writer.lock().reset_versions(at, unix)
    }

    /// Returns the current serial, and the changes that a secondary with version `known` needs; `None` if there is no
    /// version yet.
    #[must_use]
    pub fn since(&self, known: u32) -> Option<(u32, ZoneChanges)> {
        self.writer.lock().versions()?.since(known)
    }

    /// Begins a walk over the version published last.
    pub fn walk(&self) -> Result<ZoneWalk, WalkLost> {
        let mut writer = self.writer.lock();
        let (id, serial) = writer.versions_mut().and_then(super::Versions::begin_walk).ok_or(WalkLost)?;
        drop(writer);
        Ok(ZoneWalk { writer: self.writer.clone(), id, serial })
    }

    /// Returns the state of the versions.
    #[must_use]
    pub fn stats(&self) -> TransferStats {
        self.writer.lock().versions().map(super::Versions::stats).unwrap_or_default()
    }
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers").finish_non_exhaustive()
    }
}

/// A walk over all records of one version. Its memory is freed when it is dropped.
pub struct ZoneWalk {
    writer: SharedWriter,
    id: WalkId,
    serial: u32,
}

impl ZoneWalk {
    /// Returns the serial of the version.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// Adds the next records to `out`, some hundred or none. Returns whether there are more.
    pub fn next(&mut self, out: &mut ZoneRecords) -> Result<bool, WalkLost> {
        self.writer.lock().step(self.id, out).ok_or(WalkLost)
    }
}

impl Drop for ZoneWalk {
    fn drop(&mut self) {
        if let Some(versions) = self.writer.lock().versions_mut() {
            versions.end_walk(self.id);
        }
    }
}

impl fmt::Debug for ZoneWalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("serial", &self.serial).finish_non_exhaustive()
    }
}
