//! The clock that freshness deadlines are measured by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Moment, nanos};

/// A monotonic clock that continues while the machine is suspended, as [`Instant`] does not on Linux.
#[derive(Clone)]
pub(super) struct FreshnessClock {
    read: Arc<dyn Fn() -> Duration + Send + Sync>,
    start: Duration,
}

impl FreshnessClock {
    pub(super) fn new(read: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let start = read();
        Self { read: Arc::new(read), start }
    }

    pub(super) fn now(&self) -> Moment {
        match (self.read)().checked_sub(self.start) {
            Some(after) => nanos(after),
            None => 0,
        }
    }

    /// Returns the moment of an [`Instant`], provided that the machine has not been suspended between then and now.
    pub(super) fn at(&self, instant: Instant) -> Moment {
        let now = Instant::now();
        match now.checked_duration_since(instant) {
            Some(before) => self.now().saturating_sub(nanos(before)),
            None => self.now().saturating_add(nanos(instant.saturating_duration_since(now))),
        }
    }
}

impl Default for FreshnessClock {
    /// `CLOCK_BOOTTIME` on Linux.
    fn default() -> Self {
        Self::new(since_boot)
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// `CLOCK_MONOTONIC`: POSIX does not specify whether it advances while the machine is suspended.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}
