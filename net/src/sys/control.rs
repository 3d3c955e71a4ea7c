//! Control messages: the address that a datagram was sent to, and the source address of its reply.

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6,
    IPV6_PKTINFO, c_int, cmsghdr, in_addr, in_pktinfo, in6_addr, in6_pktinfo, msghdr,
};

/// Buffer for the control messages of a datagram. Sockets of this process enable one of 32 or 40 bytes; a socket passed
/// by systemd may also enable timestamps, the TTL and others (socket(7), ip(7), ipv6(7)).
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer([u8; Self::LEN]);

/// The source address of the response to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplySource {
    /// The kernel chooses: the socket is bound to one address, or does not report the destination.
    Any,
    /// The address that the datagram was sent to. Contains the length of the control message for the reply, in bytes.
    Destination(usize),
    /// None: the datagram was sent to a broadcast or multicast address, which cannot be a source.
    NotUnicast,
}

/// The destination of a datagram, from its control messages.
#[derive(Clone, Copy)]
enum Destination {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl ControlBuffer {
    /// Size in bytes: twice that of timestamps of all kinds and both destinations.
    pub(super) const LEN: usize = 256;

    pub(super) const fn new() -> Self {
        Self([0; Self::LEN])
    }

    /// Replaces the control messages of a received datagram, `len` bytes as the kernel reports, by one for its reply,
    /// which sets the source address to the destination of the datagram.
    pub(super) fn reply(&mut self, len: usize) -> ReplySource {
        match self.destination(len) {
            None => ReplySource::Any,
            Some(Destination::V4(info)) => source_v4(info)
                .map_or(ReplySource::NotUnicast, |info| self.write(IPPROTO_IP, IP_PKTINFO, info)),
            Some(Destination::V6(info)) => source_v6(info)
                .map_or(ReplySource::NotUnicast, |info| self.write(IPPROTO_IPV6, IPV6_PKTINFO, info)),
        }
    }

    /// Returns the destination from the control messages. An IPv6 socket that accepts IPv4 clients may have it in both
    /// forms; only the IPv4 form shows a broadcast address.
    #[allow(clippy::unnecessary_cast, reason = "lengths are 32 bits wide in musl")]
    fn destination(&mut self, len: usize) -> Option<Destination> {
        let room = len.min(Self::LEN);
        let message = self.message(room);
        let mut found = None;
        // SAFETY: msg_control and msg_controllen describe this buffer, which outlives the loop.
        let mut next = unsafe { CMSG_FIRSTHDR(&raw const message) };
        while !next.is_null() {
            // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return a pointer only to a whole header within the buffer; a header
            // consists of integers, so any bytes are valid.
            let header: cmsghdr = unsafe { next.read_unaligned() };
            let rest = room.saturating_sub(next.addr() - self.0.as_ptr().addr());
            let length = header.cmsg_len as usize;
            if length > rest {
                // This message is truncated, so it is the last one.
                break;
            }
            // SAFETY: CMSG_DATA computes the address after the header; it reads nothing.
            let data = unsafe { CMSG_DATA(next) };
            match (header.cmsg_level, header.cmsg_type) {
                (IPPROTO_IP, IP_PKTINFO) if length >= whole::<in_pktinfo>() => {
                    // SAFETY: the message contains the whole structure, which consists of integers; it is read
                    // unaligned.
                    return Some(Destination::V4(unsafe { data.cast::<in_pktinfo>().read_unaligned() }));
                }
                (IPPROTO_IPV6, IPV6_PKTINFO) if length >= whole::<in6_pktinfo>() => {
                    // SAFETY: as above.
                    found = Some(Destination::V6(unsafe { data.cast::<in6_pktinfo>().read_unaligned() }));
                }
                _ => {}
            }
            // SAFETY: `next` points to a header within the buffer that `message` describes, and its length is not
            // beyond the end of the buffer.
            next = unsafe { CMSG_NXTHDR(&raw const message, next) };
        }
        found
    }

    /// Overwrites the buffer with one control message and returns its length.
    #[allow(clippy::unnecessary_cast, reason = "lengths are 32 bits wide in musl")]
    fn write<T: PacketInfo>(&mut self, level: c_int, kind: c_int, info: T) -> ReplySource {
        let message = self.message(Self::LEN);
        // SAFETY: as in `destination`.
        let first = unsafe { CMSG_FIRSTHDR(&raw const message) };
        if first.is_null() {
            return ReplySource::Any;
        }
        // SAFETY: a C struct of integers, for which all zeros is a value.
        let mut header: cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = whole::<T>() as _;
        (header.cmsg_level, header.cmsg_type) = (level, kind);
        // SAFETY: `first` is the start of a buffer of LEN bytes, more than the header and either structure take,
        // and CMSG_DATA is the place of the structure; both are written unaligned.
        unsafe {
            first.write_unaligned(header);
            CMSG_DATA(first).cast::<T>().write_unaligned(info);
        }
        // SAFETY: CMSG_SPACE computes a sum; it reads nothing.
        ReplySource::Destination(unsafe { CMSG_SPACE(T::LEN) } as usize)
    }

