//! Reverse zones: RFC 1035 3.5 for IPv4, RFC 3596 2.5 for IPv6.

use core::net::IpAddr;
use core::time::Duration;

use poddns_core::wire::{Rcode, Rtype};
use poddns_core::{Freshness, IpCidr, Mode, PodLookup, ReverseZones, Zone, explain};
use proptest::prelude::*;

use crate::support::cluster::{label, recorded};
use crate::support::query::{Edns, Query};
use crate::support::response::{Response, WireName};
use crate::support::{CLUSTER, Server};

fn networks(texts: &[&str]) -> Vec<IpCidr> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

/// Returns a server of these networks' reverse zones, in mode verified.
fn server<'a>(networks: &'a [IpCidr], pods: &'a dyn PodLookup) -> Server<'a> {
    Server { pods, ..Server::new(Mode::Verified) }.with(|config| config.reverse_zones = zones(networks))
}

fn zones(networks: &[IpCidr]) -> ReverseZones<'_> {
    ReverseZones::new(networks).expect("at most 256")
}

/// Returns the reverse name of an address (RFC 1035 3.5, RFC 3596 2.5).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            labels.join(".") + ".ip6.arpa"
        }
    }
}

fn ask(server: &Server<'_>, name: &str, rtype: Rtype) -> Response {
    server.udp(&Query::new(name, rtype.0).edns(&Edns::new(1232)).octets())
}

/// Returns the name that the address points to; `NODATA` or the rcode if there is none, with the extended error.
fn ptr(server: &Server<'_>, name: &str) -> String {
    let response = ask(server, name, Rtype::PTR);
    let ede = response.ede().map_or(String::new(), |ede| format!(" EDE{}", ede.0));
    match &response.answer[..] {
        [record] => {
            assert_eq!((record.rtype, &record.owner), (Rtype::PTR.0, &WireName::new(name)));
            let labels: Vec<_> = labels(&record.data);
            labels.join(".") + &ede
        }
        [] if response.rcode == Rcode::NOERROR.0 => format!("NODATA{ede}"),
        [] => format!("{}{ede}", Rcode(response.rcode)),
        more => panic!("{more:?}"),
    }
}

fn labels(mut name: &[u8]) -> Vec<String> {
    let mut labels = Vec::new();
    while let [len @ 1..=63, rest @ ..] = name {
        let (label, tail) = rest.split_at((*len).into());
        labels.push(String::from_utf8_lossy(label).into_owned());
        name = tail;
    }
    assert_eq!(name, [0], "the root, and nothing behind it");
    labels
}

/// Returns the owner of the SOA in the authority section.
fn apex(response: &Response) -> String {
    match &response.authority[..] {
        [soa] if soa.rtype == Rtype::SOA.0 => labels(&soa.owner.0).join("."),
        other => panic!("{other:?}"),
    }
}

#[test]
fn address_of_one_pod_has_its_name() {
    let networks = networks(&["10.244.0.0/16", "fd00:10:244::/48"]);
    let server = server(&networks, &*CLUSTER);
    assert_eq!(ptr(&server, "5.1.244.10.in-addr.arpa"), "10-244-1-5.default.pod.cluster.local");
    assert_eq!(ptr(&server, "5.1.244.10.IN-ADDR.arpa"), "10-244-1-5.default.pod.cluster.local");
    let v6 = "fd00:10:244:1::7".parse().expect("an address");
    assert_eq!(ptr(&server, &reverse_name(v6)), "fd00-10-244-1--7.default.pod.cluster.local");
    assert_eq!(ptr(&server, "9.9.244.10.in-addr.arpa"), "NXDOMAIN");
    assert_eq!(ptr(&server, "x.5.1.244.10.in-addr.arpa"), "NXDOMAIN", "nothing is below an address");
    let a = ask(&server, "5.1.244.10.in-addr.arpa", Rtype::A);
    assert_eq!((a.rcode, a.answer.len(), apex(&a)), (0, 0, "244.10.in-addr.arpa".to_owned()));
    assert_eq!(ask(&server, "5.1.244.10.in-addr.arpa", Rtype::ANY).answer.len(), 1);
}

