//! Zones: apex, name server, several zones, nested zones, TTLs.

use core::time::Duration;

use poddns_core::wire::{Rcode, Rtype};
use poddns_core::{Config, Freshness, Mode, NoPods, Ttl, Zone};

use crate::support::Server;
use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query};
use crate::support::response::{TC, WireName};

#[test]
fn the_apex_has_soa_and_ns() {
    let server = Server::new(Mode::Verified);
    let soa = server.udp(&Query::new("pod.cluster.local", 6).octets());
    let [record] = &soa.answer[..] else { panic!("{soa:?}") };
    assert_eq!(record.owner, WireName::new("pod.cluster.local"));
    assert_eq!(record.soa_numbers(), [1_795_360_627, 7200, 1800, 86_400, 5]);
    let names =
        [WireName::new("ns.dns.cluster.local").0, WireName::new("hostmaster.cluster.local").0].concat();
    assert!(record.data.starts_with(&names));
    let ns = server.udp(&Query::new("pod.cluster.local", 2).octets());
    let [record] = &ns.answer[..] else { panic!("{ns:?}") };
    assert_eq!((record.ttl, &record.data), (5, &WireName::new("ns.dns.cluster.local").0));
    for rtype in [Rtype::A, Rtype::AAAA, Rtype::TXT, Rtype::PTR, Rtype(33), Rtype(65), Rtype(65_280)] {
        assert_eq!(server.summary("pod.cluster.local", rtype), "NODATA", "{rtype}");
    }
    let without_changes = Server { pods: &NoPods, ..server };
    let soa = without_changes.udp(&Query::new("pod.cluster.local", 6).octets());
    assert_eq!(soa.answer[0].soa_numbers()[0], 1);
}

