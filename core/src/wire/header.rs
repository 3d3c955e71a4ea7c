//! The header: the first twelve octets of every message (RFC 1035 4.1.1).

use super::types::{Opcode, Rcode};

/// Length of the header in octets. Anything shorter is not a DNS message.
pub(crate) const LEN: usize = 12;

/// The bits of the flags field.
pub(crate) mod flag {
    pub(crate) const QR: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AA: u16 = 0x0400;
    pub(crate) const TC: u16 = 0x0200;
    pub(crate) const RD: u16 = 0x0100;
}

const OPCODE_SHIFT: u32 = flag::OPCODE.trailing_zeros();

/// A header, of a query or of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) id: [u8; 2],
    pub(crate) flags: u16,
    pub(crate) qdcount: u16,
    pub(crate) ancount: u16,
    pub(crate) nscount: u16,
    pub(crate) arcount: u16,
}

impl Header {
    /// Returns `None` if the message is shorter than a header.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let (octets, _) = message.split_first_chunk::<LEN>()?;
        let &[id0, id1, flags0, flags1, qd0, qd1, an0, an1, ns0, ns1, ar0, ar1] = octets;
        Some(Self {
            id: [id0, id1],
            flags: u16::from_be_bytes([flags0, flags1]),
            qdcount: u16::from_be_bytes([qd0, qd1]),
            ancount: u16::from_be_bytes([an0, an1]),
            nscount: u16::from_be_bytes([ns0, ns1]),
            arcount: u16::from_be_bytes([ar0, ar1]),
        })
    }

    /// The header in wire form: six numbers of two octets, in the order of RFC 1035 4.1.1.
    pub(crate) fn octets(&self) -> [u8; LEN] {
        let numbers = [self.flags, self.qdcount, self.ancount, self.nscount, self.arcount];
        let [id0, id1] = self.id;
        let [[flags0, flags1], [qd0, qd1], [an0, an1], [ns0, ns1], [ar0, ar1]] =
            numbers.map(u16::to_be_bytes);
        [id0, id1, flags0, flags1, qd0, qd1, an0, an1, ns0, ns1, ar0, ar1]
    }

    pub(crate) const fn is_response(&self) -> bool {
        self.flags & flag::QR != 0
    }

    pub(crate) const fn opcode(&self) -> Opcode {
        // Four bits, so the cast loses nothing.
        Opcode(((self.flags & flag::OPCODE) >> OPCODE_SHIFT) as u8)
    }

    /// Returns the flags of a response to this query: QR set, opcode and RD copied, and the header's part of the
    /// rcode. All others are zero: this server neither recurses (RA) nor validates (AD), and Z is reserved.
    pub(crate) const fn response_flags(&self, rcode: Rcode) -> u16 {
        flag::QR | (self.flags & (flag::OPCODE | flag::RD)) | (rcode.0 & 0xf)
    }
}
