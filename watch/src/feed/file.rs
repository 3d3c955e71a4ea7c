//! The file feed: a file written by `kubectl get pods`, read again when it changes.

use std::fs::File;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::error::FeedError;
use super::faults::FaultLog;
use super::manifest::{self, PodsFileError};
use super::report::WatchReport;
use super::scope::Scope;
use super::source::{self, FileStamp, PipeReader, PodsInput};
use super::staged::StagedPods;
use super::stats::FeedStats;
use super::target::{NamespaceTarget, PodTarget};
use crate::Resource;
use crate::freshness::Health;
use crate::index::SharedWriter;

/// Interval at which the file's metadata is read. A change is read once the file has stayed the same for this long, so
/// that a file that is being written is not read partially.
///
/// Polling is preferred to inotify because it detects every kind of change: a file replaced by `rename`, the re-pointed
/// symlinks of a `ConfigMap`, and a change on a network file system.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of consecutive polls that find the file changed again; then it is read nevertheless.
const MAX_POSTPONEMENTS: u32 = 10;

/// A pods file, and the index that it fills.
pub(crate) struct FileFeed {
    path: PathBuf,
    reader: Arc<PodsFileReader>,
    report: WatchReport,
    /// The version that was read last, or that could not be read.
    read: PodsFileVersion,
    /// True if the index matched the file at the last poll.
    in_sync: bool,
}

/// A version of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PodsFileVersion {
    /// The file cannot be read.
    None,
    /// A pipe, which has only one version.
    Pipe,
    /// A regular file.
    File(FileStamp),
    /// A regular file that was changed so recently that a later change may have the same stamp.
    Recent(FileStamp),
}

impl PodsFileVersion {
    fn of(stamp: FileStamp) -> Self {
        if stamp.is_recent(SystemTime::now()) { Self::Recent(stamp) } else { Self::File(stamp) }
    }

    /// Returns whether this version has been read, so that a file with this stamp need not be read.
    fn is(self, stamp: FileStamp) -> bool {
        self == Self::File(stamp)
    }
}

impl FileFeed {
    /// Reads the file for the first time. A pipe is read to its end, if `pipes` are accepted.
    pub(crate) async fn open(
        path: PathBuf,
        pipes: bool,
        scope: &Scope,
        writer: SharedWriter,
        health: &Health,
        stats: Arc<FeedStats>,
    ) -> Result<Self, FeedError> {
        let watch = if scope.pods { Resource::Pods } else { Resource::Namespaces };
        let report = WatchReport::new(health, watch, None, Arc::clone(&stats));
        let reader = Arc::new(PodsFileReader::new(scope, writer, &stats));
        let mut feed = Self { path, reader, report, read: PodsFileVersion::None, in_sync: false };
        let mut attempts = 0;
        loop {
            attempts += 1;
            match feed.load(pipes).await {
                Ok(()) => return Ok(feed),
                Err(error) if error.is_changed() && attempts < MAX_POSTPONEMENTS => {
                    sleep(POLL_INTERVAL).await;
                }
                Err(error) => return Err(FeedError::PodsFile { path: feed.path, cause: error }),
            }
        }
    }

    /// Reads the file again whenever it changes. Never returns.
    pub(crate) async fn run(mut self) {
        if self.read == PodsFileVersion::Pipe {
            return pending().await;
        }
        let mut seen = match self.read {
            PodsFileVersion::File(stamp) | PodsFileVersion::Recent(stamp) => Ok(stamp),
            PodsFileVersion::None | PodsFileVersion::Pipe => Err(String::new()),
        };
        let mut postponed = 0;
        loop {
            sleep(POLL_INTERVAL).await;
            let now = self.stamp().await.map_err(|error| error.to_string());
            if now != seen && postponed < MAX_POSTPONEMENTS {
                // The file is being changed or replaced.
                (seen, postponed) = (now, postponed + 1);
                continue;
            }
            postponed = 0;
            match &now {
                Ok(stamp) if self.read.is(*stamp) => {}
                Ok(stamp) => self.reload(*stamp).await,
                // Reported once, until the file can be read again.
                Err(error) if self.read != PodsFileVersion::None => {
                    self.read = PodsFileVersion::None;
                    self.broken(error);
                }
                Err(_) => {}
            }
            if self.in_sync {
                self.report.renew();
            }
            seen = now;
        }
    }

