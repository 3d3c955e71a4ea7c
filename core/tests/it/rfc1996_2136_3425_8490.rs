//! RFC 1996 (NOTIFY), 2136 (UPDATE), 3425 (IQUERY) and 8490 (DSO): unsupported operations.

use poddns_core::Mode;
use poddns_core::wire::{Opcode, Rcode};

use crate::support::Server;
use crate::support::query::{Query, record};
use crate::support::response::{Response, WireName};

fn assert_not_implemented(response: &Response, opcode: Opcode) {
    assert_eq!(Rcode(response.rcode), Rcode::NOTIMP);
    assert_eq!(response.flags, 0x8000 | u16::from(opcode.0) << 11);
    assert_eq!(response.len, 12);
}

/// RFC 1035 4.1.1: rcode 4 is for kinds of queries that the name server does not support.
#[test]
fn notify_is_not_implemented() {
    let query = Query::new("pod.cluster.local", 6).opcode(4).flags(0x0400).octets();
    assert_not_implemented(&Server::new(Mode::Verified).udp(&query), Opcode::NOTIFY);
}

/// 2136 2.2: NOTIMP for an unsupported opcode; here with the sections of an update filled.
#[test]
fn update_is_not_implemented() {
    let name = WireName::new("10-0-0-1.default.pod.cluster.local").0;
    let query = Query::new("pod.cluster.local", 6)
        .opcode(5)
        .record(0, record(&name, 1, 254, 0, &[]))
        .record(1, record(&name, 1, 1, 5, &[10, 0, 0, 1]))
        .octets();
    assert_not_implemented(&Server::new(Mode::Verified).tcp(&query), Opcode::UPDATE);
}

/// 3425 3: IQUERY is obsolete and answered with NOTIMP. STATUS was never specified.
#[test]
fn iquery_and_status_are_not_implemented() {
    for opcode in [Opcode::IQUERY, Opcode::STATUS] {
        let query = Query::new("pod.cluster.local", 1).opcode(opcode.0.into()).octets();
        assert_not_implemented(&Server::new(Mode::Verified).udp(&query), opcode);
    }
}

/// 8490 5.1: NOTIMP means that DSO is not supported. Its messages have TLVs in place of records.
#[test]
fn dso_is_not_implemented() {
    let query = Query::empty().opcode(6).tail(&[0, 1, 0, 8, 0, 0, 0x3a, 0x98, 0, 0, 0x3a, 0x98]).octets();
    assert_not_implemented(&Server::new(Mode::Verified).tcp(&query), Opcode::DSO);
}
