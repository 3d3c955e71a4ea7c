//! Waiting for conditions that another process or the peer of a socket brings about.
//!
//! There is no notification of either, so the condition is polled. No test depends on the interval.

use std::thread;
use std::time::{Duration, Instant};

/// Timeout of every expected event, long enough for a busy machine. Only failing tests wait that long.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Interval between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until the condition is met.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits until the condition is met, while other tasks of the runtime continue.
pub async fn until_async(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Advances tokio's clock by `time` at once. Needs a current-thread runtime.
#[cfg(feature = "virtual-time")]
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
