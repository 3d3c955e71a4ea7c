//! Tasks that must not end: a panic is counted, logged and followed by a restart.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time;

use crate::server::counters::Counter;

/// Time between a panic and the restart, so that one that comes back at once does not take up the processor.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// A future has panicked. The panic hook has logged where and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs a task until it returns; after a panic, again. `run` is called with the state that it left behind, so that
/// must be whole at every await and call that can panic.
pub(crate) async fn supervise(task: &'static str, panics: &Counter, mut run: impl AsyncFnMut()) {
    while caught(run()).await.is_err() {
        panics.increment();
        tracing::error!(task, "a task panicked: a bug, please report it; restarting the task");
        time::sleep(RESTART_DELAY).await;
    }
}

/// Runs a future, and returns the error if it panics. It is dropped in any case.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn panics_are_counted_and_followed_by_restarts() {
        let (panics, mut runs, start) = (Counter::default(), 0, time::Instant::now());
        supervise("test", &panics, async || {
            runs += 1;
            time::sleep(RESTART_DELAY).await;
            assert!(runs > 3, "injected");
        })
        .await;
        assert_eq!((runs, panics.get()), (4, 3));
        assert_eq!(start.elapsed(), 7 * RESTART_DELAY, "four runs, and three delays between them");
    }
}
