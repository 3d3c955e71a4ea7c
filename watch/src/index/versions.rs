//! The writer's part of zone versions, if they are kept, and steps of walks through the index.

#[cfg(all(test, not(poddns_loom)))]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use poddns_core::Label;
use tokio::sync::Notify;

use super::addresses::{Holder, StoredAddress};
use super::inline_vec::InlineVec;
use super::numbers::{Row, numbers};
use super::reader::Index;
use super::sync::Ordering;
use super::tracker::{SharedNamespaces, VersionTracker};
use super::writer::IndexWriter;
use crate::transfer::{Position, Publication, Versions, WalkId, WalkPhase, ZoneRecords};

/// Number of address buckets that a walk visits per step: some hundred addresses.
const BUCKETS: usize = if cfg!(test) { 1 } else { 64 };

/// Number of pod rows that a walk visits per step.
const ROWS: u32 = if cfg!(test) { 2 } else { 256 };

/// Calls `each` with some of the addresses of a family from a position on. Returns the next position; `None` at the
/// end.
fn visit_addresses(
    index: &Index,
    shared: &SharedNamespaces,
    Position(phase, mut at): Position,
    mut each: impl FnMut(&Label, IpAddr),
) -> Option<u64> {
    let mut visit = |address, holder| match holder {
        Holder::None => {}
        Holder::Sole(sole) => {
            let namespace = index.namespace_of(sole).and_then(|id| index.namespaces.label(id));
            if let Some(label) = namespace {
                each(&label, address);
            }
        }
        Holder::Shared(_) => {
            let namespaces = shared.get(&address).into_iter().flatten();
            let labels = namespaces.filter_map(|&namespace| index.namespaces.label(namespace));
            for label in labels {
                each(&label, address);
            }
        }
    };
    for _ in 0..BUCKETS {
        at = match phase {
            WalkPhase::V4 => index.addresses.visit_v4(at, &mut visit)?,
            _ => index.addresses.visit_v6(at, &mut visit)?,
        };
    }
    Some(at)
}

impl IndexWriter {
    /// Begins to keep versions of the zone. Returns the [`Notify`] that is notified of changes.
    pub(crate) fn begin_versions(&mut self, limit: usize, floor: Option<u32>) -> Arc<Notify> {
        let versions = Versions::new(limit, floor);
        let changed = versions.changed();
        let mut shared = SharedNamespaces::new();
        let index = &self.index;
        for row in numbers(1..=self.pods.highest()) {
            let entry = index.pods.entry(row);
            let Some(namespace) = entry.namespace() else { continue };
            for address in index.addresses_in(entry).iter() {
                if let Holder::Shared(_) = index.addresses.holder(address) {
                    let namespaces = shared.entry(address).or_default();
                    if !namespaces.contains(&namespace) {
                        namespaces.push(namespace);
                    }
                }
            }
        }
        self.tracker = Some(Box::new(VersionTracker::new(versions, shared)));
        changed
    }

    /// Stops keeping versions.
    pub(crate) fn end_versions(&mut self) {
        self.tracker = None;
    }

    pub(crate) fn versions(&self) -> Option<&Versions> {
        self.tracker.as_ref().map(|tracker| &tracker.versions)
    }

    pub(crate) fn versions_mut(&mut self) -> Option<&mut Versions> {
        self.tracker.as_mut().map(|tracker| &mut tracker.versions)
    }

    /// Reports to the versions the records of the pod's name, for all addresses of the pod in a row.
    pub(super) fn track_names(&mut self, row: Row, is_there: bool) {
        let addresses = self.index.addresses_in(self.index.pods.entry(row));
        self.track_names_of(row, &addresses, is_there);
    }

    /// Reports to the versions the records of the pod's name, for these addresses of the pod in a row.
    pub(super) fn track_names_of(&mut self, row: Row, addresses: &InlineVec<IpAddr>, is_there: bool) {
        let Self { index, tracker, .. } = self;
        if let Some(tracker) = tracker {
            for address in addresses.iter() {
                tracker.named(index, row, address, is_there);
            }
        }
    }

    /// Reports to the versions the records of the pod's name, for the addresses that the pod in a row has lost or
    /// gained.
    pub(super) fn track_renamed(
        &mut self,
        row: Row,
        old: &InlineVec<StoredAddress>,
        new: &InlineVec<StoredAddress>,
    ) {
        let index = &self.index;
        let only =
            |addresses: &InlineVec<StoredAddress>, others: &InlineVec<StoredAddress>| -> InlineVec<IpAddr> {
                let only = addresses.iter().filter(|&address| !others.contains(address));
                only.filter_map(|address| index.addresses.full(address)).collect()
            };
        let (removed, added) = (only(old, new), only(new, old));
        self.track_names_of(row, &removed, false);
        self.track_names_of(row, &added, true);
    }

    /// Publishes the changes since the last version as a new version, if one is due.
    pub(crate) fn publish_version(&mut self, at: Instant, unix: u32) -> Publication {
        let Some(versions) = self.versions_mut() else { return Publication::Unchanged };
        let published = versions.publish(at, unix);
        if let Publication::New(serial) = published {
            self.index.serial.store(serial.into(), Ordering::Release);
        }
        published
    }

    /// Publishes a version without a difference from the previous one, so that secondaries need a full transfer.
    pub(crate) fn reset_versions(&mut self, at: Instant, unix: u32) -> Option<u32> {
        let serial = self.versions_mut()?.reset(at, unix)?;
        self.index.serial.store(serial.into(), Ordering::Release);
        Some(serial)
    }

    /// Advances a walk by some records, which are added to `out`. Returns whether there are more; `None` if the walk is
    /// lost.
    pub(crate) fn step(&mut self, walk: WalkId, out: &mut ZoneRecords) -> Option<bool> {
        let (index, rows) = (&self.index, self.pods.highest());
        let VersionTracker { versions, shared, .. } = self.tracker.as_deref_mut()?;
        versions.step(walk, out, |from, out, touched| match from {
            Position(WalkPhase::Names, first) => {
                visit_names(index, first, rows, |namespace, name, address| {
                    out.push_unless(namespace, Some(name), address, touched);
                })
            }
            Position(phase, _) => {
                let next = visit_addresses(index, shared, from, |namespace, address| {
                    out.push_unless(namespace, None, address, touched);
                });
                match next {
                    Some(next) => Position(phase, next),
                    None if phase == WalkPhase::V4 => WalkPhase::V6.start(),
                    None if index.names.is_some() => WalkPhase::Names.start(),
                    None => WalkPhase::Rest.start(),
                }
            }
        })
    }
}

/// Calls `each` with the records of the pods' names, for some rows from `first` on. Returns the next position.
fn visit_names(
    index: &Index,
    first: u64,
    rows: u32,
    mut each: impl FnMut(&Label, &Label, IpAddr),
) -> Position {
    let first = u32::try_from(first).unwrap_or(u32::MAX);
    let end = first.saturating_add(ROWS);
    for row in numbers(first..=rows.min(end.saturating_sub(1))) {
        let entry = index.pods.entry(row);
        let name = index.names.as_ref().and_then(|names| names.of(row)?.label());
        let namespace = entry.namespace().and_then(|id| index.namespaces.label(id));
        let (Some(name), Some(namespace)) = (name, namespace) else { continue };
        for address in index.addresses_in(entry).iter() {
            each(&namespace, &name, address);
        }
    }
    if end > rows { WalkPhase::Rest.start() } else { Position(WalkPhase::Names, end.into()) }
}
