//! RFC 4291 2.2 and 5952: textual forms of addresses, with dashes instead of colons. RFC 1123 2.1: the label is valid
//! in a host name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poddns_core::podip::{PodIpLabel, parse};
use proptest::prelude::*;

/// 4291 2.2: every form is accepted, and no other.
#[test]
fn every_form_is_read() {
    let address = |text: &str| text.parse::<IpAddr>().ok();
    for (label, expected) in [
        // 2.2 1: eight groups, with or without leading zeros, in any case.
        ("2001-db8-0-0-8-800-200c-417a", "2001:db8::8:800:200c:417a"),
        ("2001-0DB8-0000-0000-0008-0800-200C-417A", "2001:db8::8:800:200c:417a"),
        ("1-2-3-4-5-6-7-8", "1:2:3:4:5:6:7:8"),
        ("0-0-0-0-0-0-0-0", "::"),
        // 2.2 2: one "::", for one or more groups.
        ("2001-db8--8-800-200c-417a", "2001:db8::8:800:200c:417a"),
        ("ff01--101", "ff01::101"),
        ("--1", "::1"),
        ("--", "::"),
        ("1--", "1::"),
        ("1-2-3-4-5-6-7--", "1:2:3:4:5:6:7:0"),
        ("--2-3-4-5-6-7-8", "0:2:3:4:5:6:7:8"),
        ("1--3-4-5-6-7-8", "1:0:3:4:5:6:7:8"),
        ("--ffff-1-2-3-4", "::ffff:1:2:3:4"),
    ] {
        assert_eq!(parse(label.as_bytes()), address(expected), "{label}");
    }
    for label in [
        "1-2-3-4-5-6-7",
        "1-2-3-4-5-6-7-8-9",
        // "::" stands for at least one group.
        "1-2-3-4--5-6-7-8",
        "1-2-3-4-5-6-7-8--",
        "--1-2-3-4-5-6-7-8",
        // At most one "::".
        "1--2--3",
        "----",
        "1---2",
        "---",
        "-1--",
        "-1-2-3-4-5-6-7-8",
        "1-2-3-4-5-6-7-8-",
        // Groups of one to four hexadecimal digits.
        "00001--1",
        "g--1",
        "1-2-3-4-5-6-7-",
        "-",
        "",
        // 2.2 3: dotted quads have no dashed form; 2.3: nor have prefixes, or zones (RFC 6874).
        "--ffff-1.2.3.4",
        "--1/64",
        "fe80--1%1",
        // Four groups are never IPv6.
        "a-b-c-d",
        "fd00-1-2-3",
    ] {
        assert_eq!(parse(label.as_bytes()), None, "{label}");
    }
}

#[test]
fn ipv4_is_four_plain_decimal_groups() {
    for (label, expected) in [
        ("0-0-0-0", Some([0, 0, 0, 0])),
        ("255-255-255-255", Some([255; 4])),
        ("1-20-200-0", Some([1, 20, 200, 0])),
        ("256-0-0-0", None),
        ("0-0-0-256", None),
        ("0-0-0-999", None),
        ("0-0-0-1000", None),
        ("01-0-0-0", None),
        ("00-0-0-0", None),
        ("0-0-0-00", None),
        ("0-0-0-000", None),
        ("0-0-0", None),
        ("0-0-0-0-0", None),
        ("0-0-0-", None),
        ("-0-0-0", None),
        ("0-0-0-a", None),
        ("0-0-0-+1", None),
        ("0-0-0- 1", None),
        ("0.0.0.0", None),
        ("0-0-0-65536", None),
        ("0-0-0-4294967296", None),
    ] {
        assert_eq!(parse(label.as_bytes()), expected.map(IpAddr::from), "{label}");
    }
}

/// Numbers in every position, each in its only spelling.
#[test]
fn every_octet_is_written_and_read() {
    for place in 0..4 {
        for octet in 0..=255 {
            let mut octets = [10, 244, 1, 5];
            octets[place] = octet;
            let label = octets.map(|octet| octet.to_string()).join("-");
            assert_eq!(parse(label.as_bytes()), Some(IpAddr::from(octets)));
            assert_eq!(PodIpLabel::from(IpAddr::from(octets)).as_str(), label);
        }
    }
    // All numbers in the first position; every 251st in the others, which are read in the same way.
    for place in 0..8 {
        for group in (0..=u16::MAX).step_by(if place == 0 { 1 } else { 251 }) {
            let mut groups = [0xfd00, 1, 2, 3, 4, 5, 6, 7];
            groups[place] = group;
            let label = groups.map(|group| format!("{group:x}")).join("-");
            assert_eq!(parse(label.as_bytes()), Some(IpAddr::from(groups)));
            assert_eq!(PodIpLabel::from(IpAddr::from(groups)).as_str(), label);
        }
    }
}

