//! Tasks that must not end: a panic is counted, logged and followed by a restart.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::{self, JoinHandle};
use tokio::time;

use super::counters::Counter;
use super::state::ServerState;
use super::thread::PanicNotifier;

/// Time between a panic and the restart, so that a task that always panics does not occupy a core.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// Time between a panic and the restart of a task that no client waits for.
const BACKGROUND_RESTART_DELAY: Duration = Duration::from_secs(1);

/// Error of a future that panicked. The panic hook has logged place and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs a task until it returns, and restarts it after a panic. `run` is called again with the state that the panic
/// left, which must therefore be consistent at every await and at every call that can panic.
pub(crate) async fn supervise(task: &'static str, panics: &Counter, run: impl AsyncFnMut()) {
    restart_after(RESTART_DELAY, task, panics, run).await;
}

async fn restart_after(delay: Duration, task: &'static str, panics: &Counter, mut run: impl AsyncFnMut()) {
    while caught(run()).await.is_err() {
        panics.increment();
        tracing::error!(task, "a task panicked: a bug, please report it; restarting the task");
        time::sleep(delay).await;
    }
}

/// Runs a future; returns an error if it panics. The future is dropped in any case.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// Returns the result of a blocking call, and resumes its panic; `None` if it was cancelled.
pub(crate) async fn unblocked<T>(call: JoinHandle<T>) -> Option<T> {
    match call.await {
        Ok(result) => Some(result),
        Err(error) => error.try_into_panic().map_or(None, |panic| resume_unwind(panic)),
    }
}

/// Spawns tasks on the control thread.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    state: Arc<ServerState>,
    notifier: PanicNotifier,
}

impl Tasks {
    pub(crate) fn new(state: Arc<ServerState>, notifier: PanicNotifier) -> Self {
        Self { state, notifier }
    }

    /// Spawns a task that is restarted after a panic, as by [`supervise`].
    pub(crate) fn spawn(&self, name: &'static str, run: impl AsyncFnMut() + 'static) -> JoinHandle<()> {
        let state = Arc::clone(&self.state);
        task::spawn_local(async move {
            restart_after(BACKGROUND_RESTART_DELAY, name, &state.control_panics, run).await;
        })
    }

    /// Spawns a task that cannot be restarted: a panic is reported, so that the process ends.
    pub(crate) fn spawn_once(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + 'static,
    ) -> JoinHandle<()> {
        self.notifier.spawn_local(name, work)
    }

    /// Counts and logs a panic of a call that is not repeated.
    pub(crate) fn panicked(&self, call: &'static str) {
        self.state.control_panics.increment();
        tracing::error!(call, "a call panicked: a bug, please report it");
    }
}

#[cfg(test)]
mod tests {
    use poddns_core::NoPods;

    use super::*;
    use crate::server::answer::ResponseInputs;
    use crate::server::pods::SharedPods;
    use crate::server::state::LogLosses;

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

    fn tasks() -> (Tasks, Arc<ServerState>) {
        let pods = SharedPods(Arc::new(NoPods));
        let current =
            ResponseInputs { settings: Arc::default(), pods, cookies: None, audit: None, transfers: None };
        let state = Arc::new(ServerState::new(current, Vec::new(), LogLosses::default));
        (Tasks::new(Arc::clone(&state), PanicNotifier::new().0), state)
    }

    #[tokio::test(start_paused = true)]
    async fn background_tasks_are_restarted_after_panics() {
        let (tasks, state) = tasks();
        let mut runs = 0;
        let run = async move || {
            runs += 1;
            assert!(runs > 2, "injected");
        };
        task::LocalSet::new().run_until(async { tasks.spawn("test", run).await }).await.unwrap();
        assert_eq!(state.control_panics.get(), 2);
    }

    #[tokio::test]
    async fn panic_of_blocking_call_is_passed_on() {
        assert_eq!(unblocked(task::spawn_blocking(|| 7)).await, Some(7));
        let call = unblocked(task::spawn_blocking(|| -> u8 { panic!("injected") }));
        assert_eq!(caught(call).await, Err(Panicked));
    }
}
