//! The signals that the daemon handles.

use std::{io, mem};

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
    /// True if a reload was requested while only an end was waited for.
    reload_requested: bool,
    /// Received and dropped.
    _without_meaning: Vec<Signal>,
}

/// Request that a signal makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
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
            reload_requested: false,
            _without_meaning: without_meaning.collect::<io::Result<_>>()?,
        })
    }

    /// Waits for the next request.
    pub(super) async fn next(&mut self) -> SignalRequest {
        if mem::take(&mut self.reload_requested) {
            return SignalRequest::Reload;
        }
        self.receive().await
    }

    async fn receive(&mut self) -> SignalRequest {
        select! {
            _ = self.hang_up.recv() => SignalRequest::Reload,
            _ = self.interrupt.recv() => SignalRequest::End("SIGINT"),
            _ = self.terminate.recv() => SignalRequest::End("SIGTERM"),
        }
    }

    /// Waits for the next request to end, and returns the name of the signal. A reload requested meanwhile is left to
    /// [`next`](Self::next).
    pub(super) async fn end(&mut self) -> &'static str {
        loop {
            match self.receive().await {
                SignalRequest::End(signal) => return signal,
                SignalRequest::Reload => self.reload_requested = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn reload_requested_before_serving_is_kept() {
        let mut signals = Signals::new().unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        while !signals.reload_requested {
            select! {
                biased;
                _ = signals.end() => panic!("no end was requested"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(signals.next().await, SignalRequest::Reload);
    }
}
