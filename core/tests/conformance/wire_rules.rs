//! The rules that small DNS servers break, each a test named by its number.
//!
//! Numbers 21 (addresses and errors of UDP sockets), 22 (TCP framing) and 23 (resources of TCP connections) are
//! about sockets, which this crate has none of: the socket driver's tests hold them. What of 22 is the
//! responder's is under [`rule_22_streams`].

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{CookieSecrets, Freshness, Mode, Outcome, Request, Transport};

use crate::support::cluster::Cluster;
use crate::support::query::{Edns, Query, record};
use crate::support::response::{AA, Response, TC, WireName};
use crate::support::{CLIENT, NOW, Server};

const A: u16 = 1;
const AAAA: u16 = 28;
const POD: &str = "10-244-1-5.default.pod.cluster.local";
const NO_POD: &str = "10-99-99-99.default.pod.cluster.local";

fn verified() -> Server<'static> {
    Server::new(Mode::Verified)
}

fn with_cookies() -> Server<'static> {
    static SECRETS: CookieSecrets = CookieSecrets { current: [7; 16], previous: None };
    verified().with(|config| config.cookies = Some(&SECRETS))
}

/// The rcode and the extended error.
fn codes(response: &Response) -> (Rcode, Option<Ede>) {
    (Rcode(response.rcode), response.ede())
}

fn rcode(query: &Query) -> Rcode {
    Rcode(verified().udp(&query.octets()).rcode)
}

/// No record in any section.
fn is_empty(response: &Response) -> bool {
    response.answer.is_empty() && response.authority.is_empty()
}

#[test]
fn rule_01_responses_are_never_answered() {
    let whole = Query::new(POD, A).flags(0x8000).octets();
    let request = |transport| Request::new(transport, CLIENT, NOW);
    for packet in [
        &whole,
        &Query::empty().flags(0x8000).octets(),
        &Query::new(POD, A).flags(0x8000).opcode(15).octets(),
        &Query::new(POD, A).flags(0x8000).count(0, 2).octets(),
        &whole[..13],
        &vec![0xff; 12],
        &vec![0xff; 65_535],
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (outcome, _) = verified().outcome(packet, &request(transport));
            assert_eq!(outcome, Outcome::Drop(poddns_core::DropReason::Response));
        }
    }
    for len in 0..12 {
        let (outcome, _) = verified().outcome(&whole[..len], &request(Transport::Udp));
        assert_eq!(outcome, Outcome::Drop(poddns_core::DropReason::Short), "{len} octets");
    }
}

#[test]
fn rule_02_unknown_opcodes_are_not_implemented() {
    for opcode in 1..16 {
        // All the flags that are not to be copied: AA, TC, RA, Z, AD, CD.
        let query = Query::new(POD, A).opcode(opcode).flags(0x06f0);
        let header_only = &query.octets()[..12];
        let update = Query::new(POD, A).opcode(opcode).record(1, record(&[0], 255, 254, 0, &[])).octets();
        for octets in [&query.octets()[..], header_only, &update, &query.count(0, 99).octets()] {
            let response = verified().udp(octets);
            assert_eq!(codes(&response), (Rcode::NOTIMP, None));
            assert_eq!(response.flags, 0x8000 | opcode << 11, "QR and the opcode, nothing else");
            assert_eq!(response.len, 12, "no sections");
        }
        let with_opt = Query::new(POD, A).opcode(opcode).edns(&Edns::new(1232)).octets();
        assert_eq!(codes(&verified().udp(&with_opt)), (Rcode::NOTIMP, Some(Ede::NOT_SUPPORTED)));
    }
}

#[test]
fn rule_03_one_question_or_a_format_error() {
    let name = WireName::new(POD).0;
    let two = Query::new(POD, A).question(&name, AAAA, 1);
    let compressed = Query::new(POD, A).question(&[0xc0, 12], AAAA, 1);
    for query in [
        Query::empty(),
        Query::empty().edns(&Edns::new(1232)),
        two.clone(),
        two.edns(&Edns::new(1232)),
        compressed.edns(&Edns::new(1232)),
        Query::new(POD, A).count(0, 2),
        Query::new(POD, A).count(0, 65_535),
        Query::empty().count(0, 1),
    ] {
        let response = verified().udp(&query.octets());
        assert_eq!(codes(&response), (Rcode::FORMERR, None), "{query:?}");
        assert_eq!(response.question, None);
        assert!(is_empty(&response));
        assert_eq!(response.opt.is_some(), query.octets()[11] == 1, "{query:?}");
    }
    let whole = Query::new(POD, A).octets();
    for cut in 12..whole.len() {
        assert_eq!(Rcode(verified().udp(&whole[..cut]).rcode), Rcode::FORMERR, "{cut} octets");
    }
    // RFC 7873 5.4: with a COOKIE it is a request for one.
    let cookie = Query::empty().edns(&Edns::new(1232).option(10, &[1; 8])).octets();
    let response = with_cookies().udp(&cookie);
    assert_eq!(codes(&response), (Rcode::NOERROR, None));
    assert!(is_empty(&response) && response.question.is_none());
    assert_eq!(response.opt.unwrap().option(10).map(<[u8]>::len), Some(24));
    assert_eq!(codes(&verified().udp(&cookie)).0, Rcode::FORMERR, "where there are no cookies to be had");
}

