//! The asynchronous runtime of a command.

use std::io;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use crate::outcome::CommandError;

/// Reason why there is no runtime.
#[derive(Debug, Error)]
#[error("cannot start the asynchronous runtime: {0}")]
struct RuntimeError(#[source] io::Error);

/// Returns a runtime on the calling thread, with sockets and timers.
pub(crate) fn runtime() -> Result<Runtime, CommandError> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| CommandError::run(RuntimeError(error)))
}
