//! RFC 6890 and the RFCs that it summarises: addresses that no pod can have, which `block-special` refuses.

use poddns_core::Mode;
use poddns_core::podip::PodIpLabel;
use poddns_core::wire::Rtype;

use crate::support::Server;

/// By range: the addresses just inside, then those just outside. Ranges of the registries that pods can use (private,
/// shared, unique local) must not be blocked.
const RANGES: [(&str, [&str; 2], &[&str]); 20] = [
    ("this network, RFC 1122 3.2.1.3", ["0.0.0.0", "0.255.255.255"], &["1.0.0.0"]),
    ("loopback, RFC 1122", ["127.0.0.0", "127.255.255.255"], &["126.255.255.255", "128.0.0.0"]),
    ("link-local, RFC 3927", ["169.254.0.0", "169.254.255.255"], &["169.253.255.255", "169.255.0.0"]),
    ("the metadata server", ["169.254.169.254", "169.254.169.254"], &[]),
    ("documentation, RFC 5737", ["192.0.2.0", "192.0.2.255"], &["192.0.1.255", "192.0.3.0"]),
    ("documentation, RFC 5737", ["198.51.100.0", "198.51.100.255"], &["198.51.99.255", "198.51.101.0"]),
    ("documentation, RFC 5737", ["203.0.113.0", "203.0.113.255"], &["203.0.112.255", "203.0.114.0"]),
    (
        "benchmark, RFC 2544",
        ["198.18.0.0", "198.19.255.255"],
        &["198.17.255.255", "198.20.0.0", "197.18.0.0"],
    ),
    ("multicast, RFC 5771", ["224.0.0.0", "239.255.255.255"], &["223.255.255.255", "240.0.0.0"]),
    ("broadcast, RFC 919", ["255.255.255.255", "255.255.255.255"], &["255.255.255.254"]),
    ("unspecified, RFC 4291 2.5.2", ["::", "::"], &[]),
    ("loopback, RFC 4291 2.5.3", ["::1", "::1"], &[]),
    (
        "link-local, RFC 4291 2.5.6",
        ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        &["fec0::", "fe7f:ffff::"],
    ),
    ("multicast, RFC 4291 2.7", ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &["feff::"]),
    ("documentation, RFC 3849", ["2001:db8::", "2001:db8:ffff::1"], &["2001:db7:ffff::", "2001:db9::"]),
    ("documentation, RFC 9637", ["3fff::", "3fff:fff:ffff::1"], &["3fff:1000::", "3ffe:fff::", "4000::"]),
    ("benchmark, RFC 5180", ["2001:2::", "2001:2:0:ffff::1"], &["2001:2:1::", "2001:1::", "2001:3::"]),
    // Translated to IPv4: loopback there is loopback. The compatible form (RFC 4291 2.5.5.1) is not translated.
    (
        "embedded, RFC 6052 2.1",
        ["64:ff9b::127.0.0.1", "64:ff9b::224.0.0.1"],
        &["64:ff9b::8.8.8.8", "::127.0.0.1"],
    ),
    (
        "embedded, RFC 6052 2.1",
        ["64:ff9b::", "64:ff9b::192.0.2.1"],
        &["64:ff9b::1:7f00:1", "64:ff9c::127.0.0.1"],
    ),
    (
        "pods'",
        ["0.0.0.1", "0.0.0.1"],
        &["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "2600::1", "8.8.8.8"],
    ),
];

fn summary(server: &Server<'_>, address: &str) -> String {
    let address: core::net::IpAddr = address.parse().unwrap();
    let rtype = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
    server.summary(&format!("{}.default.pod.cluster.local", PodIpLabel::from(address)), rtype)
}

#[test]
fn special_addresses_are_blocked_if_configured() {
    let open = Server::new(Mode::Insecure);
    let guarded = open.with(|config| config.block_special = true);
    for (range, inside, outside) in RANGES {
        for address in inside {
            assert_eq!(summary(&guarded, address), "NXDOMAIN EDE15", "{address} {range}");
            assert_ne!(summary(&open, address), "NXDOMAIN EDE15", "{address} {range}");
        }
        for address in outside {
            let expected: core::net::IpAddr = address.parse().unwrap();
            assert_eq!(summary(&guarded, address), expected.to_string(), "{address} beside {range}");
        }
    }
}

/// RFC 4291 2.5.5.2: no pod has a mapped address, with or without the guard, and the response has no EDE 15 for it.
#[test]
fn mapped_addresses_never_resolve() {
    for block_special in [false, true] {
        let server = Server::new(Mode::Insecure).with(|config| config.block_special = block_special);
        for address in ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:0.0.0.0"] {
            assert_eq!(summary(&server, address), "NXDOMAIN", "{address}");
        }
        assert_eq!(summary(&server, "::fffe:10.0.0.1"), "::fffe:a00:1");
    }
}

/// In mode verified, a pod with such an address is not answered either.
#[test]
fn guard_applies_in_every_mode() {
    let cluster = crate::support::cluster::recorded().pod("default", "odd", &[[127, 0, 0, 9].into()]);
    let server = Server { pods: &cluster, ..Server::new(Mode::Verified) };
    assert_eq!(summary(&server, "127.0.0.9"), "127.0.0.9");
    assert_eq!(summary(&server.with(|config| config.block_special = true), "127.0.0.9"), "NXDOMAIN EDE15");
}
