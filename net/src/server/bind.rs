//! Binding of sockets, with their options.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Size of a UDP socket's buffers that is requested from the kernel, in bytes; it grants at most `net.core.rmem_max`.
const UDP_BUFFER: usize = 4 * 1024 * 1024;

/// Size of each of the two kernel buffers of a TCP connection, in bytes (Linux doubles it): enough for the longest
/// message, and the maximum that a client can make the kernel buffer.
const TCP_BUFFER: usize = 64 * 1024;

/// Maximum number of connections that are waiting to be accepted.
const BACKLOG: i32 = 1024;

/// Maximum number of attempts to find a port that is free for both transports, or both families.
const ATTEMPTS: usize = 16;

/// Reason why an address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} over {transport}: {error}{}", hint(error))]
pub struct BindError {
    /// The address, as configured.
    pub address: SocketAddr,
    /// `UDP`, `TCP` or `HTTP`.
    pub transport: &'static str,
    /// Error of the system.
    #[source]
    pub error: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program, or another user's poddnsd, uses it",
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has this address",
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 requires the capability CAP_NET_BIND_SERVICE, or a lower \
             net.ipv4.ip_unprivileged_port_start"
        }
        _ => "",
    }
}

/// The sockets of one address: one for each worker over UDP, and one over TCP.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// The address as bound: with the port that was chosen if port 0 was requested.
    pub(crate) address: SocketAddr,
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: TcpListener,
    /// True if systemd holds the sockets too, and passes them to the next process.
    pub(crate) kept_by_systemd: bool,
}

/// Binds an address for this many workers.
pub(crate) fn bind(address: SocketAddr, workers: NonZeroUsize) -> Result<Sockets, BindError> {
    let mut attempts = if address.port() == 0 { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match attempt(address, workers, address.port() == 0) {
            // The port that was free for UDP is in use for TCP.
            Err(error) if attempts > 0 && error.error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
}

/// Binds both wildcards to the same port. A failure for IPv6 is returned beside the IPv4 sockets: a host may have no
/// IPv6.
pub(crate) fn bind_wildcards(
    workers: NonZeroUsize,
) -> Result<(Sockets, Result<Sockets, BindError>), BindError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        let v4 = bind((Ipv4Addr::UNSPECIFIED, 0).into(), workers)?;
        match attempt((Ipv6Addr::UNSPECIFIED, v4.address.port()).into(), workers, true) {
            Err(error) if attempts > 0 && error.error.kind() == io::ErrorKind::AddrInUse => {}
            v6 => return Ok((v4, v6)),
        }
    }
}

/// Returns true if another UDP socket, of this process or another one, is bound to this address. Must be called before
/// the server binds the address, whose own sockets would count. The kernel distributes queries among all such sockets.
pub(crate) fn is_taken(address: SocketAddr) -> bool {
    let bind = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        only_v6(&socket, address)?;
        // Without SO_REUSEPORT, so that binding fails if the address is in use.
        socket.bind(&address.into())
    };
    address.port() != 0 && bind().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Binds an address; if `exclusive`, to a port that no other socket has.
fn attempt(address: SocketAddr, workers: NonZeroUsize, exclusive: bool) -> Result<Sockets, BindError> {
    let over = |transport| move |error| BindError { address, transport, error };
    check_unicast(address).map_err(over("UDP"))?;
    let first = udp(address, exclusive).map_err(over("UDP"))?;
    let bound = first.local_addr().map_err(over("UDP"))?;
    let mut sockets = vec![first];
    for _ in 1..workers.get() {
        sockets.push(udp(bound, false).map_err(over("UDP"))?);
    }
    let tcp = tcp(bound, exclusive).map_err(over("TCP"))?;
    Ok(Sockets { address: bound, udp: sockets, tcp, kept_by_systemd: false })
}

