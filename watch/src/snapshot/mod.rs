//! Snapshots: what a restarted server answers from until it has heard of the cluster.
//!
//! A snapshot is a file of what the index keeps, [written](Recorder) while the feed runs, and
//! [read](crate::Feed::restore) before it begins. Its [format](mod@format) is of no use to anybody else.
//!
//! - **Written** as a whole or not at all: beside the old one, to the disk, then in its place. Pods are taken from
//!   the index some at a time, so neither the feed nor the memory notices. So it is no picture of one moment: a pod
//!   that was there from beginning to end is in it, one that came or went meanwhile may be.
//! - **Read** twice: first to its end, to see that it is whole, then into the index. One that cannot be used, for
//!   whatever reason, is as good as none.
//! - **Old**: it says when the index was last in sync, which is not when it was written if the watch was down by
//!   then. From there on its age counts, through any number of restarts.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod check;
pub mod format;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use poddns_core::Freshness;
use thiserror::Error;

use crate::feed::identity::{IndexOrigin, difference};
use crate::freshness::Health;
use crate::index::{ListScope, SharedWriter};
use crate::state_file::{self, UntrustedFile};
use crate::transfer::{Transfers, Versions};
use format::{
    SnapshotCounts, SnapshotDecoder, SnapshotEncoder, SnapshotFormatError, SnapshotHeader, SnapshotItem,
};

/// Rows of the index that are looked at in one go, during which the feed waits: a fraction of a millisecond.
const ROWS: u32 = 1024;

/// Bytes gathered before they are written.
const GATHER: usize = 1 << 16;

/// Reason why a snapshot is not used, or not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// There is a file, but it cannot be used.
    #[error("snapshot {path} is not used: {cause}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Its fault.
        #[source]
        cause: SnapshotFormatError,
    },
    /// Others may have written it.
    #[error("snapshot {path} is not used: {cause}", path = path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Its owner or its permissions.
        #[source]
        cause: UntrustedFile,
    },
    /// It is a snapshot, but of another cluster or for other settings.
    #[error("snapshot {path} is not used: it was written with {was}, and now it is {is}", path = path.display())]
    OfOther {
        /// The file.
        path: PathBuf,
        /// The differing part of its origin.
        was: String,
        /// The same part of the present origin.
        is: String,
    },
    /// It cannot be written.
    #[error("cannot write snapshot {path}: {cause}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

/// The result of reading a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredSnapshot {
    /// Time at which the index was in sync.
    pub synced_at: SystemTime,
    /// Time since then; `None` if the clock is behind that: it was set back, and the age is unknown.
    pub age: Option<Duration>,
    /// Namespaces read.
    pub namespaces: u32,
    /// Pods read.
    pub pods: u32,
    /// Serial of the zone's version that was published last, if there were versions.
    pub serial: Option<u32>,
}

/// The result of writing a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedSnapshot {
    /// Time at which the index was in sync.
    pub synced_at: SystemTime,
    /// Namespaces written.
    pub namespaces: u32,
    /// Pods written.
    pub pods: u32,
    /// Octets of the file.
    pub size: u64,
}

/// Writes snapshots of a feed's index. Made by [`Feed::recorder`](crate::Feed::recorder).
#[derive(Clone)]
pub struct Recorder {
    writer: SharedWriter,
    health: Health,
    origin: IndexOrigin,
    /// Time at which the last snapshot was begun, or read.
    last: Option<Instant>,
    /// Serial in the snapshot that was read.
    serial: Option<u32>,
}

impl Recorder {
    /// `restored` is when a snapshot was read, and the serial in it.
    pub(crate) fn new(
        writer: SharedWriter,
        health: Health,
        origin: IndexOrigin,
        restored: Option<(Instant, Option<u32>)>,
    ) -> Self {
        let (last, serial) = restored.unzip();
        Self { writer, health, origin, last, serial: serial.flatten() }
    }

