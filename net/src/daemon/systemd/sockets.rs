//! Sockets passed by systemd.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::server::bind::{Sockets, prepare_tcp, prepare_udp};

/// Reason why the sockets that systemd passes cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassedError {
    /// A descriptor is not a UDP or listening TCP socket.
    #[error(
        "descriptor {descriptor}, passed by systemd, is neither a UDP nor a listening TCP socket: the .socket unit \
         should have ListenDatagram= and ListenStream= with an IP address and port, and Accept=no"
    )]
    Kind {
        /// Number of the descriptor.
        descriptor: usize,
    },
    /// A socket cannot be prepared.
    #[error("descriptor {descriptor}, passed by systemd: {source}")]
    Unusable {
        /// Number of its descriptor.
        descriptor: usize,
        /// Error of the system.
        source: io::Error,
    },
    /// An address lacks one transport.
    #[error(
        "systemd passes {address} over {has} only, but DNS takes both UDP and TCP: add {missing}={address} to the \
         .socket unit"
    )]
    HalfAnAddress {
        /// The address.
        address: SocketAddr,
        /// Transport that it has.
        has: &'static str,
        /// Missing setting of the unit.
        missing: &'static str,
    },
    /// An address has several TCP listeners.
    #[error("systemd passes {address} over TCP {count} times; leave one ListenStream= in the .socket unit")]
    TooManyListeners {
        /// The address.
        address: SocketAddr,
        /// Number of its listeners.
        count: usize,
    },
    /// An address has more UDP sockets than there are threads.
    #[error(
        "systemd passes {address} over UDP {count} times, but there are only {threads} threads to serve it; raise \
         --threads, or leave as many ListenDatagram= in the .socket unit"
    )]
    TooFewThreads {
        /// The address.
        address: SocketAddr,
        /// Number of its UDP sockets.
        count: usize,
        /// Number of threads.
        threads: NonZeroUsize,
    },
}

/// Sockets that systemd has passed to this process, by address, in the order of the unit.
///
/// An address may have several UDP sockets (`ReusePort=yes`), one for each thread that is to serve it.
#[derive(Debug, Default)]
pub struct PassedSockets(pub(crate) Vec<Sockets>);

impl PassedSockets {
    /// Takes the sockets from the environment; none if systemd passes none. Removes the variables, so that programs
    /// that this process runs do not take the sockets, too. Must be called once, before any thread is started, since it
    /// changes the environment.
    pub fn take() -> Result<Self, PassedError> {
        // Without `LISTEN_PID`, listenfd would accept `LISTEN_FDS` of another process; systemd always sets both.
        if env::var_os("LISTEN_PID").is_none() { Ok(Self::default()) } else { taken().map(Self) }
    }

    /// Returns the addresses of the sockets.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|sockets| sockets.address).collect()
    }

    /// Fails if there are not enough threads for all sockets.
    pub(crate) fn check_threads(&self, threads: NonZeroUsize) -> Result<(), PassedError> {
        let of = |sockets: &Sockets| (sockets.address, sockets.udp.len());
        // A socket without a thread would lose the queries that arrive at it.
        match self.0.iter().map(of).find(|&(_, count)| count > threads.get()) {
            Some((address, count)) => Err(PassedError::TooFewThreads { address, count, threads }),
            None => Ok(()),
        }
    }

    /// Logs the addresses that have fewer UDP sockets than there are threads.
    pub(crate) fn advise(&self, threads: NonZeroUsize) {
        for sockets in self.0.iter().filter(|sockets| sockets.udp.len() < threads.get()) {
            tracing::info!(
                address = %sockets.address, sockets = sockets.udp.len(), %threads,
                "one thread serves each UDP socket, so the others have nothing to do at this address; give the \
                 .socket unit ReusePort=yes and ListenDatagram= once for each thread"
            );
        }
    }
}

fn taken() -> Result<Vec<Sockets>, PassedError> {
    let mut descriptors = ListenFd::from_env();
    let mut all = PassedAddresses::default();
    for index in 0..descriptors.len() {
        let descriptor = 3 + index;
        let unusable = |source| PassedError::Unusable { descriptor, source };
        if let Ok(Some(socket)) = descriptors.take_udp_socket(index) {
            let address = socket.local_addr().map_err(unusable)?;
            prepare_udp(&SockRef::from(&socket), address).map_err(unusable)?;
            all.at(address).udp.push(socket);
        } else if let Ok(Some(listener)) = descriptors.take_tcp_listener(index) {
            if !SockRef::from(&listener).is_listener().map_err(unusable)? {
                return Err(PassedError::Kind { descriptor });
            }
            prepare_tcp(&SockRef::from(&listener)).map_err(unusable)?;
            let address = listener.local_addr().map_err(unusable)?;
            all.at(address).tcp.push(listener);
        } else {
            return Err(PassedError::Kind { descriptor });
        }
    }
    all.0.into_iter().map(PassedAddress::sockets).collect()
}

/// Addresses found so far, in order.
#[derive(Default)]
struct PassedAddresses(Vec<PassedAddress>);

struct PassedAddress {
    address: SocketAddr,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl PassedAddresses {
    fn at(&mut self, address: SocketAddr) -> &mut PassedAddress {
        let known = self.0.iter().position(|known| known.address == address);
        let index = known.unwrap_or_else(|| {
            self.0.push(PassedAddress { address, udp: Vec::new(), tcp: Vec::new() });
            self.0.len() - 1
        });
        &mut self.0[index]
    }
}

impl PassedAddress {
    fn sockets(self) -> Result<Sockets, PassedError> {
        let Self { address, udp, mut tcp } = self;
        let count = tcp.len();
        let half = |has, missing| PassedError::HalfAnAddress { address, has, missing };
        if udp.is_empty() {
            return Err(half("TCP", "ListenDatagram"));
        }
        let listener = tcp.pop().ok_or_else(|| half("UDP", "ListenStream"))?;
        if count > 1 {
            return Err(PassedError::TooManyListeners { address, count });
        }
        Ok(Sockets { address, udp, tcp: listener, kept_by_systemd: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(udp: usize, tcp: usize) -> Result<Sockets, PassedError> {
        let address = ([127, 0, 0, 1], 53).into();
        let udp = (0..udp).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let tcp = (0..tcp).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        PassedAddress { address, udp, tcp }.sockets()
    }

    #[test]
    fn an_address_has_both_transports() {
        let sockets = address(3, 1).unwrap();
        assert_eq!(sockets.udp.len(), 3);
        assert!(sockets.kept_by_systemd);
        let says = |udp, tcp| address(udp, tcp).unwrap_err().to_string();
        assert!(
            says(0, 1).ends_with("add ListenDatagram=127.0.0.1:53 to the .socket unit"),
            "{}",
            says(0, 1)
        );
        assert!(says(1, 0).ends_with("add ListenStream=127.0.0.1:53 to the .socket unit"), "{}", says(1, 0));
        assert!(says(1, 2).starts_with("systemd passes 127.0.0.1:53 over TCP 2 times"), "{}", says(1, 2));
    }

    #[test]
    fn each_socket_has_a_thread() {
        let threads = |threads| NonZeroUsize::new(threads).unwrap();
        let passed = PassedSockets(vec![address(2, 1).unwrap()]);
        assert!(passed.check_threads(threads(2)).is_ok());
        assert!(passed.check_threads(threads(3)).is_ok());
        let error = passed.check_threads(threads(1)).unwrap_err().to_string();
        assert!(
            error.starts_with("systemd passes 127.0.0.1:53 over UDP 2 times, but there are only 1 th"),
            "{error}"
        );
    }
}
