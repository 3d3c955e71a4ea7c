//! Rules about headers, sections and EDNS: 1 to 9, 22 and 24.

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{DropReason, Outcome, Request, Transport};

use super::{A, AAAA, NO_POD, POD, codes, is_empty, rcode, verified, with_cookies};
use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query, record, tsig};
use crate::support::response::{AA, TC, WireName};
use crate::support::{CLIENT, NOW, Server};
use poddns_core_checks::TestCluster;

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
        &[0xff; 12],
        &vec![0xff; 65_535],
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (outcome, _) = verified().outcome(packet, &request(transport));
            assert_eq!(outcome, Outcome::Drop(DropReason::Response));
        }
    }
    for len in 0..12 {
        let (outcome, _) = verified().outcome(&whole[..len], &request(Transport::Udp));
        assert_eq!(outcome, Outcome::Drop(DropReason::Short), "{len} octets");
    }
}

#[test]
fn rule_02_unknown_opcodes_are_not_implemented() {
    for opcode in 1..16 {
        // All flags that must not be copied: AA, TC, RA, Z, AD, CD.
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
fn rule_03_question_count_must_be_one() {
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
    // RFC 7873 5.4: with a COOKIE, the query is a request for a cookie.
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
    // The data of another version's OPT is not interpreted, so it cannot be malformed.
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
    // A pod with enough addresses to fill any datagram.
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
        // A response of exactly the limit is complete; one of an address (16 octets) more is truncated.
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

fn many_addresses(count: u8) -> TestCluster {
    let addresses: Vec<_> = (0..count).map(|last| [10, 0, 0, last].into()).collect();
    recorded().pod("default", "many", &addresses)
}

#[test]
fn rule_08_unknown_edns_options_are_ignored() {
    let malformed: [&[u8]; 6] =
        [&[0], &[0, 3, 0], &[0, 3, 0, 1], &[0xfd, 0xe9, 0, 2, 1], &[0, 3, 0, 0, 0], &[0, 3, 255, 255]];
    for data in malformed {
        let response = verified().udp(&Query::new(POD, A).edns(&Edns::new(1232).raw(data)).octets());
        assert_eq!((codes(&response), response.opt.is_some()), ((Rcode::FORMERR, None), true), "{data:?}");
    }
    let many = (0..200).fold(Edns::new(1232), |edns, n| edns.option(65_001 + n, &[7; 3]));
    let large = Edns::new(1232).option(12, &[0; 4096]);
    let largest = Edns::new(1232).option(12, &vec![0; 65_000]);
    // Client subnet with an invalid family: without trusted forwarders it is not read (RFC 6891 6.1.2).
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

    let edns = Edns::new(1232).option(10, &[1; 8]);
    for (query, edns) in [
        (Query::new(NO_POD, A), edns.clone()),
        (Query::new("example.com", A), edns.clone()),
        (Query::new(POD, A).opcode(4), edns.clone()),
        (Query::new(POD, A), edns.version(1)),
    ] {
        assert_eq!(cookie(query.clone(), edns), Some(first.clone()), "{query:?}");
    }
}

#[test]
fn rule_22_streams() {
    // The responder keeps no state between messages, so no message affects the response to the next. Messages of
    // 65,535 octets are read to their end.
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
    // Complete records are not a fault, nor are octets behind the last counted record.
    for section in 0..3 {
        assert_eq!(rcode(&base.clone().record(section, address.clone())), Rcode::NOERROR);
    }
    let longest = record(&[b"\x01a".repeat(127), vec![0]].concat(), A, 1, 5, &[]);
    assert_eq!(rcode(&base.clone().record(2, longest)), Rcode::NOERROR, "an owner of 255 octets");
    assert_eq!(rcode(&base.tail(b"junk")), Rcode::NOERROR);
}
