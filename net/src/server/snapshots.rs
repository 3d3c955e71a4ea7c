//! Snapshots of the index: read before the feed begins, and written while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use poddns_watch::{Feed, Recorder, SavedSnapshot, SnapshotError, check_snapshot_path};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::pods::SnapshotReport;
use super::settings::SnapshotFile;
use super::supervise::{Tasks, unblocked};

/// Outcomes of the snapshots of one index: written by its [`SnapshotWriter`], read by the admin endpoints.
#[derive(Debug, Default)]
pub(crate) struct SnapshotState(Mutex<SnapshotOutcomes>);

#[derive(Clone, Debug, Default)]
struct SnapshotOutcomes {
    path: Option<PathBuf>,
    restored: bool,
    synced_at: Option<SystemTime>,
    bytes: Option<u64>,
    written: u64,
    failed: u64,
    error: Option<String>,
}

impl SnapshotState {
    /// Returns the report of the admin endpoints; `None` if no snapshots are configured.
    pub(crate) fn report(&self) -> Option<SnapshotReport> {
        let SnapshotOutcomes { path, restored, synced_at, bytes, written, failed, error } =
            self.lock().clone();
        Some(SnapshotReport { path: path?, restored, synced_at, bytes, written, failed, error })
    }

    /// Sets the file that snapshots are written to.
    pub(crate) fn set_path(&self, path: Option<&Path>) {
        self.lock().path = path.map(Path::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, SnapshotOutcomes> {
        // Each change consists of assignments, so a panic leaves the outcomes consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, written: &SavedSnapshot) {
        let mut report = self.lock();
        report.written += 1;
        (report.synced_at, report.bytes) = (Some(written.synced_at), Some(written.size));
        if report.error.take().is_some() {
            tracing::info!(bytes = written.size, "snapshots are written again");
        }
    }

    /// Counts a snapshot whose writing panicked, which has been logged.
    fn panicked(&self) {
        let mut report = self.lock();
        report.failed += 1;
        report.error = Some("writing it panicked: a bug, please report it".to_owned());
    }

    /// Counts a failure, and logs it unless it is the same as the previous one.
    fn failed(&self, error: &SnapshotError) {
        let mut report = self.lock();
        report.failed += 1;
        let error = error.to_string();
        if report.error.as_ref() != Some(&error) {
            tracing::error!("{error}; the previous snapshot stays");
            report.error = Some(error);
        }
    }
}

/// The recorder of an index, and the outcomes of its snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) recorder: Recorder,
    pub(crate) state: Arc<SnapshotState>,
}

/// Fills the index of a feed that is not running yet. A file that cannot be used does not prevent the start.
pub(crate) fn restore(feed: &mut Feed, path: &Path, state: &SnapshotState) {
    let begin = Instant::now();
    match feed.restore(path) {
        Ok(Some(restored)) => {
            let took_ms = begin.elapsed().as_secs_f64() * 1000.0;
            let (pods, namespaces) = (restored.pods, restored.namespaces);
            tracing::info!(
                snapshot = %path.display(),
                pods,
                namespaces,
                age_seconds = restored.age.map(|age| age.as_secs()),
                took_ms,
                "answering from the snapshot, marked stale, until the cluster has been listed"
            );
            if restored.age.is_none() {
                tracing::warn!(
                    "the snapshot is from the future by this host's clock, so its age is unknown and counts as more than \
                     any max-staleness"
                );
            }
            let mut report = state.lock();
            (report.restored, report.synced_at) = (true, Some(restored.synced_at));
        }
        Ok(None) => {
            tracing::info!(snapshot = %path.display(), "no snapshot yet; nothing is known until the cluster has been listed");
        }
        Err(error) => {
            tracing::warn!("{error}; nothing is known until the cluster has been listed");
            state.lock().error = Some(error.to_string());
        }
    }
}

/// Task that writes snapshots of one index to one file. Another thread does the disk I/O.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    pub(crate) file: SnapshotFile,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl SnapshotWriter {
    pub(crate) fn start(
        recorder: Recorder,
        file: SnapshotFile,
        state: Arc<SnapshotState>,
        tasks: &Tasks,
    ) -> Self {
        // A panic drops the recorder, so each run has a clone.
        let recorder = move || {
            let mut recorder = recorder.clone();
            move |path: &Path| recorder.write(path)
        };
        Self::start_with(recorder, file, state, tasks)
    }

