//! Packets mutated from the fuzzer's corpus and from queries, sent to a running daemon over UDP and TCP. Each gets at
//! most one response, the daemon's memory and descriptors do not grow, and it continues to answer.
//!
//! Half of the packets are sent over each transport. They are the same in each run.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use crate::support::insecure;
use fastrand::Rng;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{
    Stream, addresses, assert_answers, connect, frame, id, name, padded, query, receive,
};
use poddns_test_support::wait::until;

/// Number of mutated packets.
const PACKETS: usize = 2_000_000;

/// Number of packets in flight. Their responses fit into the client's receive buffer.
const WINDOW: usize = 64;

/// Number of windows for each TCP connection.
const WINDOWS_A_CONNECTION: usize = 50;

/// Maximum length of a mutated packet in octets.
const LONGEST: usize = 4096;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

fn seeds() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut seeds = Vec::new();
    for target in ["parse", "respond"] {
        for file in fs::read_dir(corpus.join(target)).expect("the fuzzer's corpus") {
            seeds.push(fs::read(file.unwrap().path()).unwrap());
        }
    }
    assert!(seeds.len() > 50, "{} seeds", seeds.len());
    // Sorted, so that the mutated packets do not depend on the order of files in the directory.
    seeds.sort_unstable();
    let cookie = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    for name in [&name(IP), "pod.cluster.local", "example.com", "10-0-0-1.pod.cluster.local"] {
        let mut with_cookie = query(3, name);
        with_cookie[11] = 1;
        with_cookie.extend(cookie);
        seeds.extend([query(1, name), padded(2, name, 20), with_cookie]);
    }
    seeds
}

fn mutant(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = rng.choice(seeds).unwrap().clone();
    for _ in 0..rng.usize(1..=4) {
        mutate(rng, &mut packet, seeds);
    }
    packet.truncate(LONGEST);
    packet
}

fn mutate(rng: &mut Rng, packet: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = rng.usize(..=packet.len());
    match rng.u8(..8) {
        0 => packet.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 1 << rng.u8(..8)),
        1 => {
            // Labels and pointers at their limits.
            let octet = *rng.choice(&[0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff]).unwrap();
            packet.iter_mut().skip(at).take(1).for_each(|place| *place = octet);
        }
        2 => packet.truncate(at),
        3 => {
            let more: Vec<u8> = (0..rng.usize(1..64)).map(|_| rng.u8(..)).collect();
            packet.splice(at..at, more);
        }
        4 => drop(packet.drain(at..(at + rng.usize(..16)).min(packet.len()))),
        5 => {
            let other = rng.choice(seeds).unwrap();
            packet.truncate(at);
            packet.extend(&other[rng.usize(..=other.len())..]);
        }
        // A count in the header: a small number or any of one octet.
        6 => {
            let count = [0, if rng.bool() { rng.u8(..4) } else { rng.u8(..) }];
            let which = 4 + 2 * rng.usize(..4);
            if let Some(place) = packet.get_mut(which..which + 2) {
                place.copy_from_slice(&count);
            }
        }
        // A compression pointer to one of the first 256 octets.
        _ => packet.extend([0xc0, rng.u8(..), 0, 1, 0, 1]),
    }
}

/// Returns a query with its ID, which is not in `expected`. Its response shows that all packets before it have been
/// processed.
fn sentinel(rng: &mut Rng, expected: &HashMap<u16, usize>) -> (u16, Vec<u8>) {
    let number =
        std::iter::repeat_with(|| rng.u16(..)).find(|number| !expected.contains_key(number)).unwrap();
    (number, query(number, &name(IP)))
}

/// Returns mutated packets, and the maximum number of responses for each ID.
fn window(rng: &mut Rng, seeds: &[Vec<u8>]) -> (Vec<Vec<u8>>, HashMap<u16, usize>) {
    let mutants: Vec<Vec<u8>> = (0..WINDOW).map(|_| mutant(rng, seeds)).collect();
    let mut expected = HashMap::new();
    for mutant in mutants.iter().filter(|mutant| mutant.len() >= 12) {
        *expected.entry(id(mutant)).or_default() += 1;
    }
    (mutants, expected)
}

/// Receives responses until that of the sentinel; asserts that there is at most one for each packet.
fn collect(mut next: impl FnMut() -> Vec<u8>, last: u16, mut expected: HashMap<u16, usize>) {
    loop {
        let response = next();
        assert!(response.len() >= 12 && response[2] & 0x80 != 0, "a response: {response:?}");
        if id(&response) == last {
            assert_eq!(addresses(&response), [IP]);
            return;
        }
        let left = expected.get_mut(&id(&response)).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("nobody asked for {response:?}")) -= 1;
    }
}

fn over_udp(server: SocketAddr, packets: usize, seeds: &[Vec<u8>]) {
    let mut rng = Rng::with_seed(1);
    let socket = connect(server);
    for _ in 0..packets.div_ceil(WINDOW) {
        let (mutants, expected) = window(&mut rng, seeds);
        for mutant in &mutants {
            socket.send(mutant).unwrap();
        }
        let (last, query) = sentinel(&mut rng, &expected);
        socket.send(&query).unwrap();
        collect(|| receive(&socket), last, expected);
    }
}

fn over_tcp(server: SocketAddr, packets: usize, seeds: &[Vec<u8>]) {
    let mut rng = Rng::with_seed(2);
    let mut stream = Stream::connect(server);
    for number in 1..=packets.div_ceil(WINDOW) {
        let (mutants, expected) = window(&mut rng, seeds);
        let (last, query) = sentinel(&mut rng, &expected);
        let octets: Vec<u8> = mutants.iter().chain([&query]).flat_map(|message| frame(message)).collect();
        // In two writes, split at any octet.
        let (head, tail) = octets.split_at(rng.usize(..octets.len()));
        stream.0.write_all(head).unwrap();
        stream.0.write_all(tail).unwrap();
        collect(|| stream.receive(), last, expected);
        if number % WINDOWS_A_CONNECTION == 0 {
            // Malformed frames at the end of the connection, without waiting for responses.
            stream.0.write_all(&mutants.concat()).unwrap();
            stream = Stream::connect(server);
        }
    }
}

fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

#[test]
fn two_million_mutated_packets_leave_no_trace() {
    let seeds = seeds();
    let daemon = insecure(&["--threads=2"]);
    let both = |packets: usize| {
        thread::scope(|scope| {
            scope.spawn(|| over_udp(daemon.address(), packets / 2, &seeds));
            scope.spawn(|| over_tcp(daemon.address(), packets / 2, &seeds));
        });
    };
    // Warm-up, so that buffers are allocated before memory is measured.
    both(PACKETS / 20);
    until("connections are gone", || daemon.metric("poddns_tcp_connections") == 0);
    let (memory, files) = (daemon.memory(), open_files(&daemon));
    both(PACKETS);
    until("connections are gone", || daemon.metric("poddns_tcp_connections") == 0);
    until("descriptors are free again", || open_files(&daemon) <= files);
    let grown = daemon.memory().saturating_sub(memory);
    println!("{PACKETS} packets; the daemon grew by {grown} octets");
    assert!(grown < 4 * 1024 * 1024, "{grown} octets");
    for transport in ["udp", "tcp"] {
        let asked = daemon.metric(&format!("poddns_queries_total{{transport=\"{transport}\"}}"));
        assert!(asked >= PACKETS as u64 / 2, "{asked} queries over {transport} of {PACKETS}");
        assert_eq!(daemon.metric(&format!("poddns_panics_total{{task=\"{transport}\"}}")), 0);
    }
    assert_answers(daemon.address());
}
