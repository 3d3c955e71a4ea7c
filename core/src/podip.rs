//! Dashed addresses: `10-42-2-46` and `fd00-10-244--7`, the first label of a pod's name.
//!
//! An IPv4 address is its four decimal groups with dashes instead of dots. An IPv6 address is any of its textual
//! forms (RFC 4291 2.2) with dashes instead of colons, except the form that ends in a dotted quad. A label of four
//! groups of digits is never IPv6, so every label has at most one meaning.
//!
//! In an IPv6 label, colons are accepted as well: clients that replace only the dots query `fd00::7`, which CoreDNS
//! answers.
//!
//! ```
//! use poddns_core::podip::{PodIpLabel, parse};
//! use std::net::IpAddr;
//!
//! let address: IpAddr = "fd00::".parse()?;
//! assert_eq!(parse(b"FD00--"), Some(address));
//! assert_eq!(parse(b"fd00-0-0-0-0-0-0-0"), Some(address));
//! assert_eq!(parse(b"fd00::"), Some(address));
//! // A label must not end in a dash to be a host name (RFC 1123 2.1), hence the zero.
//! assert_eq!(PodIpLabel::from(address).as_str(), "fd00--0");
//! assert_eq!(parse(b"010-1-1-1"), None);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Number of groups in an IPv6 address.
const GROUPS: usize = 8;

/// Maximum length of a label, in octets: eight groups of four digits, seven dashes.
const MAX_LEN: usize = 39;

/// The address that a label spells in any of the forms above, or `None`.
#[must_use]
// Out of line: inlined, the compiler assembles the result octet by octet.
#[inline(never)]
pub fn parse(label: &[u8]) -> Option<IpAddr> {
    // A label that resembles IPv4 but is invalid (1-2-3-256) has too few groups for IPv6 as well.
    parse_v4(label).map(IpAddr::V4).or_else(|| parse_v6(label).map(IpAddr::V6))
}

#[inline]
fn parse_v4(label: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut rest) = decimal(label)?;
    for _ in 1..4 {
        let (group, tail) = decimal(rest.strip_prefix(b"-")?)?;
        (bits, rest) = (bits << 8 | group, tail);
    }
    rest.is_empty().then(|| Ipv4Addr::from_bits(bits))
}

/// Splits one decimal group off the beginning of the text: 0 to 255, without leading zeros. Returns its value and the
/// rest.
#[expect(
    clippy::inline_always,
    reason = "on the path of every query, and no longer inlined since it has a second caller"
)]
#[inline(always)]
fn decimal(text: &[u8]) -> Option<(u32, &[u8])> {
    let digit = |octet: &u8| u32::from(octet & 0xf);
    let (value, rest) = match text {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let hundreds = digit(a).wrapping_mul(100);
            (hundreds.wrapping_add(digit(b).wrapping_mul(10)).wrapping_add(digit(c)), rest)
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => {
            (digit(a).wrapping_mul(10).wrapping_add(digit(b)), rest)
        }
        [a @ b'0'..=b'9', rest @ ..] => (digit(a), rest),
        _ => return None,
    };
    (value <= 255).then_some((value, rest))
}

// Out of line, so that IPv4 labels do not pay for saving its registers.
#[inline(never)]
fn parse_v6(label: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0; GROUPS];
    match label.windows(2).position(|pair| pair.iter().all(|&octet| is_separator(octet))) {
        None => {
            let filled = hex_groups(label, &mut groups)?;
            (filled == GROUPS).then(|| Ipv6Addr::from(groups))
        }
        Some(at) => {
            let mut tail = [0; GROUPS];
            let (head, rest) = label.split_at_checked(at)?;
            let before = hex_groups(head, &mut groups)?;
            let after = hex_groups(rest.get(2..)?, &mut tail)?;
            // RFC 4291 2.2: a double colon "indicates one or more groups of 16 bits of zeros".
            let zeros = GROUPS.checked_sub(before)?.checked_sub(after)?.checked_sub(1)?;
            let start = before.checked_add(zeros)?.checked_add(1)?;
            for (to, from) in groups.iter_mut().skip(start).zip(tail) {
                *to = from;
            }
            Some(Ipv6Addr::from(groups))
        }
    }
}

