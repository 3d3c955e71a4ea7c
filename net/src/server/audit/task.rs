//! The task that keeps an audit: merges what the threads have met, counts the time, and writes the file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use poddns_core::Freshness;
use poddns_watch::state_file;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::record::{self, AuditRecord, MAX_FILE};
use super::{Audit, lock};
use crate::server::settings::Settings;
use crate::server::state::ServerState;
use crate::server::supervise::{Tasks, unblocked};

/// Interval between merges.
const MERGE_INTERVAL: Duration = Duration::from_secs(1);

/// Interval between two writes of the file, and so the most that it lags behind.
const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// Keeps one audit, as a task of this thread; the disk's part is done by another.
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

    /// Writes the file a last time, and waits for that.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // One that panicked has been reported.
        let _ = self.task.await;
    }

    /// The same without waiting.
    pub(crate) fn retire(self) {
        self.stop.cancel();
    }
}

/// `writable` is whether the file may be written, once that is known.
async fn keep(
    audit: &Arc<Audit>,
    state: &ServerState,
    stop: &CancellationToken,
    writable: &mut Option<bool>,
) {
    let domains = domains(&state.current().settings);
    if writable.is_none() {
        // Counts that are restored twice would count twice.
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

/// Returns what an audit is of: the domains, in the order of the settings.
fn domains(settings: &Settings) -> Vec<String> {
    settings.zones.iter().map(|zone| zone.domain().to_string().trim_end_matches('.').to_owned()).collect()
}

/// Goes on from the file, if there is one; returns whether it may be written.
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
                "going on with the audit of the file"
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
            tracing::error!("{error}; the audit begins anew, and its file stays as it is");
            let mut report = lock(&audit.file);
            (report.failed, report.error) = (report.failed + 1, Some(error));
            false
        }
    }
}

/// Tries the audit file of these settings as the server does at its start, and changes nothing. Returns what is in it, or why the
/// server would not keep its audit there, as a sentence; `None` if there is no audit or no file.
#[must_use]
pub fn try_audit_file(settings: &Settings) -> Option<Result<String, String>> {
    let path = settings.audit_file.as_ref().filter(|_| settings.audits())?;
    let shown = path.display();
    Some(read(path, &domains(settings)).map(|found| match found {
        None => format!("audit-file {shown}: none yet"),
        Some(record) => {
            let (queries, refused) = (record.counts.queries, record.counts.refused());
            let seconds = record.observed.as_secs();
            format!(
                "audit-file {shown}: {queries} queries in {seconds} s, {refused} that verified would refuse"
            )
        }
    }))
}

/// Reads a file and tries whether it can be replaced. `None` if there is none; the error is a sentence.
pub(crate) fn read(path: &Path, domains: &[String]) -> Result<Option<AuditRecord>, String> {
    let shown = path.display();
    let octets =
        state_file::read(path, MAX_FILE).map_err(|why| format!("audit-file {shown} is not used: {why}"))?;
    let record = match octets.as_deref() {
        None | Some([]) => None,
        Some(octets) => {
            let remedy =
                if record::is_audit(octets) { "remove it to begin anew" } else { "name another file" };
            let refused = |why| format!("audit-file {shown} is not used: {why}; {remedy}");
            Some(AuditRecord::decode(octets, domains).map_err(refused)?)
        }
    };
    state_file::try_out(path).map_err(|error| format!("audit-file {shown} cannot be written: {error}"))?;
    Ok(record)
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
            report.failed += 1;
            if report.error.as_ref() != Some(&error) {
                tracing::error!("{error}; the one before stays");
                report.error = Some(error);
            }
        }
    }
}

fn replace(path: &Path, text: &str) -> Result<(), String> {
    let written = state_file::replace(path, |file| file.write_all(text.as_bytes()));
    written.map(drop).map_err(|error| format!("audit-file {} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn foreign_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let domains = ["cluster.local".to_owned()];
        assert_eq!(read(&path, &domains), Ok(None));
        replace(&path, &AuditRecord::default().encode(&domains)).unwrap();
        assert_eq!(read(&path, &domains), Ok(Some(AuditRecord::default())));
        let refusal = |contents: &str| {
            fs::write(&path, contents).unwrap();
            read(&path, &domains).unwrap_err()
        };
        let error = refusal("listen = []\n");
        assert!(error.ends_with("it is no audit of poddns; name another file"), "{error}");
        let error = refusal("poddns-audit 1\n0123456789abcdef\n{}\n");
        assert!(error.ends_with("checksum is not that of its contents; remove it to begin anew"), "{error}");
        let error = refusal(&" ".repeat(1 << 21));
        assert!(error.contains("more than 1048576 bytes"), "{error}");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path, &domains), Ok(None), "an empty file is none");
        let error = read(&folder.path().join("nowhere/audit"), &domains).unwrap_err();
        assert!(error.contains("cannot be written"), "{error}");
    }
}
