//! The limit of negative answers.

use crate::support::insecure;
use hickory_proto::op::Message;
use poddns_test_support::dns::{Stream, ask, padded, query, rcode};
use poddns_test_support::wait::until;

const EXISTS: &str = "10-42-2-46.default.pod.cluster.local";
const MISSING: &str = "no-address.default.pod.cluster.local";
const REFUSED: u8 = 5;

/// A limit that the second query reaches, without exempt networks.
const LIMIT: [&str; 4] =
    ["--nxdomain-limit=1", "--rate-limit=off", "--rate-limit-exempt=none", "--threads=1"];

fn extended_error(response: &[u8]) -> Option<u16> {
    let edns = Message::from_vec(response).unwrap().edns?;
    let (_, option) = edns.options().as_ref().iter().find(|(code, _)| u16::from(*code) == 15)?;
    let octets = Vec::try_from(option).unwrap();
    Some(u16::from_be_bytes([octets[0], octets[1]]))
}

#[test]
fn scanner_is_refused_all_names() {
    let daemon = insecure(&LIMIT);
    let server = daemon.address();
    for number in 0..200 {
        assert_eq!(rcode(&ask(server, &query(number, EXISTS))), 0, "answers cost nothing");
    }
    // The budget is partly refilled meanwhile, so the number of queries depends on the machine.
    until("a miss is refused", || rcode(&ask(server, &query(1, MISSING))) == REFUSED);
    until("a hit is refused", || {
        ask(server, &query(1, MISSING));
        let response = ask(server, &padded(1, EXISTS, 0));
        rcode(&response) == REFUSED && extended_error(&response) == Some(18)
    });
    let limited = "poddns_nxdomain_limited_responses_total{transport=\"udp\"}";
    assert!(daemon.metric(limited) >= 2);
    daemon.wait_for_log("\"network\":\"127.0.0.0/24\"");
    // Responses that do not depend on the pods are not limited.
    let response = ask(server, &query(1, "example.com"));
    assert_eq!((rcode(&response), daemon.metric(limited) >= 2), (REFUSED, true));
}

#[test]
fn tcp_has_the_limit_too() {
    let daemon = insecure(&LIMIT);
    let mut stream = Stream::connect(daemon.address());
    until("a hit is refused", || {
        stream.exchange(&query(1, MISSING));
        rcode(&stream.exchange(&query(2, EXISTS))) == REFUSED
    });
    assert!(daemon.metric("poddns_nxdomain_limited_responses_total{transport=\"tcp\"}") >= 1);
}

#[test]
fn limit_is_opt_in_and_exempts_private() {
    for arguments in [&["--rate-limit=off", "--rate-limit-exempt=none"][..], &["--nxdomain-limit=1"]] {
        let daemon = insecure(arguments);
        for number in 0..100 {
            assert_eq!(rcode(&ask(daemon.address(), &query(number, MISSING))), 3, "{arguments:?}");
        }
        assert_eq!(daemon.metric("poddns_nxdomain_limited_responses_total{transport=\"udp\"}"), 0);
    }
}
