//! The feed: an index and its source.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use poddns_core::{Freshness, PodLookup};
use tokio_util::sync::CancellationToken;

use super::cluster::ClusterFeed;
use super::error::FeedError;
use super::file::FileFeed;
use super::identity::IndexOrigin;
use super::options::Source;
use super::scope::Scope;
use super::stats::FeedStats;
use crate::index::{Index, IndexOptions, SharedWriter, index};
use crate::snapshot::{self, Recorder, RestoredSnapshot, SnapshotError};

/// An index, with the watches or the file that keep it in sync.
///
/// ```no_run
/// # async fn run() -> Result<(), poddns_watch::FeedError> {
/// use poddns_watch::{ClusterOptions, Feed, Scope, Source};
/// use tokio_util::sync::CancellationToken;
///
/// let feed = Feed::open(Source::Cluster(ClusterOptions::default()), Scope::default()).await?;
/// let index = feed.index();
/// tokio::spawn(feed.run(CancellationToken::new()));
/// // `index` answers look-ups; its `health()` shows whether it is in sync.
/// # Ok(())
/// # }
/// ```
pub struct Feed {
    index: Arc<Index>,
    stats: Arc<FeedStats>,
    writer: SharedWriter,
    /// The origin of the pods, for snapshots.
    origin: IndexOrigin,
    /// Time at which a snapshot was restored, and its serial.
    restored: Option<(Instant, Option<u32>)>,
    kind: FeedKind,
}

enum FeedKind {
    Cluster(ClusterFeed),
    File(Box<FileFeed>),
}

impl Feed {
    /// Reads the configuration; or, for a file, fills the index from it. Sends nothing to a cluster before
    /// [`run`](Self::run).
    pub async fn open(source: Source, scope: Scope) -> Result<Self, FeedError> {
        let (writer, index) = index(IndexOptions { pod_names: scope.pod_names });
        let writer = SharedWriter::new(writer);
        let stats = Arc::new(FeedStats::default());
        let (health, counted) = (index.health(), Arc::clone(&stats));
        let (own, sink) = (writer.clone(), writer);
        let (kind, origin) = match source {
            Source::Cluster(options) => {
                let feed = ClusterFeed::open(options, &scope, sink, health, counted).await?;
                let origin = feed.origin(scope.lines());
                (FeedKind::Cluster(feed), origin)
            }
            Source::File(ref path) | Source::FileOrPipe(ref path) => {
                let (shown, pipes) = (path.display().to_string(), matches!(source, Source::FileOrPipe(_)));
                let feed = FileFeed::open(path.clone(), pipes, &scope, sink, health, counted).await?;
                (FeedKind::File(Box::new(feed)), IndexOrigin::of_file(shown, scope.lines()))
            }
        };
        Ok(Self { index, stats, writer: own, origin, restored: None, kind })
    }

    /// Fills the index from a snapshot of the same cluster and scope. Returns a summary of the snapshot, or `None` if
    /// there is no such file. The index is then stale, with the age of the snapshot, until the first list is complete:
    /// as in any relist, existing pods stay in the index during it, and deleted ones are removed at its end.
    ///
    /// Does nothing if the index is already filled, as it is from a pods file. Reads the snapshot file twice. On an
    /// error the index is empty and the feed unchanged.
    pub fn restore(&mut self, path: &Path) -> Result<Option<RestoredSnapshot>, SnapshotError> {
        if self.index.freshness() != Freshness::Unsynced {
            return Ok(None);
        }
        let restored = snapshot::restore(path, &self.origin, &self.writer, self.index.health())?;
        if let Some(restored) = &restored {
            self.restored = Some((Instant::now(), restored.serial));
        }
        Ok(restored)
    }

    /// Returns the result that [`restore`](Self::restore) would have, without filling the index.
    pub fn inspect(&self, path: &Path) -> Result<Option<RestoredSnapshot>, SnapshotError> {
        snapshot::inspect(path, &self.origin)
    }

    /// Returns a writer of snapshots of the index, for use while the feed runs and afterwards.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        let (writer, health) = (self.writer.clone(), self.index.health().clone());
        Recorder::new(writer, health, self.origin.clone(), self.restored)
    }

    /// Returns the index.
    #[must_use]
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// Returns the feed's counters.
    #[must_use]
    pub fn stats(&self) -> Arc<FeedStats> {
        Arc::clone(&self.stats)
    }

    /// Keeps the index in sync until `stop` is cancelled. Failures are retried without limit, and reported by the
    /// index's health.
    pub async fn run(self, stop: CancellationToken) {
        let run = async {
            match self.kind {
                FeedKind::Cluster(feed) => feed.run().await,
                FeedKind::File(feed) => feed.run().await,
            }
        };
        stop.run_until_cancelled(run).await;
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("health", self.index.health()).finish_non_exhaustive()
    }
}
