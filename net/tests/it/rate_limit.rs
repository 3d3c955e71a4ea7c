//! Rate limiting.

use std::fs;
use std::net::UdpSocket;

use crate::support::insecure;
use hickory_proto::op::{Message, ResponseCode};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, ask, connect, id, query};
use poddns_test_support::wait::until;

const NAME: &str = "10-42-2-46.default.pod.cluster.local";
const QUERIES: u64 = 100;

/// A limit that a test reaches at once, without exempt networks.
const LIMIT: [&str; 3] = ["--rate-limit=5", "--rate-limit-exempt=none", "--threads=1"];

/// Numbers of responses to a burst of queries, by kind.
#[derive(Debug, Default, PartialEq)]
struct Burst {
    whole: u64,
    truncated: u64,
    dropped: u64,
}

/// Sends [`QUERIES`] queries at once and counts the responses by kind.
fn burst(daemon: &Daemon, query: &[u8]) -> Burst {
    let limited =
        |action| daemon.metric(&format!("poddns_rate_limited_responses_total{{action={action:?}}}"));
    let before = limited("drop");
    let socket = connect(daemon.address());
    for _ in 0..QUERIES {
        socket.send(query).unwrap();
    }
    let mut burst = Burst::default();
    until("every query is answered or dropped", || {
        burst.dropped = limited("drop") - before;
        receive(&socket, &mut burst);
        burst.whole + burst.truncated + burst.dropped == QUERIES
    });
    burst
}

/// Counts the responses that have arrived.
fn receive(socket: &UdpSocket, burst: &mut Burst) {
    let mut buffer = [0; 1232];
    socket.set_nonblocking(true).unwrap();
    while let Ok(len) = socket.recv(&mut buffer) {
        let response = Message::from_vec(&buffer[..len]).unwrap();
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);
        assert_eq!(response.queries[0].name().to_ascii(), format!("{NAME}."));
        if response.metadata.truncation {
            assert!(response.answers.is_empty() && response.authorities.is_empty());
            burst.truncated += 1;
        } else {
            assert_eq!(response.answers.len(), 1);
            burst.whole += 1;
        }
    }
}

/// Returns the query with an OPT record that has this cookie.
pub fn with_cookie(cookie: &[u8]) -> Vec<u8> {
    let mut query = query(7, NAME);
    query[11] = 1;
    let option = u16::try_from(cookie.len()).unwrap();
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    query.extend((option + 4).to_be_bytes());
    query.extend([0, 10]);
    query.extend(option.to_be_bytes());
    query.extend(cookie);
    query
}

/// Returns the cookie, which is the only option of the OPT record at the end of a response.
pub fn cookie(response: &[u8]) -> &[u8] {
    let (rest, cookie) = response.split_at(response.len() - 24);
    assert_eq!(rest[rest.len() - 4..], [0, 10, 0, 24], "{response:02x?}");
    cookie
}

#[test]
fn flood_is_limited_and_half_truncated() {
    let daemon = insecure(&LIMIT);
    let burst = burst(&daemon, &query(1, NAME));
    // At least the budget of a second; it is partly refilled meanwhile.
    assert!(burst.whole >= 5 && burst.truncated > 0, "{burst:?}");
    assert!(burst.truncated.abs_diff(burst.dropped) <= 1, "{burst:?}");
    assert_eq!(daemon.metric("poddns_rate_limited_responses_total{action=\"truncate\"}"), burst.truncated);
    assert_eq!(
        daemon.metric("poddns_dropped_queries_total{transport=\"udp\",reason=\"rate_limited\"}"),
        burst.dropped
    );
    daemon.wait_for_log("\"network\":\"127.0.0.0/24\"");
    // A client that repeats its query over TCP because of TC has no limit.
    let mut stream = Stream::connect(daemon.address());
    for number in 0..100 {
        let response = stream.exchange(&query(number, NAME));
        assert_eq!((id(&response), response[2] & 2, response[7]), (number, 0, 1));
    }
}

