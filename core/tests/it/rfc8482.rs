//! RFC 8482: minimal answers to ANY.

use poddns_core::Mode;
use poddns_core::wire::{Rcode, Rtype};

use crate::support::Server;
use crate::support::cluster::recorded;
use crate::support::query::Query;

/// 4.1: one RRset, of the responder's choice: the addresses.
#[test]
fn any_is_one_rrset() {
    for mode in [Mode::Insecure, Mode::Verified] {
        let server = Server::new(mode);
        assert_eq!(server.summary("10-244-1-5.default.pod.cluster.local", Rtype::ANY), "10.244.1.5");
        assert_eq!(
            server.summary("fd00-10-244-1--7.default.pod.cluster.local", Rtype::ANY),
            "fd00:10:244:1::7"
        );
    }
    let addresses = ["10.0.0.1", "fd00::1", "10.0.0.2"].map(|text| text.parse().unwrap());
    let cluster = recorded().pod("default", "two-families", &addresses);
    let server =
        Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
    assert_eq!(server.summary("two-families.default.pod.cluster.local", Rtype::ANY), "10.0.0.1 10.0.0.2");
}

/// 4.1 at the apex: only the SOA.
#[test]
fn any_at_the_apex_is_the_soa() {
    let response = Server::new(Mode::Verified).udp(&Query::new("pod.cluster.local", 255).octets());
    assert_eq!(response.answer.iter().map(|record| record.rtype).collect::<Vec<_>>(), [6]);
}

/// 4: negative answers are the same as for other types.
#[test]
fn any_for_absent_name_is_nxdomain() {
    let server = Server::new(Mode::Verified);
    assert_eq!(server.summary("10-99-99-99.default.pod.cluster.local", Rtype::ANY), "NXDOMAIN");
    assert_eq!(server.summary("default.pod.cluster.local", Rtype::ANY), "NODATA");
    assert_eq!(Rcode(server.udp(&Query::new("example.com", 255).octets()).rcode), Rcode::REFUSED);
}
