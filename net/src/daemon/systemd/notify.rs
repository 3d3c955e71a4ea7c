//! Telling systemd how things go.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{self, Instant};

/// How often the status is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The service manager, as far as there is one: without `NOTIFY_SOCKET` nothing is said.
#[derive(Debug)]
pub(crate) struct Supervisor {
    there: bool,
    /// How often it wants to hear that we are alive; half of the time after which it gives up on us.
    heartbeat: Option<Duration>,
    status: String,
    beaten: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// To look whether the status is another.
    Status,
    /// That, and to say that we are alive, if we are.
    Heartbeat,
}

impl Supervisor {
    /// To be called in a runtime.
    pub(crate) fn from_env() -> Self {
        let there = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        let timeout = sd_notify::watchdog_enabled().filter(|timeout| there && !timeout.is_zero());
        Self {
            there,
            heartbeat: timeout.map(|timeout| timeout / 2),
            status: String::new(),
            beaten: Instant::now(),
        }
    }

    /// Waits until something is due: for ever if nobody wants to know.
    pub(crate) async fn due(&mut self) -> Due {
        if !self.there {
            return std::future::pending().await;
        }
        let look = Instant::now() + LOOK;
        let beat = self.heartbeat.map_or(look, |every| self.beaten + every);
        time::sleep_until(look.min(beat)).await;
        if self.heartbeat.is_some() && beat <= look {
            self.beaten = Instant::now();
            return Due::Heartbeat;
        }
        Due::Status
    }

    /// Everything is bound, and queries are answered.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`ready`](Self::ready) ends that.
    pub(crate) fn reloading(&self) {
        // The time tells systemd which of its requests this is about.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot tell systemd of the reload, for want of a clock"),
        }
    }

    /// The end has begun, and takes up to so long.
    pub(crate) fn stopping(&self, at_most: Duration) {
        let most = at_most.as_micros().try_into().unwrap_or(u32::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(most),
            NotifyState::Status("ending"),
        ]);
    }

    /// What `systemctl status` shows, if it is something new.
    pub(crate) fn status(&mut self, status: String) {
        if self.status != status {
            self.tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// That all threads are alive.
    pub(crate) fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.there
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::warn!(%error, "cannot tell systemd how things go, by the socket that NOTIFY_SOCKET names");
        }
    }
}
