//! RFC 4074: misbehaviour against queries for IPv6 addresses.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query};
use crate::support::response::AA;

/// Section 3 and 4.1 to 4.5: the response is NOERROR without an answer, rather than none, NXDOMAIN, another rcode or
/// a broken one, so that the client continues with the other address family.
#[test]
fn the_other_family_is_no_data() {
    for mode in [Mode::Insecure, Mode::Verified] {
        for (name, rtype) in
            [("10-244-1-5", 28), ("fd00-10-244-1--7", 1), ("10-244-1-5", 38), ("10-244-1-5", 65)]
        {
            let query = Query::new(&format!("{name}.default.pod.cluster.local"), rtype);
            for query in [query.clone(), query.edns(&Edns::new(1232))] {
                let response = Server::new(mode).udp(&query.octets());
                assert_eq!((Rcode(response.rcode), response.has(AA)), (Rcode::NOERROR, true));
                assert!(response.answer.is_empty());
                assert_eq!(response.authority.len(), 1, "4.5: with the zone's own SOA, no lame delegation");
            }
        }
    }
}

/// 4.2: a name that is NXDOMAIN for AAAA is NXDOMAIN for A as well.
#[test]
fn name_error_holds_for_all_types() {
    for rtype in [1, 28] {
        let query = Query::new("10-99-99-99.default.pod.cluster.local", rtype).octets();
        assert_eq!(Rcode(Server::new(Mode::Verified).udp(&query).rcode), Rcode::NXDOMAIN);
    }
}
