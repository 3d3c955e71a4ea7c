//! A network that loses, duplicates and reorders packets, in a namespace of the test's own: clients that repeat their
//! queries are answered.
//!
//! Requires `unshare` (util-linux), `ip` and `tc` (iproute2) and `nft` (nftables). On a kernel without `netem`,
//! nftables drops packets; duplication and reordering are skipped, and the test prints that.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use crate::support::insecure;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, addresses, connect, id, name, query};
use poddns_test_support::netns::in_namespace;

const NETEM: &str = "qdisc add dev lo root netem delay 2ms 1ms reorder 25% loss 10% duplicate 5%";

/// Drops every tenth packet, of any kind and in both directions.
const NFT: &str =
    "table inet lossy { chain in { type filter hook input priority 0; numgen random mod 100 < 10 drop; }; }";

/// Makes loopback of the namespace a lossy network.
fn degrade_network() {
    let netem = Command::new("tc").args(NETEM.split(' ')).output().expect("tc of iproute2");
    if netem.status.success() {
        println!("with netem: loss, doubling and reordering");
        return;
    }
    let why = String::from_utf8_lossy(&netem.stderr);
    println!("SKIPPED: doubling and reordering of packets; this kernel has no netem ({})", why.trim());
    let nft = Command::new("nft").arg(NFT).status().expect("nft of nftables");
    assert!(nft.success(), "loss by nftables");
    println!("with nftables: loss");
}

#[test]
fn lossy_network_clients_are_answered() {
    in_namespace("lossy::lossy_network_clients_are_answered", &["link set lo up"], || {
        let daemon = insecure(&[]);
        degrade_network();
        over_udp(&daemon);
        over_tcp(&daemon);
        let errors = ["poddns_panics_total{task=\"udp\"}", "poddns_panics_total{task=\"tcp\"}"];
        assert_eq!(errors.map(|name| daemon.metric(name)), [0, 0]);
    });
}

/// Sends queries, up to 100 in flight, and repeats each until it is answered.
fn over_udp(daemon: &Daemon) {
    let socket = connect(daemon.address());
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let address = |number: u16| {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, 1, high, low)
    };
    let mut open: Vec<u16> = (0..1000).collect();
    let (mut sent, mut received) = (0, 0);
    while !open.is_empty() {
        for &number in open.iter().take(100) {
            socket.send(&query(number, &name(address(number)))).unwrap();
            sent += 1;
        }
        let mut response = [0; 512];
        while let Ok(len) = socket.recv(&mut response) {
            let response = &response[..len];
            assert_eq!(addresses(response), [address(id(response))], "the answer to its own query");
            open.retain(|&number| number != id(response));
            received += 1;
        }
    }
    println!("over UDP: 1000 answers, {sent} queries sent, {received} responses received");
    assert!(sent > 1000, "the network loses packets");
}

/// Sends pipelined queries; the kernel retransmits lost segments.
fn over_tcp(daemon: &Daemon) {
    let mut stream = Stream::connect(daemon.address());
    for round in 0..20 {
        for number in 0..50 {
            stream.send(&query(round * 50 + number, &name(Ipv4Addr::new(10, 2, 0, 1))));
        }
        for number in 0..50 {
            assert_eq!(id(&stream.receive()), round * 50 + number);
        }
    }
    println!("over TCP: 1000 answers");
}
