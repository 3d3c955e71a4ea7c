//! Linux: recvmmsg and sendmmsg on a socket of tokio's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Batch, Datagrams};
use crate::sys::Messages;

/// The port that RFC 863 gives to whatever is to be thrown away.
const DISCARD: u16 = 9;

/// A UDP socket whose replies leave from the address that the query came to.
#[derive(Debug)]
pub(crate) struct Batched {
    socket: UdpSocket,
    bound: SocketAddr,
    kept_by_systemd: bool,
}

impl Batched {
    /// Takes over a socket that is bound, non-blocking and tells the destination of datagrams; to be called in
    /// a runtime.
    pub(crate) fn new(socket: std::net::UdpSocket, kept_by_systemd: bool) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, bound, kept_by_systemd })
    }
}

impl Datagrams for Batched {
    type Batch = Messages;

    fn batch(&self) -> Messages {
        Messages::new()
    }

    async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    fn receive(&self, batch: &mut Messages) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || batch.receive(self.socket.as_fd()))
    }

    fn send(&self, batch: &mut Messages, from: usize) -> io::Result<usize> {
        self.socket.try_io(Interest::WRITABLE, || batch.send(self.socket.as_fd(), from))
    }

    /// Linux gives datagrams to the connected sockets of a group only from their peer, so connecting to
    /// nobody takes this one out of the choice, while what is queued stays.
    fn leave(&self) -> io::Result<()> {
        // The next process gets this very socket, and what is queued in it: it must stay as it is.
        if self.kept_by_systemd {
            return Ok(());
        }
        let nobody = match self.bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let mut nobody = SocketAddr::new(nobody, DISCARD);
        if let (SocketAddr::V6(to), SocketAddr::V6(bound)) = (&mut nobody, self.bound) {
            to.set_scope_id(bound.scope_id());
        }
        SockRef::from(&self.socket).connect(&nobody.into())
    }
}

impl Batch for Messages {
    fn answer(&mut self, each: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>) {
        Self::answer(self, each);
    }

    fn replies(&self) -> usize {
        Self::replies(self)
    }
}