    /// Returns a message header with the first `len` bytes of this buffer as its control messages.
    fn message(&mut self, len: usize) -> msghdr {
        // SAFETY: a C struct of integers and pointers, for which all zeros is a value.
        let mut message: msghdr = unsafe { mem::zeroed() };
        message.msg_control = self.0.as_mut_ptr().cast();
        message.msg_controllen = len as _;
        message
    }
}

/// A structure of integers in a control message.
trait PacketInfo: Copy {
    const LEN: u32;
}

impl PacketInfo for in_pktinfo {
    #[expect(clippy::cast_possible_truncation, reason = "12 bytes")]
    const LEN: u32 = size_of::<Self>() as u32;
}

impl PacketInfo for in6_pktinfo {
    #[expect(clippy::cast_possible_truncation, reason = "20 bytes")]
    const LEN: u32 = size_of::<Self>() as u32;
}

/// Returns the length in bytes of a control message with this structure, including its header.
const fn whole<T: PacketInfo>() -> usize {
    // SAFETY: CMSG_LEN computes a sum; it reads nothing.
    unsafe { CMSG_LEN(T::LEN) as usize }
}

/// Returns the structure for a reply; `None` if the destination is not unicast.
///
/// ip(7): on receipt `ipi_addr` is the destination, and `ipi_spec_dst` "the local address of the packet", which differs
/// if the destination is a broadcast or multicast address. When sending, `ipi_spec_dst` is the source address, and a
/// non-zero `ipi_ifindex` selects the interface. It is zero here, so that the routing table selects it: the route back
/// may use another interface.
fn source_v4(info: in_pktinfo) -> Option<in_pktinfo> {
    let [local, destination] =
        [info.ipi_spec_dst, info.ipi_addr].map(|address| Ipv4Addr::from(address.s_addr.to_ne_bytes()));
    // The kernel reports no local address if the packet no longer has a route.
    let unicast = local == destination || local.is_unspecified() && !destination.is_broadcast();
    (unicast && !destination.is_multicast()).then_some(in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: info.ipi_addr,
        ipi_addr: in_addr { s_addr: 0 },
    })
}

