//! RFC 2308: negative answers.

use poddns_core::wire::Rcode;
use poddns_core::{Mode, Ttl};

use crate::support::Server;
use crate::support::query::Query;
use crate::support::response::{AA, Response, WireName};

fn ask(name: &str, rtype: u16) -> Response {
    Server::new(Mode::Verified).udp(&Query::new(name, rtype).octets())
}

/// 2.1: NXDOMAIN has an empty answer section, the SOA in the authority section (type 2 of those listed), and AA.
#[test]
fn a_name_error_has_the_soa() {
    for rtype in [1, 28, 6, 2, 255, 16] {
        let response = ask("10-99-99-99.default.pod.cluster.local", rtype);
        assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NXDOMAIN, true));
        assert!(response.answer.is_empty());
        assert_eq!(response.authority.iter().map(|record| record.rtype).collect::<Vec<_>>(), [6]);
    }
}

/// 2.2: NODATA is NOERROR without an answer, with the SOA and without NS records, which would make it a referral.
#[test]
fn no_data_has_the_soa() {
    for name in ["10-244-1-5.default.pod.cluster.local", "default.pod.cluster.local", "pod.cluster.local"] {
        let response = ask(name, 28);
        assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NOERROR, true), "{name}");
        assert!(response.answer.is_empty());
        assert_eq!(response.authority.iter().map(|record| record.rtype).collect::<Vec<_>>(), [6]);
    }
}

/// 3: the SOA's owner is the zone's apex, and its TTL "is set from the minimum of the MINIMUM field of the SOA record
/// and the TTL of the SOA itself"; 5: this is how long it may be cached. The SOA at the apex has the same TTL.
#[test]
fn ttl_of_soa_equals_its_minimum() {
    for (ttl, expected) in [(0, 0), (5, 5), (300, 300), (301, 300), (3600, 300)] {
        let server = Server::new(Mode::Verified).with(|config| config.ttl = Ttl::from_secs(ttl).unwrap());
        let negative = server.udp(&Query::new("nowhere.pod.cluster.local", 1).octets());
        let apex = server.udp(&Query::new("pod.cluster.local", 6).octets());
        for record in [&negative.authority[0], &apex.answer[0]] {
            assert_eq!((record.ttl, record.soa_numbers()[4]), (expected, expected), "TTL {ttl}");
            assert_eq!(record.owner, WireName::new("pod.cluster.local"));
        }
    }
}

/// 7.1: a server failure has no records that could be cached.
#[test]
fn a_server_failure_has_no_records() {
    let cluster = crate::support::cluster::recorded().fresh(poddns_core::Freshness::Unsynced);
    let server = Server { pods: &cluster, ..Server::new(Mode::Verified) };
    let response = server.udp(&Query::new("10-244-1-5.default.pod.cluster.local", 1).octets());
    assert_eq!(Rcode(response.rcode), Rcode::SERVFAIL);
    assert!(response.answer.is_empty() && response.authority.is_empty() && !response.has(AA));
}
