//! In a network namespace of its own, with more addresses than loopback has: IPv6, link-local, wildcards.
//!
//! Each test runs itself again in a new namespace, as root there, which takes `unshare` (util-linux), `ip`
//! (iproute2) and a kernel that allows user namespaces; where these are missing it fails, it does not pass.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::support::namespace::in_namespace;
use crate::support::{Daemon, Stream, assert_answers, id, query};

#[test]
fn replies_over_ipv6_leave_from_the_address_that_was_asked() {
    let setup = ["link set lo up", "-6 addr add fd00:9::1/128 dev lo", "-6 addr add fd00:9::2/128 dev lo"];
    in_namespace("netns::replies_over_ipv6_leave_from_the_address_that_was_asked", &setup, || {
        let daemon = Daemon::start(&["--pods=insecure", "--listen=[::]:0", "--threads=2"]);
        for host in ["::1", "fd00:9::1", "fd00:9::2"] {
            // The client is connected, so a reply from any other address would not reach it.
            let server = SocketAddr::new(host.parse().unwrap(), daemon.address().port());
            assert_answers(server);
            assert_eq!(id(&Stream::connect(server).exchange(&query(3, "example.com"))), 3);
        }
    });
}

#[test]
fn a_link_local_address_is_served_on_its_interface() {
    let setup = ["link set lo up", "-6 addr add fe80::9/64 dev lo nodad"];
    in_namespace("netns::a_link_local_address_is_served_on_its_interface", &setup, || {
        let daemon = Daemon::start(&["--pods=insecure", "--listen=[fe80::9%lo]:0", "--listen=[::]:0"]);
        let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap();
        let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
        for server in &daemon.dns {
            // Over the address itself, and over the wildcard, where the reply needs the interface, too.
            assert_answers(SocketAddrV6::new(link_local, server.port(), 0, index).into());
        }
    });
}

#[test]
fn a_star_serves_both_families_on_one_port() {
    in_namespace("netns::a_star_serves_both_families_on_one_port", &["link set lo up"], || {
        let daemon = Daemon::start(&["--pods=insecure", "--listen=*:53"]);
        assert_eq!(daemon.dns.len(), 2);
        for server in ["127.0.0.1:53", "127.9.9.9:53", "[::1]:53"] {
            assert_answers(server.parse().unwrap());
        }
    });
}
