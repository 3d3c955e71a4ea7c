//! The asynchronous runtime of a command.

use std::io;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use crate::outcome::CommandError;

/// Reason why the runtime could not be started.
#[derive(Debug, Error)]
#[error("cannot start the asynchronous runtime: {0}")]
struct RuntimeError(#[source] io::Error);

/// Returns a single-threaded runtime with sockets and timers.
pub(crate) fn runtime() -> Result<Runtime, CommandError> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| CommandError::run(RuntimeError(error)))
}
