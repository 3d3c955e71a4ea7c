//! Reverse zones: the address that a name below `in-addr.arpa` or `ip6.arpa` stands for.

use core::error::Error;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cidr::IpCidr;

use crate::wire::name::{QuestionName, split_label, strip_suffix};

/// The networks for which reverse zones are served.
///
/// Zones begin at label boundaries: octets in `in-addr.arpa` (RFC 1035 3.5), nibbles in `ip6.arpa` (RFC 3596 2.5). A
/// network with another prefix length has several zones: `10.244.0.0/14` has `244.10.in-addr.arpa` to
/// `247.10.in-addr.arpa`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReverseZones<'a>(&'a [IpCidr]);

/// The error for more reverse zones than [`ReverseZones::MAX`], with their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyReverseZones(pub usize);

impl fmt::Display for TooManyReverseZones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (many, most) = (self.0, ReverseZones::MAX);
        write!(f, "all of them together make {many} reverse zones, and at most {most} are served; ")?;
        f.write_str("use prefix lengths that are multiples of 8 (IPv4) or 4 (IPv6)")
    }
}

impl Error for TooManyReverseZones {}

impl<'a> ReverseZones<'a> {
    /// Maximum number of zones of all networks together.
    pub const MAX: usize = 256;

    /// Returns the zones of these networks.
    pub fn new(networks: &'a [IpCidr]) -> Result<Self, TooManyReverseZones> {
        let zones = Self(networks);
        match zones.count() {
            0..=Self::MAX => Ok(zones),
            many => Err(TooManyReverseZones(many)),
        }
    }

    /// Returns the number of zones.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.iter().fold(0, |sum, network| sum.saturating_add(zones_of(network)))
    }

    /// Returns the apex of each zone, in the order of the networks.
    pub fn apexes(self) -> impl Iterator<Item = ReverseApex> + use<'a> {
        self.0.iter().flat_map(|network| {
            let (family, labels) = (family(network), cut(network));
            // Zones of a network differ in the last of their labels.
            let below = family.labels.saturating_sub(labels).saturating_mul(family.bits.into());
            let step =
                u32::try_from(below).ok().and_then(|below| 1_u128.checked_shl(below)).unwrap_or_default();
            let first = match network.first_address() {
                IpAddr::V4(v4) => v4.to_bits().into(),
                IpAddr::V6(v6) => v6.to_bits(),
            };
            (0_u128..).take(zones_of(network)).map(move |number| {
                let bits = first.wrapping_add(number.wrapping_mul(step));
                ReverseApex { address: family.address(bits), labels }
            })
        })
    }

    /// Returns whether there is no zone.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The apex of a reverse zone; its `Display` is the name, such as `244.10.in-addr.arpa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReverseApex {
    /// The lowest address of the zone.
    address: IpAddr,
    /// Labels in front of `in-addr.arpa` or `ip6.arpa`.
    labels: usize,
}

impl fmt::Display for ReverseApex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(v4) => {
                for octet in v4.octets().iter().take(self.labels).rev() {
                    write!(f, "{octet}.")?;
                }
                f.write_str("in-addr.arpa")
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                // Labels are written from the lowest nibble that the apex has.
                for shift in (0_u32..128).step_by(4).skip(V6.labels.saturating_sub(self.labels)) {
                    write!(f, "{:x}.", bits.wrapping_shr(shift) & 15)?;
                }
                f.write_str("ip6.arpa")
            }
        }
    }
}

/// Properties of reverse names of an address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Family {
    /// The family's suffix, in wire form.
    suffix: &'static [u8],
    /// Number of labels of a whole address.
    labels: usize,
    /// Bits per label.
    bits: u8,
}

const V4: Family = Family { suffix: b"\x07in-addr\x04arpa\x00", labels: 4, bits: 8 };
const V6: Family = Family { suffix: b"\x03ip6\x04arpa\x00", labels: 32, bits: 4 };

impl Family {
    /// Returns the octet or nibble that a label spells. Leading zeros are not allowed; hexadecimal digits may be in
    /// either case.
    fn digit(self, label: &[u8]) -> Option<u8> {
        let text = core::str::from_utf8(label).ok()?;
        let plain = label.iter().all(u8::is_ascii_alphanumeric);
        match label {
            [_] if self == V6 => u8::from_str_radix(text, 16).ok(),
            [b'0', _, ..] => None,
            _ if self == V4 && plain => text.parse().ok(),
            _ => None,
        }
    }