    /// Keeps versions of the zone of the index from now on, for zone transfers: in a journal of at most `journal` bytes,
    /// with serials after that of the snapshot that was [restored](crate::Feed::restore). If it does so already, the
    /// journal begins anew, and serials continue.
    #[must_use]
    pub fn transfers(&self, journal: usize) -> Transfers {
        let serial = self.writer.lock().versions().and_then(Versions::serial);
        Transfers::new(self.writer.clone(), self.health.clone(), journal, serial.or(self.serial))
    }

    /// Ends what [`transfers`](Self::transfers) began, and frees its memory.
    pub fn end_transfers(&self) {
        self.writer.lock().end_versions();
    }

    /// Writes a snapshot, unless there is nothing newer to write: the index has not been in sync since the last
    /// one, or never, or it is about to become that of another cluster. Takes the disk's time, in which others read and change the index.
    pub fn write(&mut self, path: &Path) -> Result<Option<SavedSnapshot>, SnapshotError> {
        let begun = Instant::now();
        let age = match self.health.freshness() {
            Freshness::Unsynced => return Ok(None),
            Freshness::Fresh => Duration::ZERO,
            Freshness::Stale { age } | Freshness::Resyncing { age } => age,
        };
        if self.last.is_some_and(|last| age >= begun.duration_since(last)) {
            return Ok(None);
        }
        let Some(origin) = self.origin.lines() else { return Ok(None) };
        let synced_at = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let serial = self.writer.lock().versions().and_then(Versions::serial);
        let header = SnapshotHeader { synced_at, origin, serial };
        let mut counts = SnapshotCounts::default();
        let written = keep_others(path).and_then(|()| {
            state_file::replace(path, |file| {
                counts = self.encode(SnapshotEncoder::new(file, &header))?;
                Ok(())
            })
        });
        let size = written.map_err(|cause| SnapshotError::Unwritable { path: path.to_owned(), cause })?;
        self.last = Some(begun);
        Ok(Some(SavedSnapshot { synced_at, namespaces: counts.namespaces, pods: counts.pods, size }))
    }

    /// Returns an address of a pod in the index for which `which` returns true, if there is one. Walks over all pods, in
    /// parts, between which others read and change the index.
    pub fn find_address(&self, mut which: impl FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        let (mut next, mut found) = (Some(0), None);
        while let (Some(first), None) = (next, found) {
            next = self.writer.lock().for_pods_from(first, ROWS, |pod| {
                found = found.or_else(|| pod.addresses.iter().copied().find(|&address| which(address)));
            });
        }
        found
    }

    fn encode(&self, mut to: SnapshotEncoder<&mut File>) -> io::Result<SnapshotCounts> {
        self.writer.lock().for_each_namespace(|namespace| to.namespace(namespace));
        let mut next = Some(0);
        while let Some(first) = next {
            next = self.writer.lock().for_pods_from(first, ROWS, |pod| to.pod(pod));
            if to.gathered() >= GATHER {
                to.flush()?;
            }
        }
        to.finish()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("last", &self.last).finish_non_exhaustive()
    }
}

/// Checks that a snapshot can be written here: makes a file beside it. Also removes what killed processes
/// have left there.
pub fn check_snapshot_path(path: &Path) -> Result<(), SnapshotError> {
    let tried = keep_others(path).and_then(|()| state_file::try_out(path));
    tried.map_err(|cause| SnapshotError::Unwritable { path: path.to_owned(), cause })
}

/// Fails if there is a file that is no snapshot: it may have been named by mistake. An empty one may go.
fn keep_others(path: &Path) -> io::Result<()> {
    let mut begin = Vec::new();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            File::open(path)?.take(format::MAGIC.len() as u64).read_to_end(&mut begin)?;
        }
        Ok(_) => begin.push(0),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if begin.is_empty() || begin == format::MAGIC {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        "there is another file of that name, which is no snapshot of poddns; remove it or name another",
    ))
}

