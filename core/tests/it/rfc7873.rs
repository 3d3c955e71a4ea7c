//! RFC 7873: DNS cookies.

use core::net::IpAddr;

use poddns_core::wire::Rcode;
use poddns_core::{CookieSecrets, CookieStatus, IpCidr, Mode, Outcome, Request, Transport};

use crate::support::query::{Edns, Query};
use crate::support::response::Response;
use crate::support::{CLIENT, NOW, Server};

const COOKIE: u16 = 10;
const CLIENT_COOKIE: [u8; 8] = *b"\x01\x02\x03\x04\x05\x06\x07\x08";
static SECRETS: CookieSecrets = CookieSecrets { current: [9; 16], previous: None };

fn server() -> Server<'static> {
    Server::new(Mode::Verified).with(|config| config.cookies = Some(&SECRETS))
}

fn query(cookie: &[u8]) -> Query {
    Query::new("10-244-1-5.default.pod.cluster.local", 1).edns(&Edns::new(1232).option(COOKIE, cookie))
}

/// Returns the state of the query's cookie, the rcode, and the cookie of the response.
fn ask(octets: &[u8], source: IpAddr) -> (CookieStatus, Rcode, Option<Vec<u8>>) {
    let (outcome, response) = server().outcome(octets, &Request::new(Transport::Udp, source, NOW));
    let (Outcome::Reply(reply), Some(response)) = (outcome, response) else { panic!("{outcome:?}") };
    (reply.cookie, reply.rcode, returned(&response))
}

fn returned(response: &Response) -> Option<Vec<u8>> {
    response.opt.as_ref().and_then(|opt| opt.option(COOKIE)).map(<[u8]>::to_vec)
}

/// 5.2.1: without an OPT or COOKIE option, the response has no cookie.
#[test]
fn query_without_cookie_gets_none() {
    let plain = Query::new("pod.cluster.local", 1);
    let edns = Edns::new(1232);
    for query in [plain.clone(), plain.clone().edns(&edns), plain.edns(&edns.option(3, &CLIENT_COOKIE))] {
        assert_eq!(ask(&query.octets(), CLIENT), (CookieStatus::Absent, Rcode::NOERROR, None));
    }
}

/// 5.2.2: a COOKIE of another length than 8 or 16 to 40 octets is a FORMERR.
#[test]
fn a_malformed_cookie_is_a_format_error() {
    for len in 0..=50_usize {
        let good = len == 8 || (16..=40).contains(&len);
        let (status, rcode, _) = ask(&query(&vec![1; len]).octets(), CLIENT);
        assert_eq!(rcode, if good { Rcode::NOERROR } else { Rcode::FORMERR }, "{len} octets");
        if !good {
            assert_eq!(status, CookieStatus::Absent);
        }
    }
}

/// 5.2.3: a client cookie alone is answered with both cookies. 5.2.4: an invalid server cookie likewise. 5.2.5: a
/// valid one.
#[test]
fn a_client_cookie_gets_a_server_cookie() {
    let (status, rcode, both) = ask(&query(&CLIENT_COOKIE).octets(), CLIENT);
    let both = both.unwrap();
    assert_eq!((status, rcode, both.len()), (CookieStatus::New, Rcode::NOERROR, 24));
    assert_eq!(both[..8], CLIENT_COOKIE, "5.3: the client's part comes back as it was");

    assert_eq!(
        ask(&query(&both).octets(), CLIENT),
        (CookieStatus::Valid, Rcode::NOERROR, Some(both.clone()))
    );

    // A cookie for another client, address or length: each is renewed, and the query is answered.
    let mut forged = both.clone();
    for at in 0..both.len() {
        forged[at] ^= 1;
        let (status, rcode, renewed) = ask(&query(&forged).octets(), CLIENT);
        assert_eq!((status, rcode), (CookieStatus::Invalid, Rcode::NOERROR), "octet {at}");
        assert_eq!(renewed.unwrap()[..8], forged[..8]);
        forged[at] ^= 1;
    }
    let (status, ..) = ask(&query(&both).octets(), [192, 0, 2, 1].into());
    assert_eq!(status, CookieStatus::Invalid);
    for len in [16, 23, 25, 40] {
        let mut other = both.clone();
        other.resize(len, 0);
        assert_eq!(ask(&query(&other).octets(), CLIENT).0, CookieStatus::Invalid, "{len} octets");
    }
}

/// 5.2: of several COOKIE options only the first counts.
#[test]
fn the_first_cookie_counts() {
    let first = Edns::new(1232).option(COOKIE, &CLIENT_COOKIE);
    let alone = Query::new("pod.cluster.local", 1).edns(&first).octets();
    for second in [&[7; 8][..], &[7; 3], &[]] {
        let query = Query::new("pod.cluster.local", 1).edns(&first.clone().option(COOKIE, second)).octets();
        assert_eq!(ask(&query, CLIENT), ask(&alone, CLIENT));
    }
    let malformed = Edns::new(1232).option(COOKIE, &[7; 3]).option(COOKIE, &CLIENT_COOKIE);
    let query = Query::new("pod.cluster.local", 1).edns(&malformed).octets();
    assert_eq!(ask(&query, CLIENT).1, Rcode::FORMERR);
}

