//! The journal: differences between consecutive versions. The oldest ones are dropped above a size limit.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record::ZoneRecords;
use super::serial;

/// A version of the zone, as the difference from the previous one.
#[derive(Debug, PartialEq, Eq)]
pub struct ZoneVersion {
    /// Serial of the previous version.
    pub from: u32,
    /// Serial of this version.
    pub to: u32,
    /// Records of the previous version that are not in this one.
    pub removed: ZoneRecords,
    /// Records of this version that are not in the previous one.
    pub added: ZoneRecords,
}

/// Memory of a version in addition to its records, in bytes.
const VERSION_OVERHEAD: usize = 96;

impl ZoneVersion {
    /// Returns the memory of the version in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.removed.bytes() + self.added.bytes() + VERSION_OVERHEAD
    }
}

/// The changes between a secondary's version of the zone and the current one.
#[derive(Clone, Debug)]
pub enum ZoneChanges {
    /// None: the secondary's version is the current one, or newer.
    Current,
    /// These versions, the oldest first: at least one.
    Versions(Vec<Arc<ZoneVersion>>),
    /// Unknown, so the whole zone is needed: the journal does not reach back to the secondary's version.
    Unknown,
}

/// Consecutive versions, the oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    versions: VecDeque<Arc<ZoneVersion>>,
    bytes: usize,
    limit: usize,
}

impl Journal {
    pub(super) fn new(limit: usize) -> Self {
        Self { versions: VecDeque::new(), bytes: 0, limit }
    }

    /// Appends a version, and drops the oldest ones above the limit, possibly all.
    pub(super) fn push(&mut self, version: ZoneVersion) {
        self.bytes += version.bytes();
        self.versions.push_back(Arc::new(version));
        while self.bytes > self.limit
            && let Some(oldest) = self.versions.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Drops all versions.
    pub(super) fn clear(&mut self) {
        (self.versions, self.bytes) = (VecDeque::new(), 0);
    }

    pub(super) fn since(&self, known: u32, current: u32) -> ZoneChanges {
        // RFC 1995 2: "If an IXFR query with the same or newer version number than that of the server is received, it is
        // replied to with a single SOA record of the server's current version".
        if known == current || serial::is_newer(known, current) {
            return ZoneChanges::Current;
        }
        match self.versions.iter().position(|version| version.from == known) {
            Some(first) => ZoneChanges::Versions(self.versions.iter().skip(first).cloned().collect()),
            None => ZoneChanges::Unknown,
        }
    }

    /// Maximum of [`bytes`](Self::bytes).
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