    async fn stamp(&self) -> Result<FileStamp, PodsFileError> {
        let path = self.path.clone();
        self.unblocked(spawn_blocking(move || FileStamp::at(&path)).await)?
    }

    async fn reload(&mut self, stamp: FileStamp) {
        let (was, now) = (self.read, PodsFileVersion::of(stamp));
        if let Err(error) = self.load(false).await {
            // A file that cannot be used is not read again before it changes.
            self.read = if was == now { PodsFileVersion::File(stamp) } else { now };
            self.broken(&error.to_string());
        } else if was == PodsFileVersion::Recent(stamp) && self.read == was {
            // The file's time is ahead of this host's clock.
            self.read = PodsFileVersion::File(stamp);
        }
    }

    fn broken(&mut self, error: &str) {
        let text = format!("{}: {error}; keeping the previous contents", self.path.display());
        warn!("{text}");
        self.in_sync = false;
        self.report.failed(Instant::now(), &text);
    }

    /// Reads a version and makes the index equal to it. On an error the index does not change.
    async fn load(&mut self, pipes: bool) -> Result<(), PodsFileError> {
        let path = self.path.clone();
        let opened = spawn_blocking(move || source::open(&path, pipes)).await;
        let (staged, version) = match self.unblocked(opened)?? {
            PodsInput::File(file) => self.stage_file(file).await?,
            PodsInput::Pipe(file) => (self.stage_pipe(file).await?, PodsFileVersion::Pipe),
        };
        let reader = Arc::clone(&self.reader);
        let applied = spawn_blocking(move || reader.apply(staged)).await;
        let pods = self.unblocked(applied)?;
        (self.read, self.in_sync) = (version, true);
        self.report.stats().lists.count();
        self.report.set_in_sync();
        info!(file = %self.path.display(), pods, "read");
        Ok(())
    }

    /// Returns the result of a blocking call, or an error if the call panicked; panics are counted.
    fn unblocked<T>(&self, result: Result<T, JoinError>) -> Result<T, PodsFileError> {
        result.map_err(|_| {
            self.report.stats().panics.count();
            PodsFileError::new("reading it panicked: a bug, please report it")
        })
    }

    async fn stage_file(&self, file: File) -> Result<(StagedPods, PodsFileVersion), PodsFileError> {
        let reader = Arc::clone(&self.reader);
        self.unblocked(spawn_blocking(move || reader.stage_file(&file, &file)).await)?
    }

    async fn stage_pipe(&self, file: File) -> Result<StagedPods, PodsFileError> {
        let reader = Arc::clone(&self.reader);
        let (to, pieces) = PipeReader::channel();
        let parse = spawn_blocking(move || reader.stage(pieces));
        let (staged, ()) = tokio::join!(parse, source::pump(file, to));
        self.unblocked(staged)?
    }
}

/// Converts a file into index operations.
struct PodsFileReader {
    scope: Scope,
    writer: SharedWriter,
    targets: Mutex<Targets>,
}

struct Targets {
    pods: PodTarget,
    namespaces: NamespaceTarget,
    faults: FaultLog,
}

impl PodsFileReader {
    fn new(scope: &Scope, writer: SharedWriter, stats: &Arc<FeedStats>) -> Self {
        let faults = || FaultLog::new(Arc::clone(stats));
        let targets = Targets {
            pods: PodTarget::new(writer.clone(), None, scope.host_network, faults()),
            namespaces: NamespaceTarget::new(writer.clone(), scope.namespaces.clone(), faults()),
            faults: faults(),
        };
        Self { scope: scope.clone(), writer, targets: Mutex::new(targets) }
    }

    /// Reads the contents of `file` to their end. Keeps only the served part in memory, about a hundredth of the file's
    /// size. Fails if the file changed meanwhile, so that the result is one version.
    fn stage_file(
        &self,
        file: &File,
        contents: impl io::Read,
    ) -> Result<(StagedPods, PodsFileVersion), PodsFileError> {
        let before = FileStamp::of(file)?;
        let version = PodsFileVersion::of(before);
        let staged = self.stage(contents);
        if FileStamp::of(file)?.has_contents_of(&before) {
            Ok((staged?, version))
        } else {
            Err(PodsFileError::changed())
        }
    }

    fn stage(&self, input: impl io::Read) -> Result<StagedPods, PodsFileError> {
        let mut staged = StagedPods::new(&self.scope);
        manifest::read(input, &mut |entry| staged.add(entry))?;
        Ok(staged)
    }