    /// Like [`start`](Self::start), with a function that returns a writer of snapshots.
    fn start_with<W: WriteSnapshot>(
        writer: impl Fn() -> W + 'static,
        file: SnapshotFile,
        state: Arc<SnapshotState>,
        tasks: &Tasks,
    ) -> Self {
        let stop = CancellationToken::new();
        let (stopped, saved) = (stop.clone(), file.clone());
        let mut panicked = false;
        let task = tasks.spawn("snapshots", async move || {
            if panicked {
                state.panicked();
                // The last snapshot is not tried again: a writer that always panics would be restarted forever.
                if stopped.is_cancelled() {
                    return;
                }
            }
            panicked = true;
            save(writer(), &saved, &state, &stopped).await;
        });
        Self { file, stop, task }
    }

    /// Writes a last snapshot, if anything has changed, and waits until it is written.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // A panic has been reported.
        let _ = self.task.await;
    }

    /// Ends the task. A snapshot that is being written is completed.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }
}

/// Writes a snapshot to a file, if anything has changed.
trait WriteSnapshot: FnMut(&Path) -> Result<Option<SavedSnapshot>, SnapshotError> + Send + 'static {}

impl<F: FnMut(&Path) -> Result<Option<SavedSnapshot>, SnapshotError> + Send + 'static> WriteSnapshot for F {}

async fn save(
    mut write: impl WriteSnapshot,
    file: &SnapshotFile,
    state: &SnapshotState,
    stop: &CancellationToken,
) {
    let path = file.path.clone();
    // Checked in advance, so that the operator sees an error at the start.
    if let Some(Err(error)) = unblocked(spawn_blocking(move || check_snapshot_path(&path))).await {
        state.failed(&error);
    }
    loop {
        let stopped = stop.run_until_cancelled(time::sleep(file.interval)).await.is_none();
        let path = file.path.clone();
        let writing = spawn_blocking(move || {
            let written = write(&path);
            (write, written)
        });
        let Some((back, written)) = unblocked(writing).await else { return };
        write = back;
        match written {
            Ok(Some(written)) => state.written(&written),
            Ok(None) => {}
            Err(error) => state.failed(&error),
        }
        if stopped {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use poddns_core::NoPods;
    use tokio::sync::Notify;
    use tokio::task::LocalSet;

    use super::*;
    use crate::server::answer::ResponseInputs;
    use crate::server::pods::SharedPods;
    use crate::server::state::{LogLosses, ServerState};
    use crate::server::thread::PanicNotifier;

    /// Saves with a writer that panics in the calls for which `panics` returns true, until call `last`; returns the
    /// report and the number of panics counted.
    fn save(panics: impl Fn(u32) -> bool + Clone + Send + 'static, last: u32) -> (SnapshotReport, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let file = SnapshotFile { path: path.clone(), interval: Duration::from_millis(1) };
        let report = Arc::<SnapshotState>::default();
        report.set_path(Some(&path));
        let pods = SharedPods(Arc::new(NoPods));
        let current =
            ResponseInputs { settings: Arc::default(), pods, cookies: None, audit: None, transfers: None };
        let state = Arc::new(ServerState::new(current, Vec::new(), LogLosses::default));
        let tasks = Tasks::new(Arc::clone(&state), PanicNotifier::new().0);
        let (calls, reached) = (Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (seen, at_last) = (Arc::clone(&calls), Arc::clone(&reached));
            let writer = move || {
                let (seen, at_last, panics) = (Arc::clone(&seen), Arc::clone(&at_last), panics.clone());
                move |_: &Path| {
                    let call = seen.fetch_add(1, Ordering::Relaxed);
                    if call == last {
                        at_last.notify_one();
                    }
                    assert!(!panics(call), "injected");
                    Ok(None)
                }
            };
            let saver = SnapshotWriter::start_with(writer, file, Arc::clone(&report), &tasks);
            reached.notified().await;
            saver.finish().await;
        });
        (report.report().unwrap(), state.control_panics.get())
    }

    #[test]
    fn snapshots_are_written_after_a_panic() {
        let (report, panics) = save(|call| call == 1, 3);
        assert_eq!((report.failed, panics), (1, 1));
        assert!(report.error.unwrap().contains("panicked"));
    }

    #[test]
    fn last_snapshot_is_not_repeated_after_panics() {
        let (report, panics) = save(|_| true, 0);
        assert_eq!(report.failed, panics);
        assert!((1..=2).contains(&panics), "{panics}");
    }
}
