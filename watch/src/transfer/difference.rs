//! The condensed difference between two states of a zone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::journal::ZoneVersion;
use super::record::{RecordKey, ZoneRecords};

/// Memory of an entry of a map beside the bytes of its key: pointer and length, value, the allocator's and the map's own.
pub(super) const ENTRY_OVERHEAD: usize = 48;

/// Changes since a state: each record that was there and is not, or was not and is. A record that was removed and added
/// again is not in it.
#[derive(Debug, Default)]
pub(super) struct ZoneDifference {
    /// True for a record that has been added.
    changed: HashMap<RecordKey, bool>,
    bytes: usize,
}

impl ZoneDifference {
    /// Adds a change: the record is there from now on, or is no longer. Changes of one record alternate, so the second
    /// one undoes the first.
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

    /// Approximate memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes all changes, and frees the memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the records with whether they have been added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RecordKey, bool)> {
        self.changed.iter().map(|(record, &added)| (record, added))
    }

    /// Ends the difference, which leads from one version to the next.
    pub(super) fn finish(&mut self, from: u32, to: u32) -> ZoneVersion {
        let (mut removed, mut added) = (ZoneRecords::default(), ZoneRecords::default());
        for (record, is_added) in self.iter() {
            if is_added { &mut added } else { &mut removed }.push_key(record);
        }
        removed.shrink();
        added.shrink();
        // The memory of a large one is freed.
        self.clear();
        ZoneVersion { from, to, removed, added }
    }
}
