//! Rules about names and answers: 10 to 20 and 25.

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{Freshness, Mode, Ttl};

use super::{A, AAAA, NO_POD, POD, codes, is_empty, rcode, verified, with_cookies};
use crate::support::Server;
use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query, record};
use crate::support::response::{AA, TC, WireName};

/// Types without a record at a pod's name, assigned or not, including meta-types.
const OTHER_TYPES: [u16; 23] =
    [0, 2, 5, 6, 12, 13, 15, 16, 33, 35, 39, 41, 43, 48, 64, 65, 99, 249, 250, 253, 254, 257, 65_280];

#[test]
fn rule_10_other_types_are_nodata() {
    for rtype in OTHER_TYPES.into_iter().chain([AAAA]) {
        let response = verified().udp(&Query::new(POD, rtype).octets());
        assert_eq!(Rcode(response.rcode), Rcode::NOERROR, "type {rtype}");
        assert!(response.has(AA) && response.answer.is_empty());
        assert_eq!(response.authority.len(), 1);
    }
}

#[test]
fn rule_11_rcode_is_independent_of_qtype() {
    let names = [
        "pod.cluster.local",
        "default.pod.cluster.local",
        "nowhere.pod.cluster.local",
        POD,
        NO_POD,
        "web-1.default.pod.cluster.local",
        "a.10-244-1-5.default.pod.cluster.local",
        "example.com",
    ];
    for mode in [Mode::Disabled, Mode::Insecure, Mode::Verified] {
        for name in names {
            let rcode = |rtype| Server::new(mode).udp(&Query::new(name, rtype).octets()).rcode;
            for rtype in OTHER_TYPES.into_iter().chain([AAAA, 255]) {
                assert_eq!(rcode(rtype), rcode(A), "{name} type {rtype} {mode:?}");
            }
        }
    }
}

#[test]
fn rule_12_nothing_exists_below_absent_names() {
    // An empty non-terminal exists, with or without pods.
    for name in ["default.pod.cluster.local", "team-b.pod.cluster.local", "rec.pod.cluster.local"] {
        let response = verified().udp(&Query::new(name, A).octets());
        assert_eq!((Rcode(response.rcode), response.authority.len()), (Rcode::NOERROR, 1), "{name}");
    }
    for name in [
        "10-244-1-5.nowhere.pod.cluster.local",
        "a.10-244-1-5.default.pod.cluster.local",
        "a.b.10-244-1-5.default.pod.cluster.local",
        "_http._tcp.10-244-1-5.default.pod.cluster.local",
        "10-244-1-5.pod.cluster.local",
        "10-244-1-5.10-244-1-5.pod.cluster.local",
    ] {
        assert_eq!(rcode(&Query::new(name, A)), Rcode::NXDOMAIN, "{name}");
    }
}

#[test]
fn rule_13_negative_answers() {
    for (ttl, negative) in [(0, 0), (5, 5), (299, 299), (300, 300), (301, 300), (3600, 300)] {
        let server = verified().with(|config| config.ttl = Ttl::from_secs(ttl).unwrap());
        for (name, rtype) in [
            (NO_POD, A),
            (POD, 16),
            ("default.pod.cluster.local", A),
            ("nowhere.pod.cluster.local", A),
            ("pod.cluster.local", A),
            ("a.b.c.d.pod.cluster.local", A),
        ] {
            let response = server.udp(&Query::new(name, rtype).octets());
            assert!(response.has(AA) && response.answer.is_empty(), "{name}");
            let [soa] = &response.authority[..] else { panic!("{response:?}") };
            assert_eq!(soa.owner, WireName::new("pod.cluster.local"));
            assert_eq!((soa.ttl, soa.soa_numbers()[4]), (negative, negative), "{name} TTL {ttl}");
        }
        let soa = &server.udp(&Query::new("pod.cluster.local", 6).octets()).answer[0];
        assert_eq!((soa.ttl, soa.soa_numbers()[4]), (negative, negative));
    }
}

#[test]
fn rule_14_zones_match_by_label() {
    let outside: [&[u8]; 8] = [
        b"\x03pod\x08xcluster\x05local\x00",
        b"\x04xpod\x07cluster\x05local\x00",
        b"\x03pod\x0dcluster.local\x00",
        b"\x11pod.cluster.local\x00",
        b"\x0bpod.cluster\x05local\x00",
        b"\x0210\x0fpod\x07cluster\x05loc\x00",
        b"\x07cluster\x05local\x03pod\x00",
        b"\x07cluster\x05local\x00",
    ];
    for name in outside {
        assert_eq!(rcode(&Query::of(name, A, 1)), Rcode::REFUSED, "{}", name.escape_ascii());
    }
    // The zone's octets at the end of one label, with any number of labels in front.
    for others in 0..5 {
        let name = [&b"\x01a".repeat(others), &b"\x13x\x03pod\x07cluster\x05local\x00"[..]].concat();
        assert_eq!(rcode(&Query::of(&name, A, 1)), Rcode::REFUSED, "{}", name.escape_ascii());
    }
    let inside: [&[u8]; 3] = [
        b"\x0bdefault.pod\x03pod\x07cluster\x05local\x00",
        b"\x0a10.244.1.5\x07default\x03pod\x07cluster\x05local\x00",
        b"\x1210-244-1-5.default\x03pod\x07cluster\x05local\x00",
    ];
    for name in inside {
        assert_eq!(rcode(&Query::of(name, A, 1)), Rcode::NXDOMAIN, "{}", name.escape_ascii());
    }
}

