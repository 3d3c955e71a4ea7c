//! Snapshots of the index: read before the feed begins, and written while it goes on.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use poddns_watch::{Feed, Recorder, SnapshotError, Written, snapshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::pods::SnapshotReport;
use super::settings::SnapshotFile;
use super::thread::PanicNotifier;

/// What has become of the snapshots of one index: written by its [`Saver`], read by the admin endpoints.
#[derive(Debug, Default)]
pub(crate) struct SnapshotState(Mutex<Report>);

#[derive(Clone, Debug, Default)]
struct Report {
    path: Option<PathBuf>,
    restored: bool,
    in_step: Option<SystemTime>,
    bytes: Option<u64>,
    written: u64,
    failed: u64,
    error: Option<String>,
}

impl SnapshotState {
    /// What the admin endpoints tell; `None` if no snapshots are asked for.
    pub(crate) fn report(&self) -> Option<SnapshotReport> {
        let Report { path, restored, in_step, bytes, written, failed, error } = self.lock().clone();
        Some(SnapshotReport { path: path?, restored, in_step, bytes, written, failed, error })
    }

    /// From now on they are written there.
    pub(crate) fn name(&self, path: Option<&Path>) {
        self.lock().path = path.map(Path::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        // Each change is made of assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, written: &Written) {
        let mut report = self.lock();
        report.written += 1;
        (report.in_step, report.bytes) = (Some(written.in_step), Some(written.size));
        if report.error.take().is_some() {
            tracing::info!(bytes = written.size, "snapshots are written again");
        }
    }

    /// Logs what is wrong, unless that has been said.
    fn failed(&self, error: &SnapshotError) {
        let mut report = self.lock();
        report.failed += 1;
        let error = error.to_string();
        if report.error.as_ref() != Some(&error) {
            tracing::error!("{error}; the one before stays, as old as it is");
            report.error = Some(error);
        }
    }
}

/// What keeps an index for the next start, and what has become of that.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) recorder: Recorder,
    pub(crate) state: Arc<SnapshotState>,
}

/// Fills the index of a feed that has not begun. Whatever is wrong with the file, the start goes on.
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
                    "the snapshot is from the future by this host's clock, so nobody knows its age, which counts as \
                     more than any max-staleness"
                );
            }
            let mut report = state.lock();
            (report.restored, report.in_step) = (true, Some(restored.in_step));
        }
        Ok(None) => {
            tracing::info!(snapshot = %path.display(), "no snapshot yet, so nothing is known at first");
        }
        Err(error) => {
            tracing::warn!("{error}; nothing is known until the cluster has been listed");
            state.lock().error = Some(error.to_string());
        }
    }
}

/// Writes snapshots of one index to one file, as a task of this thread; the disk's part is done by another.
#[derive(Debug)]
pub(crate) struct Saver {
    pub(crate) file: SnapshotFile,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Saver {
    pub(crate) fn start(
        recorder: Recorder,
        file: SnapshotFile,
        state: Arc<SnapshotState>,
        panics: &PanicNotifier,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = panics.spawn_local("snapshots", save(recorder, file.clone(), state, stop.clone()));
        Self { file, stop, task }
    }

    /// Writes a last one, if there is anything new, and waits for that.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // One that panicked has told of it.
        let _ = self.task.await;
    }

    /// Writes no more. One under way comes to its end.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }
}

async fn save(
    mut recorder: Recorder,
    file: SnapshotFile,
    state: Arc<SnapshotState>,
    stop: CancellationToken,
) {
    let path = file.path.clone();
    // Before it is needed, so that whoever set it up hears of it.
    if let Some(Err(error)) = unblocked(spawn_blocking(move || snapshot::try_out(&path))).await {
        state.failed(&error);
    }
    loop {
        let stopped = stop.run_until_cancelled(time::sleep(file.interval)).await.is_none();
        let path = file.path.clone();
        let writing = spawn_blocking(move || {
            let written = recorder.write(&path);
            (recorder, written)
        });
        let Some((back, written)) = unblocked(writing).await else { return };
        recorder = back;
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

/// Returns the result of a blocking call, and passes on its panic; `None` if it was cancelled.
async fn unblocked<T>(call: JoinHandle<T>) -> Option<T> {
    match call.await {
        Ok(result) => Some(result),
        Err(error) => error.try_into_panic().map_or(None, |panic| resume_unwind(panic)),
    }
}
