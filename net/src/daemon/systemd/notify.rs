//! Notifications to systemd.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{self, Instant};

/// Interval between updates of the status.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Client of the service manager, which `NOTIFY_SOCKET` names. Without that variable it sends nothing.
#[derive(Debug)]
pub(crate) struct Supervisor {
    is_there: bool,
    /// Interval between pings of the watchdog: half of its time-out.
    heartbeat: Option<Duration>,
    status: String,
    beaten: Instant,
    polled: Instant,
}

/// Notification that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DueNotice {
    /// An update of the status, if it has changed.
    Status,
    /// An update of the status, if it has changed, and a ping of the watchdog, if all threads are alive.
    Heartbeat,
}

impl Supervisor {
    /// Reads `NOTIFY_SOCKET` and the watchdog's time-out from the environment. Must be called in a runtime.
    pub(crate) fn from_env() -> Self {
        let is_there = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        let timeout = sd_notify::watchdog_enabled().filter(|timeout| is_there && !timeout.is_zero());
        Self {
            is_there,
            heartbeat: timeout.map(|timeout| timeout / 2),
            status: String::new(),
            beaten: Instant::now(),
            polled: Instant::now(),
        }
    }

    /// Waits until a notification is due; never returns without a service manager. Cancel safe.
    pub(crate) async fn due(&mut self) -> DueNotice {
        if !self.is_there {
            return std::future::pending().await;
        }
        let poll = self.polled + POLL_INTERVAL;
        let beat = self.heartbeat.map_or(poll, |every| self.beaten + every);
        time::sleep_until(poll.min(beat)).await;
        self.polled = Instant::now();
        if self.heartbeat.is_some() && beat <= poll {
            self.beaten = self.polled;
            return DueNotice::Heartbeat;
        }
        DueNotice::Status
    }

    /// Notifies that the start or a reload is complete.
    pub(crate) fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// Notifies that a reload has begun; [`ready`](Self::ready) notifies of its end.
    pub(crate) fn reloading(&self) {
        // systemd matches this notification to its request by this time.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot notify systemd of the reload without a clock"),
        }
    }

    /// Notifies that the process is about to end, within `at_most`.
    pub(crate) fn stopping(&self, at_most: Duration) {
        let most = at_most.as_micros().try_into().unwrap_or(u32::MAX);
        self.notify(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(most),
            NotifyState::Status("ending"),
        ]);
    }

    /// Updates the status that `systemctl status` shows, if it has changed.
    pub(crate) fn status(&mut self, status: String) {
        if self.status != status {
            self.notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// Pings the watchdog.
    pub(crate) fn alive(&self) {
        self.notify(&[NotifyState::Watchdog]);
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if self.is_there
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::warn!(%error, "cannot notify systemd of the state, by the socket that NOTIFY_SOCKET names");
        }
    }
}
