//! RFC 2181: clarifications about RRsets, truncation, names and TTLs.

use core::net::IpAddr;

use poddns_core::wire::Rcode;
use poddns_core::{CookieSecrets, Mode, Request, Transport};

use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query};
use crate::support::response::{AA, TC, WireName};
use crate::support::{CLIENT, NOW, Server};
use poddns_core_checks::TestCluster;

/// Returns a cluster with a pod `many.default` that has this many IPv4 and IPv6 addresses.
fn cluster(v4: u8, v6: u8) -> TestCluster {
    let v4 = (0..v4).map(|last| IpAddr::from([10, 0, 0, last]));
    let v6 = (0..v6).map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]));
    recorded().pod("default", "many", &v4.chain(v6).collect::<Vec<_>>())
}

fn many(rtype: u16) -> Query {
    Query::new("many.default.pod.cluster.local", rtype)
}

/// 5.2: all records of an RRset have the same TTL; 5: no two have the same data.
#[test]
fn an_rrset_has_one_ttl() {
    let cluster = cluster(20, 0);
    let server =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    let response = server.udp(&many(1).octets());
    let mut addresses = response.addresses();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 20);
    assert!(response.answer.iter().all(|record| record.ttl == 5 && record.owner == response.answer[0].owner));
}

/// 9: TC is set if a required RRset does not fit completely; the part that fits may be left out, and is.
#[test]
fn no_partial_rrset_is_sent() {
    for (rtype, addresses) in [(1, (60, 0)), (28, (0, 30))] {
        let cluster = cluster(addresses.0, addresses.1);
        let server =
            Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
        for query in [many(rtype), many(rtype).edns(&Edns::new(600)), many(255)] {
            let response = server.udp(&query.octets());
            assert!(response.has(TC) && response.has(AA));
            assert_eq!((response.answer.len(), response.authority.len()), (0, 0));
            assert_eq!(response.opt.is_some(), query.octets()[11] == 1, "the OPT stays");
            assert_eq!(Rcode(response.rcode), Rcode::NOERROR);
        }
        assert!(!server.tcp(&many(rtype).octets()).has(TC));
    }
}

/// 9: TC is not set for optional records that do not fit. Responses have none; addresses of the other family are not
/// required.
#[test]
fn the_other_family_does_not_truncate() {
    let cluster = cluster(2, 200);
    let server =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    assert_eq!(server.udp(&many(1).octets()).addresses().len(), 2);
}

/// 7.1: the SOA of a negative answer is in the authority section. 6.1: NS and SOA are the apex'.
#[test]
fn the_soa_is_in_the_authority_section() {
    let response = Server::new(Mode::Verified).udp(&Query::new("nowhere.pod.cluster.local", 6).octets());
    assert_eq!((response.answer.len(), response.authority.len()), (0, 1));
    assert_eq!(response.authority[0].owner, WireName::new("pod.cluster.local"));
}

/// 8: a TTL is between 0 and 2^31 - 1; the maximum here is 3600.
#[test]
fn ttls_are_unsigned_31_bits() {
    let server = Server::new(Mode::Verified).with(|config| config.ttl = poddns_core::Ttl::MAX);
    let response = server.udp(&Query::new("10-244-1-5.default.pod.cluster.local", 1).octets());
    assert_eq!(response.answer[0].ttl, 3600);
}

/// 11: "any binary string whatever can be used as the label of any resource record".
#[test]
fn labels_are_any_octets() {
    let name = b"\x04\x00.\xff \x07default\x03pod\x07cluster\x05local\x00";
    let response = Server::new(Mode::Insecure).udp(&Query::of(name, 1, 1).octets());
    assert_eq!(Rcode(response.rcode), Rcode::NXDOMAIN);
    assert_eq!(response.question.unwrap().name.0, name);
}

/// 9: of an incomplete query only the question is used, and the client retries over TCP.
#[test]
fn cut_query_gets_truncated_response() {
    let server = Server::new(Mode::Verified);
    let padded =
        Query::new("10-244-1-5.default.pod.cluster.local", 1).edns(&Edns::new(1232).option(12, &[0; 4000]));
    let octets = padded.octets();
    let mut request = Request::new(Transport::Udp, CLIENT, NOW);
    request.cut = true;
    let question = octets.len() - 4000 - 4 - 11;
    for end in [question, question + 5, octets.len() - 1] {
        let (outcome, response) = server.outcome(&octets[..end], &request);
        let response = response.unwrap_or_else(|| panic!("{outcome:?}"));
        assert!(response.has(TC));
        assert_eq!((Rcode(response.rcode), response.answer.len()), (Rcode::NOERROR, 0));
        assert!(response.question.is_some() && response.opt.is_none());
    }
    // The question is incomplete as well.
    let (_, response) = server.outcome(&octets[..question - 1], &request);
    assert_eq!(response.map(|response| Rcode(response.rcode)), Some(Rcode::FORMERR));
    let mut other = octets.clone();
    other[2] = 0x20;
    let (_, response) = server.outcome(&other[..question], &request);
    assert_eq!(response.map(|response| Rcode(response.rcode)), Some(Rcode::NOTIMP), "another opcode");
}

/// 9: a driver may request a truncated response, for clients with possibly forged addresses. It has the question, the
/// rcode and the OPT with a cookie for the next query, and nothing else that would make it longer.
#[test]
fn a_response_is_truncated_on_demand() {
    let secrets = CookieSecrets { current: [9; 16], previous: None };
    let server = Server::new(Mode::Verified).with(|config| {
        config.nsid = Some(b"node");
        config.cookies = Some(&secrets);
    });
    let mut request = Request::new(Transport::Udp, CLIENT, NOW);
    request.truncate = true;
    let edns = Edns::new(1232).option(10, &[1; 8]).option(3, &[]);
    for (name, rcode) in [
        ("10-244-1-5.default.pod.cluster.local", Rcode::NOERROR),
        ("10-9-9-9.default.pod.cluster.local", Rcode::NXDOMAIN),
        ("example.com", Rcode::REFUSED),
    ] {
        for query in [Query::new(name, 1), Query::new(name, 1).edns(&edns)] {
            let (outcome, response) = server.outcome(&query.octets(), &request);
            let response = response.unwrap_or_else(|| panic!("{outcome:?}"));
            assert!(response.has(TC), "{name}");
            assert_eq!(
                (Rcode(response.rcode), response.answer.len(), response.authority.len()),
                (rcode, 0, 0)
            );
            let opt = response.opt.map(|opt| (opt.option(10).map(<[u8]>::len), opt.option(3).is_some()));
            assert_eq!(opt, (query.octets()[11] == 1).then_some((Some(24), false)));
        }
    }
}