/// Returns the structure for a reply; `None` if the destination is not unicast.
///
/// RFC 3542 6.1: it has a source address and an interface. The interface is set only for link-local addresses, which are
/// ambiguous without.
fn source_v6(info: in6_pktinfo) -> Option<in6_pktinfo> {
    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
    if address.is_multicast() || address.is_unspecified() {
        return None;
    }
    let ipi6_ifindex = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
    Some(in6_pktinfo { ipi6_addr: in6_addr { s6_addr: address.octets() }, ipi6_ifindex })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the length of a control message with this data, and the distance to the next one.
    fn lengths(data: &[u8]) -> (usize, usize) {
        let len = data.len().try_into().unwrap();
        // SAFETY: CMSG_LEN and CMSG_SPACE compute sums; they read nothing.
        unsafe { (CMSG_LEN(len) as usize, CMSG_SPACE(len) as usize) }
    }

    /// Returns a buffer with these control messages, and the length that the kernel would report.
    fn received(messages: &[(c_int, c_int, &[u8])]) -> (ControlBuffer, usize) {
        let (mut control, mut at) = (ControlBuffer::new(), 0);
        for &(level, kind, data) in messages {
            let (len, space) = lengths(data);
            let kinds = [level, kind].map(c_int::to_ne_bytes);
            let header = &mut control.0[at..at + size_of::<cmsghdr>()];
            header[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
            header[size_of::<cmsghdr>() - 8..].copy_from_slice(kinds.as_flattened());
            control.0[at + len - data.len()..at + len].copy_from_slice(data);
            at += space;
        }
        (control, at)
    }

    fn v4(interface: u8, local: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        [[interface, 0, 0, 0], local, destination].concat()
    }

    fn v6(address: &str, interface: u8) -> Vec<u8> {
        [&address.parse::<Ipv6Addr>().unwrap().octets()[..], &[interface, 0, 0, 0]].concat()
    }

    const A: [u8; 4] = [192, 0, 2, 7];

    /// Returns the control messages of a reply.
    fn sent(control: &ControlBuffer, len: usize) -> Option<(ControlBuffer, usize)> {
        let mut control = *control;
        match control.reply(len) {
            ReplySource::Destination(len) => Some((control, len)),
            _ => None,
        }
    }

    fn assert_sends(received: &(ControlBuffer, usize), level: c_int, kind: c_int, data: &[u8]) {
        let (control, len) = sent(&received.0, received.1).unwrap();
        let (expected, expected_len) = self::received(&[(level, kind, data)]);
        assert_eq!(len, expected_len);
        let (used, _) = lengths(data);
        assert_eq!(control.0[..used], expected.0[..used]);
    }

    #[test]
    fn without_destination_the_kernel_chooses() {
        let mut control = ControlBuffer::new();
        for len in [0, 8, ControlBuffer::LEN, usize::MAX] {
            assert_eq!(control.reply(len), ReplySource::Any, "{len}");
        }
        let (mut control, len) = received(&[(libc::SOL_SOCKET, libc::SCM_TIMESTAMP, &[7; 16])]);
        assert_eq!(control.reply(len), ReplySource::Any);
        // Truncated within its only message.
        let (mut control, len) = received(&[(IPPROTO_IP, IP_PKTINFO, &v4(2, A, A))]);
        assert_eq!(control.reply(len - 8), ReplySource::Any);
        // Lengths that no kernel writes.
        for length in [usize::MAX, 1, 0] {
            control.0[..8].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(control.reply(len), ReplySource::Any);
        }
    }

    #[test]
    fn message_at_end_of_buffer_is_whole() {
        let info = v4(2, A, A);
        let (len, _) = lengths(&info);
        // Without the padding after it.
        let (mut control, _) = received(&[(IPPROTO_IP, IP_PKTINFO, &info)]);
        assert!(matches!(control.reply(len), ReplySource::Destination(_)));
        // Also after another message.
        let timestamp = (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[7; 16][..]);
        let (mut control, all) = received(&[timestamp, (IPPROTO_IP, IP_PKTINFO, &info)]);
        let (_, padded) = lengths(&info);
        assert!(matches!(control.reply(all - padded + len), ReplySource::Destination(_)));
        let (mut control, all) = received(&[timestamp, (IPPROTO_IP, IP_PKTINFO, &info)]);
        assert_eq!(control.reply(all - padded + len - 1), ReplySource::Any, "cut");
    }

    #[test]
    fn too_short_structure_is_not_read() {
        for (level, kind, data) in
            [(IPPROTO_IP, IP_PKTINFO, v4(2, A, A)), (IPPROTO_IPV6, IPV6_PKTINFO, v6("2001:db8::1", 3))]
        {
            let (mut control, len) = received(&[(level, kind, &data[..data.len() - 4])]);
            assert_eq!(control.reply(len), ReplySource::Any);
        }
    }

    #[test]
    fn only_our_control_message_is_sent_back() {
        let timestamp = (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[7; 16][..]);
        let timestamping = (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, &[7; 48][..]);
        let original = (IPPROTO_IP, libc::IP_RECVORIGDSTADDR, &[9; 16][..]);
        let (info, reply) = (v4(2, A, A), v4(0, A, [0; 4]));
        assert_sends(
            &received(&[(IPPROTO_IP, IP_PKTINFO, &v4(2, [0; 4], A))]),
            IPPROTO_IP,
            IP_PKTINFO,
            &reply,
        );
        for others in [&[][..], &[timestamp, timestamping], &[original], &[timestamp, original]] {
            let mut messages = others.to_vec();
            messages.push((IPPROTO_IP, IP_PKTINFO, &info));
            messages.push(original);
            assert_sends(&received(&messages), IPPROTO_IP, IP_PKTINFO, &reply);
        }
        let info6 = v6("2001:db8::1", 3);
        let messages = [timestamping, (IPPROTO_IPV6, IPV6_PKTINFO, &info6), original];
        assert_sends(&received(&messages), IPPROTO_IPV6, IPV6_PKTINFO, &v6("2001:db8::1", 0));
    }

    #[test]
    fn ipv4_form_wins_if_there_are_both() {
        let (info4, info6) = (v4(2, A, A), v6("::ffff:192.0.2.7", 2));
        let (four, six) = ((IPPROTO_IP, IP_PKTINFO, &info4[..]), (IPPROTO_IPV6, IPV6_PKTINFO, &info6[..]));
        for messages in [[four, six], [six, four]] {
            assert_sends(&received(&messages), IPPROTO_IP, IP_PKTINFO, &v4(0, A, [0; 4]));
        }
    }

    #[test]
    fn interface_is_kept_for_link_local_addresses() {
        let interface = |text: &str| {
            let info = v6(text, 7);
            let (control, len) = received(&[(IPPROTO_IPV6, IPV6_PKTINFO, &info)]);
            sent(&control, len).map(|(control, _)| control.0[32])
        };
        assert_eq!(interface("2001:db8::1"), Some(0));
        assert_eq!(interface("::1"), Some(0));
        assert_eq!(interface("fe80::1"), Some(7));
    }

    #[test]
    fn broadcast_and_multicast_are_no_source() {
        for (local, destination) in [
            (A, [192, 0, 2, 255]),
            (A, [255; 4]),
            (A, [224, 0, 0, 251]),
            ([224, 0, 0, 251], [224, 0, 0, 251]),
            ([0; 4], [255; 4]),
            ([0; 4], [239, 1, 2, 3]),
        ] {
            let info = v4(2, local, destination);
            let (mut control, len) = received(&[(IPPROTO_IP, IP_PKTINFO, &info)]);
            assert_eq!(control.reply(len), ReplySource::NotUnicast, "{destination:?}");
        }
        for address in ["ff02::fb", "::"] {
            let info = v6(address, 2);
            let (mut control, len) = received(&[(IPPROTO_IPV6, IPV6_PKTINFO, &info)]);
            assert_eq!(control.reply(len), ReplySource::NotUnicast, "{address}");
        }
    }
}