    /// Makes the index equal to a version. Returns the number of pods in the index.
    fn apply(&self, staged: StagedPods) -> usize {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let Targets { pods, namespaces, faults } = &mut *targets;
        staged.apply(pods, namespaces, faults);
        self.writer.lock().index().stats().pods
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};

    use poddns_core::Freshness;

    use super::*;
    use crate::freshness::LEASE;
    use crate::freshness::tests::ManualClock;
    use crate::{IndexOptions, index};
    use poddns_test_support::wait::until;

    const POD: &str = "- {kind: Pod, metadata: {name: a, namespace: a}, status: {podIP: 10.0.0.1}}\n";

    /// The contents of a file. `meddle` is called at their end, to change the file.
    struct Meddled<'a, F> {
        file: &'a File,
        meddle: Option<F>,
    }

    impl<F: FnOnce()> Read for Meddled<'_, F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.file.read(buffer)?;
            if count == 0
                && let Some(meddle) = self.meddle.take()
            {
                meddle();
            }
            Ok(count)
        }
    }

    /// Reads a file that `meddle` changes during the read.
    fn stage(meddle: impl FnOnce(&std::path::Path)) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pods.yaml");
        fs::write(&path, format!("kind: List\nitems:\n{}", POD.repeat(10))).unwrap();
        let (writer, _index) = index(IndexOptions::default());
        let reader = PodsFileReader::new(&Scope::default(), SharedWriter::new(writer), &Arc::default());
        // A change from here on has a later time than the file.
        let file_time = FileStamp::at(&path).unwrap();
        let beside = folder.path().join("beside");
        until("the file system's clock goes on", || {
            fs::write(&beside, "").unwrap();
            FileStamp::at(&beside).unwrap().is_changed_after(&file_time)
        });
        let file = File::open(&path).unwrap();
        let meddled = Meddled { file: &file, meddle: Some(|| meddle(&path)) };
        reader.stage_file(&file, meddled).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn file_changed_during_reading_is_not_used() {
        let append = |path: &std::path::Path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(POD.as_bytes()).unwrap();
        };
        let rewrite = |path: &std::path::Path| {
            let text = fs::read_to_string(path).unwrap().replace("10.0.0.1", "10.0.0.2");
            fs::OpenOptions::new().write(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        let cut = |path: &std::path::Path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(90).unwrap();
        };
        assert_eq!(stage(|_| {}), Ok(()));
        for result in [stage(append), stage(rewrite), stage(cut)] {
            assert_eq!(result, Err("it changed while it was read".to_owned()));
        }
    }

    #[test]
    fn file_replaced_during_reading_is_one_version() {
        let replace = |path: &std::path::Path| {
            let beside = path.with_extension("new");
            fs::write(&beside, "kind: List\n").unwrap();
            fs::rename(beside, path).unwrap();
        };
        assert_eq!(stage(replace), Ok(()));
        assert_eq!(stage(|path| fs::remove_file(path).unwrap()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn file_that_is_not_polled_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pods.yaml");
        fs::write(&path, format!("kind: List\nitems:\n{POD}")).unwrap();
        let (hand, (writer, _index)) = (ManualClock::default(), index(IndexOptions::default()));
        let (health, writer) = (hand.health(), SharedWriter::new(writer));
        let stats = Arc::<FeedStats>::default();
        let feed = FileFeed::open(path, false, &Scope::default(), writer, &health, stats).await.unwrap();
        hand.pass(LEASE);
        assert_eq!(health.freshness(), Freshness::Fresh, "a feed that does not run holds what was read");
        // As with a file system that does not respond.
        let _ = tokio::time::timeout(2 * POLL_INTERVAL, feed.run()).await;
        assert_eq!(health.freshness(), Freshness::Fresh);
        hand.pass(LEASE);
        assert!(matches!(health.freshness(), Freshness::Stale { .. }), "{health:?}");
    }

    #[test]
    fn recent_stamp_proves_nothing() {
        let file = tempfile::tempfile().unwrap();
        let stamp = FileStamp::of(&file).unwrap();
        let changed = file.metadata().unwrap().modified().unwrap();
        assert!(stamp.is_recent(changed) && stamp.is_recent(changed + Duration::from_millis(10)));
        assert!(!stamp.is_recent(changed + Duration::from_secs(1)));
        assert!(!PodsFileVersion::Recent(stamp).is(stamp));
        assert!(PodsFileVersion::File(stamp).is(stamp));
    }
}
