//! Addresses that need a network namespace: IPv6, link-local, wildcards on port 53, several links.
//!
//! Each test runs itself again in a new namespace, as root there. That requires `unshare` (util-linux), `ip` (iproute2)
//! and a kernel that allows user namespaces; the tests fail without them.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use std::process::{Command, Stdio};

use crate::support::start;
use poddns_test_support::dns::{Stream, assert_answers, id, query};
use poddns_test_support::netns::in_namespace;

#[test]
fn ipv6_replies_leave_from_queried_address() {
    let setup = ["link set lo up", "-6 addr add fd00:9::1/128 dev lo", "-6 addr add fd00:9::2/128 dev lo"];
    in_namespace("netns::ipv6_replies_leave_from_queried_address", &setup, || {
        let daemon = start(&["--pods=insecure", "--listen=[::]:0", "--threads=2"]);
        for host in ["::1", "fd00:9::1", "fd00:9::2"] {
            // The client is connected, so a reply from another address would not be received.
            let server = SocketAddr::new(host.parse().unwrap(), daemon.address().port());
            assert_answers(server);
            assert_eq!(id(&Stream::connect(server).exchange(&query(3, "example.com"))), 3);
        }
    });
}

/// Two hosts with two links. The client sends a query to an address of the first link from one of the second. The query
/// uses the first link, and the reply must use the second, since no host on the first link answers ARP for the client's
/// address.
#[test]
fn replies_follow_routes_not_query_link() {
    let this = "netns::replies_follow_routes_not_query_link";
    in_namespace(this, &["link set lo up"], || {
        // Holds the client's namespace until its standard input is closed.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        holder.stdin.as_mut().unwrap().flush().unwrap();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(holder.stdout.as_mut().unwrap()),
            &mut String::new(),
        )
        .unwrap();
        let client = holder.id().to_string();
        let run = |inside: bool, line: &str| {
            let mut command = Command::new(if inside { "nsenter" } else { "sh" });
            if inside {
                command.args(["--net", "--target", &client, "sh"]);
            }
            let output = command.args(["-c", line]).output().expect("nsenter of util-linux");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        for link in [1, 2] {
            run(false, &format!("ip link add s{link} type veth peer name c{link} netns {client}"));
            run(false, &format!("ip addr add 10.9.{link}.1/24 dev s{link}; ip link set s{link} up"));
            run(true, &format!("ip addr add 10.9.{link}.2/24 dev c{link}; ip link set c{link} up"));
            // Each link answers ARP for its own addresses only. Reverse path filtering is switched off below.
            run(true, &format!("echo 1 > /proc/sys/net/ipv4/conf/c{link}/arp_ignore"));
        }
        run(false, "for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; done");
        run(true, "for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; done");
        let daemon = start(&["--pods=insecure", "--listen=0.0.0.0:0", "--threads=1"]);
        let port = daemon.address().port();
        // From the address of the link of the query, and from that of the other link.
        for from in ["10.9.1.2", "10.9.2.2"] {
            let dig =
                format!("dig -b {from} @10.9.1.1 -p {port} 10-42-2-46.default.pod.cluster.local +short");
            assert_eq!(run(true, &dig), "10.42.2.46\n", "from {from}");
        }
        drop(holder.stdin.take());
        holder.wait().unwrap();
    });
}

#[test]
fn link_local_address_is_served_on_interface() {
    let setup = ["link set lo up", "-6 addr add fe80::9/64 dev lo nodad"];
    in_namespace("netns::link_local_address_is_served_on_interface", &setup, || {
        let daemon = start(&["--pods=insecure", "--listen=[fe80::9%lo]:0", "--listen=[::]:0"]);
        let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap();
        let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
        for server in &daemon.dns {
            // By the socket of the address itself, and by the wildcard, where the reply needs the interface, too.
            assert_answers(SocketAddrV6::new(link_local, server.port(), 0, index).into());
        }
    });
}

#[test]
fn star_serves_both_families_on_port() {
    in_namespace("netns::star_serves_both_families_on_port", &["link set lo up"], || {
        let daemon = start(&["--pods=insecure", "--listen=*:53"]);
        assert_eq!(daemon.dns.len(), 2);
        for server in ["127.0.0.1:53", "127.9.9.9:53", "[::1]:53"] {
            assert_answers(server.parse().unwrap());
        }
    });
}
