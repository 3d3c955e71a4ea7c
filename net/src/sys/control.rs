//! The control message that tells to which of our addresses a datagram came, turned round for the response.

use std::mem;

use libc::{
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO, cmsghdr,
    in_pktinfo, in6_pktinfo, msghdr,
};

#[expect(clippy::cast_possible_truncation, reason = "12 octets")]
const V4_LEN: u32 = size_of::<in_pktinfo>() as u32;
#[expect(clippy::cast_possible_truncation, reason = "20 octets")]
const V6_LEN: u32 = size_of::<in6_pktinfo>() as u32;

/// Room for one control message, which is all that we ask the kernel for.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([u8; Self::LEN]);

impl Control {
    /// A header of at most 16 octets and the larger of the two structures, aligned: 40, rounded up.
    pub(super) const LEN: usize = 64;

    pub(super) const fn new() -> Self {
        Self([0; Self::LEN])
    }

    /// Changes what came with a datagram into what sends the response from the same address, in place, and
    /// returns how many octets of it to send: 0 leaves the choice to the kernel.
    ///
    /// `len` is what the kernel said that it wrote.
    #[allow(clippy::unnecessary_cast, reason = "lengths are 32 bits wide in musl")]
    #[expect(clippy::cast_ptr_alignment, reason = "read and written unaligned")]
    pub(super) fn turn_round(&mut self, len: usize) -> usize {
        // SAFETY: a C struct of integers and pointers, for which all zeros is a value.
        let mut message: msghdr = unsafe { mem::zeroed() };
        message.msg_control = self.0.as_mut_ptr().cast();
        message.msg_controllen = len.min(Self::LEN) as _;
        // SAFETY: msg_control and msg_controllen describe this buffer, which lives on.
        let header = unsafe { CMSG_FIRSTHDR(&raw const message) };
        if header.is_null() {
            return 0;
        }
        // SAFETY: CMSG_FIRSTHDR gives a pointer only if the buffer holds a whole header.
        let cmsghdr { cmsg_len, cmsg_level, cmsg_type, .. } = unsafe { header.read_unaligned() };
        let room = len.min(Self::LEN);
        // SAFETY: CMSG_DATA computes an address behind the header; it reads nothing.
        let data = unsafe { CMSG_DATA(header) };
        let written = |size: u32| {
            // SAFETY: CMSG_LEN computes a sum; it reads nothing.
            let whole = unsafe { CMSG_LEN(size) };
            usize::try_from(whole).is_ok_and(|whole| cmsg_len as usize >= whole && room >= whole)
        };
        let turned = match (cmsg_level, cmsg_type) {
            (IPPROTO_IP, IP_PKTINFO) if written(V4_LEN) => {
                let info = data.cast::<in_pktinfo>();
                // SAFETY: `written` has checked that the buffer holds the whole structure, of integers only;
                // alignment is not assumed.
                unsafe {
                    let turned = turn_v4(info.read_unaligned());
                    turned.map(|turned| info.write_unaligned(turned))
                }
            }
            (IPPROTO_IPV6, IPV6_PKTINFO) if written(V6_LEN) => {
                let info = data.cast::<in6_pktinfo>();
                // SAFETY: as above.
                unsafe {
                    let turned = turn_v6(info.read_unaligned());
                    turned.map(|turned| info.write_unaligned(turned))
                }
            }
            _ => None,
        };
        if turned.is_some() { room } else { 0 }
    }
}

/// ip(7): when sending, `ipi_spec_dst` is the source address, and a non-zero `ipi_ifindex` binds the packet to
/// that interface, which must be left to the routing table: the way back may be another one.
fn turn_v4(info: in_pktinfo) -> Option<in_pktinfo> {
    (info.ipi_spec_dst.s_addr != 0).then_some(in_pktinfo { ipi_ifindex: 0, ..info })
}

/// RFC 3542 6.1: a source address and an interface, the latter only where the address means nothing without.
fn turn_v6(info: in6_pktinfo) -> Option<in6_pktinfo> {
    let address = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
    if address.is_multicast() || address.is_unspecified() {
        return None;
    }
    let ipi6_ifindex = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
    Some(in6_pktinfo { ipi6_ifindex, ..info })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_received_leaves_the_choice_to_the_kernel() {
        let mut control = Control::new();
        assert_eq!(control.turn_round(0), 0);
        assert_eq!(control.turn_round(8), 0, "shorter than a header");
        assert_eq!(control.turn_round(Control::LEN), 0, "a header of zeros");
        assert_eq!(control.turn_round(usize::MAX), 0);
    }

    #[test]
    fn the_interface_is_kept_only_for_link_local_addresses() {
        let info = |text: &str| in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: text.parse::<std::net::Ipv6Addr>().unwrap().octets() },
            ipi6_ifindex: 7,
        };
        let interface = |text: &str| turn_v6(info(text)).map(|turned| turned.ipi6_ifindex);
        assert_eq!(interface("2001:db8::1"), Some(0));
        assert_eq!(interface("::1"), Some(0));
        assert_eq!(interface("fe80::1"), Some(7));
        assert_eq!(interface("ff02::1"), None);
        assert_eq!(interface("::"), None);
    }
}
