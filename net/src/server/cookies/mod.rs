//! Secrets of DNS server cookies (RFC 7873, RFC 9018): from a file that replicas share, or random ones of this process.

mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use poddns_core::CookieSecrets;

/// Time for which a random secret creates cookies. It validates them for the same time again, the lifetime of a cookie
/// (RFC 9018 4.3), so no cookie is refused before it expires.
const ROTATION: Duration = Duration::from_hours(1);

/// Interval at which the secrets are checked.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Source of the secrets of DNS cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CookieSource {
    /// No secrets: cookies are ignored.
    Off,
    /// Random secrets of this process, a new one every hour: for a server that shares its address with no other server.
    #[default]
    Random,
    /// A file, read again when it changes, for servers that share an address.
    ///
    /// It has one or two lines of 32 hexadecimal digits: first the secret that creates and validates cookies, then one
    /// that only validates them. Empty lines and lines that begin with `#` are ignored.
    File(PathBuf),
}

/// Reason why there are no secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The file cannot be read.
    #[error("cookie-secret-file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// The file does not have the expected form. Its contents are not shown, since they may be a secret.
    #[error(
        "cookie-secret-file {}:{line}: {why}; it has one or two lines of 32 hexadecimal digits, each as from \
         `openssl rand -hex 16`: the secret of new cookies, then one that is also accepted", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The fault.
        why: &'static str,
    },
    /// The system has no random numbers.
    #[error("cannot make a random cookie secret: {0}")]
    Random(#[source] io::Error),
}

impl CookieError {
    /// Returns true if the configuration is at fault, rather than the state of the machine.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Random(_))
    }
}

/// Returns sixteen random bytes from the kernel.
///
/// Uses the system call directly: in a statically linked program, the crate `getrandom` may not find that function of
/// the C library, and Landlock denies access to `/dev/urandom`, the crate's other source.
#[cfg(target_os = "linux")]
pub(crate) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // A call for up to 256 bytes is never interrupted (getrandom(2)).
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

/// The current secrets, and their source.
#[derive(Debug)]
pub(crate) struct SecretStore {
    source: CookieSource,
    secrets: Option<CookieSecrets>,
    since: Instant,
    /// The last failure, so that it is logged once and not every few seconds.
    last_error: Option<String>,
}

impl SecretStore {
    /// Reads or generates the first secrets.
    pub(crate) fn open(source: CookieSource, now: Instant) -> Result<Self, CookieError> {
        let secrets = match &source {
            CookieSource::Off => None,
            CookieSource::Random => {
                Some(CookieSecrets { current: random().map_err(CookieError::Random)?, previous: None })
            }
            CookieSource::File(path) => Some(open(path)?),
        };
        Ok(Self { source, secrets, since: now, last_error: None })
    }

    /// Returns true if the secrets of this source must be opened: always for a file, otherwise only if the source
    /// differs.
    pub(crate) fn changes_with(&self, source: &CookieSource) -> bool {
        matches!(source, CookieSource::File(_)) || *source != self.source
    }

    pub(crate) fn secrets(&self) -> Option<&CookieSecrets> {
        self.secrets.as_ref()
    }

    /// Replaces the secrets if a rotation is due or the file has different ones; returns true if they changed. A
    /// failure is logged, and the old secrets stay in effect.
    pub(crate) fn update(&mut self, now: Instant) -> bool {
        match self.next(now) {
            Ok(next) => {
                self.last_error = None;
                let changed = next.is_some();
                if changed {
                    (self.secrets, self.since) = (next, now);
                }
                changed
            }
            Err(error) => {
                let last_error = error.to_string();
                if self.last_error.as_ref() != Some(&last_error) {
                    tracing::error!("{error}; the old secrets stay in effect");
                    self.last_error = Some(last_error);
                }
                false
            }
        }
    }

    /// Returns the next secrets, if they differ.
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
            "every user of this machine can read the cookie secrets, and so forge cookies; chmod o-r"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn random_secrets_rotate_hourly() {
        let now = Instant::now();
        let mut store = SecretStore::open(CookieSource::Random, now).unwrap();
        let first = store.secrets().unwrap().clone();
        assert_eq!(first.previous, None);
        assert_ne!(first.current, [0; 16]);
        assert!(!store.update(now + Duration::from_millis(3_599_999)));
        assert!(store.update(now + ROTATION));
        let second = store.secrets().unwrap().clone();
        assert_eq!(second.previous, Some(first.current));
        assert_ne!(second.current, first.current);
        assert!(!store.update(now + ROTATION + Duration::from_secs(3599)));
        assert!(store.update(now + 2 * ROTATION));
        assert_eq!(store.secrets().unwrap().previous, Some(second.current));
    }

    #[test]
    fn old_secrets_survive_a_malformed_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (a, b) = ([0xaa; 16], [0xbb; 16]);
        fs::write(&path, "aa".repeat(16)).unwrap();
        let now = Instant::now();
        let source = CookieSource::File(path.clone());
        let mut store = SecretStore::open(source.clone(), now).unwrap();
        assert_eq!(store.secrets(), Some(&CookieSecrets { current: a, previous: None }));
        assert!(!store.update(now), "nothing has changed");
        let both = CookieSecrets { current: b, previous: Some(a) };
        fs::write(&path, format!("{}\n{}\n", "bb".repeat(16), "AA".repeat(16))).unwrap();
        assert!(store.update(now));
        assert_eq!(store.secrets(), Some(&both));
        for broken in [&b"bb"[..], b"", b"\xff\xfe"] {
            fs::write(&path, broken).unwrap();
            assert!(!store.update(now));
            assert_eq!(store.secrets(), Some(&both));
            assert!(store.last_error.is_some());
            assert!(SecretStore::open(source.clone(), now).is_err());
        }
        fs::remove_file(&path).unwrap();
        assert!(!store.update(now));
        assert_eq!(store.secrets(), Some(&both));
        fs::write(&path, "aa".repeat(16)).unwrap();
        assert!(store.update(now));
        assert_eq!(store.last_error, None);
    }

    #[test]
    fn random_secrets_stay_with_their_source() {
        let now = Instant::now();
        let file = CookieSource::File("/nonexistent/secret".into());
        for from in [CookieSource::Off, CookieSource::Random] {
            let store = SecretStore::open(from.clone(), now).unwrap();
            assert!(!store.changes_with(&from));
            assert!(store.changes_with(&file));
        }
        let off = SecretStore::open(CookieSource::Off, now).unwrap();
        assert!(off.changes_with(&CookieSource::Random));
        let error = SecretStore::open(file, now).unwrap_err();
        assert!(error.is_configuration());
        assert!(!CookieError::Random(io::ErrorKind::Other.into()).is_configuration());
        assert!(
            error.to_string().starts_with("cookie-secret-file /nonexistent/secret: No such file"),
            "{error}"
        );
    }
}
