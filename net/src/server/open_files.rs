//! Share of the limit of open files (getrlimit(2)) that TCP connections may use.

use nix::sys::resource::{Resource, getrlimit};

use super::settings::Settings;

/// Maximum number of connections of the admin endpoints.
pub(crate) const MAX_ADMIN_CONNECTIONS: usize = 64;

/// Number of files of a thread with a runtime: epoll twice, its waker, and the pipe of signals.
const FILES_PER_RUNTIME: u64 = 4;

/// Threads beside those that answer over UDP: TCP, control, and the one that waits for signals.
const OTHER_THREADS: u64 = 3;

/// Number of files of a UDP socket: itself, and a handle for the kernel's counters.
const FILES_PER_UDP_SOCKET: u64 = 2;

/// Number of files of the process: standard streams, the listener of the admin endpoints, systemd's socket, the log.
const PROCESS_FILES: u64 = 16;

/// Number of files that are open occasionally: connections to the API server, kubeconfig, snapshot, credential plugins,
/// /proc.
const OCCASIONAL_FILES: u64 = 64;

/// Returns the maximum number of TCP connections under a limit of `limit` open files. The rest is reserved for the
/// sockets, the admin endpoints, the API server and a reload, regardless of the number of clients. If `limit` is too
/// low for that, connections may use half of the files that the threads and sockets leave.
pub(crate) fn for_connections(limit: u64, settings: &Settings) -> usize {
    let (fixed, reserve) = needs(settings);
    let left = limit.saturating_sub(fixed);
    usize::try_from(left - reserve.min(left / 2)).unwrap_or(usize::MAX)
}

/// Returns the limit of open files that is sufficient for as many TCP connections as the settings allow.
#[cfg(any(test, feature = "daemon"))]
pub(crate) fn needed(settings: &Settings) -> u64 {
    let (fixed, reserve) = needs(settings);
    (settings.tcp.connections as u64).saturating_add(fixed + reserve)
}

/// Returns the number of files that are always open, and the number to keep in reserve.
fn needs(settings: &Settings) -> (u64, u64) {
    let threads = settings.threads.get() as u64;
    // Plus one TCP socket.
    let listener = threads * FILES_PER_UDP_SOCKET + 1;
    let fixed = FILES_PER_RUNTIME * (threads + OTHER_THREADS)
        + listener * settings.listen.len() as u64
        + PROCESS_FILES;
    // A reload binds new addresses before it closes the old ones.
    (fixed, listener + MAX_ADMIN_CONNECTIONS as u64 + OCCASIONAL_FILES)
}

/// Returns the current soft limit of open files; `u64::MAX` if it cannot be read.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn threads_and_listeners_leave_fewer_connections() {
        let connections = |limit, threads, listeners| {
            let mut settings = Settings::default();
            settings.threads = NonZeroUsize::new(threads).unwrap();
            settings.listen = vec![([127, 0, 0, 1], 0).into(); listeners];
            for_connections(limit, &settings)
        };
        // 2 threads: 20 for runtimes, 5 for a listener, 16 for the process. Reserve: 5 for a listener, 64 and 64.
        assert_eq!(connections(2048, 2, 1), 2048 - 41 - 133);
        assert_eq!(connections(2048, 64, 1), 2048 - (268 + 129 + 16) - (129 + 128));
        assert_eq!(connections(2048, 64, 2), 2048 - (268 + 258 + 16) - (129 + 128));
        assert_eq!(connections(2048, 150, 1), 2048 - (612 + 301 + 16) - (301 + 128));
        assert_eq!(connections(41 + 10, 2, 1), 5, "half of what is left");
        assert_eq!(connections(10, 2, 1), 0);
        assert_eq!(connections(u64::MAX, 2, 1), usize::MAX - 41 - 133);
    }

    #[test]
    fn needed_limit_allows_all_connections() {
        let settings = Settings::default();
        assert_eq!(for_connections(needed(&settings), &settings), settings.tcp.connections);
    }
}
