//! The condensed difference between two states of a zone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::journal::ZoneVersion;
use super::record::{RecordKey, ZoneRecords};

/// Memory of a map entry in addition to the bytes of its key: pointer and length, value, and overhead of allocator and
/// map.
pub(super) const ENTRY_OVERHEAD: usize = 48;

/// Changes since a state: each record that was added or removed since. A record that was removed and added again is not
/// included.
#[derive(Debug, Default)]
pub(super) struct ZoneDifference {
    /// True for a record that was added, false for one that was removed.
    changed: HashMap<RecordKey, bool>,
    bytes: usize,
}

impl ZoneDifference {
    /// Adds a change: the record is added (`is_there`) or removed. Changes of one record alternate, so the second one
    /// cancels the first.
    pub(super) fn add(&mut self, record: &RecordKey, is_there: bool) {
        let size = record.as_bytes().len() + ENTRY_OVERHEAD;
        match self.changed.entry(record.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(is_there);
                self.bytes += size;
            }
            Entry::Occupied(entry) => {
                debug_assert_ne!(*entry.get(), is_there, "{record:?}");
                entry.remove();
                self.bytes = self.bytes.saturating_sub(size);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Returns the approximate memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes all changes, and frees the memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the changed records, each with true if it was added and false if it was removed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RecordKey, bool)> {
        self.changed.iter().map(|(record, &added)| (record, added))
    }

    /// Returns the difference between two versions, and clears it.
    pub(super) fn finish(&mut self, from: u32, to: u32) -> ZoneVersion {
        let (mut removed, mut added) = (ZoneRecords::default(), ZoneRecords::default());
        for (record, is_added) in self.iter() {
            if is_added { &mut added } else { &mut removed }.push_key(record);
        }
        removed.shrink();
        added.shrink();
        // Frees the memory of a large difference.
        self.clear();
        ZoneVersion { from, to, removed, added }
    }
}
