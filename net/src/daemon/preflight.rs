//! Checks of settings, process and files, made by the daemon before it serves and by `poddns check`.

use std::fmt;
use std::time::Instant;

use super::config::{DaemonSettings, Privileges, Sources};
use super::lines::write_lines;
use super::privileges::{self, Paths, PrivilegeError};
use super::reach::paths;
use super::systemd::{PassedError, PassedSockets};
use crate::server::cookies::{CookieError, SecretStore};
use crate::server::settings::Settings;
use crate::server::transfer::{KeyError, TransferKeys};

/// Reason why the daemon does not start, although its settings are valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The sockets passed by systemd do not fit the settings.
    #[error(transparent)]
    Passed(#[from] PassedError),
    /// Privileges cannot be dropped as configured.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The secrets of cookies cannot be obtained.
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
            Self::Passed(_) | Self::Key(_) => true,
            Self::Privileges(error) => error.is_configuration(),
            Self::Cookies(error) => error.is_configuration(),
        }
    }
}

/// All reasons why the daemon does not start, shown one a line. Never empty.
#[derive(Debug)]
pub struct PreflightErrors(Vec<PreflightError>);

impl PreflightErrors {
    /// Fails unless `errors` is empty.
    fn unless_empty(errors: Vec<PreflightError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// Returns the errors, in the order of the checks.
    #[must_use]
    pub fn errors(&self) -> &[PreflightError] {
        &self.0
    }

    /// Returns true if the operator's configuration causes one of the errors.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.0.iter().any(PreflightError::is_configuration)
    }
}

impl fmt::Display for PreflightErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.0)
    }
}

impl std::error::Error for PreflightErrors {}

/// Fails with all reasons why a process that was started like this one would not serve with these settings. Reads the
/// files that they name; changes nothing. Does not check the addresses, which another process may have bound, and the
/// source of the pods.
pub fn preflight(
    sources: &Sources,
    settings: &DaemonSettings,
    passed: &PassedSockets,
) -> Result<(), PreflightErrors> {
    let mut errors = process_errors(settings, passed);
    let paths = paths(sources.file(), &settings.server);
    errors.extend(file_errors(&settings.privileges, &settings.server, &paths));
    PreflightErrors::unless_empty(errors)
}

/// Checks the sockets, the user and the kernel, without reading files that the settings name.
pub(super) fn check_process(
    settings: &DaemonSettings,
    passed: &PassedSockets,
) -> Result<(), PreflightErrors> {
    PreflightErrors::unless_empty(process_errors(settings, passed))
}

/// Checks the files that the settings name. May block. The daemon calls this after it has changed its user.
pub(super) fn check_files(
    privileges: &Privileges,
    settings: &Settings,
    paths: &Paths,
) -> Result<(), PreflightErrors> {
    PreflightErrors::unless_empty(file_errors(privileges, settings, paths))
}

fn process_errors(settings: &DaemonSettings, passed: &PassedSockets) -> Vec<PreflightError> {
    let mut errors = Vec::new();
    if let Err(error) = passed.check_threads(settings.server.threads) {
        errors.push(error.into());
    }
    errors.extend(privileges::check(&settings.privileges).into_iter().map(PreflightError::from));
    errors
}

fn file_errors(privileges: &Privileges, settings: &Settings, paths: &Paths) -> Vec<PreflightError> {
    let mut errors = Vec::new();
    if let Err(error) = privileges::check_program(privileges, paths) {
        errors.push(error.into());
    }
    if let Err(error) = SecretStore::open(settings.cookies.clone(), Instant::now()) {
        errors.push(error.into());
    }
    if let Err(error) = TransferKeys::read(settings) {
        errors.push(error.into());
    }
    errors
}
