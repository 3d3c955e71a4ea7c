//! RFC 1995 (IXFR) and 5936 (AXFR): transfers are refused.

use poddns_core::Mode;
use poddns_core::wire::{Ede, Rcode};

use crate::support::Server;
use crate::support::query::{Edns, Query, record};
use crate::support::response::{AA, WireName};

/// 5936 2.2.1: a refused transfer is one message with the rcode. 4.2: AXFR over UDP is not defined, so it has no
/// records either. Closing the connection is up to the driver.
#[test]
fn axfr_is_refused() {
    let query = Query::new("pod.cluster.local", 252).edns(&Edns::new(1232)).octets();
    for mode in [Mode::Disabled, Mode::Insecure, Mode::Verified] {
        for response in [Server::new(mode).tcp(&query), Server::new(mode).udp(&query)] {
            assert_eq!((Rcode(response.rcode), response.ede()), (Rcode::REFUSED, Some(Ede::NOT_SUPPORTED)));
            assert!(response.answer.is_empty() && response.authority.is_empty() && !response.has(AA));
        }
    }
}

/// 1995 3: an IXFR query has the client's SOA in its authority section.
#[test]
fn ixfr_is_refused() {
    let soa = [&[0, 0][..], &[0; 20]].concat();
    let apex = WireName::new("pod.cluster.local").0;
    let query = Query::new("pod.cluster.local", 251).record(1, record(&apex, 6, 1, 0, &soa)).octets();
    for response in [Server::new(Mode::Verified).tcp(&query), Server::new(Mode::Verified).udp(&query)] {
        assert_eq!(Rcode(response.rcode), Rcode::REFUSED);
        assert!(response.answer.is_empty() && response.authority.is_empty());
    }
}
