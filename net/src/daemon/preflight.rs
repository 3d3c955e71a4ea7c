//! Checks that the daemon makes before it serves, and `poddns check` instead of serving.

use std::time::Instant;

use super::config::{DaemonSettings, Sources};
use super::privileges::{self, PrivilegeError};
use super::start::paths;
use crate::server::cookies::{CookieError, SecretStore};
use crate::server::transfer::{KeyError, Secrets};

/// Reason why the daemon would not start, although its settings are valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// Privileges cannot be dropped as configured.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// There are no secrets for cookies.
    #[error(transparent)]
    Cookies(#[from] CookieError),
    /// The key of zone transfers cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl PreflightError {
    /// Returns true if the operator's configuration is at fault, rather than the state of the machine.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Privileges(error) => error.is_configuration(),
            Self::Cookies(error) => error.is_configuration(),
            Self::Key(_) => true,
        }
    }
}

/// Returns every reason why a process that was started like this one would not serve with these settings, but for the
/// addresses, which another process may have, and the source of the pods. Reads the files that they name; changes
/// nothing.
#[must_use]
pub fn preflight(sources: &Sources, settings: &DaemonSettings) -> Vec<PreflightError> {
    let mut errors = Vec::new();
    let paths = paths(sources.file(), &settings.server);
    if let Err(error) = privileges::check(&settings.privileges, &paths) {
        errors.push(error.into());
    }
    if let Err(error) = SecretStore::open(settings.server.cookies.clone(), Instant::now()) {
        errors.push(error.into());
    }
    if let Err(error) = Secrets::read(&settings.server) {
        errors.push(error.into());
    }
    errors
}
