//! System calls that no safe crate offers: all the unsafe code there is, for Linux.
//!
//! Elsewhere the safe parts of this module remain, and [`crate::server::udp`] takes its portable path.

#[cfg(target_os = "linux")]
mod address;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod epoll;
mod memory;
#[cfg(target_os = "linux")]
mod mmsg;
#[cfg(target_os = "linux")]
mod options;

#[cfg(target_os = "linux")]
pub(crate) use self::{
    epoll::watch,
    mmsg::{BATCH, DatagramBuffers},
    options::{
        choose_any_listener, choose_listener, dropped_by_kernel, reply_from_destination,
        without_path_mtu_discovery,
    },
};

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// Its payload.
    pub(crate) octets: &'a [u8],
    /// Its sender.
    pub(crate) peer: std::net::SocketAddr,
    /// True if it was longer than that: its end is lost.
    pub(crate) cut: bool,
}

#[cfg(all(feature = "daemon", target_os = "linux"))]
pub(crate) use self::options::interface_index;

#[cfg(feature = "daemon")]
pub(crate) use self::memory::keep_little_memory;
pub(crate) use self::memory::release_free_memory;

/// Returns the number of a network interface: unknown without a system call of which there is no safe form.
#[cfg(all(feature = "daemon", not(target_os = "linux")))]
pub(crate) fn interface_index(_name: &str) -> Option<u32> {
    None
}
