//! Snapshots: the contents of the index, from which a restarted server responds until its first list is complete.
//!
//! A snapshot is a file with the contents of the index, [written](Recorder) while the feed runs, and
//! [read](crate::Feed::restore) before it begins. The [format](mod@format) is specific to this crate.
//!
//! - **Atomic**: a snapshot is written to a file beside the old one, synced to the disk, and renamed. Pods are read
//!   from the index some rows at a time, to keep delays of the feed and memory small. A snapshot therefore does not
//!   show one moment: pods that existed throughout are in it; pods that were added or removed meanwhile may be.
//! - **Verified**: it is read twice, first to its end, to check that it is complete, then into the index. An unusable
//!   one is treated like a missing one.
//! - **Aged**: it contains the time at which the index was last in sync, which is earlier than the time of writing if
//!   the watch was down. Its age is counted from there, through any number of restarts.

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

/// Maximum number of rows of the index that are read at a time. Meanwhile, for a fraction of a millisecond, the feed
/// waits.
const ROWS: u32 = 1024;

/// Minimum number of octets per write.
const GATHER: usize = 1 << 16;

/// Reason why a snapshot is not used, or not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file exists but cannot be used.
    #[error("snapshot {path} is not used: {cause}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Its fault.
        #[source]
        cause: SnapshotFormatError,
    },
    /// Other users may have written it.
    #[error("snapshot {path} is not used: {cause}", path = path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Its owner or its permissions.
        #[source]
        cause: UntrustedFile,
    },
    /// It is a snapshot of another cluster or with other settings.
    #[error("snapshot {path} is not used: it was written with {was}, and now it is {is}", path = path.display())]
    OfOther {
        /// The file.
        path: PathBuf,
        /// The differing part of its origin.
        was: String,
        /// The same part of the current origin.
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

/// Summary of a snapshot that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredSnapshot {
    /// Time at which the index was in sync.
    pub synced_at: SystemTime,
    /// Time since then; `None` if it is unknown because the clock is earlier, that is, was set back.
    pub age: Option<Duration>,
    /// Number of namespaces read.
    pub namespaces: u32,
    /// Number of pods read.
    pub pods: u32,
    /// Serial of the zone's version that was published last, if there were versions.
    pub serial: Option<u32>,
}

/// Summary of a snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedSnapshot {
    /// Time at which the index was in sync.
    pub synced_at: SystemTime,
    /// Number of namespaces written.
    pub namespaces: u32,
    /// Number of pods written.
    pub pods: u32,
    /// Size of the file in bytes.
    pub size: u64,
}

/// Writer of snapshots of a feed's index. Created by [`Feed::recorder`](crate::Feed::recorder).
#[derive(Clone)]
pub struct Recorder {
    writer: SharedWriter,
    health: Health,
    origin: IndexOrigin,
    /// Time at which the last snapshot was begun or read.
    last: Option<Instant>,
    /// Serial in the snapshot that was read.
    serial: Option<u32>,
}

impl Recorder {
    /// Returns a recorder. `restored` is the time at which a snapshot was read, and its serial.
    pub(crate) fn new(
        writer: SharedWriter,
        health: Health,
        origin: IndexOrigin,
        restored: Option<(Instant, Option<u32>)>,
    ) -> Self {
        let (last, serial) = restored.unzip();
        Self { writer, health, origin, last, serial: serial.flatten() }
    }

    /// Begins to keep versions of the zone of the index, for zone transfers: in a journal of at most `journal` bytes,
    /// with serials after that of the snapshot that was [restored](crate::Feed::restore). If versions are already kept,
    /// the journal is emptied, and serials continue.
    #[must_use]
    pub fn transfers(&self, journal: usize) -> Transfers {
        let serial = self.writer.lock().versions().and_then(Versions::serial);
        Transfers::new(self.writer.clone(), self.health.clone(), journal, serial.or(self.serial))
    }

    /// Stops keeping versions, and frees their memory.
    pub fn end_transfers(&self) {
        self.writer.lock().end_versions();
    }

