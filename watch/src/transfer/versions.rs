//! Versions of a zone and the walks under way: the writer's side.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::difference::{ENTRY_OVERHEAD, ZoneDifference};
use super::journal::{Journal, ZoneChanges};
use super::record::{RecordKey, ZoneRecords};
use super::{Publication, TransferStats, serial};

/// Minimum time between two versions.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum delay of a version because of a list under way.
const MAX_LIST_DELAY: Duration = Duration::from_mins(2);

/// Maximum memory in bytes for the records that one walk notes.
const MAX_WALK_BYTES: usize = 4 << 20;

/// A position in the order in which a walk visits records. It follows from the address alone for records by address,
/// and from the pod's row for records by name, so it does not change while the record exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) WalkPhase, pub(crate) u64);

/// The phases of a walk, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WalkPhase {
    V4,
    V6,
    Names,
    /// Records that were removed before the walk reached them.
    Rest,
}

impl WalkPhase {
    pub(crate) const fn start(self) -> Position {
        Position(self, 0)
    }
}

/// Id of the next walk. Shared by all [`Versions`]: those that a reload replaces may still have walks.
static NEXT_WALK: AtomicU64 = AtomicU64::new(0);

/// Id of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalkId(u64);

/// The state of a walk over one version.
#[derive(Debug)]
struct WalkState {
    id: WalkId,
    /// Position before which all records have been returned.
    cursor: Position,
    /// Records that have changed since the version: true for those that are in the version and not yet returned.
    touched: HashMap<RecordKey, bool>,
    bytes: usize,
    /// Those of them still to be returned, in the last phase.
    rest: Vec<RecordKey>,
    /// True if too much has changed.
    lost: bool,
}

impl WalkState {
    /// Notes a record at its first change. `position` is its position, if it existed before.
    fn touch(&mut self, record: &RecordKey, position: Option<Position>) {
        if self.cursor.0 == WalkPhase::Rest || self.lost || self.touched.contains_key(record) {
            return;
        }
        let unsent = position.is_some_and(|position| position >= self.cursor);
        self.insert(record, unsent);
    }

    fn insert(&mut self, record: &RecordKey, unsent: bool) {
        self.bytes += record.as_bytes().len() + ENTRY_OVERHEAD;
        self.touched.insert(record.clone(), unsent);
        if self.bytes > MAX_WALK_BYTES {
            (self.lost, self.touched) = (true, HashMap::new());
        }
    }
}

/// Versions of the zone of one index.
#[derive(Debug)]
pub(crate) struct Versions {
    published: Option<PublishedVersion>,
    /// Lower bound of all serials, exclusive.
    floor: Option<u32>,
    /// Changes since the version that was published last.
    pending: ZoneDifference,
    /// True if the changes exceed the limit, so that they are not in `pending`.
    gap: bool,
    journal: Journal,
    walks: Vec<WalkState>,
    /// Number of lists under way, and (`waiting`) the time since which a version is delayed because of them.
    lists: usize,
    waiting: Option<Instant>,
    changed: Arc<Notify>,
}

#[derive(Clone, Copy, Debug)]
struct PublishedVersion {
    serial: u32,
    at: Instant,
}

impl Versions {
    /// Returns the state before the first version. The journal and the changes pending for the next version take at
    /// most `limit` bytes each; all serials are greater than `floor`.
    pub(crate) fn new(limit: usize, floor: Option<u32>) -> Self {
        Self {
            published: None,
            floor,
            pending: ZoneDifference::default(),
            gap: false,
            journal: Journal::new(limit),
            walks: Vec::new(),
            lists: 0,
            waiting: None,
            changed: Arc::new(Notify::new()),
        }
    }

    /// Makes all serials greater than this one, if there is no version yet.
    pub(crate) fn set_floor(&mut self, floor: u32) {
        if self.floor.is_none_or(|other| serial::is_newer(floor, other)) {
            self.floor = Some(floor);
        }
    }

