//! Dashed addresses: read like the standard library's forms with dots and colons, and written so that they can be
//! read again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poddns_core::Label;
use poddns_core::podip::{PodIpLabel, parse};

/// Returns the address that the label spells, by the standard library's parsers.
pub(crate) fn spelled(label: &[u8]) -> Option<IpAddr> {
    if !label.iter().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'-' | b':')) {
        return None;
    }
    let label = std::str::from_utf8(label).expect("ASCII");
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    let v6 = || label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    v4.or_else(|_| v6()).ok()
}

pub(crate) fn check_label(label: &[u8]) {
    let address = parse(label);
    assert_eq!(address, spelled(label), "{:?}", label.escape_ascii());
    if let Some(address) = address {
        check_address(address);
        assert_eq!(parse(&label.to_ascii_uppercase()), Some(address), "letter case matters");
    }
}

pub(crate) fn check_address(address: IpAddr) {
    let label = PodIpLabel::from(address);
    assert_eq!(parse(label.as_bytes()), Some(address), "{label} is not read back");
    assert_eq!(Label::from_wire(label.as_bytes()).as_ref().map(Label::as_str), Some(label.as_str()));
    assert_eq!(label.as_str(), canonical(address));
}

/// Returns the standard library's RFC 5952 form with dashes, and with a zero where it would begin or end with a dash.
fn canonical(address: IpAddr) -> String {
    let mut text = match address {
        IpAddr::V4(v4) => v4.to_string().replace('.', "-"),
        // The form of RFC 5952 5, which ends in a dotted quad, has no dashed spelling.
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] => format!("--ffff-{high:x}-{low:x}"),
            _ => v6.to_string().replace(':', "-"),
        },
    };
    if text.starts_with('-') {
        text.insert(0, '0');
    }
    if text.ends_with('-') {
        text.push('0');
    }
    text
}
