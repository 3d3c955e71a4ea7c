//! RFC 5001: name server identifier.

use poddns_core::wire::Rcode;
use poddns_core::{Config, Mode};

use crate::support::Server;
use crate::support::query::{Edns, Query};

const NSID: u16 = 3;

fn named(id: &[u8]) -> Server<'_> {
    Server::new(Mode::Verified).with(|config| config.nsid = Some(id))
}

fn query(name: &str, edns: &Edns) -> Vec<u8> {
    Query::new(name, 1).edns(edns).octets()
}

/// 2.1: sent if requested, in every response; 2.3: its payload is chosen by the operator.
#[test]
fn nsid_is_sent_on_request() {
    let request = Edns::new(1232).option(NSID, &[]);
    for name in ["10-244-1-5.default.pod.cluster.local", "nowhere.pod.cluster.local", "example.com"] {
        let opt = named(b"node-a\x00\xff").udp(&query(name, &request)).opt.unwrap();
        assert_eq!(opt.option(NSID), Some(&b"node-a\x00\xff"[..]), "{name}");
    }
    // 2.2: the contents of the option in a query are ignored.
    let with_data = Edns::new(1232).option(NSID, b"whatever");
    assert_eq!(
        named(b"n").udp(&query("pod.cluster.local", &with_data)).opt.unwrap().option(NSID),
        Some(&b"n"[..])
    );
}

/// 2.2: not sent if not requested, or if none is configured.
#[test]
fn nsid_is_absent_without_request() {
    let plain = query("pod.cluster.local", &Edns::new(1232));
    assert_eq!(named(b"n").udp(&plain).opt.unwrap().options, []);
    let request = query("pod.cluster.local", &Edns::new(1232).option(NSID, &[]));
    assert_eq!(Server::new(Mode::Verified).udp(&request).opt.unwrap().options, []);
    let without_edns = named(b"n").udp(&Query::new("pod.cluster.local", 1).octets());
    assert!(without_edns.opt.is_none());
}

/// An identifier is truncated so that every response fits its datagram.
#[test]
fn long_nsid_is_truncated() {
    let long = [b'n'; 200];
    for (len, sent) in [(0, 0), (127, 127), (128, 128), (129, 128), (200, 128)] {
        let response =
            named(&long[..len]).udp(&query("pod.cluster.local", &Edns::new(512).option(NSID, &[])));
        assert_eq!(response.opt.unwrap().option(NSID).map(<[u8]>::len), Some(sent));
        assert_eq!(Rcode(response.rcode), Rcode::NOERROR);
    }
    assert_eq!(Config::MAX_NSID, 128);
}
