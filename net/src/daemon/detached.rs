//! Calls that may block indefinitely.

use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

/// Runs a call on a thread of its own and returns its result. If the future is dropped first, the thread continues
/// detached.
///
/// Fails if the system refuses the thread, or if the call panics, which is logged.
pub(super) async fn detached<T: Send + 'static>(
    name: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    let call = move || {
        // Fails only if the result is no longer awaited.
        let _ = done.send(call());
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(call)?;
    let result = result.await.map_err(|_| panicked(name));
    end(thread);
    result
}

/// Runs a call on a thread of its own, which inherits the privileges of this thread, and blocks until the call returns,
/// for `limit` at most.
pub(super) fn bounded<T: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = mpsc::channel();
    let call = move || {
        // Fails only if the result is no longer awaited.
        let _ = done.send(call());
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(call)?;
    let result = match result.recv_timeout(limit) {
        Ok(result) => Ok(result),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(panicked(name)),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let text = format!("not within {} s", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    };
    end(thread);
    result
}

/// Waits for the end of a thread after its call has returned or panicked, so that it does not keep privileges that are
/// dropped afterwards.
fn end(thread: JoinHandle<()>) {
    // Fails only if the call has panicked, which the result reports.
    let _ = thread.join();
}

fn panicked(name: &str) -> io::Error {
    io::Error::other(format!("the thread {name} has panicked: a bug, please report it"))
}
