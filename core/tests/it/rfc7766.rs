//! RFC 7766 (and its predecessor 5966): messages over TCP. Connections are up to the driver.

use poddns_core::Mode;

use crate::support::Server;
use crate::support::cluster::recorded;
use crate::support::query::{Edns, Query};
use crate::support::response::TC;

/// 5: a response is the same over both transports, if it fits.
#[test]
fn responses_are_equal_over_both_transports() {
    for name in [
        "10-244-1-5.default.pod.cluster.local",
        "nowhere.pod.cluster.local",
        "example.com",
        "pod.cluster.local",
    ] {
        for query in [Query::new(name, 1), Query::new(name, 6).edns(&Edns::new(1232))] {
            let server = Server::new(Mode::Verified);
            assert_eq!(server.udp(&query.octets()), server.tcp(&query.octets()), "{name}");
        }
    }
}

/// 5 and 8: a response that is truncated over UDP is complete over TCP, regardless of the size in the OPT, up to
/// 65,535 octets.
#[test]
fn responses_over_tcp_have_65535_octets() {
    let addresses =
        |count: u32| -> Vec<_> { (0..count).map(|n| (0x0a00_0000 + n).to_be_bytes().into()).collect() };
    for (count, truncated) in [(500, false), (4000, false), (4092, false), (4093, true)] {
        let cluster = recorded().pod("default", "many", &addresses(count));
        let server =
            Server { pods: &cluster, ..Server::new(Mode::Verified) }.with(|config| config.pod_names = true);
        let query = Query::new("many.default.pod.cluster.local", 1);
        assert!(server.udp(&query.octets()).has(TC));
        for query in [query.clone(), query.edns(&Edns::new(512))] {
            let response = server.tcp(&query.octets());
            assert_eq!(response.has(TC), truncated, "{count}: {} octets", response.len);
            assert_eq!(response.answer.len(), if truncated { 0 } else { usize::try_from(count).unwrap() });
        }
    }
}

/// 6.2.1.1 and 7: pipelined queries are distinguished by their IDs and questions, and do not affect each other.
#[test]
fn responses_have_id_and_question() {
    let server = Server::new(Mode::Verified);
    let first = server.tcp(&Query::new("10-244-1-5.default.pod.cluster.local", 1).id(1).octets());
    let second = server.tcp(&Query::new("10-244-1-6.default.pod.cluster.local", 1).id(2).octets());
    assert_eq!((first.id, second.id), (1, 2));
    assert_ne!(first.question, second.question);
}