/// Refuses broadcast and multicast addresses. The kernel permits binding to them, but no client accepts a reply from
/// one.
fn check_unicast(address: SocketAddr) -> io::Result<()> {
    let unicast = match address.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !is_broadcast(ip),
        IpAddr::V6(ip) => !ip.is_multicast(),
    };
    if unicast { Ok(()) } else { Err(io::Error::other("it is a broadcast or multicast address")) }
}

/// Returns true for a broadcast address of an interface. Linux refuses to connect to one
/// (connect(2): `EACCES`) unless the socket has `SO_BROADCAST`.
fn is_broadcast(ip: Ipv4Addr) -> bool {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|probe| probe.connect((ip, 9)));
    ip.is_broadcast() || probe.is_err_and(|error| error.raw_os_error() == Some(libc::EACCES))
}

/// Binds a UDP socket. `exclusive` is true if no other socket may have its port, for instance because the kernel
/// chooses the port.
pub(crate) fn udp(address: SocketAddr, exclusive: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    only_v6(&socket, address)?;
    // Before binding, so that no datagram is received without its destination.
    prepare_udp(&SockRef::from(&socket), address)?;
    bind_shared(&socket, address, exclusive)?;
    Ok(socket.into())
}

/// Sets the options of a UDP socket that can be set before or after it is bound.
pub(crate) fn prepare_udp(socket: &SockRef<'_>, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsFd;
        // A socket that is bound to one address sends all replies from that address.
        if address.ip().is_unspecified() {
            crate::sys::reply_from_destination(socket.as_fd(), address)?;
        }
        crate::sys::without_path_mtu_discovery(socket.as_fd(), address)?;
    }
    Ok(())
}

