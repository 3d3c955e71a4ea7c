//! Reason why an exchange with the API server failed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::feed::decode::Status;

/// An error that a [`Cause`] is made of, with its own sources.
pub(crate) type SharedError = Arc<dyn Error + Send + Sync>;

/// Reason why an exchange failed. It has no text of its own: `explain` makes one, in which texts of the server are quoted
/// and cut.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// There are no credentials to ask with.
    Credentials(SharedError),
    /// The server cannot be reached, or does not answer.
    Unreachable(SharedError),
    /// The connection broke off during the answer.
    Broken(SharedError),
    /// The answer is not that of an API server.
    Garbage(SharedError),
    /// The server reports a failure.
    Status(Refusal),
    /// Nothing arrived for so long.
    Silence(Duration),
    /// This process, or the machine, was stopped for so long.
    Stopped(Duration),
    /// The answer ended before it was complete.
    CutOff,
    /// A change of an object that cannot be decoded: it may have been a deletion.
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

/// A failure that the server reports, by its status or in an `ERROR` event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status code.
    pub(crate) code: u16,
    /// The text for people.
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
    /// Returns whether the server does not have a version as recent as the requested one, for which it has waited for three
    /// seconds.
    pub(crate) fn is_behind(&self) -> bool {
        self.code == 504 && self.message.contains("Too large resource version")
    }

    /// Returns whether the server's authorizer has not read its rules yet, as in the first seconds after a start.
    pub(crate) fn lacks_rules(&self) -> bool {
        self.code == 403 && self.message.contains("RBAC:") && self.message.contains("not found")
    }
}
