//! Reason why an exchange with the API server failed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::feed::decode::Status;

/// An error in a [`Cause`], with its own sources.
pub(crate) type SharedError = Arc<dyn Error + Send + Sync>;

/// Reason why an exchange failed. Its text is made by `explain`, which quotes and truncates text from the server.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// There are no credentials for the request.
    Credentials(SharedError),
    /// The server cannot be reached, or does not respond.
    Unreachable(SharedError),
    /// The connection broke during the response.
    Broken(SharedError),
    /// The response is not that of an API server.
    Garbage(SharedError),
    /// The server reports a failure.
    Status(Refusal),
    /// Nothing arrived for this long.
    Silence(Duration),
    /// This process, or the machine, was stopped for this long.
    Stopped(Duration),
    /// The response ended before it was complete.
    CutOff,
    /// An object changed and cannot be decoded: the change may have been a deletion.
    Unreadable(SharedError),
}

impl Cause {
    pub(crate) fn unreachable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreachable(error.into().into())
    }

    pub(crate) fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into().into())
    }

    pub(crate) fn garbage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Garbage(error.into().into())
    }
}

/// A failure that the server reports, by its HTTP status or in an `ERROR` event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status code.
    pub(crate) code: u16,
    /// The human-readable text.
    pub(crate) message: String,
    /// The time to wait before the next try.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let retry_after = status.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let message = if status.message.is_empty() { status.reason } else { status.message };
        Self { code: status.code, message, retry_after }
    }
}

impl Refusal {
    /// Returns whether the server has not reached the requested version, after waiting three seconds for it.
    pub(crate) fn is_behind(&self) -> bool {
        self.code == 504 && self.message.contains("Too large resource version")
    }

    /// Returns whether the server's authorizer has not loaded its rules yet, as in the first seconds after a start.
    pub(crate) fn lacks_rules(&self) -> bool {
        self.code == 403 && self.message.contains("RBAC:") && self.message.contains("not found")
    }
}
