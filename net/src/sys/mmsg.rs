//! Many datagrams with one system call, each with its own peer and source address: recvmmsg(2), sendmmsg(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{MSG_DONTWAIT, MSG_TRUNC, c_uint, iovec, mmsghdr, msghdr};
use poddns_core::MAX_UDP_REPLY;

use super::Datagram;
use super::address::AddressBuffer;
use super::control::{ControlBuffer, ReplySource};

/// Maximum number of datagrams received or sent by one system call. Beyond about 16 the cost of the call itself is
/// negligible. But each call evicts the server's code and tables from the nearest CPU caches, and they are loaded again
/// once for each batch, so a larger batch has fewer cache misses for each query.
pub(crate) const BATCH: usize = 64;

#[expect(clippy::cast_possible_truncation, reason = "64")]
const BATCH_LEN: c_uint = BATCH as c_uint;

/// Maximum number of bytes of a datagram that are received; the rest is lost. A question and 4 KiB of options fit.
///
/// It bounds the memory that a sender can make resident: with buffers for the longest datagrams (64 KiB), a flood of
/// them would touch 4 MiB for each socket of each thread.
pub(crate) const QUERY: usize = 4096 + 512;

/// Distance in bytes between the buffers of two queries. It is not a multiple of the page size, so that the beginnings
/// of the buffers do not map to the same cache sets.
const QUERY_STRIDE: usize = QUERY + 64;

/// Distance in bytes between the buffers of two replies: a multiple of the cache line.
const REPLY_STRIDE: usize = MAX_UDP_REPLY.next_multiple_of(64);

/// Buffers for one batch of queries and their replies, allocated once: 6.3 KiB for each datagram of a batch.
///
/// The headers point into the other vectors. None of the vectors ever grows, so the pointers stay valid for the
/// lifetime of the structure, also if it is moved.
pub(crate) struct DatagramBuffers {
    queries: Vec<u8>,
    replies: Vec<u8>,
    peers: Vec<AddressBuffer>,
    controls: Vec<ControlBuffer>,
    // Accessed only by the headers' pointers.
    _query_parts: Vec<iovec>,
    reply_parts: Vec<iovec>,
    incoming: Vec<mmsghdr>,
    outgoing: Vec<mmsghdr>,
    /// Number of `incoming` headers with a datagram.
    received: usize,
    /// Number of `incoming` headers that the kernel may have changed.
    used: usize,
    /// Number of `outgoing` headers with a reply.
    queued: usize,
    /// Number of received datagrams that were sent to a broadcast or multicast address.
    not_unicast: usize,
}

impl DatagramBuffers {
    pub(crate) fn new() -> Self {
        let mut queries = vec![0; BATCH * QUERY_STRIDE];
        let mut replies = vec![0; BATCH * REPLY_STRIDE];
        let mut peers = vec![AddressBuffer::new(); BATCH];
        let mut controls = vec![ControlBuffer::new(); BATCH];
        let mut query_parts = parts(&mut queries, QUERY_STRIDE, QUERY);
        let mut reply_parts = parts(&mut replies, REPLY_STRIDE, MAX_UDP_REPLY);
        let mut incoming = headers(&mut query_parts);
        for ((header, peer), control) in incoming.iter_mut().zip(&mut peers).zip(&mut controls) {
            header.msg_hdr.msg_name = ptr::from_mut(peer).cast();
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
        }
        let outgoing = headers(&mut reply_parts);
        Self {
            queries,
            replies,
            peers,
            controls,
            _query_parts: query_parts,
            reply_parts,
            incoming,
            outgoing,
            received: 0,
            used: BATCH,
            queued: 0,
            not_unicast: 0,
        }
    }

