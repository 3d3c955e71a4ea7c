//! The file that keeps an audit across restarts.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use poddns_watch::state_file;
use thiserror::Error;

use super::record::{self, AuditRecord, MAX_FILE};
use crate::server::settings::Settings;

/// Reason why an audit is not kept in its file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditFileError {
    /// The file cannot be read, or other users can write to it.
    #[error("audit-file {} is not used: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is not an audit of these domains.
    #[error("audit-file {} is not used: {error}; {remedy}", path.display())]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// The fault of its contents.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
        /// Action for the operator.
        remedy: &'static str,
    },
    /// The file cannot be written.
    #[error("audit-file {} cannot be written: {error}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
}

/// Summary of an audit file, displayed as one line for the operator.
#[derive(Clone, Debug)]
pub struct AuditFileSummary {
    path: PathBuf,
    /// `None` if there is no file yet.
    record: Option<AuditRecord>,
}

impl fmt::Display for AuditFileSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit-file {}: ", self.path.display())?;
        let Some(AuditRecord { counts, observed, .. }) = &self.record else { return f.write_str("none yet") };
        let (queries, seconds, refused) = (counts.queries, observed.as_secs(), counts.refused());
        write!(f, "{queries} queries in {seconds} s, {refused} that verified would refuse")
    }
}

/// Checks the audit file of these settings as the server does at its start, without changing it. Returns `None` if the
/// settings have no audit or no file for it.
///
/// Fails if the server would not keep its audit there.
#[must_use]
pub fn try_audit_file(settings: &Settings) -> Option<Result<AuditFileSummary, AuditFileError>> {
    let path = settings.audit_file.as_ref().filter(|_| settings.audits())?;
    let read = read(path, &domains(settings));
    Some(read.map(|record| AuditFileSummary { path: path.clone(), record }))
}

/// Returns the domains that an audit covers, in the order of the settings.
pub(crate) fn domains(settings: &Settings) -> Vec<String> {
    settings.zones.iter().map(|zone| zone.domain().to_string().trim_end_matches('.').to_owned()).collect()
}

/// Reads a file and checks that it can be replaced. Returns `None` if there is no file, or an empty one.
pub(super) fn read(path: &Path, domains: &[String]) -> Result<Option<AuditRecord>, AuditFileError> {
    let unreadable = |error| AuditFileError::Unreadable { path: path.to_owned(), error };
    let octets = state_file::read(path, MAX_FILE).map_err(|error| unreadable(error.into()))?;
    let record = match octets.as_deref() {
        None | Some([]) => None,
        Some(octets) => Some(AuditRecord::decode(octets, domains).map_err(|error| {
            let remedy =
                if record::is_audit(octets) { "remove it to begin anew" } else { "name another file" };
            AuditFileError::Unsuitable { path: path.to_owned(), error: error.into(), remedy }
        })?),
    };
    state_file::check_writable(path).map_err(|error| unwritable(path, error))?;
    Ok(record)
}

/// Replaces the file by one with this text.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), AuditFileError> {
    let written = state_file::replace(path, |file| file.write_all(text.as_bytes()));
    written.map(drop).map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: io::Error) -> AuditFileError {
    AuditFileError::Unwritable { path: path.to_owned(), error }
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
        assert_eq!(read(&path, &domains).unwrap(), None);
        replace(&path, &AuditRecord::default().encode(&domains)).unwrap();
        assert_eq!(read(&path, &domains).unwrap(), Some(AuditRecord::default()));
        let refusal = |contents: &str| {
            fs::write(&path, contents).unwrap();
            read(&path, &domains).unwrap_err().to_string()
        };
        let error = refusal("listen = []\n");
        assert!(error.ends_with("it is no audit of poddns; name another file"), "{error}");
        let error = refusal("poddns-audit 1\n0123456789abcdef\n{}\n");
        assert!(error.ends_with("checksum is not that of its contents; remove it to begin anew"), "{error}");
        let error = refusal(&" ".repeat(1 << 21));
        assert!(error.contains("more than 1048576 bytes"), "{error}");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path, &domains).unwrap(), None, "an empty file is none");
        let error = read(&folder.path().join("nowhere/audit"), &domains).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().is::<io::Error>());
    }
}