/// 5.4: without a question, a query requests a cookie: NOERROR with a client cookie alone or a valid server cookie,
/// BADCOOKIE with an invalid one.
#[test]
fn query_without_question_gets_cookie() {
    let alone = |cookie: &[u8]| Query::empty().edns(&Edns::new(1232).option(COOKIE, cookie)).octets();
    let (status, rcode, both) = ask(&alone(&CLIENT_COOKIE), CLIENT);
    assert_eq!((status, rcode), (CookieStatus::New, Rcode::NOERROR));
    let mut both = both.unwrap();
    assert_eq!(ask(&alone(&both), CLIENT), (CookieStatus::Valid, Rcode::NOERROR, Some(both.clone())));
    let fresh = both.clone();
    both[23] ^= 0x80;
    assert_eq!(ask(&alone(&both), CLIENT), (CookieStatus::Invalid, Rcode::BADCOOKIE, Some(fresh)));
    let response = server().udp(&alone(&CLIENT_COOKIE));
    assert!(response.question.is_none() && response.answer.is_empty() && response.authority.is_empty());
    // Without configured cookies, such a query requests nothing.
    let response = Server::new(Mode::Verified).udp(&alone(&CLIENT_COOKIE));
    assert_eq!((Rcode(response.rcode), returned(&response)), (Rcode::FORMERR, None));
    // With another opcode, it is not a request for a cookie.
    let notify = Query::empty().opcode(4).edns(&Edns::new(1232).option(COOKIE, &CLIENT_COOKIE)).octets();
    assert_eq!(ask(&notify, CLIENT).1, Rcode::NOTIMP);
}

/// 5.3: errors have cookies as well, including BADVERS, and FORMERR caused by something else.
#[test]
fn errors_have_cookies() {
    let edns = Edns::new(1232).option(COOKIE, &CLIENT_COOKIE);
    for (query, rcode) in [
        (Query::new("example.com", 1).edns(&edns), Rcode::REFUSED),
        (Query::new("nowhere.pod.cluster.local", 1).edns(&edns), Rcode::NXDOMAIN),
        (Query::new("pod.cluster.local", 1).edns(&edns.clone().version(1)), Rcode::BADVERS),
        (Query::new("pod.cluster.local", 1).edns(&edns).edns(&edns), Rcode::FORMERR),
        (Query::new("pod.cluster.local", 1).opcode(2).edns(&edns), Rcode::NOTIMP),
    ] {
        let (_, got, both) = ask(&query.octets(), CLIENT);
        assert_eq!((got, both.map(|both| both.len())), (rcode, Some(24)));
    }
}

/// 5.2: a server without configured secrets sends no cookies.
#[test]
fn unconfigured_cookies_are_ignored() {
    let response = Server::new(Mode::Verified).udp(&query(&CLIENT_COOKIE).octets());
    assert_eq!((response.addresses().len(), returned(&response)), (1, None));
}

/// 5.3: "If the client is expecting the response to contain a COOKIE option and it is missing, the response MUST be
/// discarded." So a forwarder that queries other servers as well gets no cookie.
#[test]
fn exempt_clients_get_no_cookie() {
    let exempt = [IpCidr::new(CLIENT, 32).unwrap()];
    let server = |cookie_exempt| {
        Server::new(Mode::Verified).with(|config| {
            config.cookies = Some(&SECRETS);
            config.cookie_exempt = cookie_exempt;
        })
    };
    let mut valid = CLIENT_COOKIE.to_vec();
    valid.extend([7; 16]);
    for cookie in [&CLIENT_COOKIE[..], &valid] {
        let response = server(&exempt).udp(&query(cookie).octets());
        assert_eq!((response.addresses().len(), returned(&response)), (1, None));
        assert!(returned(&server(&[]).udp(&query(cookie).octets())).is_some());
    }
    // The same client over a dual-stack socket.
    let IpAddr::V4(client) = CLIENT else { unreachable!("as in the support module") };
    let mut request = Request::new(Transport::Udp, client.to_ipv6_mapped().into(), NOW);
    let (_, response) = server(&exempt).outcome(&query(&CLIENT_COOKIE).octets(), &request);
    assert_eq!(returned(&response.unwrap()), None);
    request.source = IpAddr::from([198, 51, 100, 1]);
    let (_, response) = server(&exempt).outcome(&query(&CLIENT_COOKIE).octets(), &request);
    assert!(returned(&response.unwrap()).is_some(), "another client");
}

/// Secrets are not logged.
#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{SECRETS:?}"), "CookieSecrets { .. }");
}
