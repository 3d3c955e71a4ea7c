//! Linux: recvmmsg and sendmmsg on a socket that tokio's epoll watches.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time;
use tracing::Span;

use super::{DatagramBatch, DatagramSocket, QueueState};
use crate::sys::{BATCH, Datagram, DatagramBuffers, watch};

/// The discard port (RFC 863).
const DISCARD: u16 = 9;

/// Delay before sending is tried again if a full send buffer cannot be watched because the limit of open files is
/// reached.
const SEND_RETRY_DELAY: Duration = Duration::from_millis(1);

/// A UDP socket whose replies leave from the address that the query was sent to.
#[derive(Debug)]
pub(crate) struct MmsgSocket {
    /// Watched for readability only: the kernel reports writability after every reply, and a wake-up for it would cost
    /// more than sending the reply.
    socket: AsyncFd<UdpSocket>,
    bound: SocketAddr,
    kept_by_systemd: bool,
    span: Span,
}

impl MmsgSocket {
    /// Takes a socket that is bound, non-blocking and reports the destination of datagrams. Must be called in a
    /// runtime.
    pub(crate) fn new(socket: UdpSocket, kept_by_systemd: bool, span: Span) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Self { socket, bound, kept_by_systemd, span })
    }
}

impl DatagramSocket for MmsgSocket {
    type Batch = DatagramBuffers;

    fn span(&self) -> &Span {
        &self.span
    }

    fn batch(&self) -> DatagramBuffers {
        DatagramBuffers::new()
    }

    async fn readable(&self) -> io::Result<()> {
        // `poll_read_ready` stores one waker, whereas `AsyncFd::readable` keeps a list of them.
        poll_fn(|context| self.socket.poll_read_ready(context).map_ok(drop)).await
    }

    /// Waits for room in the send buffer. Called only if the buffer is full, so it may cost a few system calls.
    async fn writable(&self) -> io::Result<()> {
        let again = self.socket.get_ref().try_clone();
        match again.and_then(|socket| watch(socket, Interest::WRITABLE)) {
            Ok(socket) => socket.writable().await.map(drop),
            Err(error) => {
                tracing::debug!(parent: &self.span, %error, "a full send buffer cannot be watched");
                time::sleep(SEND_RETRY_DELAY).await;
                Ok(())
            }
        }
    }

    /// Receives a batch. If it has fewer datagrams than it has room for, the socket is empty. Reporting this to tokio
    /// saves the call that would return `WouldBlock`, a third of all calls if queries arrive one by one. A datagram
    /// that arrives in between is not missed: epoll is edge-triggered and reports every arrival, which makes the socket
    /// readable again.
    fn receive(&self, batch: &mut DatagramBuffers) -> io::Result<QueueState> {
        let mut received = 0;
        let outcome = self.socket.try_io(Interest::READABLE, |socket| {
            received = batch.receive(socket.as_fd())?;
            if received < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(QueueState::Unknown) }
        });
        if received > 0 && outcome.is_err() { Ok(QueueState::Empty) } else { outcome }
    }

    fn send(&self, batch: &mut DatagramBuffers, from: usize) -> io::Result<usize> {
        batch.send(self.socket.as_fd(), from)
    }

    /// Connects the socket to an unused port. Linux delivers datagrams to a connected socket of a group only from its
    /// peer, so this socket receives no more, and keeps those that are queued.
    fn leave(&self) -> io::Result<()> {
        // The next process receives this same socket with its queue, so it must remain unchanged.
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
        SockRef::from(self.socket.get_ref()).connect(&nobody.into())
    }
}

impl DatagramBatch for DatagramBuffers {
    fn queries(&self) -> impl Iterator<Item = &[u8]> {
        Self::queries(self)
    }

    fn received(&self) -> usize {
        Self::received(self)
    }

    fn answer(&mut self, each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>) {
        Self::answer(self, each);
    }

    fn not_unicast(&self) -> usize {
        Self::not_unicast(self)
    }

    fn replies(&self) -> usize {
        Self::replies(self)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn pair() -> (MmsgSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        server.set_nonblocking(true).unwrap();
        (MmsgSocket::new(server, false, Span::none()).unwrap(), client)
    }

    /// Returns true if a wait would end immediately.
    fn is_readable(socket: &MmsgSocket) -> bool {
        pin!(socket.readable()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn waiting_begins_when_the_socket_is_empty() {
        let (server, client) = pair();
        let mut batch = server.batch();
        for round in 0..100 {
            for _ in 0..BATCH + 1 + round % 3 {
                client.send(b"x").unwrap();
            }
            server.readable().await.unwrap();
            assert_eq!(server.receive(&mut batch).unwrap(), QueueState::Unknown);
            assert!(is_readable(&server), "there may be more behind a full batch");
            assert_eq!(server.receive(&mut batch).unwrap(), QueueState::Empty);
            assert!(!is_readable(&server));
            // A datagram right afterwards ends the wait, although the last reception emptied the socket.
            client.send(b"y").unwrap();
            server.readable().await.unwrap();
            assert_eq!(server.receive(&mut batch).unwrap(), QueueState::Empty);
            assert_eq!(server.receive(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[tokio::test]
    async fn room_is_watched_only_when_waited_for() {
        let (server, client) = pair();
        let mut batch = server.batch();
        client.send(b"x").unwrap();
        server.readable().await.unwrap();
        server.receive(&mut batch).unwrap();
        batch.answer(|_, _| Some(1));
        assert_eq!(server.send(&mut batch, 0).unwrap(), 1);
        client.recv(&mut [0; 8]).unwrap();
        // The socket is writable. Yielding makes tokio poll epoll, where only readability is registered.
        tokio::task::yield_now().await;
        let told = server.socket.try_io(Interest::WRITABLE, |_| Ok(()));
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        server.writable().await.unwrap();
    }
}