    /// Writes a snapshot, unless there is nothing newer to write: the index has not been in sync since the last
    /// snapshot, or never, or it is a mixture of two clusters. Blocks while the disk is written; the index can be read
    /// and changed meanwhile.
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
        let written = self.replace(path, &header);
        let (counts, size) =
            written.map_err(|cause| SnapshotError::Unwritable { path: path.to_owned(), cause })?;
        self.last = Some(begun);
        Ok(Some(SavedSnapshot { synced_at, namespaces: counts.namespaces, pods: counts.pods, size }))
    }

    /// Replaces the file at `path`; returns its counts and its size in bytes. Fails if the index has become that of another
    /// cluster since the header was made.
    fn replace(&self, path: &Path, header: &SnapshotHeader) -> io::Result<(SnapshotCounts, u64)> {
        check_replaceable(path)?;
        let mut counts = SnapshotCounts::default();
        let size = state_file::replace(path, |file| {
            counts = self.encode(SnapshotEncoder::new(file, header))?;
            let now = self.origin.lines();
            if now.is_none_or(|now| difference(&header.origin, &now).is_some()) {
                return Err(io::Error::other("the cluster became another one while its pods were written"));
            }
            Ok(())
        })?;
        Ok((counts, size))
    }

    /// Returns an address in the index for which `which` returns true, if there is one. Iterates over all pods, some
    /// rows at a time; between these the index can be changed.
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

/// Checks that a snapshot can be written here, by creating a file beside it. Also removes unfinished files of killed
/// processes.
pub fn check_snapshot_path(path: &Path) -> Result<(), SnapshotError> {
    let tried = check_replaceable(path).and_then(|()| state_file::check_writable(path));
    tried.map_err(|cause| SnapshotError::Unwritable { path: path.to_owned(), cause })
}

/// Fails if there is a file that is not a snapshot: it may have been named by mistake. An empty file is accepted.
fn check_replaceable(path: &Path) -> io::Result<()> {
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
        "the file exists and is not a snapshot of poddns; remove it or set another path",
    ))
}

/// A snapshot that is complete and of the required origin.
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

/// Reads a snapshot to its end. Returns `None` if there is no file.
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
    // Checked on the open file: the one at `path` may be another one by now.
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

/// Returns the summary of a snapshot for a feed of this origin; `None` if there is no file.
pub(crate) fn inspect(path: &Path, origin: &IndexOrigin) -> Result<Option<RestoredSnapshot>, SnapshotError> {
    Ok(check(path, &origin.lines().unwrap_or_default())?.map(|sound| sound.restored()))
}

/// Fills an empty index from a snapshot and makes its watches stale. On an error the index is empty again.
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
        // The file was changed in place after it had been checked: remove everything that was read from it.
        writer.begin_pod_list(&ListScope::All);
        writer.end_pod_list(&ListScope::All);
        writer.begin_namespace_list();
        writer.end_namespace_list();
        return Err(unusable(error));
    }
    let restored = sound.restored();
    origin.restore(&sound.origin);
    // An unknown age exceeds every limit.
    health.restored(restored.age.unwrap_or(Duration::MAX));
    Ok(Some(restored))
}

fn fill(mut file: &File, each: impl FnMut(SnapshotItem<'_>)) -> Result<(), SnapshotFormatError> {
    io::Seek::rewind(&mut file)?;
    SnapshotDecoder::new(file)?.read(each).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ClusterOptions;
    use crate::feed::access::ClusterAccess;
    use crate::feed::identity::ClusterIdentity;
    use crate::index::{IndexOptions, index};

    #[tokio::test]
    async fn pods_of_two_clusters_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let [kubeconfig, path] = ["config", "snapshot"].map(|name| folder.path().join(name));
        let text = "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n\
                    clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n";
        fs::write(&kubeconfig, text).unwrap();
        let options = ClusterOptions { kubeconfig: Some(kubeconfig), ..ClusterOptions::default() };
        let access = Arc::new(ClusterAccess::open(options).await.unwrap());
        let identity = ClusterIdentity::default();
        let watch = identity.register();
        identity.set(watch, Some("u"), false);
        let origin = IndexOrigin::of_cluster(access, identity.clone(), String::new());
        let (writer, index) = index(IndexOptions { pod_names: false });
        let recorder = Recorder::new(SharedWriter::new(writer), index.health().clone(), origin, None);
        let header = SnapshotHeader {
            synced_at: SystemTime::now(),
            origin: recorder.origin.lines().unwrap(),
            serial: None,
        };
        recorder.replace(&path, &header).unwrap();
        let before = fs::read(&path).unwrap();
        for (cluster, relisting) in [("v", true), ("v", false)] {
            identity.set(watch, Some(cluster), relisting);
            let error = recorder.replace(&path, &header).unwrap_err();
            assert!(error.to_string().starts_with("the cluster became another one"), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
