//! Socket addresses in the kernel's format.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{AF_INET, AF_INET6, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

/// Buffer for the address of a peer.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct AddressBuffer(sockaddr_storage);

impl AddressBuffer {
    /// Size of the buffer in bytes, in the kernel's type.
    #[expect(clippy::cast_possible_truncation, reason = "128 bytes")]
    pub(super) const LEN: socklen_t = size_of::<sockaddr_storage>() as socklen_t;

    pub(super) fn new() -> Self {
        // SAFETY: a C struct of integers and arrays of integers, for which all zeros is a value.
        Self(unsafe { std::mem::zeroed() })
    }

    /// Returns the address that the kernel wrote into the first `len` bytes; `None` if its family is neither IPv4 nor
    /// IPv6.
    pub(super) fn get(&self, len: socklen_t) -> Option<SocketAddr> {
        let len = usize::try_from(len).ok()?;
        match i32::from(self.0.ss_family) {
            AF_INET if len >= size_of::<sockaddr_in>() => {
                // SAFETY: sockaddr_storage is made to be read as any socket address: it is at least as large
                // and aligned as sockaddr_in, whose fields are integers, so any bytes are valid.
                let inet = unsafe { &*(&raw const self.0).cast::<sockaddr_in>() };
                let ip = Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(inet.sin_port)).into())
            }
            AF_INET6 if len >= size_of::<sockaddr_in6>() => {
                // SAFETY: as above, for sockaddr_in6.
                let inet = unsafe { &*(&raw const self.0).cast::<sockaddr_in6>() };
                let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
                let port = u16::from_be(inet.sin6_port);
                Some(SocketAddrV6::new(ip, port, u32::from_be(inet.sin6_flowinfo), inet.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}