#[test]
fn rule_04_another_edns_version_is_badvers() {
    for version in [1, 2, 255] {
        for flags in [0, 0x8000, 0x7fff, 0xffff] {
            let edns = Edns::new(1232).version(version).flags(flags).option(3, &[]).option(65_001, b"x");
            let query = Query::new(POD, A).flags(0x0100).edns(&edns).octets();
            let (_, octets) = verified().octets(&query, &Request::new(Transport::Udp, CLIENT, NOW));
            assert_eq!(octets[3] & 0xf, 0, "the header has the lower four bits of 16");
            let response = verified().udp(&query);
            assert_eq!(codes(&response), (Rcode::BADVERS, None));
            assert!(is_empty(&response) && !response.has(AA));
            let opt = response.opt.unwrap();
            assert_eq!((opt.version, opt.flags, opt.options), (0, 0, vec![]));
        }
    }
    // What the data of another version's OPT means is not known, so it cannot be malformed either.
    let opaque = Query::new(POD, A).edns(&Edns::new(1232).version(1).raw(&[0xff; 3])).octets();
    assert_eq!(codes(&verified().udp(&opaque)), (Rcode::BADVERS, None));
}

#[test]
fn rule_05_an_opt_for_an_opt() {
    let cut_option = Edns::new(1232).raw(&[0, 3, 0, 9, 1]);
    let queries = [
        (Query::new(POD, A), Edns::new(1232), Rcode::NOERROR),
        (Query::new(POD, 16), Edns::new(1232), Rcode::NOERROR),
        (Query::new(NO_POD, A), Edns::new(1232), Rcode::NXDOMAIN),
        (Query::new("example.com", A), Edns::new(1232), Rcode::REFUSED),
        (Query::new(POD, 252), Edns::new(1232), Rcode::REFUSED),
        (Query::of(&WireName::new("version.bind").0, 16, 3), Edns::new(1232), Rcode::REFUSED),
        (Query::new(POD, A).opcode(4), Edns::new(1232), Rcode::NOTIMP),
        (Query::new(POD, A).opcode(5), Edns::new(1232), Rcode::NOTIMP),
        (Query::new(POD, A), Edns::new(1232).version(1), Rcode::BADVERS),
        (Query::new(POD, A), cut_option, Rcode::FORMERR),
        (Query::new(POD, A), Edns::new(1232).option(10, &[1; 7]), Rcode::FORMERR),
        (Query::empty(), Edns::new(1232), Rcode::FORMERR),
    ];
    for (query, edns, rcode) in queries {
        let response = verified().udp(&query.clone().edns(&edns).octets());
        assert_eq!((Rcode(response.rcode), response.opt.is_some()), (rcode, true), "{query:?} {edns:?}");
        let response = verified().udp(&query.octets());
        assert!(response.opt.is_none(), "{query:?}");
    }
}

#[test]
fn rule_06_one_opt_in_its_place() {
    let opt = Edns::new(1232).record();
    let other = record(&WireName::new("x").0, A, 1, 5, &[1, 2, 3, 4]);
    let base = Query::new(POD, A);
    let anywhere = [
        base.clone().record(2, opt.clone()).record(2, other.clone()),
        base.clone().record(2, other.clone()).record(2, opt.clone()),
        base.clone().record(2, other.clone()).record(2, opt.clone()).record(2, other.clone()),
        base.clone().record(0, other.clone()).record(1, other.clone()).record(2, opt.clone()),
    ];
    for query in anywhere {
        let response = verified().udp(&query.octets());
        assert_eq!((Rcode(response.rcode), response.opt.is_some()), (Rcode::NOERROR, true), "{query:?}");
    }
    let owned = |owner: &[u8]| [owner, &opt[1..]].concat();
    let misplaced = [
        base.clone().record(0, opt.clone()),
        base.clone().record(1, opt.clone()),
        base.clone().record(0, opt.clone()).record(2, opt.clone()),
        base.clone().record(2, opt.clone()).record(2, opt.clone()),
        base.clone().record(2, opt.clone()).record(2, other).record(2, opt.clone()),
        base.clone().record(2, owned(&WireName::new("x").0)),
        base.clone().record(2, owned(&[0xc0, 12])),
    ];
    for query in misplaced {
        let response = verified().udp(&query.octets());
        assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
        assert!(is_empty(&response) && response.question.is_some());
    }
}

