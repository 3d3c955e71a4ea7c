//! The secrets that DNS server cookies are made with (RFC 7873, RFC 9018): from a file that replicas share, or
//! random ones of this process.

mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use poddns_core::CookieSecrets;

/// How long a random secret makes cookies; it is good for those for as long again. That is the lifetime of a
/// cookie (RFC 9018 4.3), so none of them is refused before its time.
const ROTATION: Duration = Duration::from_hours(1);

/// How often the secrets should be looked after.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// Where the secrets of DNS cookies come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CookieSource {
    /// There are none: cookies are ignored.
    Off,
    /// The process makes one and a new one every hour. For a server that shares its address with no other.
    #[default]
    Random,
    /// This file, read again when it changes. Servers that share an address share the secrets.
    ///
    /// It has one or two lines of 32 hexadecimal digits: first the secret that cookies are made with, then one
    /// that is good for those of clients, too. Empty lines and those that begin with `#` are ignored.
    File(PathBuf),
}

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The file cannot be read.
    #[error("cookie-secret-file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file does not have the form that is expected. What it has instead is not told: it may be a secret.
    #[error(
        "cookie-secret-file {}:{line}: {why}; it has one or two lines of 32 hexadecimal digits, each as from \
         `openssl rand -hex 16`: the secret that makes cookies, then another one that is good too", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system has no random numbers.
    #[error("cannot make a random cookie secret: {0}")]
    Random(#[source] io::Error),
}

impl CookieError {
    /// Whether it is the operator's configuration that must change, rather than the machine's state.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Random(_))
    }
}

/// Returns sixteen random bytes from the kernel.
///
/// By the system call: a statically linked program may have no `getrandom` of the C library that the crate of that name
/// finds, and `/dev/urandom`, its other source, is out of reach behind Landlock.
#[cfg(target_os = "linux")]
pub(crate) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // Up to 256 bytes come whole (getrandom(2)).
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

/// Returns sixteen random bytes from the system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The secrets of the moment, and how they come to change.
#[derive(Debug)]
pub(crate) struct Keeper {
    source: CookieSource,
    secrets: Option<CookieSecrets>,
    since: Instant,
    /// The last failure, so that it is told once and not every few seconds.
    complaint: Option<String>,
}

impl Keeper {
    /// Reads or makes the first secrets.
    pub(crate) fn open(source: CookieSource, now: Instant) -> Result<Self, CookieError> {
        let secrets = match &source {
            CookieSource::Off => None,
            CookieSource::Random => {
                Some(CookieSecrets { current: random().map_err(CookieError::Random)?, previous: None })
            }
            CookieSource::File(path) => Some(open(path)?),
        };
        Ok(Self { source, secrets, since: now, complaint: None })
    }

    /// Returns true if secrets must be opened anew for this source: a file always, random ones stay.
    pub(crate) fn changes_with(&self, source: &CookieSource) -> bool {
        matches!(source, CookieSource::File(_)) || *source != self.source
    }

    pub(crate) fn secrets(&self) -> Option<&CookieSecrets> {
        self.secrets.as_ref()
    }

    /// Sees whether it is time for another secret or the file has others, and returns whether they changed.
    /// If it fails, the old ones stay and the log tells it.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        match self.next(now) {
            Ok(next) => {
                self.complaint = None;
                let changed = next.is_some();
                if changed {
                    (self.secrets, self.since) = (next, now);
                }
                changed
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::error!("{error}; going on with the old secrets");
                    self.complaint = Some(complaint);
                }
                false
            }
        }
    }

    /// The next secrets, if they are others.
    fn next(&self, now: Instant) -> Result<Option<CookieSecrets>, CookieError> {
        match &self.source {
            CookieSource::Off => Ok(None),
            CookieSource::Random => {
                if now.saturating_duration_since(self.since) < ROTATION {
                    return Ok(None);
                }
                let previous = self.secrets.as_ref().map(|secrets| secrets.current);
                let current = random().map_err(CookieError::Random)?;
                Ok(Some(CookieSecrets { current, previous }))
            }
            CookieSource::File(path) => {
                let secrets = file::read(path)?;
                if self.secrets.as_ref() == Some(&secrets) {
                    return Ok(None);
                }
                warn_if_public(path);
                tracing::info!(file = %path.display(), "the cookie secrets have changed");
                Ok(Some(secrets))
            }
        }
    }
}

