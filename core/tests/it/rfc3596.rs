//! RFC 3596: AAAA records.

use poddns_core::Mode;
use poddns_core::wire::Rtype;

use crate::support::Server;
use crate::support::query::Query;

/// 2.1 and 2.2: type 28, sixteen octets in network order.
#[test]
fn an_ipv6_address_is_sixteen_octets() {
    let name = "fd00-10-244-1--7.default.pod.cluster.local";
    let response = Server::new(Mode::Verified).udp(&Query::new(name, 28).octets());
    let [record] = &response.answer[..] else { panic!("{response:?}") };
    assert_eq!(Rtype(record.rtype), Rtype::AAAA);
    assert_eq!(record.data, [0xfd, 0, 0, 0x10, 2, 0x44, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]);
}

/// 2.3: an AAAA query returns AAAA records only.
#[test]
fn an_aaaa_query_gets_no_a_record() {
    let server = Server::new(Mode::Verified);
    assert_eq!(server.summary("10-244-1-5.default.pod.cluster.local", Rtype::AAAA), "NODATA");
    assert_eq!(server.summary("fd00-10-244-1--7.default.pod.cluster.local", Rtype::A), "NODATA");
}