#[test]
fn the_name_server_may_have_any_name() {
    let longest = [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
    for ns in [
        "ns.dns.cluster.local",
        "NS1.Cluster.Local",
        "cluster.local",
        "local",
        "ns.pod.cluster.local",
        "ns.example.org",
        "xcluster.local",
        &longest,
    ] {
        let zones = [Zone::new("cluster.local").unwrap().with_ns(ns.parse().unwrap())];
        let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
        let query = |rtype| Query::new("pod.cluster.local", rtype).edns(&Edns::new(1232)).octets();
        let data = server.udp(&query(2)).answer[0].data.to_ascii_lowercase();
        assert_eq!(data, WireName::new(ns).0.to_ascii_lowercase(), "{ns}");
        let soa = &server.udp(&query(6)).answer[0];
        assert!(soa.data.to_ascii_lowercase().starts_with(&data), "{ns}");
        let negative = server.udp(&query(1));
        assert_eq!(negative.authority[0].data, soa.data, "{ns}");
    }
    // If the name server's name is too long to fit beside a long question, its record is left out and TC is set.
    let zones = [Zone::new("cluster.local").unwrap().with_ns(longest.parse().unwrap())];
    let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
    let long = ["a"; 100].join(".") + ".pod.cluster.local";
    let response = server.udp(&Query::new(&long, 1).octets());
    assert_eq!((Rcode(response.rcode), response.has(TC)), (Rcode::NXDOMAIN, true));
    assert!(response.authority.is_empty());
    assert!(!server.tcp(&Query::new(&long, 1).octets()).has(TC));
}

#[test]
fn a_server_has_several_zones() {
    let zones = ["cluster.local", "Example.ORG", "a.b.c.d.e"].map(|domain| Zone::new(domain).unwrap());
    let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
    for zone in ["cluster.local", "example.org", "a.b.c.d.e"] {
        assert_eq!(server.summary(&format!("10-244-1-5.default.pod.{zone}"), Rtype::A), "10.244.1.5");
        let response = server.udp(&Query::new(&format!("pod.{zone}"), 1).octets());
        assert_eq!(response.authority[0].owner, WireName::new(&format!("pod.{zone}")));
        let ns = WireName::new(&format!("ns.dns.{zone}")).0;
        assert!(response.authority[0].data.starts_with(&ns), "each zone has its own name server");
    }
    for outside in ["pod.b.c.d.e", "pod.org", "pod", "example.org"] {
        assert_eq!(server.summary(outside, Rtype::A), "REFUSED EDE20", "{outside}");
    }
    let none = server.with(|config| config.zones = &[]);
    assert_eq!(none.summary("pod.cluster.local", Rtype::A), "REFUSED EDE20");
}

#[test]
fn innermost_of_nested_zones_answers() {
    // The order of the zones does not matter.
    for domains in
        [["cluster.local", "inner.pod.cluster.local"], ["inner.pod.cluster.local", "cluster.local"]]
    {
        let zones = domains.map(|domain| Zone::new(domain).unwrap());
        for mode in [Mode::Disabled, Mode::Insecure, Mode::Verified] {
            let server = Server::new(mode).with(|config| config.zones = &zones);
            let apex = server.udp(&Query::new("pod.inner.pod.cluster.local", 6).octets());
            assert_eq!(apex.answer[0].owner, WireName::new("pod.inner.pod.cluster.local"), "{mode:?}");
            // The inner zone exists, so the name above it does, even if the outer zone has no such namespace.
            let above = server.udp(&Query::new("INNER.pod.cluster.local", 1).octets());
            assert_eq!(Rcode(above.rcode), Rcode::NOERROR, "{mode:?}");
            assert_eq!(above.authority[0].owner, WireName::new("pod.cluster.local"));
            if mode != Mode::Insecure {
                assert_eq!(server.summary("xinner.pod.cluster.local", Rtype::A), "NXDOMAIN");
                assert_eq!(server.summary("x.inner.pod.cluster.local", Rtype::A), "NXDOMAIN");
            }
        }
        let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
        assert_eq!(server.summary("10-244-1-5.default.pod.inner.pod.cluster.local", Rtype::A), "10.244.1.5");
        assert_eq!(server.summary("10-244-1-5.default.pod.cluster.local", Rtype::A), "10.244.1.5");
    }
}

/// RFC 8914: an extended error is about the response that has it. Codes 15 and 19 are about NXDOMAIN.
#[test]
fn extended_error_above_nested_zone_fits_nodata() {
    let domains = ["cluster.local", "x.8-8-8-8.team.pod.cluster.local", "x.web.team.pod.cluster.local"];
    let zones = domains.map(|domain| Zone::new(domain).unwrap());
    let stale = Freshness::Stale { age: Duration::from_secs(1) };
    let blocked = "8.8.8.8".parse().unwrap();
    for (freshness, index_code, web_beside) in
        [(Freshness::Fresh, "", "NXDOMAIN EDE15"), (stale, " EDE3", "NXDOMAIN EDE15")]
    {
        let pods = recorded().fresh(freshness).pod("team", "web", &[blocked]);
        let pods = pods.pod("team", "db", &[blocked]);
        let cidrs = ["10.0.0.0/8".parse().unwrap()];
        let server = Server { pods: &pods, ..Server::new(Mode::Verified) }.with(|config| {
            (config.zones, config.pod_names) = (&zones, true);
        });
        let guarded = server.with(|config| config.pod_cidrs = &cidrs);
        // A guard forbids the first name without the index, and the second by its pod's addresses in the index.
        assert_eq!(guarded.summary("8-8-8-8.team.pod.cluster.local", Rtype::A), "NODATA");
        assert_eq!(guarded.summary("web.team.pod.cluster.local", Rtype::A), format!("NODATA{index_code}"));
        assert_eq!(guarded.summary("db.team.pod.cluster.local", Rtype::A), web_beside);
        assert_eq!(server.summary("team.pod.cluster.local", Rtype::A), format!("NODATA{index_code}"));
        let nobody = recorded().fresh(freshness);
        let nobody = Server { pods: &nobody, ..server };
        let above = ["8-8-8-8.team", "web.team", "team"];
        for name in above.map(|name| format!("{name}.pod.cluster.local")) {
            assert_eq!(nobody.summary(&name, Rtype::A), format!("NODATA{index_code}"), "{name}");
        }
    }
}

#[test]
fn first_of_two_equal_zones_answers() {
    let zone = |ns: &str| Zone::new("cluster.local").unwrap().with_ns(ns.parse().unwrap());
    let zones = [zone("first.example"), zone("second.example")];
    let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
    let response = server.udp(&Query::new("pod.cluster.local", 2).octets());
    assert_eq!(response.answer[0].data, WireName::new("first.example").0);
}

#[test]
fn ttls_are_bounded() {
    assert_eq!(Ttl::default().as_secs(), 5);
    assert_eq!((Ttl::MAX.as_secs(), Ttl::MAX.to_string()), (3600, "3600".to_owned()));
    for (seconds, fits) in [(0, true), (1, true), (3600, true), (3601, false), (u16::MAX, false)] {
        assert_eq!(Ttl::from_secs(seconds).map(Ttl::as_secs), fits.then_some(seconds));
    }
    for seconds in [0, 5, 3600] {
        let server = Server::new(Mode::Verified).with(|config| config.ttl = Ttl::from_secs(seconds).unwrap());
        for (name, rtype) in [("10-244-1-5.default.pod.cluster.local", 1), ("pod.cluster.local", 2)] {
            assert_eq!(server.udp(&Query::new(name, rtype).octets()).answer[0].ttl, u32::from(seconds));
        }
    }
}

#[test]
fn new_configuration_has_strict_defaults() {
    let config = Config::new(Mode::default(), &[]);
    assert_eq!((config.mode, config.ttl), (Mode::Verified, Ttl::default()));
    assert!(!config.block_special && !config.check_namespaces && !config.pod_names);
    assert!(config.pod_cidrs.is_empty() && config.namespaces.is_empty() && config.max_staleness.is_none());
    assert!(config.cookies.is_none() && config.nsid.is_none() && config.tcp_keepalive.is_none());
    assert!(config.chaos_version.is_none() && config.chaos_id.is_none());
    let zone = Zone::new("Cluster.Local.").unwrap();
    assert_eq!(zone.domain().to_string(), "Cluster.Local.");
    assert_eq!(zone.apex().to_string(), "pod.Cluster.Local.");
}
