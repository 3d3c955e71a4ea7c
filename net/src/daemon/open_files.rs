//! How many files the process may have open (getrlimit(2)), and how many of these may be TCP connections.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that the process needs beside its TCP connections: sockets, the admin endpoints, the API server.
pub(crate) const OTHERS: u64 = 256;

/// Lets this process open as many files as it may, and returns how many that are.
///
/// The soft limit is often 1024 for the sake of programs that use select(2), which this one does not.
pub(crate) fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many of this many files may be TCP connections, so that however many clients come, something is left for
/// the admin endpoints, the API server and a reload: all but [`OTHERS`], and half of them at least.
pub(crate) fn for_connections(limit: u64) -> usize {
    usize::try_from(limit - OTHERS.min(limit / 2)).unwrap_or(usize::MAX)
}

/// The same of the limit as it is now.
pub(crate) fn connections() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(usize::MAX, |(soft, _)| for_connections(soft))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_beside_connections() {
        assert_eq!(for_connections(20_000), 20_000 - 256);
        assert_eq!(for_connections(64), 32);
        assert_eq!(for_connections(1), 1);
        assert_eq!(for_connections(0), 0);
    }
}
