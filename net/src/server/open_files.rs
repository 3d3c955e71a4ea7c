//! Share of the limit of open files (getrlimit(2)) that TCP connections may take.

use nix::sys::resource::{Resource, getrlimit};

/// Files that the process needs beside its TCP connections: sockets, the admin endpoints, the API server.
pub(crate) const OTHERS: u64 = 256;

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
