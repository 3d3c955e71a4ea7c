//! 10,000 TCP connections in 64 MiB.
//!
//! The test process holds the clients' ends, so it requires `prlimit` (util-linux) and a hard limit of open files of
//! 11,000; it fails without.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::support::insecure;
use poddns_test_support::dns::{Stream, assert_answers, id, name, query};
use poddns_test_support::wait::until;

#[test]
fn ten_thousand_connections_fit_64_mib() {
    const CLIENTS: u32 = 10_000;
    // The soft limit of this process is often 1024; the daemon raises its own.
    let raised =
        Command::new("prlimit").args(["--nofile=11000:", "--pid", &std::process::id().to_string()]).status();
    assert!(raised.expect("prlimit of util-linux").success(), "the hard limit of open files allows 11,000");
    let daemon = insecure(&["--tcp-idle-timeout=1h"]);
    let before = daemon.memory();
    let streams: Vec<Stream> = (0..CLIENTS)
        .map(|number| {
            // 40 clients with 250 connections each, below the limit per client.
            let [.., client] = (number / 250 + 1).to_be_bytes();
            let mut stream = Stream::connect_from(Ipv4Addr::new(127, 0, 1, client), daemon.address());
            assert_eq!(id(&stream.exchange(&query(1, &name(Ipv4Addr::new(10, 42, 2, 46))))), 1);
            stream
        })
        .collect();
    assert_eq!(daemon.metric("poddns_tcp_connections"), u64::from(CLIENTS));
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} octets");
    println!("{} octets for each idle connection", grown / u64::from(CLIENTS));
    drop(streams);
    until("all are gone", || daemon.metric("poddns_tcp_connections") == 0);
    assert_answers(daemon.address());
}
