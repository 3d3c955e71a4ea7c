//! From settings to a server that serves with as few privileges as it can.

use std::net::SocketAddr;

use poddns_watch::Reads;

use crate::PrivilegeError;
use crate::daemon::config::{DaemonSettings, Sources};
use crate::daemon::log::{self, Log};
use crate::daemon::privileges::{Dropped, Paths, drop_privileges};
use crate::daemon::systemd::{PassedError, check_threads};
use crate::server::Server;
use crate::server::bind::Sockets;
use crate::server::bound::Bound;
use crate::server::cookies::CookieSource;
use crate::server::error::StartError;
use crate::server::feed::source;
use crate::server::settings::{Needs, Settings};

/// Why there is no server.
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
    /// Whether it is the operator's configuration that must change, rather than the machine's state.
    pub(super) fn is_configuration(&self) -> bool {
        match self {
            Self::Start(error) => error.is_configuration(),
            Self::Privileges(error) => error.is_configuration(),
            Self::Passed(_) => true,
        }
    }
}

/// Binds, drops privileges, then reads whatever else there is to read, and serves.
pub(super) fn start(
    sources: &Sources,
    settings: DaemonSettings,
    passed: Vec<Sockets>,
    log: &mut Log,
) -> Result<(Server, Dropped), Failure> {
    let DaemonSettings { server, privileges, .. } = settings;
    check_threads(&passed, server.threads)?;
    let needed = server.clone();
    let bound = Bound::with_passed(server, passed)?.with_log_losses(log::losses);
    // The kubeconfig is parsed for them, so that is done without root's rights.
    let dropped = drop_privileges(&privileges, || paths(sources, &needed))?;
    // The first thread, so not before: it gets what privileges there are.
    log.write().map_err(StartError::Thread)?;
    Ok((bound.serve()?, dropped))
}

/// Addresses of sockets that were passed.
pub(super) fn addresses(passed: &[Sockets]) -> Vec<SocketAddr> {
    passed.iter().map(|sockets| sockets.address).collect()
}

/// What must stay within reach.
fn paths(sources: &Sources, settings: &Settings) -> Paths {
    let mut paths = Paths::default();
    if let Some(config) = sources.file() {
        paths.read_file(config);
    }
    if let CookieSource::File(secrets) = &settings.cookies {
        paths.read_file(secrets);
    }
    if settings.needs() == Needs::Nothing {
        return paths;
    }
    if let Some(snapshot) = &settings.snapshot {
        paths.replace_file(&snapshot.path);
    }
    let Reads { files, network, program, .. } = source(&settings.source).reads();
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
