//! Errors of permission reviews.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::FeedError;
use crate::feed::explain::{Cleaned, chain};
use crate::quote::QuotedText;

/// Reason why permissions in a cluster cannot be determined.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The configuration does not name a usable cluster.
    #[error(transparent)]
    Configuration(#[from] FeedError),
    /// There are no credentials: a plugin returned none.
    #[error(transparent)]
    Credentials(Arc<FeedError>),
    /// The API server cannot be reached.
    #[error("cannot reach the API server at {server}: {}", Cleaned(&chain(.source)))]
    Unreachable {
        /// Its URL.
        server: String,
        /// The failure of the client.
        #[source]
        source: kube::Error,
    },
    /// The API server does not respond.
    #[error("cannot reach the API server at {server}: no answer within {} s", .limit.as_secs())]
    TimedOut {
        /// Its URL.
        server: String,
        /// The time limit.
        limit: Duration,
    },
    /// The server refuses our credentials.
    #[error(
        "the API server at {server} does not accept our credentials (401 {message}): the token or certificate is \
         expired, revoked or of another cluster",
        message = QuotedText(message)
    )]
    Unauthenticated {
        /// Its URL.
        server: String,
        /// Its message.
        message: String,
    },
    /// The configuration has no credentials, and the server refuses anonymous requests.
    #[error(
        "the API server at {server} authenticated us as system:anonymous: the configuration has no credentials for it"
    )]
    Anonymous {
        /// Its URL.
        server: String,
    },
    /// The server responds, but refuses the request.
    #[error("the API server at {server} refuses to show {what}: {code} {message}", message = QuotedText(message))]
    Refused {
        /// Its URL.
        server: String,
        /// The subject of the request.
        what: &'static str,
        /// The HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// The server lacks the path of a request: it is not an API server.
    #[error(
        "the server at {server} is not a Kubernetes API server: a request for {what} failed: 404 {message}",
        message = QuotedText(message)
    )]
    NotFound {
        /// Its URL.
        server: String,
        /// The subject of the request.
        what: &'static str,
        /// Its message.
        message: String,
    },
    /// The response is not that of an API server.
    #[error("the server at {server} is not a Kubernetes API server: {}", Cleaned(&chain(.source)))]
    NotAnApiServer {
        /// Its URL.
        server: String,
        /// The fault of the response.
        #[source]
        source: kube::Error,
    },
}

impl AccessError {
    /// Returns whether the configuration is at fault, rather than a transient condition.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Configuration(error) => error.is_configuration(),
            Self::Credentials(error) => error.is_configuration(),
            _ => false,
        }
    }
}