    /// Receives up to [`BATCH`] datagrams without waiting and returns their number. Discards the previous batch.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for header in self.incoming.iter_mut().take(self.used) {
            header.msg_hdr.msg_namelen = AddressBuffer::LEN;
            header.msg_hdr.msg_controllen = ControlBuffer::LEN as _;
        }
        self.used = 1;
        (self.received, self.queued, self.not_unicast) = (0, 0, 0);
        // SAFETY: the descriptor is open, since it is borrowed. Each of the BATCH headers points to one iovec,
        // and with it to QUERY bytes of `queries`; to one AddressBuffer and one ControlBuffer, whose sizes are in the
        // header: all in vectors of `self`, which is borrowed mutably, so there is no other access meanwhile.
        // They hold integers only, so whatever the kernel writes is valid.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                BATCH_LEN,
                MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        // Negative on failure, else at most BATCH.
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.received = count.min(BATCH);
        self.used = self.received.max(1);
        Ok(self.received)
    }

    /// Returns the number of received datagrams.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// Returns the payload of every received datagram.
    pub(crate) fn queries(&self) -> impl Iterator<Item = &[u8]> {
        let queries = self.incoming.iter().zip(self.queries.chunks_exact(QUERY_STRIDE)).take(self.received);
        queries.map(|(header, query)| query.get(..header.msg_len as usize).unwrap_or_default())
    }

    /// Calls `each` with every received datagram that was sent to a unicast address, and with a buffer for its reply.
    /// Queues a reply of as many bytes as `each` returns. If `each` panics, earlier replies stay queued.
    #[allow(clippy::unnecessary_cast, reason = "lengths are 32 bits wide in musl")]
    pub(crate) fn answer(&mut self, mut each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>) {
        let queries = self.queries.chunks_exact(QUERY_STRIDE);
        let received = self.incoming.iter().zip(queries).zip(&self.peers).zip(&mut self.controls);
        for (((header, query), peer), control) in received.take(self.received) {
            let octets = query.get(..header.msg_len as usize).unwrap_or_default();
            let cut = header.msg_hdr.msg_flags & MSG_TRUNC != 0;
            let Some(peer) = peer.get(header.msg_hdr.msg_namelen) else { continue };
            let control_len = match control.reply(header.msg_hdr.msg_controllen as usize) {
                ReplySource::Any => 0,
                ReplySource::Destination(len) => len,
                ReplySource::NotUnicast => {
                    self.not_unicast += 1;
                    continue;
                }
            };
            let start = self.queued * REPLY_STRIDE;
            let (Some(room), Some(part), Some(reply)) = (
                self.replies.get_mut(start..start + MAX_UDP_REPLY),
                self.reply_parts.get_mut(self.queued),
                self.outgoing.get_mut(self.queued),
            ) else {
                return;
            };
            let Some(len) = each(Datagram { octets, peer, cut }, room) else { continue };
            part.iov_len = len.min(MAX_UDP_REPLY);
            reply.msg_hdr.msg_name = header.msg_hdr.msg_name;
            reply.msg_hdr.msg_namelen = header.msg_hdr.msg_namelen;
            reply.msg_hdr.msg_control = header.msg_hdr.msg_control;
            reply.msg_hdr.msg_controllen = control_len as _;
            self.queued += 1;
        }
    }

    /// Returns the number of datagrams of the last batch that `answer` skipped, since they were sent to a broadcast or
    /// multicast address.
    pub(crate) fn not_unicast(&self) -> usize {
        self.not_unicast
    }

    /// Returns the number of queued replies.
    pub(crate) fn replies(&self) -> usize {
        self.queued
    }

    /// Sends the queued replies beginning with number `from`, without waiting, and returns the number of sent ones. An
    /// error refers to the first of them.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, from: usize) -> io::Result<usize> {
        let Some(headers) = self.outgoing.get_mut(from..self.queued) else { return Ok(0) };
        let len = c_uint::try_from(headers.len()).unwrap_or(BATCH_LEN);
        // SAFETY: the descriptor is open, since it is borrowed. Each header up to `queued` has been filled by `answer`:
        // its iovec points to at most MAX_UDP_REPLY bytes of `replies`, its name to the address that the kernel wrote
        // in `receive`, its control to the message that `ControlBuffer::reply` wrote, with no greater lengths; all in
        // vectors of `self`, which is borrowed mutably.
        let count =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), len, MSG_DONTWAIT as _) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// Returns one iovec of `len` bytes for each `stride` bytes of the buffer.
fn parts(buffer: &mut [u8], stride: usize, len: usize) -> Vec<iovec> {
    let pieces = buffer.chunks_exact_mut(stride);
    pieces.map(|piece| iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: len }).collect()
}