#[test]
fn slip_is_configurable() {
    let daemon = insecure(&[&LIMIT[..], &["--rate-limit-slip=1"]].concat());
    assert_eq!(burst(&daemon, &query(1, NAME)).dropped, 0);
    let daemon = insecure(&[&LIMIT[..], &["--rate-limit-slip=0"]].concat());
    assert_eq!(burst(&daemon, &query(1, NAME)).truncated, 0);
}

#[test]
fn valid_cookie_is_not_limited() {
    let daemon = insecure(&[&LIMIT[..], &["--rate-limit-slip=1", "--nsid=node-1"]].concat());
    let client = [1, 2, 3, 4, 5, 6, 7, 8];
    assert!(burst(&daemon, &with_cookie(&client)).truncated > 0, "a new cookie proves nothing");
    let truncated = ask(daemon.address(), &with_cookie(&client));
    let both = cookie(&truncated).to_owned();
    assert_eq!(both[..8], client);
    let whole = Burst { whole: QUERIES, ..Burst::default() };
    assert_eq!(burst(&daemon, &with_cookie(&both)), whole);
    assert_eq!(daemon.metric("poddns_cookies_total{transport=\"udp\",status=\"valid\"}"), QUERIES);
    let mut forged = both;
    forged[23] ^= 1;
    assert!(burst(&daemon, &with_cookie(&forged)).truncated > 0);
    assert!(daemon.metric("poddns_cookies_total{transport=\"udp\",status=\"invalid\"}") >= QUERIES);
}

#[test]
fn loopback_and_configured_networks_are_exempt() {
    let whole = Burst { whole: QUERIES, ..Burst::default() };
    for exempt in [None, Some("--rate-limit-exempt=127.0.0.0/30"), Some("--rate-limit-exempt=private")] {
        let mut arguments = vec!["--rate-limit=5"];
        arguments.extend(exempt);
        assert_eq!(burst(&insecure(&arguments), &query(1, NAME)), whole, "{exempt:?}");
    }
    let daemon = insecure(&["--rate-limit=off", "--rate-limit-exempt=none"]);
    assert_eq!(burst(&daemon, &query(1, NAME)), whole);
    let others = ["--rate-limit-exempt=10.0.0.0/8", "--rate-limit-exempt=192.0.2.0/24"];
    let daemon = insecure(&[&["--rate-limit=5"], &others[..]].concat());
    assert_ne!(burst(&daemon, &query(1, NAME)), whole, "a list without private does not have it");
}

/// Returns true if the response to a client cookie has a server cookie.
fn sends_cookies(arguments: &[&str]) -> bool {
    let response = ask(insecure(arguments).address(), &with_cookie(&[1; 8]));
    let edns = Message::from_vec(&response).unwrap().edns.expect("an OPT record");
    edns.options().as_ref().iter().any(|(code, _)| u16::from(*code) == 10)
}

#[test]
fn exempt_clients_get_no_cookies() {
    assert!(!sends_cookies(&[]));
    assert!(!sends_cookies(&["--rate-limit=off"]));
    assert!(!sends_cookies(&["--rate-limit-exempt=127.0.0.0/8"]));
    assert!(sends_cookies(&["--rate-limit-exempt=10.0.0.0/8"]));
    assert!(sends_cookies(&["--rate-limit-exempt=none", "--rate-limit=off"]));
}

#[test]
fn reload_changes_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("poddns.toml");
    let configure =
        |limit: &str| fs::write(&file, format!("rate-limit-exempt = [\"none\"]\nrate-limit = {limit}\n"));
    configure("\"off\"").unwrap();
    let daemon = insecure(&["--config", file.to_str().unwrap()]);
    let whole = Burst { whole: QUERIES, ..Burst::default() };
    assert_eq!(burst(&daemon, &query(1, NAME)), whole);
    configure("5").unwrap();
    daemon.signal("HUP");
    until("reloaded", || daemon.metric("poddns_config_reloads_total{result=\"success\"}") == 1);
    assert_ne!(burst(&daemon, &query(1, NAME)), whole);
}
