//! A UDP server without DNS: its cost is the lower bound for DNS servers on the same machine.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tracing::Span;

use crate::server::bind;
use crate::server::counters::Counters;
use crate::server::udp::{BatchResponder, DatagramBatch, Socket, serve};

/// A server that answers by a function in place of DNS, with the socket, options and loop of a UDP thread of a
/// [`Server`](crate::Server).
#[derive(Debug)]
pub struct Floor {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Floor {
    /// Binds an address; port 0 selects a free port. Fails if the system refuses it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = bind::udp(address, address.port() == 0)?;
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// Returns the address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers on the calling thread, without end.
    ///
    /// `answer` receives a datagram, its sender and a buffer of 1232 bytes for the reply, and returns the length of the
    /// reply, or `None` to send nothing. It is called for one datagram after another and must not block.
    ///
    /// Returns only if a runtime cannot be created.
    pub fn answer_all(
        self,
        answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>,
    ) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        let mut answers = Function { answer, counters: Counters::default() };
        // `_stop` is never used, so the loop does not end.
        let (_stop, mut stopped) = oneshot::channel();
        runtime.block_on(async {
            let socket = Socket::new(self.socket, false, Span::none())?;
            serve(&socket, &mut answers, &mut stopped).await;
            Ok(())
        })
    }
}

struct Function<F> {
    answer: F,
    counters: Counters,
}

impl<F: FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>> BatchResponder for Function<F> {
    fn answer(&mut self, batch: &mut impl DatagramBatch) {
        batch.answer(|query, out| (self.answer)(query.octets, query.peer, out));
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_answers_datagrams() {
        let floor = Floor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(floor.address()).unwrap();
        // Ends with the test's process.
        std::thread::spawn(move || {
            floor.answer_all(|query, _, out| {
                let reply = out.get_mut(..query.len())?;
                reply.copy_from_slice(query);
                reply.reverse();
                (query != b"silence").then_some(reply.len())
            })
        });
        let mut reply = [0; 16];
        for _ in 0..100 {
            client.send(b"silence").unwrap();
            client.send(b"abc").unwrap();
            assert_eq!(client.recv(&mut reply).unwrap(), 3);
            assert_eq!(&reply[..3], b"cba");
        }
    }
}
