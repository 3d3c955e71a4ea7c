//! Socket options that `socket2` does not have.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{
    IP_MTU_DISCOVER, IP_PKTINFO, IP_PMTUDISC_OMIT, IPPROTO_IP, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
    IPV6_PMTUDISC_OMIT, IPV6_RECVPKTINFO, SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF, SO_MEMINFO,
    SOL_SOCKET, c_int, sock_filter, sock_fprog, socklen_t,
};

#[expect(clippy::cast_possible_truncation, reason = "4 bytes")]
const INT_LEN: socklen_t = size_of::<c_int>() as socklen_t;

#[expect(clippy::cast_possible_truncation, reason = "16 bytes")]
const FPROG_LEN: socklen_t = size_of::<sock_fprog>() as socklen_t;

pub(super) fn set(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open, since it is borrowed; the pointer is to an int that outlives the call,
    // and the length is an int's.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), INT_LEN) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the kernel report the destination address of each datagram (ip(7), RFC 3542 6.2).
pub(crate) fn reply_from_destination(socket: BorrowedFd<'_>, bound: SocketAddr) -> io::Result<()> {
    match bound {
        SocketAddr::V4(_) => set(socket, IPPROTO_IP, IP_PKTINFO, 1),
        SocketAddr::V6(_) => {
            // A socket passed by systemd may accept IPv4 clients, too, and only this form shows a broadcast address.
            let _ = set(socket, IPPROTO_IP, IP_PKTINFO, 1);
            set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        }
    }
}

/// Makes the kernel send datagrams without DF and ignore ICMP messages about the path MTU: responses of at most 1232 octets
/// need neither, and forged "fragmentation needed" messages change nothing (draft-ietf-dnsop-avoid-fragmentation).
pub(crate) fn without_path_mtu_discovery(socket: BorrowedFd<'_>, bound: SocketAddr) -> io::Result<()> {
    match bound {
        SocketAddr::V4(_) => set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT),
        SocketAddr::V6(_) => set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT),
    }
}

/// Makes the kernel queue all new connections at one of the listening sockets that share this one's address by
/// `SO_REUSEPORT`: at the socket of this number, in the order in which they joined. If one is closed, the last one
/// takes its number. If there is no socket of this number, the kernel chooses by a hash of addresses and ports, as
/// without this option.
pub(crate) fn choose_listener(socket: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    // Classic BPF, of one instruction: return this constant (socket(7), SO_ATTACH_REUSEPORT_CBPF).
    const RETURN: u16 = 0x06;
    let mut program = [sock_filter { code: RETURN, jt: 0, jf: 0, k: number }];
    let program = sock_fprog { len: 1, filter: program.as_mut_ptr() };
    // SAFETY: the descriptor is open, since it is borrowed; the pointer is to a sock_fprog of the size passed, which
    // points to one instruction; both outlive the call, and the kernel only reads them.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            SOL_SOCKET,
            SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            FPROG_LEN,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reverts [`choose_listener`]; fails if there is nothing to revert.
pub(crate) fn choose_any_listener(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0)
}

/// Returns the number of datagrams that the kernel dropped because this socket's receive buffer was full: `SK_MEMINFO_DROPS` of
/// socket(7)'s `SO_MEMINFO`.
pub(crate) fn dropped_by_kernel(socket: BorrowedFd<'_>) -> io::Result<u32> {
    const DROPS: usize = 8;
    let mut info = [0_u32; DROPS + 1];
    let mut len = INT_LEN * 9;
    // SAFETY: the descriptor is open, since it is borrowed; the pointers are to an array of nine 32-bit
    // integers and to its length in bytes, and both outlive the call.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_MEMINFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    if done == 0 { Ok(info[DROPS]) } else { Err(io::Error::last_os_error()) }
}

/// Returns the index of a network interface by its name, such as `eth0`; `None` if there is none of this name.
#[cfg(feature = "daemon")]
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the pointer is to a string that ends with a zero and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[cfg(feature = "daemon")]
    #[test]
    fn loopback_has_a_number() {
        assert!(interface_index("lo").is_some());
        assert_eq!(interface_index("no-such-interface"), None);
        assert_eq!(interface_index("a\0b"), None);
    }

    #[test]
    fn path_mtu_discovery_is_off() {
        for (address, level, name, expected) in [
            ("127.0.0.1:0", IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT),
            ("[::1]:0", IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT),
        ] {
            let socket = UdpSocket::bind(address).unwrap();
            without_path_mtu_discovery(socket.as_fd(), address.parse().unwrap()).unwrap();
            let (mut value, mut len) = (-1 as c_int, INT_LEN);
            // SAFETY: the descriptor is open; the pointers are to an int and to its length, and outlive the call.
            let done = unsafe {
                libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len)
            };
            assert_eq!((done, value), (0, expected), "{address}");
        }
    }

    #[test]
    fn a_new_socket_has_dropped_nothing() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(dropped_by_kernel(socket.as_fd()).unwrap(), 0);
    }

    #[test]
    fn other_descriptors_are_refused() {
        let pipe = io::pipe().unwrap().0;
        let bound = "127.0.0.1:0".parse().unwrap();
        assert!(reply_from_destination(pipe.as_fd(), bound).is_err());
        assert!(without_path_mtu_discovery(pipe.as_fd(), bound).is_err());
    }
}