#[test]
fn pod_names_are_preferred_where_served() {
    let networks = networks(&["10.244.0.0/16"]);
    let cluster = recorded().pod("default", "10-244-7-7", &[[10, 244, 7, 8].into()]);
    let server = server(&networks, &cluster).with(|config| config.pod_names = true);
    assert_eq!(ptr(&server, "5.1.244.10.in-addr.arpa"), "web-1.default.pod.cluster.local");
    // The pod's name spells another address.
    assert_eq!(ptr(&server, "8.7.244.10.in-addr.arpa"), "10-244-7-8.default.pod.cluster.local");
}

#[test]
fn shared_addresses_have_no_name() {
    let networks = networks(&["192.168.0.0/16"]);
    assert_eq!(ptr(&server(&networks, &*CLUSTER), "10.1.168.192.in-addr.arpa"), "NODATA");
}

#[test]
fn the_apex_has_soa_and_ns() {
    let networks = networks(&["10.244.0.0/14"]);
    let server = server(&networks, &*CLUSTER);
    for zone in ["244.10", "245.10", "246.10", "247.10"] {
        let name = format!("{zone}.in-addr.arpa");
        let soa = &ask(&server, &name, Rtype::SOA).answer[0];
        assert_eq!((soa.rtype, &soa.owner), (Rtype::SOA.0, &WireName::new(&name)));
        let names =
            [WireName::new("ns.dns.cluster.local").0, WireName::new("hostmaster.cluster.local").0].concat();
        assert_eq!(soa.data[..names.len()], names);
        assert_eq!(soa.data.len(), names.len() + 20);
        let ns = &ask(&server, &name, Rtype::NS).answer[0];
        assert_eq!((ns.rtype, &ns.data), (Rtype::NS.0, &WireName::new("ns.dns.cluster.local").0));
        assert_eq!(apex(&ask(&server, &name, Rtype::PTR)), name);
    }
    for outside in
        ["243.10.in-addr.arpa", "248.10.in-addr.arpa", "10.in-addr.arpa", "in-addr.arpa", "1.0.ip6.arpa"]
    {
        assert_eq!(ptr(&server, outside), "REFUSED EDE20", "{outside}");
    }
}

#[test]
fn names_above_addresses_exist() {
    let networks = networks(&["10.0.0.0/8", "10.244.0.0/16"]);
    let server = server(&networks, &*CLUSTER);
    for (name, expected, zone) in [
        ("7.10.in-addr.arpa", "NODATA", "10.in-addr.arpa"),
        ("9.244.10.in-addr.arpa", "NODATA", "244.10.in-addr.arpa"),
        ("256.244.10.in-addr.arpa", "NXDOMAIN", "244.10.in-addr.arpa"),
        ("05.244.10.in-addr.arpa", "NXDOMAIN", "244.10.in-addr.arpa"),
        ("+5.244.10.in-addr.arpa", "NXDOMAIN", "244.10.in-addr.arpa"),
        ("0-63.244.10.in-addr.arpa", "NXDOMAIN", "244.10.in-addr.arpa"),
        ("1.x.244.10.in-addr.arpa", "NXDOMAIN", "244.10.in-addr.arpa"),
        ("x.10.in-addr.arpa", "NXDOMAIN", "10.in-addr.arpa"),
    ] {
        assert_eq!(ptr(&server, name), expected, "{name}");
        assert_eq!(apex(&ask(&server, name, Rtype::PTR)), zone, "{name}");
    }
}

#[test]
fn guards_are_those_of_forward_names() {
    let networks = networks(&["10.244.0.0/16"]);
    let (cidrs, namespaces) = ([networks[0].to_string().replace("/16", "/24")], [label("team-a")]);
    let cidrs = cidrs.map(|text| text.parse().expect("a network"));
    let all = server(&networks, &*CLUSTER);
    let guarded = all.with(|config| config.pod_cidrs = &cidrs);
    assert_eq!(ptr(&guarded, "5.1.244.10.in-addr.arpa"), "NXDOMAIN EDE15");
    let guarded = all.with(|config| config.namespaces = &namespaces);
    assert_eq!(ptr(&guarded, "5.1.244.10.in-addr.arpa"), "NXDOMAIN");
    assert_eq!(ptr(&guarded, "5.2.244.10.in-addr.arpa"), "10-244-2-5.team-a.pod.cluster.local");
}

#[test]
fn only_mode_verified_has_reverse_zones() {
    let networks = networks(&["10.244.0.0/16"]);
    for mode in [Mode::Disabled, Mode::Insecure] {
        let server = server(&networks, &*CLUSTER).with(|config| config.mode = mode);
        assert_eq!(ptr(&server, "5.1.244.10.in-addr.arpa"), "REFUSED EDE20");
    }
    assert_eq!(
        ptr(&Server::new(Mode::Verified), "5.1.244.10.in-addr.arpa"),
        "REFUSED EDE20",
        "off by default"
    );
}