fn open(path: &Path) -> Result<CookieSecrets, CookieError> {
    let secrets = file::read(path)?;
    warn_if_public(path);
    Ok(secrets)
}

fn warn_if_public(path: &Path) {
    if file::is_public(path) {
        tracing::warn!(
            file = %path.display(),
            "everybody on this machine can read the cookie secrets, and so forge cookies; chmod o-r"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn random_secrets_rotate_every_hour_and_the_last_one_stays_good() {
        let now = Instant::now();
        let mut keeper = Keeper::open(CookieSource::Random, now).unwrap();
        let first = keeper.secrets().unwrap().clone();
        assert_eq!(first.previous, None);
        assert_ne!(first.current, [0; 16]);
        assert!(!keeper.look(now + Duration::from_millis(3_599_999)));
        assert!(keeper.look(now + ROTATION));
        let second = keeper.secrets().unwrap().clone();
        assert_eq!(second.previous, Some(first.current));
        assert_ne!(second.current, first.current);
        assert!(!keeper.look(now + ROTATION + Duration::from_secs(3599)));
        assert!(keeper.look(now + 2 * ROTATION));
        assert_eq!(keeper.secrets().unwrap().previous, Some(second.current));
    }

    #[test]
    fn a_file_is_read_again_and_old_secrets_outlive_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (a, b) = ([0xaa; 16], [0xbb; 16]);
        fs::write(&path, "aa".repeat(16)).unwrap();
        let now = Instant::now();
        let source = CookieSource::File(path.clone());
        let mut keeper = Keeper::open(source.clone(), now).unwrap();
        assert_eq!(keeper.secrets(), Some(&CookieSecrets { current: a, previous: None }));
        assert!(!keeper.look(now), "nothing has changed");
        let both = CookieSecrets { current: b, previous: Some(a) };
        fs::write(&path, format!("{}\n{}\n", "bb".repeat(16), "AA".repeat(16))).unwrap();
        assert!(keeper.look(now));
        assert_eq!(keeper.secrets(), Some(&both));
        for broken in [&b"bb"[..], b"", b"\xff\xfe"] {
            fs::write(&path, broken).unwrap();
            assert!(!keeper.look(now));
            assert_eq!(keeper.secrets(), Some(&both));
            assert!(keeper.complaint.is_some());
            assert!(Keeper::open(source.clone(), now).is_err());
        }
        fs::remove_file(&path).unwrap();
        assert!(!keeper.look(now));
        assert_eq!(keeper.secrets(), Some(&both));
        fs::write(&path, "aa".repeat(16)).unwrap();
        assert!(keeper.look(now));
        assert_eq!(keeper.complaint, None);
    }

    #[test]
    fn only_random_secrets_stay_with_the_same_source() {
        let now = Instant::now();
        let file = CookieSource::File("/nonexistent/secret".into());
        for from in [CookieSource::Off, CookieSource::Random] {
            let keeper = Keeper::open(from.clone(), now).unwrap();
            assert!(!keeper.changes_with(&from));
            assert!(keeper.changes_with(&file));
        }
        let off = Keeper::open(CookieSource::Off, now).unwrap();
        assert!(off.changes_with(&CookieSource::Random));
        let error = Keeper::open(file, now).unwrap_err();
        assert!(error.is_configuration());
        assert!(
            error.to_string().starts_with("cookie-secret-file /nonexistent/secret: No such file"),
            "{error}"
        );
    }
}
