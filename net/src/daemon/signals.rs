//! The signals that the daemon handles.

use std::{io, mem};

use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that end the process by default and must not: two without a meaning here, and the one for a file that
/// exceeds its size limit. With SIGXFSZ caught, the write fails instead.
const WITHOUT_MEANING: [(libc::c_int, &str); 3] =
    [(libc::SIGUSR1, "SIGUSR1"), (libc::SIGUSR2, "SIGUSR2"), (libc::SIGXFSZ, "SIGXFSZ")];

/// Receivers of the signals. Pending signals of one kind count once.
pub(super) struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
    /// True if a reload was requested during [`end`](Self::end).
    reload_requested: bool,
    /// Signals that are received and ignored.
    _without_meaning: Vec<Signal>,
}

/// Request by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// Read the configuration again.
    Reload,
    /// End the process. Contains the name of the signal.
    End(&'static str),
}

impl Signals {
    /// Installs the handlers. Must be called in a runtime.
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

    /// Waits for the next request to end, and returns the name of the signal. If a reload is requested meanwhile,
    /// [`next`](Self::next) returns it later.
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
