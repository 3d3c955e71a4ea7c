//! The records of a transfer, in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use poddns_core::transfer::{MessageFull, TransferMessage, TransferRecord};
use poddns_watch::{WalkLost, ZoneRecord, ZoneRecords, ZoneVersion, ZoneWalk};

/// A run of consecutive records of a transfer.
#[derive(Debug)]
enum RecordRun {
    Soa(u32),
    Ns,
    /// All addresses of a version.
    Walk(ZoneWalk),
    /// Addresses that a version removed.
    Removed(Arc<ZoneVersion>),
    /// Addresses that a version added.
    Added(Arc<ZoneVersion>),
}

/// The records of a transfer that have not been written yet.
#[derive(Debug)]
pub(super) struct TransferRecords {
    parts: VecDeque<RecordRun>,
    /// Position of the next record of the first part.
    at: usize,
    /// Records that were read from a walk.
    read: ZoneRecords,
}

impl TransferRecords {
    fn new(parts: impl IntoIterator<Item = RecordRun>) -> Self {
        Self { parts: parts.into_iter().collect(), at: 0, read: ZoneRecords::default() }
    }

    /// Returns one SOA record.
    pub(super) fn soa(serial: u32) -> Self {
        Self::new([RecordRun::Soa(serial)])
    }

    /// Returns all records of a version (RFC 5936 2.2).
    pub(super) fn all(walk: ZoneWalk) -> Self {
        let serial = walk.serial();
        Self::new([RecordRun::Soa(serial), RecordRun::Ns, RecordRun::Walk(walk), RecordRun::Soa(serial)])
    }

    /// Returns differences, the oldest first (RFC 1995 4).
    pub(super) fn differences(versions: Vec<Arc<ZoneVersion>>, serial: u32) -> Self {
        let difference = |version: Arc<ZoneVersion>| {
            let (from, to) = (version.from, version.to);
            let removed = RecordRun::Removed(Arc::clone(&version));
            [RecordRun::Soa(from), removed, RecordRun::Soa(to), RecordRun::Added(version)]
        };
        let parts = versions.into_iter().flat_map(difference);
        Self::new([RecordRun::Soa(serial)].into_iter().chain(parts).chain([RecordRun::Soa(serial)]))
    }

    /// Writes records into a message until it is full. Returns true if there are more.
    pub(super) fn write(&mut self, message: &mut TransferMessage<'_>) -> Result<bool, WalkLost> {
        while let Some(part) = self.parts.front_mut() {
            let written = match part {
                RecordRun::Soa(serial) => message.soa(*serial).map(|()| true),
                RecordRun::Ns => message.ns().map(|()| true),
                RecordRun::Removed(version) => write_all(&version.removed, &mut self.at, message),
                RecordRun::Added(version) => write_all(&version.added, &mut self.at, message),
                RecordRun::Walk(walk) => {
                    let mut written = write_all(&self.read, &mut self.at, message);
                    if written.is_ok() {
                        self.read.clear();
                        self.at = 0;
                        // A walk returns its last records together with its end.
                        let more = walk.next(&mut self.read)?;
                        if more || !self.read.is_empty() {
                            written = Ok(false);
                        }
                    }
                    written
                }
            };
            match written {
                Ok(true) => {
                    self.parts.pop_front();
                    self.at = 0;
                }
                Ok(false) => {}
                Err(MessageFull) => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Writes records starting at `at`, and returns true when all are written.
fn write_all(
    records: &ZoneRecords,
    at: &mut usize,
    message: &mut TransferMessage<'_>,
) -> Result<bool, MessageFull> {
    while let Some((record, next)) = records.at(*at) {
        let ZoneRecord { namespace, name, address } = record;
        message.record(&TransferRecord { namespace, name, address })?;
        *at = next;
    }
    Ok(true)
}
