//! A query over UDP costs no allocation, whatever is asked: everything that the packet path needs is made before.
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

/// Counts what the whole process allocates; this test is alone in it.
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

/// Every kind of answer, and of queries that get none.
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
    // As a forwarder sends it, and malformed.
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

/// Asks everything, and last something that is answered for certain, after all the others.
fn ask_all(server: SocketAddr, queries: &[Vec<u8>], rounds: usize) {
    let socket = connect(server);
    let mut response = [0; 1232];
    for _ in 0..rounds {
        for query in queries {
            socket.send(query).unwrap();
        }
        // The last three get no answer.
        for _ in 0..queries.len() - 3 {
            socket.recv(&mut response).expect("a response");
        }
    }
}

/// Settings whose answers take different paths: plain; by client, whom forwarders name; with an audit.
fn cases() -> [Settings; 3] {
    let mut settings = Settings::default();
    (settings.admin, settings.listen) = (Vec::new(), vec![([127, 0, 0, 1], 0).into()]);
    settings.threads = NonZeroUsize::MIN;
    settings.pod_names = true;
    // Loopback is limited too, to more than comes, so that the limiter's table is used.
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
    // As the daemon logs: the spans of listeners are enabled.
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init();
    for settings in cases() {
        let (_writer, pods) = pods();
        let what = format!("{:?}, {:?}", settings.mode, settings.visibility);
        let server = Server::with_pods(settings, Arc::new(pods)).unwrap();
        let (address, queries) = (server.addresses()[0], queries());
        // Allocations made once, for each thread or at the first use of something.
        ask_all(address, &queries, 10);
        let before = ALLOCATOR.total_allocated();
        ask_all(address, &queries, ROUNDS);
        let allocated = ALLOCATOR.total_allocated() - before;
        server.stop();
        let asked = ROUNDS * queries.len();
        // Rarely another thread, of the test harness for one, allocates something once. A single octet for each
        // query would be ten times as much as is allowed here.
        assert!(allocated < asked / 10, "{allocated} octets for {asked} queries: {what}");
    }
}
