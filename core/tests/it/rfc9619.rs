//! RFC 9619: QDCOUNT is usually one.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query};
use crate::support::response::WireName;

const POD: &str = "10-244-1-5.default.pod.cluster.local";

/// 4: with opcode 0, more than one question is a FORMERR, whether they are equal, different, or missing.
#[test]
fn several_questions_are_a_format_error() {
    let name = WireName::new(POD).0;
    for query in [
        Query::new(POD, 1).question(&name, 1, 1),
        Query::new(POD, 1).question(&name, 28, 1),
        Query::new(POD, 1).question(&WireName::new("example.com").0, 1, 1),
        Query::new(POD, 1).question(&[0xc0, 12], 28, 1),
        Query::new(POD, 1).count(0, 2),
        Query::new(POD, 1).count(0, 65_535),
    ] {
        for query in [query.clone(), query.edns(&Edns::new(1232))] {
            let response = Server::new(Mode::Verified).udp(&query.octets());
            assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
            assert!(response.question.is_none() && response.answer.is_empty());
        }
    }
}

/// 4: no question is allowed in queries that need none: here, in requests for cookies (RFC 7873 5.4).
#[test]
fn no_question_is_a_format_error() {
    for query in
        [Query::empty(), Query::empty().edns(&Edns::new(1232)), Query::empty().tail(&[0, 0, 1, 0, 1])]
    {
        let response = Server::new(Mode::Verified).udp(&query.octets());
        assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
    }
}