/// 5952 4: the form that is written. 4.2.3: the longest run of zeros is shortened, the first of equally long ones.
/// 4.2.2: a single zero is not.
#[test]
fn one_form_is_written() {
    for (address, label) in [
        ("2001:db8:0:0:1:0:0:1", "2001-db8--1-0-0-1"),
        ("2001:0:0:1:0:0:0:1", "2001-0-0-1--1"),
        ("2001:db8:0:1:1:1:1:1", "2001-db8-0-1-1-1-1-1"),
        ("2001:DB8::AAAA", "2001-db8--aaaa"),
        ("::", "0--0"),
        ("::1", "0--1"),
        ("1::", "1--0"),
        ("0:1::", "0-1--0"),
        ("::ffff:10.0.0.1", "0--ffff-a00-1"),
        ("10.42.2.46", "10-42-2-46"),
        ("100.0.9.255", "100-0-9-255"),
    ] {
        let address: IpAddr = address.parse().unwrap();
        let written = PodIpLabel::from(address);
        assert_eq!(written.as_str(), label);
        assert_eq!(written.as_bytes(), label.as_bytes());
        assert_eq!((written.to_string(), format!("{written:?}")), (label.to_owned(), format!("{label:?}")));
        assert_eq!(format!("{written:>45}").trim_start(), label);
    }
}

/// IPv6 addresses with runs of zeros, like those in use.
fn sparse_v6() -> impl Strategy<Value = Ipv6Addr> {
    let group = prop_oneof![3 => Just(0_u16), 1 => 0..=0xf_u16, 1 => any::<u16>()];
    prop::array::uniform8(group).prop_map(Ipv6Addr::from)
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u16; 8]>().prop_map(IpAddr::from),
        sparse_v6().prop_map(IpAddr::V6),
    ]
}

/// Returns all spellings of the standard library, with a dash for each colon, and with the colons of IPv6.
fn dashed(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => vec![v4.to_string().replace('.', "-")],
        IpAddr::V6(v6) => {
            let full: Vec<String> = v6.segments().iter().map(|group| format!("{group:04x}")).collect();
            let short: Vec<String> = v6.segments().iter().map(|group| format!("{group:x}")).collect();
            let mut forms = vec![full.join("-"), short.join("-"), short.join("-").to_uppercase()];
            // The standard library writes mapped addresses with a dotted quad, which has no dashed form.
            forms.extend(v6.to_ipv4_mapped().is_none().then(|| v6.to_string().replace(':', "-")));
            forms.extend([full.join(":"), short.join(":")]);
            forms.extend(v6.to_ipv4_mapped().is_none().then(|| v6.to_string()));
            forms
        }
    }
}

proptest! {
    /// Reading the canonical form, and every other, returns the same address.
    #[test]
    fn written_labels_parse_back(address in address()) {
        let label = PodIpLabel::from(address);
        prop_assert_eq!(parse(label.as_bytes()), Some(address));
        for form in dashed(address) {
            prop_assert_eq!(parse(form.as_bytes()), Some(address), "{}", form);
        }
    }

    /// RFC 1123 2.1: letters, digits and inner dashes; 1035 2.3.4: within the maximum length.
    #[test]
    fn written_labels_are_host_names(address in address()) {
        let label = PodIpLabel::from(address);
        prop_assert!(label.as_str().parse::<poddns_core::Label>().is_ok(), "{}", label);
        prop_assert!(label.as_bytes().len() <= 39);
    }

    /// 5952: the form is that of the standard library, except for the zeros at the ends.
    #[test]
    fn the_form_is_that_of_rfc_5952(address in sparse_v6()) {
        prop_assume!(address.to_ipv4_mapped().is_none());
        let mut expected = address.to_string().replace(':', "-");
        if expected.starts_with('-') {
            expected.insert(0, '0');
        }
        if expected.ends_with('-') {
            expected.push('0');
        }
        prop_assert_eq!(PodIpLabel::from(IpAddr::V6(address)).to_string(), expected);
    }

    /// Any label is read as by the standard library, including rejected ones.
    #[test]
    fn labels_parse_as_in_the_standard_library(label in "[0-9a-fA-F:-]{0,20}|([0-9]{1,3}[:-]){3}[0-9]{1,3}|([0-9a-f]{0,5}[:-]){2,8}[0-9a-f]{0,5}|([0-9a-f]{0,5}:){2,8}[0-9a-f]{0,5}") {
        let v4 = label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        let v6 = label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        prop_assert_eq!(parse(label.as_bytes()), v4.or(v6));
    }

    /// No octets cause a panic, and the case of letters does not matter.
    #[test]
    fn any_octets_are_read(label in prop::collection::vec(any::<u8>(), 0..70)) {
        prop_assert_eq!(parse(&label), parse(&label.to_ascii_uppercase()));
    }
}