#[test]
fn rule_07_payload_sizes() {
    // A pod with so many addresses that they fill any datagram.
    let cluster = many_addresses(100);
    let server = Server { pods: &cluster, ..verified() }.with(|config| config.pod_names = true);
    let many = Query::new("many.default.pod.cluster.local", A);
    for (edns, limit) in [
        (None, 512),
        (Some(0), 512),
        (Some(1), 512),
        (Some(511), 512),
        (Some(512), 512),
        (Some(513), 513),
        (Some(1231), 1231),
        (Some(1232), 1232),
        (Some(1233), 1232),
        (Some(4096), 1232),
        (Some(65_535), 1232),
    ] {
        // A response of exactly the limit is whole, one of an octet more is truncated: 16 octets an address.
        let query = edns.iter().fold(many.clone(), |query, &size| query.edns(&Edns::new(size)));
        let fixed = server.udp(&query.octets()).len;
        let fits = (limit - fixed) / 16;
        for (addresses, truncated) in [(fits, false), (fits + 1, true)] {
            let cluster = many_addresses(u8::try_from(addresses).unwrap());
            let response = Server { pods: &cluster, ..server }.udp(&query.octets());
            assert_eq!(response.has(TC), truncated, "{addresses} addresses, client says {edns:?}");
            assert_eq!(response.answer.len(), if truncated { 0 } else { addresses });
            assert!(response.len <= limit);
            assert!(response.opt.is_none_or(|opt| opt.payload_size == 1232), "ours, not the client's");
        }
        let response = server.tcp(&query.octets());
        assert_eq!((response.answer.len(), response.has(TC)), (100, false), "no such limit over TCP");
    }
}

fn many_addresses(count: u8) -> Cluster {
    let addresses: Vec<_> = (0..count).map(|last| [10, 0, 0, last].into()).collect();
    Cluster::recorded().pod("default", "many", &addresses)
}

#[test]
fn rule_08_options_are_measured_and_unknown_ones_ignored() {
    let malformed: [&[u8]; 6] =
        [&[0], &[0, 3, 0], &[0, 3, 0, 1], &[0xfd, 0xe9, 0, 2, 1], &[0, 3, 0, 0, 0], &[0, 3, 255, 255]];
    for data in malformed {
        let response = verified().udp(&Query::new(POD, A).edns(&Edns::new(1232).raw(data)).octets());
        assert_eq!((codes(&response), response.opt.is_some()), ((Rcode::FORMERR, None), true), "{data:?}");
    }
    let many = (0..200).fold(Edns::new(1232), |edns, n| edns.option(65_001 + n, &[7; 3]));
    let large = Edns::new(1232).option(12, &[0; 4096]);
    let largest = Edns::new(1232).option(12, &[0; 65_000]);
    // Client subnet with a family that there is none of: not known here, so not read (RFC 6891 6.1.2).
    let subnet = Edns::new(1232).option(8, &[0, 9, 24, 0, 1]);
    for edns in [many, large, largest, subnet] {
        let response = verified().udp(&Query::new(POD, A).edns(&edns).octets());
        assert_eq!(response.addresses().len(), 1);
        assert_eq!(response.opt.unwrap().options, [], "none is echoed");
    }
}