#[test]
fn rule_15_label_limits_are_exact() {
    let zone = WireName::new("pod.cluster.local").0;
    for octet in 0..=255 {
        let name = [&[1, octet][..], b"\x07default", &zone].concat();
        let response = verified().udp(&Query::of(&name, A, 1).octets());
        assert_eq!(Rcode(response.rcode), Rcode::NXDOMAIN, "{octet:#x}");
        assert_eq!(response.question.unwrap().name.0, name);
    }
    // Up to 255 octets: three labels of 63, and one for the rest. The zone takes 19.
    let name = |total: usize| {
        let mut name = [
            [&[63][..], &[b'a'; 63]].concat(),
            [&[63][..], &[0xff; 63]].concat(),
            [&[63][..], &[0; 63]].concat(),
        ]
        .concat();
        let last = total - name.len() - zone.len() - 1;
        name.push(u8::try_from(last).unwrap());
        name.extend(vec![b'.'; last]);
        name.extend(&zone);
        assert_eq!(name.len(), total);
        name
    };
    let response = verified().udp(&Query::of(&name(255), A, 1).octets());
    assert_eq!(Rcode(response.rcode), Rcode::NXDOMAIN);
    assert_eq!(response.question.unwrap().name.0, name(255), "with the whole question");
    assert_eq!(rcode(&Query::of(&name(256), A, 1)), Rcode::FORMERR);
    assert_eq!(rcode(&Query::of(&name(257), A, 1)), Rcode::FORMERR);
    // 127 labels of one octet are 255 octets including the root.
    let labels = |count| [b"\x01a".repeat(count), vec![0]].concat();
    assert_eq!(rcode(&Query::of(&labels(127), A, 1)), Rcode::REFUSED);
    assert_eq!(rcode(&Query::of(&labels(128), A, 1)), Rcode::FORMERR);
    let deep = [b"\x01a".repeat(118), zone].concat();
    assert_eq!(deep.len(), 255);
    assert_eq!(rcode(&Query::of(&deep, A, 1)), Rcode::NXDOMAIN);
}

#[test]
fn rule_16_only_letters_fold() {
    // With bit 5 set, 0x11 would be the digit 1, and 0x0d a dash.
    let names: [&[u8]; 4] = [
        b"\x0a\x110-244-1-5\x07default\x03pod\x07cluster\x05local\x00",
        b"\x0a10\x0d244-1-5\x07default\x03pod\x07cluster\x05local\x00",
        b"\x0a10-244-1-5\x07default\x03pod\x07cluster\x05\x0cocal\x00",
        b"\x0a10-244-1-5\x07default\x03p@d\x07cluster\x05local\x00",
    ];
    for name in names {
        let response = verified().udp(&Query::of(name, A, 1).octets());
        assert_ne!(Rcode(response.rcode), Rcode::NOERROR, "{}", name.escape_ascii());
        assert_eq!(response.question.unwrap().name.0, name);
    }
    let mixed = "10-244-1-5.DeFaULt.pOd.CLUSTER.lOcAl";
    let response = verified().udp(&Query::new(mixed, A).octets());
    assert_eq!(response.question.unwrap().name, WireName::new(mixed));
    assert_eq!(response.answer[0].owner, WireName::new(mixed));
    let response = verified().udp(&Query::new(&NO_POD.to_uppercase(), A).octets());
    assert_eq!(response.authority[0].owner, WireName::new("POD.CLUSTER.LOCAL"));
}

