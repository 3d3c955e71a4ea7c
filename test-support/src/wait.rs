//! Waiting for a condition that another process, or the other side of a socket, brings about.
//!
//! Neither gives notice, so the condition is polled; nothing depends on the interval.

use std::thread;
use std::time::{Duration, Instant};

/// Time within which whatever happens at all has happened, however busy the machine is. Only failing tests take as long.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Time between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until the condition is met.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits until the condition is met, while other tasks of the runtime go on.
pub async fn until_async(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Advances tokio's clock by this much at once. Needs a runtime of one thread.
#[cfg(feature = "virtual-time")]
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
