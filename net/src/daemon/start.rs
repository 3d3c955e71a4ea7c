//! Start: reads the configuration, binds the sockets and drops privileges.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::{select, time};

use super::config::{ConfigError, DaemonSettings, LoadedConfig, Problem, Sources};
use super::config_watch::{ConfigVersion, version};
use super::detached::{bounded, detached};
use super::log;
use super::preflight::{PreflightErrors, check_files, check_process};
use super::privileges::{self, DroppedPrivileges, PrivilegeError, UserIds};
use super::reach::paths;
use super::signals::Signals;
use super::systemd::PassedSockets;
use crate::server::bound::Bound;
use crate::server::error::StartError;

/// Reason why the daemon does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error(transparent)]
    Preflight(#[from] PreflightErrors),
}

impl PrepareError {
    /// Returns true if the operator's configuration is at fault, rather than the state of the machine.
    pub(super) fn is_configuration(&self) -> bool {
        match self {
            Self::Start(error) => error.is_configuration(),
            Self::Privileges(error) => error.is_configuration(),
            Self::Preflight(errors) => errors.is_configuration(),
        }
    }
}

/// Time-out at the start of each of: reading the configuration, looking up the user, reading the files that settings
/// name.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the configuration for the first time. Returns it with the version that the file had before.
pub(super) fn load(sources: Sources) -> Result<(Sources, LoadedConfig, ConfigVersion), ConfigError> {
    let (file, reading) = (sources.file().unwrap_or(Path::new("")).to_owned(), sources.clone());
    let read = move || {
        let version = reading.file().and_then(version);
        (reading.load(), version)
    };
    let read = bounded("poddns-config", READ_TIMEOUT, read);
    let (loaded, version) =
        read.unwrap_or_else(|source| (Err(Problem::Unreadable { path: file, source }.into()), None));
    Ok((sources, loaded?, version))
}

/// Binds the sockets, then drops the privileges of the calling thread that it no longer needs. Returns `None` if a
/// signal requests the end meanwhile.
pub(super) async fn prepare(
    sources: &Sources,
    settings: &DaemonSettings,
    passed: PassedSockets,
    signals: &mut Signals,
) -> Result<Option<(Bound, DroppedPrivileges)>, PrepareError> {
    let prepared = async {
        let (passed, user) = check(settings, passed).await?;
        passed.advise(settings.server.threads);
        let bound = Bound::with_passed(settings.server.clone(), passed.0)?.with_log_losses(log::losses);
        let bound = bound.with_query_log(log::query);
        privileges::drop_privileges(&settings.privileges, user)?;
        let dropped = restrict(sources, settings).await?;
        Ok(Some((bound, dropped)))
    };
    select! {
        prepared = prepared => prepared,
        signal = signals.end() => {
            tracing::info!(signal, "ended before it served");
            Ok(None)
        }
    }
}

/// Checks the sockets, the user and the kernel, and returns the user to become. Runs on a thread of its own, since
/// looking up a user may query a directory service.
async fn check(
    settings: &DaemonSettings,
    passed: PassedSockets,
) -> Result<(PassedSockets, Option<UserIds>), PrepareError> {
    let settings = settings.clone();
    let checked = in_time("poddns-user", move || {
        check_process(&settings, &passed)?;
        Ok((passed, privileges::find_user(&settings.privileges)?))
    });
    checked.await.map_err(PrivilegeError::LookUpTime)?
}

/// Runs a call on a thread of its own. Fails if it takes longer than [`READ_TIMEOUT`].
async fn in_time<T: Send + 'static>(name: &str, call: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("not within {} s", READ_TIMEOUT.as_secs()));
    time::timeout(READ_TIMEOUT, detached(name, call)).await.unwrap_or_else(|_| Err(late()))
}

/// Restricts the process to the files that the settings name. These include files named by a kubeconfig, which is read
/// on a thread of its own, so that signals are handled meanwhile.
async fn restrict(sources: &Sources, settings: &DaemonSettings) -> Result<DroppedPrivileges, PrepareError> {
    let (config, server) = (sources.file().map(Path::to_owned), settings.server.clone());
    let kept = settings.privileges.clone();
    let read = in_time("poddns-paths", move || {
        let paths = paths(config.as_deref(), &server);
        check_files(&kept, &server, &paths).map(|()| paths)
    });
    let paths = read.await.map_err(PrivilegeError::Paths)??;
    Ok(privileges::restrict(&settings.privileges, &paths)?)
}