/// Returns one header for each iovec.
fn headers(parts: &mut [iovec]) -> Vec<mmsghdr> {
    let header = |part: &mut iovec| {
        // SAFETY: a C struct of integers and pointers, for which all zeros is a value.
        let mut message: msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = ptr::from_mut(part);
        message.msg_iovlen = 1;
        mmsghdr { msg_hdr: message, msg_len: 0 }
    };
    parts.iter_mut().map(header).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        (server, client)
    }

    #[test]
    fn an_empty_queue_would_block() {
        let (server, _client) = pair();
        let mut messages = DatagramBuffers::new();
        for _ in 0..3 {
            assert_eq!(messages.receive(server.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn burst_is_received_and_answered_as_batch() {
        let (server, client) = pair();
        let mut messages = DatagramBuffers::new();
        // Twice, since the second batch reuses the buffers and headers of the first.
        for round in 0..2_u8 {
            for number in 0..72_u8 {
                client.send(&[round, number]).unwrap();
            }
            let mut back = Vec::new();
            for expected in [BATCH, 8] {
                assert_eq!(messages.receive(server.as_fd()).unwrap(), expected);
                messages.answer(|query, out| {
                    assert_eq!(query.peer, client.local_addr().unwrap());
                    // Every third one is dropped.
                    if query.octets[1] % 3 == 0 {
                        return None;
                    }
                    out[..2].copy_from_slice(query.octets);
                    Some(2)
                });
                let mut sent = 0;
                while sent < messages.replies() {
                    sent += messages.send(server.as_fd(), sent).unwrap();
                }
            }
            let mut buffer = [0; 8];
            while back.len() < 48 {
                let len = client.recv(&mut buffer).unwrap();
                assert_eq!((len, buffer[0]), (2, round));
                back.push(buffer[1]);
            }
            assert_eq!(back, (0..72).filter(|number| number % 3 != 0).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn datagrams_are_whole_up_to_the_limit() {
        let (server, client) = pair();
        // 65,507 is the maximum UDP payload over IPv4.
        let huge: Vec<u8> = (0..65_507_u32).map(|at| at.to_le_bytes()[0]).collect();
        for len in [0, QUERY, QUERY + 1, huge.len(), 1] {
            client.send(&huge[..len]).unwrap();
        }
        let mut messages = DatagramBuffers::new();
        let mut received = Vec::new();
        while received.len() < 5 {
            messages.receive(server.as_fd()).unwrap();
            messages.answer(|query, _| {
                assert_eq!(query.octets, huge.get(..query.octets.len()).unwrap());
                received.push((query.octets.len(), query.cut));
                None
            });
        }
        assert_eq!(received, [(0, false), (QUERY, false), (QUERY, true), (QUERY, true), (1, false)]);
    }

    /// Passed sockets may have enabled other control messages, some of which precede the destination.
    #[test]
    fn other_control_messages_leave_source_unchanged() {
        use super::super::options::{reply_from_destination, set};
        use libc::{IP_RECVORIGDSTADDR, IP_RECVTTL, IPPROTO_IP, SO_TIMESTAMPING, SO_TIMESTAMPNS, SOL_SOCKET};
        let software = 1 << 3 | 1 << 4;
        let options = [
            (SOL_SOCKET, SO_TIMESTAMPNS, 1),
            (SOL_SOCKET, SO_TIMESTAMPING, software),
            (IPPROTO_IP, IP_RECVTTL, 1),
            (IPPROTO_IP, IP_RECVORIGDSTADDR, 1),
        ];
        // Each option alone, and all of them.
        for chosen in options.chunks(1).chain([&options[..]]) {
            let server = UdpSocket::bind("0.0.0.0:0").unwrap();
            let address = server.local_addr().unwrap();
            for &(level, name, value) in chosen {
                set(server.as_fd(), level, name, value).unwrap();
            }
            reply_from_destination(server.as_fd(), address).unwrap();
            // Connected, so that a reply from another address would not be received.
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
            client.connect(("127.0.0.77", address.port())).unwrap();
            client.send(b"x").unwrap();
            let mut messages = DatagramBuffers::new();
            assert_eq!(messages.receive(server.as_fd()).unwrap(), 1);
            messages.answer(|_, out| {
                out[0] = b'y';
                Some(1)
            });
            assert_eq!(messages.send(server.as_fd(), 0).unwrap(), 1);
            let mut reply = [0; 8];
            assert_eq!((client.recv(&mut reply).unwrap(), reply[0]), (1, b'y'), "{chosen:?}");
        }
    }

    #[test]
    fn errors_are_about_the_first_reply_left() {
        let (server, client) = pair();
        client.send(b"x").unwrap();
        let mut messages = DatagramBuffers::new();
        messages.receive(server.as_fd()).unwrap();
        messages.answer(|_, _| Some(1));
        let pipe = io::pipe().unwrap().1;
        assert!(messages.send(pipe.as_fd(), 0).is_err(), "not a socket");
        assert_eq!(messages.send(server.as_fd(), 0).unwrap(), 1);
    }
}
