//! System calls of Linux that no safe crate offers: all unsafe code of the workspace.
//!
//! On other systems [`crate::server::udp`] uses portable code, and only the safe parts of this module are compiled.

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
    /// Payload.
    pub(crate) octets: &'a [u8],
    /// Address of the sender.
    pub(crate) peer: std::net::SocketAddr,
    /// True if the datagram was longer than the buffer, so that its end is lost.
    pub(crate) cut: bool,
}

#[cfg(all(feature = "daemon", target_os = "linux"))]
pub(crate) use self::options::interface_index;

#[cfg(feature = "daemon")]
pub(crate) use self::memory::keep_little_memory;
pub(crate) use self::memory::release_free_memory;

/// Returns `None`: on these systems no safe crate returns the index of a network interface.
#[cfg(all(feature = "daemon", not(target_os = "linux")))]
pub(crate) fn interface_index(_name: &str) -> Option<u32> {
    None
}
