//! Errors of starting a server and of replacing its settings.

use std::io;

use poddns_watch::FeedError;

use super::bind::BindError;
use super::cookies::CookieError;
use super::transfer::KeyError;

/// Reason why a server could not be started, or its settings could not be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings without a zone or without an address to listen on.
    #[error("nothing to serve: settings need at least one zone and one address to listen on")]
    NothingToServe,
    /// The pods cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The secrets of cookies cannot be read, or the system has no random numbers.
    #[error(transparent)]
    Cookies(#[from] CookieError),
    /// The key of zone transfers cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused a thread, or an epoll instance.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// Newer settings superseded these before their pods were open.
    #[error("superseded by a newer configuration")]
    Superseded,
    /// Opening the pods panicked: a bug. The log has the message of the panic.
    #[error("reading the configuration of the pods panicked: a bug, please report it")]
    Panicked,
    /// The thread that executes the command has ended; see [`Server::failed`](crate::Server::failed).
    #[error("a thread of the server has died")]
    Dead,
}

impl StartError {
    /// Returns true if the operator's configuration is at fault, rather than the state of the machine.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::NothingToServe | Self::Key(_) => true,
            Self::Feed(error) => error.is_configuration(),
            Self::Cookies(error) => error.is_configuration(),
            Self::Bind(_) | Self::Thread(_) | Self::Superseded | Self::Panicked | Self::Dead => false,
        }
    }
}
