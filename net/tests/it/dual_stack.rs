//! IPv4 clients of a dual-stack socket, which systemd may pass: the kernel reports them as IPv4-mapped addresses, and
//! the daemon treats them as IPv4 addresses everywhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use crate::rate_limit::{cookie, with_cookie};
use crate::support::insecure;
use crate::systemd::passed;
use crate::visibility::pods_file;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, exchange, query, rcode};
use poddns_test_support::wait::{PATIENCE, until};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

/// Addresses of a pod in namespace `a`, a pod in namespace `b`, a client that sees everything, and a forwarder.
const A: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const ADMIN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const FORWARDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
/// Address of no pod, outside the networks of all settings.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 9);

/// Returns the command of a daemon with passed dual-stack sockets, UDP and TCP, and their port. `None` on a host
/// without IPv6.
fn dual_stack() -> Option<(Command, u16)> {
    let bind = |kind, port| {
        let socket = Socket::new(Domain::IPV6, kind, None)?;
        socket.set_only_v6(false)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        std::io::Result::Ok(socket)
    };
    loop {
        let udp = bind(Type::DGRAM, 0).ok()?;
        let port = udp.local_addr().unwrap().as_socket().unwrap().port();
        // Another program may have bound the same port over TCP.
        let Ok(tcp) = bind(Type::STREAM, port) else { continue };
        tcp.listen(128).unwrap();
        let mut command = passed(udp, tcp, 2);
        command.env("RUST_LOG", "poddns_net=debug");
        return Some((command, port));
    }
}

/// A daemon with dual-stack sockets and pods from a file.
struct DualStack {
    _folder: TempDir,
    daemon: Daemon,
    /// Address of the server for IPv4 clients.
    address: SocketAddr,
}

