//! Response times for a client that queries names that it may see, names that are hidden from it, and absent names.
//!
//! ```text
//! cargo run --release -p poddns-benches --bin visibility_timing [RESPONSES]
//! ```
//!
//! Prints the table of docs/visibility.md: percentiles for each kind of query, and the Kolmogorov-Smirnov distance
//! between the distributions of hidden and absent names, beside the distance between two halves of the same kind, which
//! is noise.

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use poddns_core::{
    Config, IpCidr, MAX_UDP_REPLY, Mode, Outcome, Request, ReverseZones, Transport, Visibility, Zone, respond,
};
use poddns_watch::{Index, IndexOptions, PodRecord, Uid, index};

/// Number of pods per namespace; the client is a pod of the first namespace.
const PODS: u32 = 100;
const NAMESPACES: u32 = 1000;
/// Number of values of an octet of an address, all of three digits, so that all names have the same length.
const OCTETS: u32 = 100;

/// A kind of query.
#[derive(Clone, Copy)]
struct NameKind {
    name: &'static str,
    /// Returns the name and type of a query for a random number.
    question: fn(u32) -> (String, u16),
}

const A: u16 = 1;
const PTR: u16 = 12;

/// Returns the address of a pod, or, beyond the last pod, an address that no pod has.
fn address(pod: u32) -> Ipv4Addr {
    let octet = |digit: u32| u8::try_from(100 + digit % OCTETS).unwrap_or(u8::MAX);
    Ipv4Addr::new(10, octet(pod / OCTETS / OCTETS), octet(pod / OCTETS), octet(pod))
}

fn forward(pod: u32, namespace: u32) -> (String, u16) {
    let dashed = address(pod).to_string().replace('.', "-");
    (format!("{dashed}.ns-{namespace:04}.pod.cluster.local"), A)
}

fn reverse(pod: u32) -> (String, u16) {
    let [a, b, c, d] = address(pod).octets();
    (format!("{d}.{c}.{b}.{a}.in-addr.arpa"), PTR)
}

/// Returns a pod of the client's namespace; [`other`] returns one of another namespace, and [`nobodys`] a number beyond
/// all pods.
const fn own(random: u32) -> u32 {
    random % PODS
}
const fn other(random: u32) -> u32 {
    PODS + random % (PODS * (NAMESPACES - 1))
}
const fn nobodys(random: u32) -> u32 {
    PODS * NAMESPACES + random % (PODS * NAMESPACES)
}

const NAME_KINDS: [NameKind; 8] = [
    NameKind { name: "forward, seen", question: |random| forward(own(random), 0) },
    NameKind { name: "forward, no pod of the own namespace", question: |random| forward(nobodys(random), 0) },
    NameKind { name: "forward, hidden", question: |random| forward(other(random), other(random) / PODS) },
    NameKind {
        name: "forward, hidden namespace, no pod",
        question: |random| forward(nobodys(random), other(random) / PODS),
    },
    NameKind {
        name: "forward, absent namespace",
        question: |random| forward(other(random), NAMESPACES + random % NAMESPACES),
    },
    NameKind { name: "reverse, seen", question: |random| reverse(own(random)) },
    NameKind { name: "reverse, hidden", question: |random| reverse(other(random)) },
    NameKind { name: "reverse, absent", question: |random| reverse(nobodys(random)) },
];

/// Pairs of kinds that a client must not be able to distinguish.
const PAIRS: [(usize, usize); 3] = [(2, 4), (3, 4), (6, 7)];

fn query((name, rtype): (String, u16)) -> Vec<u8> {
    let mut query = vec![0x1d, 0x5a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap_or_default());
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend([rtype.to_be_bytes(), [0, 1]].concat());
    query
}

fn pods() -> Result<Arc<Index>, Box<dyn Error>> {
    let (mut writer, index) = index(IndexOptions::default());
    for pod in 0..PODS * NAMESPACES {
        let namespace = format!("ns-{:04}", pod / PODS).parse()?;
        let name = pod.to_string();
        let addresses = [IpAddr::V4(address(pod))];
        let uid = Uid::of_name("uid", &name);
        writer.apply(&PodRecord { uid, namespace, name: &name, addresses: &addresses });
    }
    Ok(index)
}

/// Returns the fraction of a sample that precedes a position.
fn part(at: usize, of: &[u32]) -> f64 {
    f64::from(u32::try_from(at).unwrap_or(u32::MAX)) / f64::from(u32::try_from(of.len()).unwrap_or(u32::MAX))
}

/// Returns the distance between two sorted samples: the maximum difference of their cumulative distributions.
fn distance(one: &[u32], other: &[u32]) -> f64 {
    let (mut left, mut right, mut most) = (0, 0, 0_f64);
    while left < one.len() && right < other.len() {
        let value = one[left].min(other[right]);
        while one.get(left) == Some(&value) {
            left += 1;
        }
        while other.get(right) == Some(&value) {
            right += 1;
        }
        most = most.max((part(left, one) - part(right, other)).abs());
    }
    most
}

fn main() -> Result<(), Box<dyn Error>> {
    let responses: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let zones = [Zone::new("cluster.local")?];
    let networks: [IpCidr; 1] = ["10.0.0.0/8".parse()?];
    let mut config = Config::new(Mode::Verified, &zones);
    config.visibility = Visibility::Namespace;
    config.reverse_zones = ReverseZones::new(&networks)?;
    let pods = pods()?;
    let request = Request::new(Transport::Udp, address(7).into(), 1_800_000_000);
    let mut times: Vec<Vec<u32>> = NAME_KINDS.iter().map(|_| Vec::with_capacity(responses)).collect();
    let mut out = [0; MAX_UDP_REPLY];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // All kinds take turns, in a varying order, so that other activity of the machine affects them alike.
    for round in 0..responses * NAME_KINDS.len() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kind = (round + round / NAME_KINDS.len() * 3) % NAME_KINDS.len();
        let query = query((NAME_KINDS[kind].question)((random >> 32) as u32));
        let begun = Instant::now();
        let outcome = respond(black_box(&config), &*pods, black_box(&query), &request, &mut out);
        let time = begun.elapsed().as_nanos();
        assert!(matches!(black_box(outcome), Outcome::Reply(_)), "no response");
        times[kind].push(u32::try_from(time).unwrap_or(u32::MAX));
    }
    println!("| {responses} responses each | p10, ns | p50, ns | p90, ns | p99, ns |\n|---|---|---|---|---|");
    let halves: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            let middle = times.len() / 2;
            let (first, second) = times.split_at_mut(middle);
            first.sort_unstable();
            second.sort_unstable();
            distance(first, second)
        })
        .collect();
    for (kind, times) in NAME_KINDS.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        println!("| {} | {} | {} | {} | {} |", kind.name, at(10), at(50), at(90), at(99));
    }
    println!("\n| distributions | distance | noise: two halves of either |\n|---|---|---|");
    for (one, other) in PAIRS {
        let found = distance(&times[one], &times[other]);
        let names = (NAME_KINDS[one].name, NAME_KINDS[other].name);
        println!("| {} and {} | {found:.4} | {:.4}, {:.4} |", names.0, names.1, halves[one], halves[other]);
    }
    Ok(())
}
