//! From settings to bound sockets, with as few privileges as possible.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use poddns_watch::{Reads, Source};

use super::config::{ConfigError, DaemonSettings, Loaded, Problem, Sources};
use super::detached::bounded;
use super::log::{self, Log};
use super::privileges::{Dropped, Paths, PrivilegeError, drop_privileges};
use super::systemd::{PassedError, check_threads};
use crate::server::bind::Sockets;
use crate::server::bound::Bound;
use crate::server::cookies::CookieSource;
use crate::server::error::StartError;
use crate::server::settings::{Needs, Settings};

/// Reason why there is no server.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error(transparent)]
    Passed(#[from] PassedError),
}

impl Failure {
    /// Returns true if the operator's configuration is at fault, rather than the state of the machine.
    pub(super) fn is_configuration(&self) -> bool {
        match self {
            Self::Start(error) => error.is_configuration(),
            Self::Privileges(error) => error.is_configuration(),
            Self::Passed(_) => true,
        }
    }
}

/// Maximum time to read a file at the start. Only then does the main thread wait for one, and hears no signal.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the configuration for the first time.
pub(super) fn load(sources: Sources) -> Result<(Sources, Loaded), ConfigError> {
    let (file, reading) = (sources.file().unwrap_or(Path::new("")).to_owned(), sources.clone());
    let loaded = bounded("poddns-config", READ_TIMEOUT, move || reading.load());
    let loaded = loaded.unwrap_or_else(|error| Err(Problem::Unreadable { path: file, error }.into()))?;
    Ok((sources, loaded))
}

/// Binds the sockets, then drops the privileges that only that takes.
pub(super) fn bind(
    sources: &Sources,
    settings: &DaemonSettings,
    passed: Vec<Sockets>,
    log: &mut Log,
) -> Result<(Bound, Dropped), Failure> {
    check_threads(&passed, settings.server.threads)?;
    let bound = Bound::with_passed(settings.server.clone(), passed)?.with_log_losses(log::losses);
    let (config, server) = (sources.file().map(Path::to_owned), settings.server.clone());
    // A kubeconfig is read for it, so it comes after the change of user.
    let paths = || bounded("poddns-paths", READ_TIMEOUT, move || paths(config.as_deref(), &server));
    let dropped = drop_privileges(&settings.privileges, paths)?;
    // The first thread that stays, and not earlier: it has the privileges of the one that starts it.
    log.write().map_err(StartError::Thread)?;
    Ok((bound, dropped))
}

/// Addresses of sockets that were passed.
pub(super) fn addresses(passed: &[Sockets]) -> Vec<SocketAddr> {
    passed.iter().map(|sockets| sockets.address).collect()
}

/// Returns the files that must stay within reach.
pub(super) fn paths(config: Option<&Path>, settings: &Settings) -> Paths {
    let mut paths = Paths::default();
    if let Some(config) = config {
        paths.read_file(config);
    }
    if let CookieSource::File(secrets) = &settings.cookies {
        paths.read_file(secrets);
    }
    if let Some(key) = settings.transfer.as_ref().and_then(|transfer| transfer.key_file.as_ref()) {
        paths.read_file(key);
    }
    if settings.needs() == Needs::Nothing {
        return paths;
    }
    if let Some(snapshot) = &settings.snapshot {
        paths.replace_file(&snapshot.path);
    }
    if let Source::File(pods) | Source::FileOrPipe(pods) = &settings.source {
        paths.read_rewritten_file(pods);
        return paths;
    }
    let Reads { files, network, program, .. } = settings.source.reads();
    for file in &files {
        paths.read_file(file);
    }
    if network {
        paths.network();
    }
    if let Some(program) = program {
        paths.run(program);
    }
    paths
}
