//! What systemd and poddnsd say to each other: sockets that are passed in (`sd_listen_fds`(3)), and how things go
//! (`sd_notify`(3)).

mod notify;
mod pulse;
mod sockets;

pub(crate) use self::notify::{Due, Supervisor};
pub(crate) use self::pulse::Pulse;
pub use self::sockets::{PassedError, PassedSockets};