#[test]
fn staleness_of_index_applies() {
    let networks = networks(&["10.244.0.0/16"]);
    let unsynced = recorded().fresh(Freshness::Unsynced);
    assert_eq!(ptr(&server(&networks, &unsynced), "5.1.244.10.in-addr.arpa"), "SERVFAIL EDE14");
    let stale = recorded().fresh(Freshness::Stale { age: Duration::from_secs(9) });
    let stale = server(&networks, &stale);
    assert_eq!(ptr(&stale, "5.1.244.10.in-addr.arpa"), "10-244-1-5.default.pod.cluster.local EDE3");
    assert_eq!(ptr(&stale, "9.9.244.10.in-addr.arpa"), "NXDOMAIN EDE19");
    let stale = stale.with(|config| config.max_staleness = Some(Duration::from_secs(8)));
    assert_eq!(ptr(&stale, "5.1.244.10.in-addr.arpa"), "SERVFAIL EDE22");
}

#[test]
fn too_long_names_are_omitted() {
    let networks = networks(&["10.244.0.0/16"]);
    let domain = format!("{0}.{0}.{0}.cluster.local", "x".repeat(60));
    let zones = [Zone::new(&domain).expect("a domain")];
    let cluster = recorded().pod(&"n".repeat(63), "p", &[[10, 244, 7, 8].into()]);
    let server = server(&networks, &cluster).with(|config| config.zones = &zones);
    assert_eq!(ptr(&server, "8.7.244.10.in-addr.arpa"), "NODATA");
    assert_eq!(ptr(&server, "5.1.244.10.in-addr.arpa"), format!("10-244-1-5.default.pod.{domain}"));
}

#[test]
fn explanations_name_the_pod() {
    let networks = networks(&["10.244.0.0/16", "192.168.0.0/16"]);
    let server = server(&networks, &*CLUSTER);
    let why = |name: &str| {
        let name = WireName::new(name).0;
        explain(&server.config, server.pods, &name, Rtype::PTR).expect("a name").to_string()
    };
    let sync = "; the index is in sync with the cluster";
    assert_eq!(why("5.1.244.10.in-addr.arpa"), format!("10.244.1.5 is pod 'web-1' of 'default'{sync}"));
    assert_eq!(why("9.9.244.10.in-addr.arpa"), format!("no pod has 10.244.9.9{sync}"));
    assert_eq!(
        why("10.1.168.192.in-addr.arpa"),
        format!("several pods share 192.168.1.10; it has no record of type PTR{sync}")
    );
    assert_eq!(why("x.244.10.in-addr.arpa"), "a label of it is no part of an address");
}

proptest! {
    #[test]
    fn zones_cover_exactly_their_network(bits in any::<u32>(), length in 1_u8..=32, other in any::<u32>(), near in any::<bool>()) {
        let mask = u32::MAX << (32 - length);
        let text = format!("{}/{length}", core::net::Ipv4Addr::from_bits(bits & mask));
        let networks = networks(&[&text]);
        let asked = core::net::Ipv4Addr::from_bits(if near { bits & mask | other & !mask } else { other });
        let server = server(&networks, &*CLUSTER);
        let refused = ptr(&server, &reverse_name(asked.into())) == "REFUSED EDE20";
        prop_assert_eq!(refused, !networks[0].contains(&asked.into()));
    }

    #[test]
    fn forward_and_reverse_agree(names in any::<bool>(), number in 0_usize..40) {
        let addresses: Vec<IpAddr> = CLUSTER.pods.iter().flat_map(|pod| pod.addresses.clone()).collect();
        let address = addresses[number % addresses.len()];
        let networks = networks(&["0.0.0.0/0", "::/0"]);
        let server = server(&networks, &*CLUSTER).with(|config| config.pod_names = names);
        let name = ptr(&server, &reverse_name(address));
        let owners = CLUSTER.pods.iter().filter(|pod| pod.addresses.contains(&address)).count();
        if owners > 1 {
            prop_assert_eq!(name, "NODATA");
        } else {
            let rtype = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
            prop_assert!(ask(&server, &name, rtype).addresses().contains(&address), "{}", name);
        }
    }
}