#[test]
fn rule_09_keepalive_and_cookies() {
    let server = with_cookies().with(|config| config.tcp_keepalive = Some(0x0123));
    let keepalive = Query::new(POD, A).edns(&Edns::new(1232).option(11, &[])).octets();
    assert_eq!(server.tcp(&keepalive).opt.unwrap().option(11), Some(&[0x01, 0x23][..]));
    assert_eq!(server.udp(&keepalive).opt.unwrap().option(11), None);

    for len in 0..=48 {
        let query = Query::new(POD, A).edns(&Edns::new(1232).option(10, &vec![5; len])).octets();
        let expected = if len == 8 || (16..=40).contains(&len) { Rcode::NOERROR } else { Rcode::FORMERR };
        assert_eq!(Rcode(server.udp(&query).rcode), expected, "{len} octets");
        assert_eq!(Rcode(verified().udp(&query).rcode), expected, "{len} octets, and none configured");
    }

    let cookie = |query: Query, edns: Edns| {
        server.udp(&query.edns(&edns).octets()).opt.unwrap().option(10).map(<[u8]>::to_vec)
    };
    let first = cookie(Query::new(POD, A), Edns::new(1232).option(10, &[1; 8])).unwrap();
    let both = Edns::new(1232).option(10, &[1; 8]).option(10, &[2; 3]);
    assert_eq!(cookie(Query::new(POD, A), both), Some(first.clone()), "the first of two");
    let other = cookie(Query::new(POD, A), Edns::new(1232).option(10, &[2; 8])).unwrap();
    assert_ne!(first[16..], other[16..], "the hash covers the client cookie");
    let elsewhere = Request::new(Transport::Udp, [127, 0, 0, 2].into(), NOW);
    let query = Query::new(POD, A).edns(&Edns::new(1232).option(10, &[1; 8])).octets();
    let there = server.outcome(&query, &elsewhere).1.unwrap().opt.unwrap();
    assert_ne!(there.option(10).unwrap()[16..], first[16..], "and the client's address");

    let asks = Edns::new(1232).option(10, &[1; 8]);
    for (query, edns) in [
        (Query::new(NO_POD, A), asks.clone()),
        (Query::new("example.com", A), asks.clone()),
        (Query::new(POD, A).opcode(4), asks.clone()),
        (Query::new(POD, A), asks.version(1)),
    ] {
        assert_eq!(cookie(query.clone(), edns), Some(first.clone()), "{query:?}");
    }
}

/// Types that have no record at a pod's name, assigned or not, among them those that stand for something else.
const OTHER_TYPES: [u16; 23] =
    [0, 2, 5, 6, 12, 13, 15, 16, 33, 35, 39, 41, 43, 48, 64, 65, 99, 249, 250, 253, 254, 257, 65_280];

#[test]
fn rule_10_other_types_at_a_name_are_nodata() {
    for rtype in OTHER_TYPES.into_iter().chain([AAAA]) {
        let response = verified().udp(&Query::new(POD, rtype).octets());
        assert_eq!(Rcode(response.rcode), Rcode::NOERROR, "type {rtype}");
        assert!(response.has(AA) && response.answer.is_empty());
        assert_eq!(response.authority.len(), 1);
    }
}

