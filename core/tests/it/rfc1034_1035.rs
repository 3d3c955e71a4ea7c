//! RFC 1034 and 1035: header, names, classes, and the records of a zone's apex.

use poddns_core::wire::{Class, Opcode, Rcode, Rtype};
use poddns_core::{Mode, Name, NameError, Zone};

use crate::support::Server;
use crate::support::query::Query;
use crate::support::response::{AA, RD, WireName};

const POD: &str = "10-244-1-5.default.pod.cluster.local";

/// 1035 4.1.1: "This identifier is copied the corresponding reply" (sic; "copied into" is meant).
#[test]
fn the_id_is_copied() {
    for id in [0, 1, 0x00ff, 0xff00, 0xffff] {
        assert_eq!(Server::new(Mode::Verified).udp(&Query::new(POD, 1).id(id).octets()).id, id);
    }
}

/// 1035 4.1.1: opcode and RD are copied; QR is set, and AA for authoritative answers. TC, RA, Z and the rcode of the
/// query are not copied.
#[test]
fn only_opcode_and_rd_are_copied() {
    for bit in 0..16 {
        let flag = 1_u16 << bit;
        let query = Query::new(POD, 1).flags(flag).octets();
        match flag {
            0x8000 => {}
            0x0800..=0x4000 => {
                let response = Server::new(Mode::Verified).udp(&query);
                assert_eq!((response.flags, Rcode(response.rcode)), (0x8000 | flag, Rcode::NOTIMP));
            }
            _ => {
                let response = Server::new(Mode::Verified).udp(&query);
                assert_eq!(response.flags, 0x8000 | AA | (flag & RD), "{flag:#x}");
                assert_eq!(Rcode(response.rcode), Rcode::NOERROR);
            }
        }
    }
}

/// 1035 2.3.4 and 3.1: labels of up to 63 octets, names of up to 255.
#[test]
fn configured_names_keep_the_limits() {
    let long = "a".repeat(63);
    let parse = |text: &str| text.parse::<Name>().map(|name| name.as_wire().len());
    assert_eq!(parse(&long), Ok(65));
    assert_eq!(parse(&format!("{long}a")), Err(NameError::LabelTooLong));
    assert_eq!(parse(&"a".repeat(300)), Err(NameError::LabelTooLong));
    let most = [&long[..], &long, &long, &long[2..]].join(".");
    assert_eq!(parse(&most), Ok(255));
    assert_eq!(parse(&format!("{most}a")), Err(NameError::TooLong));
    assert_eq!(parse(&"a.".repeat(127)), Ok(255));
    assert_eq!(parse(&"a.".repeat(128)), Err(NameError::TooLong));
    for (text, why) in [
        ("", NameError::Empty),
        (".", NameError::Empty),
        ("..", NameError::EmptyLabel),
        (".a", NameError::EmptyLabel),
        ("a..b", NameError::EmptyLabel),
        ("a b", NameError::BadOctet(1)),
        ("a.*", NameError::BadOctet(2)),
        ("caf\u{e9}", NameError::BadOctet(3)),
    ] {
        assert_eq!(parse(text), Err(why), "{text:?}");
    }
    let name: Name = "_A-b.9".parse().unwrap();
    assert_eq!(name.as_wire(), b"\x04_A-b\x019\x00");
    assert_eq!(name.labels().collect::<Vec<_>>(), [&b"_A-b"[..], b"9"]);
    assert_eq!((name.to_string(), format!("{name:?}")), ("_A-b.9.".into(), "Name(_A-b.9.)".into()));
    assert_ne!(name, "_a-b.8".parse().unwrap());
}

/// A domain must leave room for the names that the zone prepends labels to.
#[test]
fn too_long_domain_is_refused() {
    let domain = |len: usize| {
        let mut labels = vec!["a".repeat(63); 3];
        labels.push("b".repeat(len - 3 * 64 - 2));
        labels.join(".")
    };
    // `hostmaster.` takes eleven of the 255 octets.
    assert!(Zone::new(&domain(244)).is_ok());
    assert_eq!(Zone::new(&domain(245)), Err(NameError::TooLong));
    assert_eq!(Zone::new(""), Err(NameError::Empty));
}

