//! RFC 3597: unknown types and classes.

use poddns_core::Mode;
use poddns_core::wire::{Class, Rcode, Rtype};

use crate::support::Server;
use crate::support::query::{Query, record};
use crate::support::response::WireName;

/// 3: an unknown type is treated like others: NODATA where the name exists, NXDOMAIN where not.
#[test]
fn unknown_types_are_ordinary() {
    for rtype in [7, 38, 100, 256, 1000, 32_768, 65_280, 65_534, 65_535] {
        let server = Server::new(Mode::Verified);
        assert_eq!(server.summary("10-244-1-5.default.pod.cluster.local", Rtype(rtype)), "NODATA", "{rtype}");
        assert_eq!(server.summary("10-9-9-9.default.pod.cluster.local", Rtype(rtype)), "NXDOMAIN", "{rtype}");
        assert_eq!(server.summary("pod.cluster.local", Rtype(rtype)), "NODATA", "{rtype}");
    }
}

/// 4: data of an unknown type is opaque; nothing in it is interpreted as a name.
#[test]
fn unknown_data_is_opaque() {
    for data in [&[][..], &[0xc0, 0xff], &[0xff; 300]] {
        let unknown = record(&WireName::new("x").0, 65_280, 1, 0, data);
        let query = Query::new("10-244-1-5.default.pod.cluster.local", 1).record(2, unknown).octets();
        assert_eq!(Server::new(Mode::Verified).udp(&query).addresses().len(), 1);
    }
}

/// 5: the textual form of numbers without mnemonic.
#[test]
fn unknown_numbers_have_a_textual_form() {
    assert_eq!(Rtype(65_280).to_string(), "TYPE65280");
    assert_eq!(Class(32).to_string(), "CLASS32");
}

/// The server has no zones of unknown classes.
#[test]
fn unknown_classes_are_refused() {
    for class in [0, 2, 5, 32, 253, 65_280, 65_535] {
        let query = Query::of(&WireName::new("10-244-1-5.default.pod.cluster.local").0, 1, class).octets();
        assert_eq!(Rcode(Server::new(Mode::Verified).udp(&query).rcode), Rcode::REFUSED, "{class}");
    }
}