/// Returns whether the octet separates groups of an IPv6 address.
const fn is_separator(octet: u8) -> bool {
    matches!(octet, b'-' | b':')
}

/// Reads separated groups of one to four hexadecimal digits and returns their number: 0 for an empty text.
fn hex_groups(text: &[u8], groups: &mut [u16; GROUPS]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut filled = 0_usize;
    for group in text.split(|&octet| is_separator(octet)) {
        *groups.get_mut(filled)? = digits(group)?;
        filled = filled.checked_add(1)?;
    }
    Some(filled)
}

/// The value of one to four hexadecimal digits.
fn digits(group: &[u8]) -> Option<u16> {
    if !matches!(group.len(), 1..=4) {
        return None;
    }
    group.iter().try_fold(0_u16, |value, &octet| {
        let digit = char::from(octet).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

/// The canonical label of an address: RFC 5952 with dashes instead of colons, and a `0` where the label would begin
/// or end with a dash. [`parse`] returns the same address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PodIpLabel {
    octets: [u8; MAX_LEN],
    len: u8,
}

impl PodIpLabel {
    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The label's octets, without a length octet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn push(&mut self, octet: u8) {
        // No label is longer than `MAX_LEN`, so there is always room.
        if let Some(to) = self.octets.get_mut(usize::from(self.len)) {
            *to = octet;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Appends a number without leading zeros.
    fn push_number(&mut self, value: u16, radix: u32) {
        // The largest power of the radix in a u16: 16^3, and 10^4.
        let mut weight: u32 = if radix == 16 { 0x1000 } else { 10_000 };
        let mut begun = false;
        while let Some(quotient) = u32::from(value).checked_div(weight) {
            let digit = char::from_digit(quotient.checked_rem(radix).unwrap_or(0), radix);
            begun |= digit != Some('0') || weight == 1;
            if let (true, Some(digit)) = (begun, digit) {
                self.push(u8::try_from(digit).unwrap_or(b'0'));
            }
            weight = weight.checked_div(radix).unwrap_or(0);
        }
    }

    fn push_v6(&mut self, groups: [u16; GROUPS]) {
        let gap = longest_zeros(groups);
        for (at, group) in groups.into_iter().enumerate() {
            match gap {
                Some((start, len)) if (start..start.saturating_add(len)).contains(&at) => {
                    if at == start {
                        if at == 0 {
                            self.push(b'0');
                        }
                        self.push(b'-');
                        self.push(b'-');
                    }
                }
                _ => {
                    let after_gap = gap.is_some_and(|(start, len)| start.saturating_add(len) == at);
                    if at > 0 && !after_gap {
                        self.push(b'-');
                    }
                    self.push_number(group, 16);
                }
            }
        }
        if self.as_bytes().last() == Some(&b'-') {
            self.push(b'0');
        }
    }
}

/// The longest run of two or more zero groups, the first of equally long ones (RFC 5952 4.2): start and length.
fn longest_zeros(groups: [u16; GROUPS]) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize)> = None;
    for start in 0..GROUPS {
        let len = groups.iter().skip(start).take_while(|&&group| group == 0).count();
        if len >= 2 && best.is_none_or(|(_, longest)| len > longest) {
            best = Some((start, len));
        }
    }
    best
}

impl From<IpAddr> for PodIpLabel {
    fn from(address: IpAddr) -> Self {
        let mut label = Self { octets: [0; MAX_LEN], len: 0 };
        match address {
            IpAddr::V4(address) => {
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        label.push(b'-');
                    }
                    label.push_number(u16::from(octet), 10);
                }
            }
            IpAddr::V6(address) => label.push_v6(address.segments()),
        }
        label
    }
}

