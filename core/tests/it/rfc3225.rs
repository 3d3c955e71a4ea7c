//! RFC 3225: the DO bit.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query};

/// 3: "The DO bit of the query MUST be copied in the response", for every kind of response.
#[test]
fn do_is_copied() {
    let names = ["10-244-1-5.default.pod.cluster.local", "nowhere.pod.cluster.local", "example.com"];
    for name in names {
        for flags in [0, 0x8000] {
            let query = Query::new(name, 1).edns(&Edns::new(1232).flags(flags)).octets();
            assert_eq!(Server::new(Mode::Verified).udp(&query).opt.unwrap().flags, flags, "{name}");
        }
    }
    let malformed = Query::new(names[0], 1).edns(&Edns::new(1232).flags(0x8000).raw(&[0])).octets();
    let response = Server::new(Mode::Verified).udp(&malformed);
    assert_eq!((Rcode(response.rcode), response.opt.unwrap().flags), (Rcode::FORMERR, 0x8000));
}

/// 3: without DO no DNSSEC records are sent; with DO neither, as the zone is not signed.
#[test]
fn an_unsigned_zone_has_no_signatures() {
    let name = "10-244-1-5.default.pod.cluster.local";
    let plain = Query::new(name, 1).edns(&Edns::new(1232)).octets();
    let secure = Query::new(name, 1).edns(&Edns::new(1232).flags(0x8000)).octets();
    let (plain, secure) = (Server::new(Mode::Verified).udp(&plain), Server::new(Mode::Verified).udp(&secure));
    assert_eq!((plain.answer, plain.len), (secure.answer, secure.len));
}
