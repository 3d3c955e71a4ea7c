//! Protocols of systemd: passed sockets (`sd_listen_fds`(3)) and notifications of the daemon's state (`sd_notify`(3)).

mod notify;
mod pings;
mod sockets;

pub(crate) use self::notify::{DueNotice, Supervisor};
pub(crate) use self::pings::ThreadPings;
pub use self::sockets::{PassedError, PassedSockets};