/// A snapshot that is whole and of this origin.
struct CheckedSnapshot {
    file: File,
    synced_at: SystemTime,
    origin: String,
    serial: Option<u32>,
    counts: SnapshotCounts,
}

impl CheckedSnapshot {
    fn age(&self) -> Option<Duration> {
        SystemTime::now().duration_since(self.synced_at).ok()
    }

    fn restored(&self) -> RestoredSnapshot {
        let SnapshotCounts { namespaces, pods } = self.counts;
        RestoredSnapshot { synced_at: self.synced_at, age: self.age(), namespaces, pods, serial: self.serial }
    }
}

/// Reads a snapshot to its end. `None` if there is none.
fn check(path: &Path, origin: &str) -> Result<Option<CheckedSnapshot>, SnapshotError> {
    let unusable = |cause| SnapshotError::Unusable { path: path.to_owned(), cause };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(unusable(SnapshotFormatError::Foreign)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.into())),
    }
    let file = state_file::open(path).map_err(|error| unusable(error.into()))?;
    let metadata = file.metadata().map_err(|error| unusable(error.into()))?;
    if !metadata.is_file() {
        return Err(unusable(SnapshotFormatError::Foreign));
    }
    // Of the file that is open: the one at `path` may be another by now.
    state_file::check_owner(&metadata)
        .map_err(|cause| SnapshotError::Untrusted { path: path.to_owned(), cause })?;
    let decoder = SnapshotDecoder::new(&file).map_err(unusable)?;
    let header = decoder.header().clone();
    let counts = decoder.read(|_| {}).map_err(unusable)?;
    if let Some((was, is)) = difference(&header.origin, origin) {
        return Err(SnapshotError::OfOther { path: path.to_owned(), was, is });
    }
    let SnapshotHeader { synced_at, origin, serial } = header;
    Ok(Some(CheckedSnapshot { file, synced_at, origin, serial, counts }))
}

/// Returns what a feed of this origin would read from a snapshot; `None` if there is no file.
pub(crate) fn look(path: &Path, origin: &IndexOrigin) -> Result<Option<RestoredSnapshot>, SnapshotError> {
    Ok(check(path, &origin.lines().unwrap_or_default())?.map(|sound| sound.restored()))
}

/// Fills an empty index from a snapshot and makes its watches stale. On an error it is as empty as before.
pub(crate) fn restore(
    path: &Path,
    origin: &IndexOrigin,
    writer: &SharedWriter,
    health: &Health,
) -> Result<Option<RestoredSnapshot>, SnapshotError> {
    let lines = origin.lines().unwrap_or_default();
    let Some(sound) = check(path, &lines)? else { return Ok(None) };
    let unusable = |cause| SnapshotError::Unusable { path: path.to_owned(), cause };
    let mut writer = writer.lock();
    let filled = fill(&sound.file, |item| match item {
        SnapshotItem::Namespace(namespace) => drop(writer.apply_namespace(namespace)),
        SnapshotItem::Pod(pod) => drop(writer.apply(&pod)),
    });
    if let Err(error) = filled {
        // Somebody has changed it in place, since it was whole a moment ago: sweep all that came of it.
        writer.begin_pod_list(&ListScope::All);
        writer.end_pod_list(&ListScope::All);
        writer.begin_namespace_list();
        writer.end_namespace_list();
        return Err(unusable(error));
    }
    let restored = sound.restored();
    origin.restore(&sound.origin);
    // An unknown age is more than any limit.
    health.restored(restored.age.unwrap_or(Duration::MAX));
    Ok(Some(restored))
}

fn fill(mut file: &File, each: impl FnMut(SnapshotItem<'_>)) -> Result<(), SnapshotFormatError> {
    io::Seek::rewind(&mut file)?;
    SnapshotDecoder::new(file)?.read(each).map(drop)
}