impl fmt::Display for PodIpLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for PodIpLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn v4(text: &str) -> Option<IpAddr> {
        text.parse().ok().map(IpAddr::V4)
    }

    fn v6(text: &str) -> Option<IpAddr> {
        text.parse().ok().map(IpAddr::V6)
    }

    #[test]
    fn ipv4_labels_parse() {
        assert_eq!(parse(b"10-42-2-46"), v4("10.42.2.46"));
        assert_eq!(parse(b"0-0-0-0"), v4("0.0.0.0"));
        assert_eq!(parse(b"255-255-255-255"), v4("255.255.255.255"));
    }

    /// Asserts that no label spells an address.
    fn spells_nothing(labels: &[&str]) {
        for label in labels {
            assert_eq!(parse(label.as_bytes()), None, "{label:?}");
        }
    }

    #[test]
    fn malformed_ipv4_is_refused() {
        spells_nothing(&[
            "",
            "-",
            "---",
            "1-2-3",
            "1-2-3-",
            "-1-2-3",
            "1-2-3-4-5",
            "010-1-1-1",
            "10-1-1-05",
            "1-2-3-256",
            "1-2-3-1000",
            "1-2-3-4294967296",
            "+1-2-3-4",
            "1-2-3-4x",
            "1.2.3.4",
            "1_2_3_4",
            "0x0a-1-1-1",
            "a-b-c-d",
            "00-0-0-0",
            "1-2-3-4 ",
            "*",
        ]);
        assert_eq!(parse(b"10-244-1-\xe9"), None);
    }

    #[test]
    fn every_form_of_ipv6_parses() {
        let same = v6("fd00:10:244:1::7");
        for label in
            ["fd00-10-244-1--7", "FD00-10-244-1--7", "fd00-0010-0244-0001--0007", "fd00-10-244-1-0-0-0-7"]
        {
            assert_eq!(parse(label.as_bytes()), same, "{label}");
        }
        for label in ["fd00:10:244:1::7", "fd00-10-244-1::7", "fd00:10-244:1--7", "FD00-10-244-1:-7"] {
            assert_eq!(parse(label.as_bytes()), same, "{label}");
        }
        assert_eq!(parse(b"::"), v6("::"));
        assert_eq!(parse(b"--"), v6("::"));
        assert_eq!(parse(b"--1"), v6("::1"));
        assert_eq!(parse(b"0--1"), v6("::1"));
        assert_eq!(parse(b"fd00--"), v6("fd00::"));
        assert_eq!(parse(b"fd00--0"), v6("fd00::"));
        assert_eq!(parse(b"1-2-3-4-5-6-7--"), v6("1:2:3:4:5:6:7::"));
        assert_eq!(parse(b"--2-3-4-5-6-7-8"), v6("::2:3:4:5:6:7:8"));
        assert_eq!(parse(b"--ffff-102-304"), v6("::ffff:102:304"));
    }

    #[test]
    fn malformed_ipv6_is_refused() {
        spells_nothing(&[
            "fd00--1--2",
            "1-2-3-4-5-6-7-8-9",
            "1-2-3-4-5-6-7",
            "1-2-3-4--5-6-7-8",
            "fd00-1-2-3",
            "fd000--1",
            "g--1",
            "fe80--1%eth0",
            "---1",
            "1---",
            "-1--",
            "--1-",
            "1--2-",
            "fd00:--1",
            "fd00:::1",
            "fd00:-:1",
            ":1-2-3-4-5-6-7-8",
            "1:2:3:4",
            "1-2-3:4",
            "::ffff:1.2.3.4",
        ]);
    }

    #[test]
    fn canonical_form_is_written() {
        for (address, label) in [
            ("10.42.2.46", "10-42-2-46"),
            ("0.0.0.0", "0-0-0-0"),
            ("255.100.9.10", "255-100-9-10"),
            ("::", "0--0"),
            ("::1", "0--1"),
            ("fd00::", "fd00--0"),
            ("fd00:0:0:1:0:0:0:1", "fd00-0-0-1--1"),
            ("2001:db8:0:0:1:0:0:1", "2001-db8--1-0-0-1"),
            ("2001:db8:0:1:1:1:1:1", "2001-db8-0-1-1-1-1-1"),
            ("1:2:3:4:5:6:7:0", "1-2-3-4-5-6-7-0"),
            ("::ffff:1.2.3.4", "0--ffff-102-304"),
            ("1111:2222:3333:4444:5555:6666:7777:8888", "1111-2222-3333-4444-5555-6666-7777-8888"),
            ("abcd:ef01:1000:10:1:f:ff:fff", "abcd-ef01-1000-10-1-f-ff-fff"),
        ] {
            let address: Option<IpAddr> = address.parse().ok();
            assert_eq!(address.map(PodIpLabel::from).as_ref().map(PodIpLabel::as_str), Some(label));
            assert_eq!(parse(label.as_bytes()), address, "{label}");
        }
    }
}