    /// Returns the [`Notify`] that is notified of the first change after a version.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    pub(crate) fn serial(&self) -> Option<u32> {
        self.published.map(|last| last.serial)
    }

    /// Reports that a record is added.
    pub(crate) fn appears(&mut self, record: &RecordKey) {
        self.change(record, None);
    }

    /// Reports that the record at this position is removed.
    pub(crate) fn vanishes(&mut self, record: &RecordKey, position: Position) {
        self.change(record, Some(position));
    }

    fn change(&mut self, record: &RecordKey, position: Option<Position>) {
        if self.published.is_none() {
            return;
        }
        for walk in &mut self.walks {
            walk.touch(record, position);
        }
        if self.gap {
            return;
        }
        if self.pending.is_empty() {
            self.changed.notify_one();
        }
        self.pending.add(record, position.is_none());
        if self.pending.bytes() > self.journal.limit() {
            self.pending.clear();
            self.gap = true;
        }
    }

    /// Sets the number of lists under way. The changes of a list are published as one version.
    pub(crate) fn set_lists(&mut self, lists: usize) {
        if lists < self.lists {
            self.changed.notify_one();
        }
        self.lists = lists;
    }

    /// Publishes the changes as a version, if one is due.
    pub(crate) fn publish(&mut self, at: Instant, unix: u32) -> Publication {
        let Some(last) = self.published else {
            // One more than the time, so that it differs from the last serial of a process that has just ended.
            let now = unix.wrapping_add(1);
            let serial = self.floor.map_or(now, |floor| serial::next(floor, now));
            self.published = Some(PublishedVersion { serial, at });
            return Publication::New(serial);
        };
        if self.pending.is_empty() && !self.gap {
            self.waiting = None;
            return Publication::Unchanged;
        }
        let mut due = last.at + MIN_INTERVAL;
        if self.lists > 0 && !self.gap {
            let waiting = *self.waiting.get_or_insert(at);
            due = due.max(waiting + MAX_LIST_DELAY);
        }
        if at < due {
            return Publication::Later(due);
        }
        self.waiting = None;
        let serial = serial::next(last.serial, unix);
        if self.gap {
            self.journal.clear();
            self.gap = false;
        } else {
            self.journal.push(self.pending.finish(last.serial, serial));
        }
        self.published = Some(PublishedVersion { serial, at });
        Publication::New(serial)
    }

    /// Publishes a version without a difference from earlier ones: only a transfer of the whole zone leads to it.
    pub(crate) fn reset(&mut self, at: Instant, unix: u32) -> Option<u32> {
        let last = self.published?;
        let serial = serial::next(last.serial, unix);
        self.published = Some(PublishedVersion { serial, at });
        self.pending.clear();
        self.gap = false;
        self.journal.clear();
        Some(serial)
    }

    pub(crate) fn since(&self, known: u32) -> Option<(u32, ZoneChanges)> {
        let current = self.published?.serial;
        Some((current, self.journal.since(known, current)))
    }

    pub(crate) fn stats(&self) -> TransferStats {
        TransferStats {
            serial: self.serial(),
            journal_versions: self.journal.len(),
            journal_bytes: self.journal.bytes(),
            pending_bytes: self.pending.bytes(),
        }
    }

    /// Begins a walk over the version published last. `None` if there is none, or if too much has changed since.
    pub(crate) fn begin_walk(&mut self) -> Option<(WalkId, u32)> {
        let serial = self.serial()?;
        if self.gap || self.pending.bytes() > MAX_WALK_BYTES {
            return None;
        }
        let id = WalkId(NEXT_WALK.fetch_add(1, Ordering::Relaxed));
        let (touched, rest) = (HashMap::new(), Vec::new());
        let mut walk = WalkState { id, cursor: WalkPhase::V4.start(), touched, bytes: 0, rest, lost: false };
        for (record, added) in self.pending.iter() {
            walk.insert(record, !added);
        }
        self.walks.push(walk);
        Some((id, serial))
    }

    pub(crate) fn end_walk(&mut self, id: WalkId) {
        self.walks.retain(|walk| walk.id != id);
    }

    fn walk(&mut self, id: WalkId) -> Option<&mut WalkState> {
        self.walks.iter_mut().find(|walk| walk.id == id && !walk.lost)
    }

    /// Calls `visit` for the records at the cursor, with a function that returns whether a record has changed, and
    /// moves the cursor to the returned position. Returns whether there is more; `None` if the walk is lost.
    pub(crate) fn step(
        &mut self,
        id: WalkId,
        out: &mut ZoneRecords,
        visit: impl FnOnce(Position, &mut ZoneRecords, &dyn Fn(&[u8]) -> bool) -> Position,
    ) -> Option<bool> {
        /// Maximum number of records of the last phase per step.
        const MAX_RECORDS: usize = if cfg!(test) { 2 } else { 256 };
        let walk = self.walk(id)?;
        if walk.cursor.0 != WalkPhase::Rest {
            let touched = &walk.touched;
            let is_touched = |record: &[u8]| !touched.is_empty() && touched.contains_key(record);
            walk.cursor = visit(walk.cursor, out, &is_touched);
            if walk.cursor.0 == WalkPhase::Rest {
                let touched = std::mem::take(&mut walk.touched);
                walk.rest =
                    touched.into_iter().filter_map(|(record, unsent)| unsent.then_some(record)).collect();
            }
            return Some(true);
        }
        let from = walk.rest.len().saturating_sub(MAX_RECORDS);
        for record in walk.rest.drain(from..) {
            out.push_key(&record);
        }
        Some(!walk.rest.is_empty())
    }
}
