//! RFC 4343: case insensitivity.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::Query;
use crate::support::response::WireName;

/// 3: 0x41 to 0x5a match 0x61 to 0x7a, and no other octets match each other.
#[test]
fn only_ascii_letters_match_in_both_cases() {
    let found = |label: &[u8]| {
        let len = [u8::try_from(label.len()).unwrap()];
        let name = [&len[..], label, b"\x07default\x03pod\x07cluster\x05local\x00"].concat();
        Rcode(Server::new(Mode::Insecure).udp(&Query::of(&name, 28, 1).octets()).rcode) == Rcode::NOERROR
    };
    assert!(found(b"abcd--ef") && found(b"ABCD--EF") && found(b"aBcD--Ef"));
    for octet in 0..=255_u8 {
        let hexadecimal = octet.is_ascii_hexdigit();
        assert_eq!(found(&[octet, b'-', b'-']), hexadecimal, "{octet:#x}");
    }
    // Octets that differ in one bit from a dash, a digit or a letter.
    assert!(!found(b"a\x0d\x0d1") && !found(b"a--\x11") && !found(b"a--\x01") && !found(b"\xe1--1"));
}

/// 3 and 4.1: zones and namespaces match in any case.
#[test]
fn names_match_in_any_case() {
    for name in [
        "10-244-1-5.default.pod.cluster.local",
        "10-244-1-5.DEFAULT.POD.CLUSTER.LOCAL",
        "10-244-1-5.dEfAuLt.pOd.ClUsTeR.lOcAl",
    ] {
        for zone in ["cluster.local", "CLUSTER.LOCAL", "cLuStEr.LoCaL"] {
            let zones = [poddns_core::Zone::new(zone).unwrap()];
            let server = Server::new(Mode::Verified).with(|config| config.zones = &zones);
            assert_eq!(server.udp(&Query::new(name, 1).octets()).addresses().len(), 1, "{name} {zone}");
        }
    }
}

/// 4.1 and 4.2: the case of the question is copied, and that of the answer's owner: resolvers that randomise the case
/// of their questions check this.
#[test]
fn case_is_kept() {
    let name = "FD00-10-244-1--7.DeFaulT.PoD.cLuStEr.LoCaL";
    let response = Server::new(Mode::Verified).udp(&Query::new(name, 28).octets());
    assert_eq!(response.question.unwrap().name, WireName::new(name));
    assert_eq!(response.answer[0].owner, WireName::new(name));
}
