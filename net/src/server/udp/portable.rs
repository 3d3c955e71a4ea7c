//! Portable implementation: one datagram at a time. On a wildcard address, the kernel chooses the source of replies.

use std::io;
use std::net::SocketAddr;

use poddns_core::MAX_UDP_REPLY;
use tokio::net::UdpSocket;
use tracing::Span;

use super::{DatagramBatch, DatagramSocket, QueueState};
use crate::sys::Datagram;

/// Maximum length of a datagram in bytes.
const MAX_QUERY: usize = 65_535;

/// A UDP socket that requires no system calls beyond those of the standard library.
#[derive(Debug)]
pub(crate) struct PortableSocket {
    socket: UdpSocket,
    span: Span,
}

impl PortableSocket {
    /// Takes a bound, non-blocking socket. Must be called in a runtime.
    pub(crate) fn new(socket: std::net::UdpSocket, _kept_by_systemd: bool, span: Span) -> io::Result<Self> {
        Ok(Self { socket: UdpSocket::from_std(socket)?, span })
    }
}

/// One query and the reply to it.
#[derive(Debug)]
pub(crate) struct SingleDatagram {
    query: Vec<u8>,
    received: Option<(usize, SocketAddr)>,
    reply: [u8; MAX_UDP_REPLY],
    queued: Option<(usize, SocketAddr)>,
}

impl DatagramSocket for PortableSocket {
    type Batch = SingleDatagram;

    fn span(&self) -> &Span {
        &self.span
    }

    fn batch(&self) -> SingleDatagram {
        SingleDatagram { query: vec![0; MAX_QUERY], received: None, reply: [0; MAX_UDP_REPLY], queued: None }
    }

    async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    fn receive(&self, batch: &mut SingleDatagram) -> io::Result<QueueState> {
        (batch.received, batch.queued) = (None, None);
        batch.received = Some(self.socket.try_recv_from(&mut batch.query)?);
        Ok(QueueState::Unknown)
    }

    fn send(&self, batch: &mut SingleDatagram, _from: usize) -> io::Result<usize> {
        let Some((len, peer)) = batch.queued else { return Ok(0) };
        self.socket.try_send_to(batch.reply.get(..len).unwrap_or_default(), peer)?;
        Ok(1)
    }

    /// Does nothing: there is no portable way. Queries that arrive until the socket is closed are answered or lost.
    fn leave(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DatagramBatch for SingleDatagram {
    fn queries(&self) -> impl Iterator<Item = &[u8]> {
        self.received.iter().filter_map(|&(len, _)| self.query.get(..len))
    }

    fn answer(&mut self, mut each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>) {
        let Some((len, peer)) = self.received.take() else { return };
        let octets = self.query.get(..len).unwrap_or_default();
        self.queued = each(Datagram { octets, peer, cut: false }, &mut self.reply).map(|len| (len, peer));
    }

    fn replies(&self) -> usize {
        usize::from(self.queued.is_some())
    }
}