    /// Returns the address with these bits.
    fn address(self, bits: u128) -> IpAddr {
        if self == V4 {
            // At most 32 bits are set for IPv4.
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

const fn family(network: &IpCidr) -> Family {
    match network {
        IpCidr::V4(_) => V4,
        IpCidr::V6(_) => V6,
    }
}

/// Number of labels that the network's zones have in front of the family's suffix.
fn cut(network: &IpCidr) -> usize {
    usize::from(network.network_length().div_ceil(family(network).bits))
}

/// Number of zones that exactly cover the network: a power of two, at most 128.
fn zones_of(network: &IpCidr) -> usize {
    let bits = cut(network).saturating_mul(family(network).bits.into());
    let free = bits.saturating_sub(network.network_length().into());
    u32::try_from(free).ok().and_then(|free| 1_usize.checked_shl(free)).unwrap_or(usize::MAX)
}

/// The position of a name in a reverse zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReversePlace {
    Apex,
    /// An incomplete address, so a name with names below it.
    Part,
    /// All labels of this address.
    Whole(IpAddr),
    /// A label is not an octet or nibble.
    NoAddress,
    /// More labels than an address has.
    Deeper,
}

/// Returns the offset of the reverse zone's apex in the name, and the position of the name in the zone. Of nested
/// zones it is the innermost.
pub(crate) fn locate(zones: ReverseZones<'_>, name: QuestionName<'_>) -> Option<(u8, ReversePlace)> {
    let (family, front) = [V4, V6]
        .into_iter()
        .find_map(|family| Some((family, strip_suffix(name.as_wire(), family.suffix)?)))?;
    let labels = Labels::read(family, front);
    let address = family.address(labels.bits);
    let zones =
        zones.0.iter().filter(|network| self::family(network) == family && network.contains(&address));
    let apex = zones.map(cut).filter(|cut| *cut <= labels.valid).max()?;
    let place = if labels.count == apex {
        ReversePlace::Apex
    } else if labels.valid < labels.count.min(family.labels) {
        ReversePlace::NoAddress
    } else if labels.count > family.labels {
        ReversePlace::Deeper
    } else if labels.count == family.labels {
        ReversePlace::Whole(address)
    } else {
        ReversePlace::Part
    };
    Some((offset(front, labels.count.saturating_sub(apex)), place))
}

/// The labels in front of a family's suffix.
struct Labels {
    count: usize,
    /// Number of labels, counted from the right, up to the first that is not an octet or nibble.
    valid: usize,
    /// The valid labels as the first bits of an address.
    bits: u128,
}

impl Labels {
    fn read(family: Family, front: &[u8]) -> Self {
        let count = labels(front).count();
        let (mut valid, mut bits) = (count.min(family.labels), 0);
        // From left to right, which begins with the last bits of the address. The last malformed label found is the
        // one nearest to the zone.
        for (label, left) in labels(front).zip(1..) {
            let from_right: usize = count.saturating_sub(left);
            let Some(below) = family.labels.checked_sub(from_right).and_then(|below| below.checked_sub(1))
            else {
                continue;
            };
            let Some(digit) = family.digit(label) else {
                (valid, bits) = (from_right, 0);
                continue;
            };
            let shift = u32::try_from(below).unwrap_or_default().wrapping_mul(family.bits.into());
            bits |= u128::from(digit).wrapping_shl(shift);
        }
        Self { count, valid, bits }
    }
}

/// The labels of the front of a name, from left to right.
fn labels(mut front: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (label, rest) = split_label(front)?;
        front = rest;
        Some(label)
    })
}

/// Returns the length in octets of the first `count` labels.
fn offset(front: &[u8], count: usize) -> u8 {
    let octets = labels(front)
        .take(count)
        .fold(0, |sum: usize, label| sum.saturating_add(label.len()).saturating_add(1));
    // Below 255, as the whole name is at most 255 octets.
    u8::try_from(octets).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn count(networks: &[&str]) -> Result<usize, TooManyReverseZones> {
        let networks: Vec<IpCidr> = networks.iter().filter_map(|text| text.parse().ok()).collect();
        ReverseZones::new(&networks).map(ReverseZones::count)
    }

    #[test]
    fn zones_are_cut_at_labels() {
        let cut = |base: &str, lengths: core::ops::RangeInclusive<u8>, free: &[u32]| {
            for (length, &free) in lengths.zip(free.iter().cycle()) {
                let network = std::format!("{base}/{length}");
                assert_eq!(count(&[&network]).ok(), 1_usize.checked_shl(free), "{network}");
            }
        };
        cut("0.0.0.0", 0..=32, &[0, 7, 6, 5, 4, 3, 2, 1]);
        cut("::", 0..=128, &[0, 3, 2, 1]);
    }

    #[test]
    fn apexes_are_written_as_names() {
        let apexes = |networks: &[&str]| -> Vec<std::string::String> {
            let networks: Vec<IpCidr> = networks.iter().filter_map(|text| text.parse().ok()).collect();
            let zones = ReverseZones::new(&networks).unwrap_or_default();
            zones.apexes().map(|apex| std::format!("{apex}")).collect()
        };
        assert_eq!(
            apexes(&["10.244.0.0/15", "1.2.3.4/32"]),
            ["244.10.in-addr.arpa", "245.10.in-addr.arpa", "4.3.2.1.in-addr.arpa"]
        );
        assert_eq!(apexes(&["0.0.0.0/0", "::/0"]), ["in-addr.arpa", "ip6.arpa"]);
        assert_eq!(apexes(&["fd00:12::/31"]), ["2.1.0.0.0.0.d.f.ip6.arpa", "3.1.0.0.0.0.d.f.ip6.arpa"]);
    }

    #[test]
    fn more_zones_than_the_maximum_are_refused() {
        assert_eq!(count(&["10.0.0.0/9", "11.0.0.0/9"]), Ok(256));
        assert_eq!(count(&["10.0.0.0/9", "11.0.0.0/9", "fd00::/64"]), Err(TooManyReverseZones(257)));
    }
}
