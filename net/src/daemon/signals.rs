//! The signals that the daemon handles.

use std::io;

use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that would end the process by default and must not: those that have no meaning here, and the one for a file
/// that exceeds a size limit, where the write fails instead.
const WITHOUT_MEANING: [(libc::c_int, &str); 3] =
    [(libc::SIGUSR1, "SIGUSR1"), (libc::SIGUSR2, "SIGUSR2"), (libc::SIGXFSZ, "SIGXFSZ")];

/// Signals received so far, each kind once.
pub(super) struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
    /// Received and dropped.
    _without_meaning: Vec<Signal>,
}

/// Request that a signal makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Read the configuration again.
    Reload,
    /// End; the name of the signal.
    End(&'static str),
}

impl Signals {
    /// Handles the signals from now on; to be called in a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let without_meaning = WITHOUT_MEANING.iter().map(|(number, _)| signal(SignalKind::from_raw(*number)));
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _without_meaning: without_meaning.collect::<io::Result<_>>()?,
        })
    }

    /// Waits for the next request.
    pub(super) async fn next(&mut self) -> Request {
        select! {
            _ = self.hang_up.recv() => Request::Reload,
            _ = self.interrupt.recv() => Request::End("SIGINT"),
            _ = self.terminate.recv() => Request::End("SIGTERM"),
        }
    }

    /// Waits for the next request to end, and returns the name of the signal.
    pub(super) async fn end(&mut self) -> &'static str {
        loop {
            if let Request::End(signal) = self.next().await {
                return signal;
            }
        }
    }
}