/// 1035 3.3.13 and 3.3.11: contents of SOA and NS records. 1035 3.2.1: the class is the question's.
#[test]
fn apex_records_have_the_specified_format() {
    let server = Server::new(Mode::Verified);
    let soa = &server.udp(&Query::new("pod.cluster.local", 6).octets()).answer[0];
    let names =
        [WireName::new("ns.dns.cluster.local").0, WireName::new("hostmaster.cluster.local").0].concat();
    let numbers = [1_795_360_627_u32, 7200, 1800, 86_400, 5].map(u32::to_be_bytes).concat();
    assert_eq!(soa.data, [names, numbers].concat());
    assert_eq!((Rtype(soa.rtype), Class(soa.class)), (Rtype::SOA, Class::IN));
    let ns = &server.udp(&Query::new("pod.cluster.local", 2).octets()).answer[0];
    assert_eq!((Rtype(ns.rtype), &ns.data), (Rtype::NS, &WireName::new("ns.dns.cluster.local").0));
}

/// 1035 3.4.1: an A record is four octets, the address in network order.
#[test]
fn an_address_is_four_octets() {
    let answer = &Server::new(Mode::Verified).udp(&Query::new(POD, 1).octets()).answer;
    assert_eq!((answer.len(), &answer[0].data[..]), (1, &[10, 244, 1, 5][..]));
    assert_eq!(answer[0].owner, WireName::new(POD));
}

/// 1035 4.1.4: names in the response are pointers to the question's name where possible.
#[test]
fn names_are_compressed() {
    let server = Server::new(Mode::Verified);
    let question = Query::new(POD, 1).octets().len();
    assert_eq!(server.udp(&Query::new(POD, 1).octets()).len, question + 2 + 10 + 4);
    // SOA: owner, `ns.dns` and a pointer, `hostmaster` and a pointer, five numbers.
    let negative = server.udp(&Query::new(POD, 16).octets());
    assert_eq!(negative.len, question + 2 + 10 + (7 + 2) + (11 + 2) + 20);
}

/// 1034 4.3.2 3 c and 1034 3.7.1: no wildcards, and a name that does not exist is a name error with authority.
#[test]
fn an_asterisk_is_a_label() {
    for name in ["*.pod.cluster.local", "*.default.pod.cluster.local", "10-244-1-5.*.pod.cluster.local"] {
        let response = Server::new(Mode::Insecure).udp(&Query::new(name, 1).octets());
        assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NXDOMAIN, true), "{name}");
    }
}

/// 1035 4.2.1: "Messages carried by UDP are restricted to 512 bytes".
#[test]
fn without_edns_a_datagram_has_512_octets() {
    assert_eq!(poddns_core::MIN_REPLY, 512);
    assert_eq!(poddns_core::MAX_UDP_REPLY, 1232);
}

/// 1035 3.2: the mnemonics, and numbers without one.
#[test]
fn numbers_are_shown_by_their_mnemonics() {
    assert_eq!(
        [Rtype::A, Rtype::AAAA, Rtype::SOA, Rtype(999)].map(|it| it.to_string()),
        ["A", "AAAA", "SOA", "TYPE999"]
    );
    assert_eq!([Class::IN, Class::CH, Class(4)].map(|it| it.to_string()), ["IN", "CH", "CLASS4"]);
    assert_eq!(
        [Opcode::QUERY, Opcode::DSO, Opcode(15)].map(|it| it.to_string()),
        ["QUERY", "DSO", "OPCODE15"]
    );
    assert_eq!(
        [Rcode::NXDOMAIN, Rcode::BADVERS, Rcode(24)].map(|it| it.to_string()),
        ["NXDOMAIN", "BADVERS", "RCODE24"]
    );
    assert_eq!(format!("{:?} {:>6}", Rtype::PTR, Rtype::NS), "PTR     NS");
    assert_eq!((Rtype::TXT.mnemonic(), Rtype(0).mnemonic()), (Some("TXT"), None));
}

/// 1035 2.3.4: names have 255 octets at most, including owners of records that are ignored.
#[test]
fn record_owner_above_255_octets_is_formerr() {
    for (last, rcode) in [(61, Rcode::NOERROR), (62, Rcode::FORMERR)] {
        let mut query = Query::new("10-244-1-5.default.pod.cluster.local", 1).octets();
        // ARCOUNT
        query[11] = 1;
        for len in [63, 63, 63, last] {
            query.push(len);
            query.resize(query.len() + usize::from(len), b'x');
        }
        // The root, then type A, class IN, TTL and no data.
        query.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Rcode(Server::new(Mode::Verified).udp(&query).rcode), rcode, "{last}");
    }
}
