//! The process's limit of open files (getrlimit(2)).

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::server::open_files::{for_connections, needed};
use crate::server::settings::Settings;

/// Raises the limit of open files, and warns if it is too low for `tcp-connections`.
pub(super) fn check(settings: &Settings) {
    match raise() {
        Ok(limit) if for_connections(limit, settings) < settings.tcp.connections => tracing::warn!(
            limit,
            needed = needed(settings),
            connections = for_connections(limit, settings),
            "the limit of open files (RLIMIT_NOFILE) is too low for tcp-connections; there will be no more than \
             it allows"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
}

/// Raises the soft limit of open files to the hard one and returns it.
///
/// The soft limit is often 1024 for programs that use select(2), which this one does not.
fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
