//! Interface between the server and an index of pods.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use poddns_core::{Freshness, NoPods, PodLookup};
use poddns_watch::{IndexStats, ResyncCounts, WatchCounts, WatchStatus};

use super::listing::{ListError, PodCursor, PodEntry, PodPage};

/// An index of pods that a server can answer from and report on.
///
/// All threads of the server share it, so look-ups must neither block nor allocate.
pub trait ServedPods: PodLookup + Send + Sync + 'static {
    /// Returns the state for `/readyz`, `/status` and `/metrics`. Called on a scrape, never for a query.
    fn report(&self) -> PodsReport;

    /// Checks whether the deadline up to which pods count as fresh has passed, for [`freshness`](PodLookup::freshness).
    /// Called once per batch of queries, after its reception and before its first response, so that a process that was
    /// suspended does not answer as if no time had passed.
    fn check_freshness(&self) {}

    /// Returns at most `limit` of the pods for which `wanted` returns true, starting at the cursor of an earlier page,
    /// for `/pods`. Must return in bounded time, so a page may have fewer pods. The default fails with
    /// [`ListError::NoPods`].
    fn list(
        &self,
        from: Option<PodCursor>,
        limit: usize,
        wanted: &dyn Fn(&PodEntry) -> bool,
    ) -> Result<PodPage, ListError> {
        let _ = (from, limit, wanted);
        Err(ListError::NoPods)
    }

    /// Returns an address of a pod for which `which` returns true, if there is one. Called after lists and
    /// periodically, on a separate thread, to find pods that the rate limit applies to; never for a query.
    fn find_address(&self, which: &mut dyn FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        let _ = which;
        None
    }
}

/// State of an index and of its feeds, as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodsReport {
    /// Size of the index; `None` if no index is needed.
    pub index: Option<IndexStats>,
    /// The watches. The server is not ready while one that its answers need is unsynced.
    pub watches: Vec<WatchStatus>,
    /// Counters of the feeds.
    pub feeds: Vec<WatchCounts>,
    /// Differences that comparisons with the cluster found.
    pub resync: ResyncCounts,
    /// The file that keeps the index for the next start, if configured.
    pub snapshot: Option<SnapshotReport>,
}

/// The file that keeps an index for the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The file.
    pub path: PathBuf,
    /// True if the index was loaded from it.
    pub restored: bool,
    /// Time at which the index in the file that was last read or written was in sync.
    pub synced_at: Option<SystemTime>,
    /// Size of the file last written, in bytes.
    pub bytes: Option<u64>,
    /// Files written.
    pub written: u64,
    /// Files that could not be written.
    pub failed: u64,
    /// Error of the last write, or of the read at the start.
    pub error: Option<String>,
}

impl ServedPods for NoPods {
    fn report(&self) -> PodsReport {
        PodsReport::default()
    }
}

impl PodsReport {
    /// Returns the watches without a first complete list.
    pub fn pending(&self) -> impl Iterator<Item = &WatchStatus> {
        self.watches.iter().filter(|watch| watch.freshness == Freshness::Unsynced)
    }
}

/// The pods of a server, shared by its threads.
#[derive(Clone)]
pub(crate) struct SharedPods(pub(crate) Arc<dyn ServedPods>);

impl fmt::Debug for SharedPods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedPods").field(&self.0.freshness()).finish()
    }
}
