//! Sockets that tokio's epoll watches for one interest only.

use std::io;
use std::net::UdpSocket;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a socket with the runtime for this interest only. Must be called in a runtime.
pub(crate) fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    // SAFETY: a UdpSocket owns its descriptor, which is open and the same one for as long as it exists, and the
    // AsyncFd owns the UdpSocket.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    Ok(watched?)
}