impl DualStack {
    /// Starts the daemon; `None` on a host without IPv6.
    fn start(arguments: &[&str]) -> Option<Self> {
        let Some((command, port)) = dual_stack() else {
            println!("this host has no IPv6");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let pods: [(_, _, &[&str]); 2] = [("a", "one", &["127.0.0.2"]), ("b", "one", &["127.0.0.3"])];
        let pods = format!("--pods-file={}", pods_file(&folder, &pods).display());
        let daemon = Daemon::launch(command, &[&["--threads=1", pods.as_str()], arguments].concat());
        Some(Self { _folder: folder, daemon, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    fn wait_until_synced(&self) {
        until("the pods are known", || self.daemon.metric("poddns_index_synced") == 1);
    }

    /// Returns the response to a client; asserts that it is the same over both transports.
    fn response(&self, client: Ipv4Addr, query: &[u8]) -> Vec<u8> {
        let udp = exchange(&socket(client, self.address), query);
        let tcp = Stream::connect_from(client, self.address).exchange(query);
        assert_eq!(udp, tcp, "{client} over UDP and TCP");
        udp
    }
}

fn socket(client: Ipv4Addr, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

fn pod(name: &str) -> Vec<u8> {
    query(7, &format!("{name}.pod.cluster.local"))
}

/// Returns an AXFR query.
fn axfr() -> Vec<u8> {
    let mut query = query(8, "pod.cluster.local");
    let end = query.len();
    query[end - 3] = 252;
    query
}

#[test]
fn mapped_clients_see_own_namespace() {
    let arguments = [
        "--visibility=namespace",
        "--visible-to=127.0.0.4/32",
        "--trust-ecs=127.0.0.5/32",
        "--rate-limit=off",
        "--transfer-to=127.0.0.4:9",
    ];
    let Some(server) = DualStack::start(&arguments) else { return };
    server.wait_until_synced();
    for (client, name, expected) in [
        (A, "127-0-0-2.a", NOERROR),
        (A, "127-0-0-3.b", NXDOMAIN),
        (B, "127-0-0-3.b", NOERROR),
        (ADMIN, "127-0-0-3.b", NOERROR),
        (OTHER, "127-0-0-3.b", NXDOMAIN),
    ] {
        assert_eq!(rcode(&server.response(client, &pod(name))), expected, "{client} {name}");
    }
    // With B as EDNS Client Subnet (RFC 7871).
    let mut forwarded = pod("127-0-0-3.b");
    forwarded[11] = 1;
    forwarded.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 8, 0, 8, 0, 1, 32, 0, 127, 0, 0, 3]);
    assert_eq!(rcode(&server.response(FORWARDER, &forwarded)), NOERROR);
    assert_eq!(rcode(&server.response(OTHER, &forwarded)), NXDOMAIN);
    until("the secondary transfers the zone", || {
        rcode(&Stream::connect_from(ADMIN, server.address).exchange(&axfr())) == NOERROR
    });
    assert_eq!(rcode(&Stream::connect_from(OTHER, server.address).exchange(&axfr())), REFUSED);
}

#[test]
fn refused_transfers_name_mapped_clients() {
    let arguments = ["--transfer-to=127.0.0.4:9"];
    let Some(server) = DualStack::start(&arguments) else { return };
    assert_eq!(rcode(&Stream::connect_from(OTHER, server.address).exchange(&axfr())), REFUSED);
    server.daemon.wait_for_log("\"client\":\"127.0.1.9\"");
}

#[test]
fn mapped_clients_are_logged_as_ipv4() {
    let Some(server) = DualStack::start(&["--pods=insecure", "--audit"]) else { return };
    let mut stream = Stream::connect_from(OTHER, server.address);
    stream.exchange(&pod("10-9-9-9.a"));
    // With this option, closing resets the connection.
    socket2::SockRef::from(&stream.0).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    server.daemon.wait_for_log("\"connection\":\"127.0.1.9:");
}

#[test]
fn mapped_clients_have_ipv4_limits() {
    let arguments = ["--pods=insecure", "--rate-limit=2", "--rate-limit-exempt=127.0.0.0/24", "--audit"];
    let Some(server) = DualStack::start(&arguments) else { return };
    server.wait_until_synced();
    let exempt = socket(A, server.address);
    for number in 0..100 {
        assert_eq!(rcode(&exchange(&exempt, &query(number, "127-0-0-2.a.pod.cluster.local"))), NOERROR);
    }
    let limited = |action: &str| {
        server.daemon.metric(&format!("poddns_rate_limited_responses_total{{action=\"{action}\"}}"))
    };
    assert_eq!((limited("truncate"), limited("drop")), (0, 0));
    let beyond = socket(OTHER, server.address);
    until("the network is beyond its limit", || {
        beyond.send(&pod("10-9-9-9.a")).unwrap();
        limited("drop") > 0
    });
    server.daemon.wait_for_log("\"network\":\"127.0.1.0/24\"");
    let document: Value = serde_json::from_str(&server.daemon.get("/audit").1).unwrap();
    let mut pairs = document["pairs"].as_array().unwrap().iter();
    assert!(pairs.any(|pair| pair["client"] == "127.0.1.9"), "{document}");
}

#[test]
fn mapped_clients_share_cookies_with_ipv4() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let secret = format!("--cookie-secret-file={}", secret.display());
    let arguments = ["--rate-limit-exempt=127.0.0.0/24", "--query-log=all", secret.as_str()];
    let Some(server) = DualStack::start(&[&["--pods=insecure", "--audit"], &arguments[..]].concat()) else {
        return;
    };
    let response = server.response(A, &with_cookie(&[1; 8]));
    assert_eq!(response[response.len() - 2..], [0, 0], "exempt clients get no option");
    // A cookie of another server with this secret and an IPv4 socket.
    let ipv4 = insecure(&arguments);
    let both = cookie(&exchange(&socket(OTHER, ipv4.address()), &with_cookie(&[1; 8]))).to_owned();
    server.response(OTHER, &with_cookie(&both));
    for transport in ["udp", "tcp"] {
        let valid = format!("poddns_cookies_total{{transport=\"{transport}\",status=\"valid\"}}");
        assert_eq!(server.daemon.metric(&valid), 1, "{transport}");
    }
    server.daemon.wait_for_log("\"client\":\"127.0.1.9\"");
}
