//! The task of an audit: it merges the tables of the threads, counts the time of observation, and writes the file.

use std::sync::Arc;
use std::time::Duration;

use poddns_core::Freshness;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::file::{domains, read, replace};
use super::{Audit, lock};
use crate::server::state::ServerState;
use crate::server::supervise::{Tasks, unblocked};

/// Interval between merges.
const MERGE_INTERVAL: Duration = Duration::from_secs(1);

/// Interval between two writes of the file, and therefore the maximum lag of the file.
const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// Task that maintains one audit. Another thread does the disk I/O.
#[derive(Debug)]
pub(crate) struct AuditTask {
    pub(crate) audit: Arc<Audit>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AuditTask {
    pub(crate) fn start(audit: Arc<Audit>, state: Arc<ServerState>, tasks: &Tasks) -> Self {
        let stop = CancellationToken::new();
        let (kept, stopped, mut writable) = (Arc::clone(&audit), stop.clone(), None);
        let task = tasks.spawn("audit", async move || keep(&kept, &state, &stopped, &mut writable).await);
        Self { audit, stop, task }
    }

    /// Writes the file a last time, and waits until it is written.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // A panic has been reported.
        let _ = self.task.await;
    }

    /// Like [`finish`](Self::finish), without waiting.
    pub(crate) fn retire(self) {
        self.stop.cancel();
    }
}

/// Maintains the audit until it is stopped. `writable` is true if the file may be written, `None` before the first
/// read.
async fn keep(
    audit: &Arc<Audit>,
    state: &ServerState,
    stop: &CancellationToken,
    writable: &mut Option<bool>,
) {
    let domains = domains(&state.current().settings);
    if writable.is_none() {
        // A restart after a panic must not add the file's counts again.
        *writable = Some(false);
        *writable = Some(restore(audit, &domains).await);
    }
    let writable = *writable == Some(true);
    let mut written = Instant::now();
    loop {
        let begun = Instant::now();
        let stopped = stop.run_until_cancelled(time::sleep(MERGE_INTERVAL)).await.is_none();
        if state.current().pods.0.freshness() != Freshness::Unsynced {
            audit.observe(begun.elapsed());
        }
        audit.merge();
        if writable && (stopped || written.elapsed() >= WRITE_INTERVAL) {
            write(audit, &domains).await;
            written = Instant::now();
        }
        if stopped {
            return;
        }
    }
}

/// Continues from the file, if there is one; returns true if it may be written.
async fn restore(audit: &Arc<Audit>, domains: &[String]) -> bool {
    let Some(path) = audit.path.clone() else { return false };
    let (file, domains) = (path.clone(), domains.to_vec());
    let Some(read) = unblocked(spawn_blocking(move || read(&file, &domains))).await else { return false };
    match read {
        Ok(Some(record)) => {
            let (queries, seconds) = (record.counts.queries, record.observed.as_secs());
            let refused = record.counts.refused();
            tracing::info!(
                file = %path.display(), queries, refused, observed_seconds = seconds,
                "continuing the audit of the file"
            );
            audit.restore(&record);
            lock(&audit.file).restored = true;
            true
        }
        Ok(None) => {
            tracing::info!(file = %path.display(), "the audit begins; there is no file yet");
            true
        }
        Err(error) => {
            tracing::error!("{error}; the audit begins anew, and its file stays");
            let mut report = lock(&audit.file);
            (report.failed, report.error) = (report.failed + 1, Some(error.to_string()));
            false
        }
    }
}

async fn write(audit: &Arc<Audit>, domains: &[String]) {
    let Some(path) = audit.path.clone() else { return };
    let text = audit.report().record.encode(domains);
    let writing = spawn_blocking(move || replace(&path, &text));
    let Some(written) = unblocked(writing).await else { return };
    let mut report = lock(&audit.file);
    match written {
        Ok(()) => {
            report.written += 1;
            if report.error.take().is_some() {
                tracing::info!("the audit's file is written again");
            }
        }
        Err(error) => {
            let error = error.to_string();
            report.failed += 1;
            if report.error.as_ref() != Some(&error) {
                tracing::error!("{error}; the previous file stays");
                report.error = Some(error);
            }
        }
    }
}