#[test]
fn rule_17_compression_pointers() {
    // Pointers to itself, to each other, forward, past the end, into the header, and truncated; and the reserved
    // label types.
    let names: [&[u8]; 9] = [
        &[0xc0, 12],
        &[0xc0, 14, 0xc0, 12],
        &[0xc0, 20, 0, 0, 0, 0, 0, 0, 0],
        &[0xc3, 0xff],
        &[0xc0, 0],
        &[0xc0],
        &[3, b'a', b'b', b'c', 0xc0, 12],
        &[0x41, b'a', 0],
        &[0x80, b'a', 0],
    ];
    for name in names {
        let response = verified().udp(&Query::of(name, A, 1).octets());
        assert_eq!((Rcode(response.rcode), response.question), (Rcode::FORMERR, None), "{name:02x?}");
    }
    // A pointer as owner of a record is not followed, so it cannot cause a loop.
    for owner in [[0xc0, 12], [0xc0, 0], [0xc0, 56], [0xff, 0xff]] {
        let query = Query::new(POD, A).record(2, record(&owner, A, 1, 5, &[1, 2, 3, 4]));
        assert_eq!(rcode(&query), Rcode::NOERROR, "{owner:02x?}");
    }
}

#[test]
fn rule_18_responses_are_whole_and_fit() {
    // All tests decode responses strictly: pointers backwards, counts, nothing left over. Here, the longest question
    // with the SOA and the longest options fits the smallest datagram.
    let server = with_cookies().with(|config| config.nsid = Some(&[b'n'; 200]));
    let zone = WireName::new("pod.cluster.local").0;
    let mut name = [&[63][..], &[b'a'; 63]].concat().repeat(3);
    name.push(43);
    name.extend([b'b'; 43]);
    name.extend(&zone);
    assert_eq!(name.len(), 255);
    let edns = Edns::new(512).option(10, &[1; 8]).option(3, &[]);
    for query in [Query::of(&name, A, 1), Query::of(&name, A, 1).edns(&edns)] {
        let response = server.udp(&query.octets());
        assert!(response.len <= 512 && !response.has(TC), "{} octets", response.len);
        assert_eq!((Rcode(response.rcode), response.authority.len()), (Rcode::NXDOMAIN, 1));
    }
}

#[test]
fn rule_19_names_outside_zones_are_refused() {
    let names = ["", "local", "cluster.local", "svc.cluster.local", "example.com", "5.1.244.10.in-addr.arpa"];
    for name in names {
        let response = verified().udp(&Query::new(name, A).edns(&Edns::new(1232)).octets());
        assert_eq!(codes(&response), (Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE)), "{name:?}");
        assert!(is_empty(&response) && !response.has(AA));
    }
    for class in [0, 2, 3, 4, 254, 255, 65_535] {
        for name in [POD, "pod.cluster.local", "version.bind", "id.server"] {
            let query = Query::of(&WireName::new(name).0, 16, class).edns(&Edns::new(1232)).octets();
            let response = verified().udp(&query);
            assert_eq!(codes(&response), (Rcode::REFUSED, Some(Ede::NOT_SUPPORTED)), "{name} class {class}");
            assert!(is_empty(&response) && !response.has(AA));
        }
    }
}

#[test]
fn rule_20_transfers_refused_any_is_small() {
    for rtype in [251, 252] {
        for name in ["pod.cluster.local", POD, "example.com"] {
            let query = Query::new(name, rtype).edns(&Edns::new(1232)).octets();
            for response in [verified().udp(&query), verified().tcp(&query)] {
                assert_eq!(codes(&response), (Rcode::REFUSED, Some(Ede::NOT_SUPPORTED)), "{name} {rtype}");
                assert!(is_empty(&response) && !response.has(AA));
            }
        }
    }
    let any = verified().udp(&Query::new(POD, 255).octets());
    assert_eq!((any.addresses().len(), any.authority.len()), (1, 0));
    let apex = verified().udp(&Query::new("pod.cluster.local", 255).octets());
    assert_eq!((apex.answer.len(), apex.answer[0].rtype), (1, 6));
}

#[test]
fn rule_25_unsynced_index_is_servfail() {
    let cluster = recorded().fresh(Freshness::Unsynced);
    let server = Server { pods: &cluster, ..verified() }.with(|config| config.pod_names = true);
    for name in [
        POD,
        NO_POD,
        "default.pod.cluster.local",
        "nowhere.pod.cluster.local",
        "web-1.default.pod.cluster.local",
    ] {
        let response = server.udp(&Query::new(name, A).edns(&Edns::new(1232)).octets());
        assert_eq!(codes(&response), (Rcode::SERVFAIL, Some(Ede::NOT_READY)), "{name}");
        assert!(is_empty(&response) && !response.has(AA));
    }
    // Answers that do not need the index are not affected.
    let apex = server.udp(&Query::new("pod.cluster.local", 6).octets());
    assert_eq!((Rcode(apex.rcode), apex.answer.len()), (Rcode::NOERROR, 1));
    for no_name in ["a.b.c.pod.cluster.local", "a.-b.pod.cluster.local", "no_pod.default.pod.cluster.local"] {
        assert_eq!(Rcode(server.udp(&Query::new(no_name, A).octets()).rcode), Rcode::NXDOMAIN, "{no_name}");
    }
}
