//! RFC 8945: transaction signatures, which are not supported: a signed query never gets a normal answer.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query, record, tsig};

/// 5.2: a server that cannot check a signature responds with an error: FORMERR, without records.
#[test]
fn signed_queries_are_refused() {
    for mode in [Mode::Disabled, Mode::Insecure, Mode::Verified] {
        let base = Query::new("10-244-1-5.default.pod.cluster.local", 1);
        for query in [
            base.clone().record(2, tsig(255)),
            base.clone().edns(&Edns::new(1232)).record(2, tsig(255)),
            base.clone().record(2, tsig(255)).edns(&Edns::new(1232)),
            base.clone().record(2, tsig(255)).record(2, tsig(255)),
            base.clone().record(2, tsig(1)),
            base.clone().record(0, tsig(255)),
            base.clone().record(1, tsig(255)),
            base.record(2, record(&[0], 250, 255, 0, &[])),
        ] {
            let response = Server::new(mode).tcp(&query.octets());
            assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
            assert!(response.answer.is_empty() && response.authority.is_empty());
        }
    }
}

/// Updates are usually signed; the error is about the unsupported opcode.
#[test]
fn a_signed_update_is_not_implemented() {
    let query = Query::new("pod.cluster.local", 6).opcode(5).record(2, tsig(255)).octets();
    assert_eq!(Rcode(Server::new(Mode::Verified).tcp(&query).rcode), Rcode::NOTIMP);
}

/// TSIG as a qtype is treated like other types.
#[test]
fn tsig_question_is_no_signature() {
    let query = Query::new("10-244-1-5.default.pod.cluster.local", 250).octets();
    assert_eq!(Rcode(Server::new(Mode::Verified).udp(&query).rcode), Rcode::NOERROR);
}