#[test]
fn rule_11_the_rcode_does_not_depend_on_the_type() {
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
fn rule_12_nothing_below_a_name_that_does_not_exist() {
    // An empty non-terminal exists, pods or no pods.
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
        let server = verified().with(|config| config.ttl = poddns_core::Ttl::from_secs(ttl).unwrap());
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
fn rule_15_labels_are_octets_and_limits_exact() {
    let zone = WireName::new("pod.cluster.local").0;
    for octet in 0..=255 {
        let name = [&[1, octet][..], b"\x07default", &zone].concat();
        let response = verified().udp(&Query::of(&name, A, 1).octets());
        assert_eq!(Rcode(response.rcode), Rcode::NXDOMAIN, "{octet:#x}");
        assert_eq!(response.question.unwrap().name.0, name);
    }
    // Up to 255 octets: three labels of 63, one of what is left. The zone takes 19.
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
    // 127 labels of one octet are 255 octets with the root.
    let labels = |count| [b"\x01a".repeat(count), vec![0]].concat();
    assert_eq!(rcode(&Query::of(&labels(127), A, 1)), Rcode::REFUSED);
    assert_eq!(rcode(&Query::of(&labels(128), A, 1)), Rcode::FORMERR);
    let deep = [b"\x01a".repeat(118), zone].concat();
    assert_eq!(deep.len(), 255);
    assert_eq!(rcode(&Query::of(&deep, A, 1)), Rcode::NXDOMAIN);
}

#[test]
fn rule_16_only_letters_fold() {
    // With bit 5 set, 0x11 would be the digit 1, 0x0d the dash, and a brace a bracket.
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
    // To itself, to each other, forward, past the end, into the header, cut off; and the reserved label types.
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
    // As owner of another record none is followed, so no loop is entered.
    for owner in [[0xc0, 12], [0xc0, 0], [0xc0, 56], [0xff, 0xff]] {
        let query = Query::new(POD, A).record(2, record(&owner, A, 1, 5, &[1, 2, 3, 4]));
        assert_eq!(rcode(&query), Rcode::NOERROR, "{owner:02x?}");
    }
}

#[test]
fn rule_18_responses_are_whole_and_fit() {
    // Every response of every test here is decoded strictly: pointers backwards, counts, nothing left over. The
    // longest question with the SOA, and the longest options besides, fit the smallest datagram.
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
fn rule_19_outside_of_the_zones_is_refused() {
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
fn rule_20_transfers_are_refused_and_any_is_small() {
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
fn rule_22_streams() {
    // The responder keeps nothing from one message to the next, so whatever one is, the next is answered as
    // if it were the first. Messages of 65,535 octets are read to their end.
    let good = Query::new(POD, A).octets();
    let alone = verified().tcp(&good);
    let long = Query::new(POD, A).id(7).tail(&vec![0xaa; 65_535 - good.len()]).octets();
    let padded = Query::new(POD, A)
        .id(8)
        .edns(&Edns::new(1232).option(12, &vec![0; 65_535 - good.len() - 15]))
        .octets();
    assert_eq!((long.len(), padded.len()), (65_535, 65_535));
    for before in [&long, &padded, &good[..20].to_vec(), &vec![0; 12]] {
        assert_eq!(verified().tcp(before).id.to_be_bytes(), before[..2]);
        assert_eq!(verified().tcp(&good), alone);
    }
    assert_eq!(verified().tcp(&padded).addresses().len(), 1);
}

#[test]
fn rule_24_malformed_tails_are_format_errors() {
    let address = record(&[0xc0, 12], A, 1, 5, &[1, 2, 3, 4]);
    let tsig_data =
        [&WireName::new("hmac-sha256").0[..], &[0; 6], &[0x01, 0x2c], &[0, 0], &[0x12, 0x34], &[0; 4]]
            .concat();
    let tsig = |class| record(&WireName::new("key").0, 250, class, 0, &tsig_data);
    let base = Query::new(POD, A);
    let mut cases = vec![
        base.clone().record(2, tsig(255)),
        base.clone().record(2, tsig(1)),
        base.clone().record(2, tsig(255)).record(2, address.clone()),
        base.clone().record(0, tsig(255)),
        base.clone().record(1, tsig(255)),
        base.clone().edns(&Edns::new(1232)).record(2, tsig(255)),
    ];
    for section in 0..3 {
        cases.push(base.clone().count(section + 1, 1));
        cases.push(base.clone().record(section, address.clone()).count(section + 1, 2));
        cases.push(
            base.clone()
                .record(section, [&[0xc0, 12][..], &[0, 1, 0, 1, 0, 0, 0, 5, 0, 5], &[1, 2, 3, 4]].concat()),
        );
        for cut in 1..address.len() {
            cases.push(base.clone().record(section, address[..cut].to_vec()));
        }
        // A label of a reserved type, and an owner of 256 octets.
        cases.push(base.clone().record(section, record(&[0x40, 0], A, 1, 5, &[1, 2, 3, 4])));
        cases.push(
            base.clone().record(section, record(&[b"\x01a".repeat(128), vec![0]].concat(), A, 1, 5, &[])),
        );
    }
    for query in cases {
        let response = verified().udp(&query.octets());
        assert_eq!(codes(&response), (Rcode::FORMERR, None), "{query:?}");
        assert!(is_empty(&response) && response.question.is_some() && !response.has(AA), "{query:?}");
    }
    // Whole records are no fault, and neither is what follows the last one (nobody counted it).
    for section in 0..3 {
        assert_eq!(rcode(&base.clone().record(section, address.clone())), Rcode::NOERROR);
    }
    let longest = record(&[b"\x01a".repeat(127), vec![0]].concat(), A, 1, 5, &[]);
    assert_eq!(rcode(&base.clone().record(2, longest)), Rcode::NOERROR, "an owner of 255 octets");
    assert_eq!(rcode(&base.tail(b"junk")), Rcode::NOERROR);
}

#[test]
fn rule_25_before_the_first_sync_is_servfail() {
    let cluster = Cluster::recorded().fresh(Freshness::Unsynced);
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
    // What needs no index is answered all the same.
    let apex = server.udp(&Query::new("pod.cluster.local", 6).octets());
    assert_eq!((Rcode(apex.rcode), apex.answer.len()), (Rcode::NOERROR, 1));
    assert_eq!(Rcode(server.udp(&Query::new("a.b.c.pod.cluster.local", A).octets()).rcode), Rcode::NXDOMAIN);
}
