//! RFC 7828: the edns-tcp-keepalive option.

use poddns_core::Mode;
use poddns_core::wire::Rcode;

use crate::support::Server;
use crate::support::query::{Edns, Query};

const KEEPALIVE: u16 = 11;

fn server(timeout: Option<u16>) -> Server<'static> {
    Server::new(Mode::Verified).with(|config| config.tcp_keepalive = timeout)
}

fn query(edns: &Edns) -> Vec<u8> {
    Query::new("10-244-1-5.default.pod.cluster.local", 1).edns(edns).octets()
}

/// 3.1 and 3.3.2: two octets, in units of 100 milliseconds, for clients that send the option over TCP.
#[test]
fn keepalive_query_gets_timeout() {
    let request = query(&Edns::new(1232).option(KEEPALIVE, &[]));
    for timeout in [0, 1, 100, 65_535] {
        let opt = server(Some(timeout)).tcp(&request).opt.unwrap();
        assert_eq!(opt.options, [(KEEPALIVE, timeout.to_be_bytes().to_vec())]);
    }
    assert_eq!(server(None).tcp(&request).opt.unwrap().options, []);
    let plain = query(&Edns::new(1232));
    assert_eq!(server(Some(1)).tcp(&plain).opt.unwrap().options, []);
}

/// 3.3.1: over UDP the option is neither read nor sent.
#[test]
fn keepalive_is_ignored_over_udp() {
    for data in [&[][..], &[0, 1], &[1, 2, 3]] {
        let response = server(Some(1)).udp(&query(&Edns::new(1232).option(KEEPALIVE, data)));
        assert_eq!((Rcode(response.rcode), response.opt.unwrap().options), (Rcode::NOERROR, vec![]));
    }
}

/// Errors have the option as well: they do not close the connection.
#[test]
fn error_responses_have_timeout() {
    let edns = Edns::new(1232).option(KEEPALIVE, &[]);
    let response = server(Some(7)).tcp(&Query::new("example.com", 1).edns(&edns).octets());
    assert_eq!(response.opt.unwrap().option(KEEPALIVE), Some(&[0, 7][..]));
}
