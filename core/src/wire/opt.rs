//! The OPT record of a response (RFC 6891 6.1).

use core::ops::Range;

use super::edns::{DO, MAX_NSID, VERSION, option};
use super::reply::Room;
use super::types::{Ede, Rcode, Rtype};

/// The UDP payload size that this server advertises, in octets: it passes any path without fragmentation (DNS flag
/// day 2020). Also the limit for its own datagrams.
pub(crate) const PAYLOAD_SIZE: u16 = 1232;

/// Length of an OPT record without options, in octets: root owner, type, class, TTL, data length.
const OPT_LEN: usize = 11;

/// Position of the data length in an OPT record.
pub(crate) const RDLENGTH: Range<usize> = OPT_LEN - 2..OPT_LEN;

/// Length of an option in front of its data, in octets: code and length.
const OPTION_HEADER: usize = 4;

/// Data of the option for EDE 0 (Other Error): its code, and the text required by RFC 8914 4.1 ("Implementations SHOULD
/// include an EXTRA-TEXT value to augment this error code").
const OTHER: &[u8] = b"\0\0pod index could not be read";

/// Maximum length of an OPT record, in octets: all options at their maximum lengths.
pub(crate) const MAX_OPT: usize = OPT_LEN + 4 * OPTION_HEADER + MAX_NSID + 24 + 2 + OTHER.len();

/// The OPT record of a response in wire form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptRecord {
    octets: [u8; MAX_OPT],
    len: usize,
}

impl OptRecord {
    /// Length of an OPT record without options, in octets.
    pub(crate) const EMPTY_LEN: usize = OPT_LEN;

    /// Returns an OPT record without options.
    pub(crate) const fn new(rcode: Rcode, dnssec_ok: bool) -> Self {
        let mut octets = [0; MAX_OPT];
        let ([type0, type1], [size0, size1]) = (Rtype::OPT.0.to_be_bytes(), PAYLOAD_SIZE.to_be_bytes());
        // RFC 6891 6.1.3: the OPT has the "upper 8 bits of extended 12-bit RCODE".
        let [_, extended] = (rcode.0 >> 4).to_be_bytes();
        let [flags0, flags1] = if dnssec_ok { DO } else { 0 }.to_be_bytes();
        if let Some(fixed) = octets.first_chunk_mut::<OPT_LEN>() {
            *fixed = [0, type0, type1, size0, size1, extended, VERSION, flags0, flags1, 0, 0];
        }
        Self { octets, len: OPT_LEN }
    }

    /// Appends an option. The buffer has room for every supported option at its maximum length.
    #[inline]
    pub(crate) fn push(&mut self, code: u16, data: &[u8]) {
        let Some((record, free)) = self.octets.split_at_mut_checked(self.len) else {
            return;
        };
        let mut room = Room(free);
        let len = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
        let ([code0, code1], [len0, len1]) = (code.to_be_bytes(), len);
        if room.put_array([code0, code1, len0, len1]).and_then(|()| room.put(data)).is_err() {
            return;
        }
        self.len = self.len.saturating_add(OPTION_HEADER).saturating_add(data.len());
        let options = u16::try_from(self.len.saturating_sub(OPT_LEN)).unwrap_or(u16::MAX);
        if let Some(rdlength) = record.get_mut(RDLENGTH) {
            rdlength.copy_from_slice(&options.to_be_bytes());
        }
    }

    /// Appends an extended error (RFC 8914).
    pub(crate) fn push_ede(&mut self, ede: Ede) {
        match ede {
            Ede::OTHER => self.push(option::EDE, OTHER),
            Ede(code) => self.push(option::EDE, &code.to_be_bytes()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_options_fill_an_opt() {
        let mut opt = OptRecord::new(Rcode::NXDOMAIN, true);
        opt.push(option::NSID, &[1; MAX_NSID]);
        opt.push(option::COOKIE, &[2; 24]);
        opt.push(option::TCP_KEEPALIVE, &[3; 2]);
        opt.push_ede(Ede::OTHER);
        let octets = opt.as_bytes();
        assert_eq!(octets.len(), MAX_OPT);
        assert_eq!(octets.get(RDLENGTH), Some(&[0, 199][..]));
        assert_eq!(octets.last_chunk(), Some(b"\0\x0f\0\x1d\0\0pod index could not be read"));
        // An option that does not fit changes nothing.
        let full = opt;
        opt.push(option::NSID, &[]);
        assert_eq!(opt.as_bytes(), full.as_bytes());
    }
}
