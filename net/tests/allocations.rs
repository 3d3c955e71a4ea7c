//! A query over UDP causes no allocation, whatever its type: all memory of the packet path is allocated before.
#![allow(missing_docs)]

#[path = "it/support/indexed.rs"]
mod indexed;

use std::alloc::System;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use cap::Cap;
use indexed::Indexed;
use poddns_core::{IpCidr, Mode, Visibility};
use poddns_net::{Server, Settings};
use poddns_test_support::dns::{connect, padded, query};
use poddns_watch::{IndexOptions, IndexWriter, PodRecord, Uid, index};

/// Counts allocations of the whole process, which runs this test only.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const ROUNDS: usize = 1000;

fn pods() -> (IndexWriter, Indexed) {
    let (mut writer, index) = index(IndexOptions { pod_names: true });
    let namespace = "default".parse().unwrap();
    let addresses = ["10.42.2.46".parse().unwrap(), "fd00::2e".parse().unwrap()];
    writer.apply(&PodRecord { uid: Uid::parse("1"), namespace, name: "web-0", addresses: &addresses });
    (writer, Indexed(index))
}

/// Returns queries for every kind of answer, and, last, three that get none.
fn queries() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "10-42-2-46.default.pod.cluster.local",
        "fd00--2e.default.pod.cluster.local",
        "web-0.default.pod.cluster.local",
        "10-42-2-47.default.pod.cluster.local",
        "10-42-2-46.elsewhere.pod.cluster.local",
        "pod.cluster.local",
        "example.com",
    ]
    .into_iter()
    .flat_map(|name| [query(1, name), padded(2, name, 300)])
    .collect();
    let mut cookie = query(3, "10-42-2-46.default.pod.cluster.local");
    cookie[11] = 1;
    cookie.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    // A client subnet option as a forwarder sends it, and a malformed one.
    let mut subnet = query(6, "10-42-2-46.default.pod.cluster.local");
    subnet[11] = 1;
    subnet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 8, 0, 8, 0, 1, 32, 0, 10, 42, 2, 46]);
    let mut malformed = subnet.clone();
    malformed[subnet.len() - 6] = 33;
    let mut two_questions = query(4, "example.com");
    two_questions[5] = 2;
    let mut response = query(5, "example.com");
    response[2] |= 0x80;
    all.extend([cookie, subnet, malformed, two_questions, response, vec![0; 5], vec![]]);
    all
}

/// Sends all queries `rounds` times, and receives the responses of each round.
fn ask_all(server: SocketAddr, queries: &[Vec<u8>], rounds: usize) {
    let socket = connect(server);
    let mut response = [0; 1232];
    for _ in 0..rounds {
        for query in queries {
            socket.send(query).unwrap();
        }
        // The last three queries get no response.
        for _ in 0..queries.len() - 3 {
            socket.recv(&mut response).expect("a response");
        }
    }
}

/// Returns settings with different code paths: without options, with visibility and trusted client subnets, with an
/// audit.
fn cases() -> [Settings; 3] {
    let mut settings = Settings::default();
    (settings.admin, settings.listen) = (Vec::new(), vec![([127, 0, 0, 1], 0).into()]);
    settings.threads = NonZeroUsize::MIN;
    settings.pod_names = true;
    // Loopback is not exempt, so that the limiter's table is used; the rate is above that of the test.
    let limit = settings.rate_limit.as_mut().unwrap();
    limit.responses_per_second = 1_000_000.try_into().unwrap();
    settings.exempt = Vec::<IpCidr>::new();
    let mut hiding = settings.clone();
    hiding.visibility = Visibility::Namespace;
    hiding.trust_ecs = vec!["127.0.0.0/8".parse().unwrap()];
    let mut auditing = hiding.clone();
    (auditing.mode, auditing.audit, auditing.pod_names) = (Mode::Insecure, true, false);
    [settings, hiding, auditing]
}

// One test, since the allocator counts for the whole process.
#[test]
fn answering_over_udp_allocates_nothing() {
    // Enables the spans of listeners, as in the daemon.
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init();
    for settings in cases() {
        let (_writer, pods) = pods();
        let what = format!("{:?}, {:?}", settings.mode, settings.visibility);
        let server = Server::with_pods(settings, Arc::new(pods)).unwrap();
        let (address, queries) = (server.addresses()[0], queries());
        // Warm-up: some memory is allocated once, for each thread or at first use.
        ask_all(address, &queries, 10);
        let before = ALLOCATOR.total_allocated();
        ask_all(address, &queries, ROUNDS);
        let allocated = ALLOCATOR.total_allocated() - before;
        server.stop();
        let asked = ROUNDS * queries.len();
        // The limit tolerates rare allocations of other threads, such as the test harness. It is a tenth of one byte
        // for each query.
        assert!(allocated < asked / 10, "{allocated} octets for {asked} queries: {what}");
    }
}