fn tcp(address: SocketAddr, exclusive: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    only_v6(&socket, address)?;
    prepare_tcp(&SockRef::from(&socket))?;
    // Closed connections of the previous process (TIME-WAIT) must not prevent binding.
    socket.set_reuse_address(true)?;
    bind_shared(&socket, address, exclusive)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets the options of a TCP listener that can be set before or after it is bound. Its connections inherit them.
pub(crate) fn prepare_tcp(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(TCP_BUFFER)?;
    socket.set_send_buffer_size(TCP_BUFFER)?;
    socket.set_tcp_nodelay(true)
}

/// Restricts an IPv6 socket to IPv6, whatever the system's default is: IPv4 clients use an IPv4 address.
fn only_v6(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

/// Binds with `SO_REUSEPORT`, for the other workers of this address and for a process that takes over. If the kernel
/// chooses the port, the option is set afterwards: otherwise the kernel could choose, and share, a port of another
/// process of the same user.
fn bind_shared(socket: &Socket, address: SocketAddr, exclusive: bool) -> io::Result<()> {
    if exclusive {
        socket.bind(&address.into())?;
        socket.set_reuse_port(true)
    } else {
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())
    }
}

/// Binds listeners for HTTP, without sharing their addresses. If both wildcards are configured, the IPv6 one is omitted
/// on a host without IPv6, and with port 0 both have the same port.
pub(crate) fn bind_http(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut attempts = if addresses.iter().any(|address| address.port() == 0) { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match attempt_http(addresses) {
            // The port that was free for IPv4 is in use for IPv6.
            Err(error) if attempts > 0 && error.error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
}

fn attempt_http(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    // The port of the IPv4 wildcard, as configured and as bound.
    let mut wildcard = None;
    for &configured in addresses {
        let mut address = configured;
        if let (Some((port, bound)), true) =
            (wildcard, configured.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED))
            && port == configured.port()
        {
            address.set_port(bound);
        }
        match http(address) {
            Ok(listener) => {
                if configured.ip() == IpAddr::from(Ipv4Addr::UNSPECIFIED) {
                    let bound = listener.local_addr().map_err(|error| BindError {
                        address,
                        transport: "HTTP",
                        error,
                    })?;
                    wildcard = Some((configured.port(), bound.port()));
                }
                listeners.push(listener);
            }
            Err(error) if no_such_family(&error) && wildcard.is_some() => {
                tracing::warn!("{error}; serving IPv4 only");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

fn http(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        only_v6(&socket, address)?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|error| BindError { address, transport: "HTTP", error })
}

/// Returns the buffer sizes that the kernel granted: receive, send. Linux includes its bookkeeping, so they are up to
/// twice the requested sizes.
pub(crate) fn buffers(socket: &UdpSocket) -> io::Result<(usize, usize)> {
    let socket = SockRef::from(socket);
    Ok((socket.recv_buffer_size()?, socket.send_buffer_size()?))
}

/// Returns true if this host has no IPv6 at all. There is no `ErrorKind` for it.
pub(crate) fn no_such_family(error: &BindError) -> bool {
    error.error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn port_zero_takes_one_port() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), TWO).unwrap();
        let port = sockets.address.port();
        assert_ne!(port, 0);
        assert_eq!(sockets.udp.len(), 2);
        for socket in &sockets.udp {
            assert_eq!(socket.local_addr().unwrap().port(), port);
        }
        assert_eq!(sockets.tcp.local_addr().unwrap().port(), port);
    }

    #[test]
    fn a_given_port_is_shared() {
        let old = bind("127.0.0.1:0".parse().unwrap(), TWO).unwrap();
        let new = bind(old.address, TWO).unwrap();
        assert_eq!(new.address, old.address);
    }

    #[test]
    fn taken_port_is_refused_with_hint() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = bind(other.local_addr().unwrap(), TWO).unwrap_err();
        assert_eq!(error.transport, "UDP");
        assert!(error.to_string().ends_with("another user's poddnsd, uses it"), "{error}");
        let error = bind("192.0.2.1:0".parse().unwrap(), TWO).unwrap_err();
        assert!(error.to_string().ends_with("no interface of this host has this address"), "{error}");
    }

    #[test]
    fn wildcards_take_one_port() {
        let (v4, v6) = bind_wildcards(TWO).unwrap();
        // A host may have no IPv6.
        if let Ok(v6) = v6 {
            assert_eq!(v6.address.port(), v4.address.port());
            assert!(v6.address.is_ipv6() && v4.address.is_ipv4());
        }
    }

    #[test]
    fn addresses_of_others_are_taken() {
        let address = "127.0.0.1:0".parse().unwrap();
        assert!(!is_taken(address));
        let other = bind(address, TWO).unwrap();
        assert!(is_taken(other.address));
        assert!(is_taken(([0, 0, 0, 0], other.address.port()).into()), "the wildcard has it, too");
        let address = other.address;
        drop(other);
        assert!(!is_taken(address));
    }

    #[test]
    fn broadcast_and_multicast_addresses_are_refused() {
        for address in ["127.255.255.255:0", "255.255.255.255:0", "224.0.0.1:0", "[ff02::1]:0"] {
            let error = bind(address.parse().unwrap(), TWO).unwrap_err();
            assert!(error.to_string().ends_with("it is a broadcast or multicast address"), "{error}");
        }
    }

    #[test]
    fn granted_buffer_sizes_are_reported() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN).unwrap();
        let (receive, send) = buffers(&sockets.udp[0]).unwrap();
        assert!(receive > 65_535 && send > 65_535, "{receive} {send}");
    }

    #[test]
    fn wildcards_of_http_take_one_port() {
        let wildcards = [(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::UNSPECIFIED, 0).into()];
        let listeners = bind_http(&wildcards).unwrap();
        let ports: Vec<u16> =
            listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        // A host may have no IPv6.
        assert!(!ports.is_empty() && ports.iter().all(|&port| port == ports[0] && port != 0), "{ports:?}");
        let error = bind_http(&[listeners[0].local_addr().unwrap()]).unwrap_err();
        assert_eq!((error.transport, error.error.kind()), ("HTTP", io::ErrorKind::AddrInUse));
        assert!(bind_http(&[]).unwrap().is_empty());
    }
}
