//! Visibility and client subnets. Clients have loopback addresses, which are those of pods in a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use crate::support::start;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, connect, exchange, query, rcode};
use poddns_test_support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Addresses of a pod in namespace `a`, a pod in namespace `b`, a client that sees everything, a forwarder, and a
/// client that is not a pod.
const A: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const ADMIN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const FORWARDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

/// Writes a file with these pods: namespace, name and addresses.
pub fn pods_file(folder: &TempDir, pods: &[(&str, &str, &[&str])]) -> PathBuf {
    let items: Vec<Value> = pods
        .iter()
        .map(|(namespace, name, ips)| {
            let all: Vec<Value> = ips.iter().map(|ip| json!({ "ip": ip })).collect();
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}") },
                "spec": {},
                "status": { "phase": "Running", "podIP": ips[0], "podIPs": all },
            })
        })
        .collect();
    let path = folder.path().join("pods.json");
    fs::write(&path, json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()).unwrap();
    path
}

fn hiding(arguments: &[&str]) -> (TempDir, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let pods: [(_, _, &[&str]); 3] =
        [("a", "one", &["127.0.0.2", "::1"]), ("b", "one", &["127.0.0.3"]), ("b", "two", &["10.9.8.7"])];
    let pods = format!("--pods-file={}", pods_file(&folder, &pods).display());
    let usual = [
        "--visibility=namespace",
        "--visible-to=127.0.0.4/32",
        "--trust-ecs=127.0.0.5/32",
        "--reverse-zone=127.0.0.0/24",
        "--threads=1",
        "--rate-limit=off",
        pods.as_str(),
    ];
    let daemon = start(&[&usual, arguments].concat());
    until("ready", || daemon.get("/readyz").0 == 200);
    (folder, daemon)
}

/// Returns the query with an OPT record, and in it a client subnet option with this data, if any.
fn with_subnet(mut query: Vec<u8>, data: Option<&[u8]>) -> Vec<u8> {
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    let option = data.map_or_else(Vec::new, |data| {
        let len = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&[0, 8][..], &len, data].concat()
    });
    query.extend(u16::try_from(option.len()).unwrap().to_be_bytes());
    query.extend(option);
    query
}

fn subnet(client: Ipv4Addr) -> Vec<u8> {
    [&[0, 1, 32, 0][..], &client.octets()].concat()
}

/// Returns the response to a query from this address; asserts that it is the same over UDP and TCP.
fn ask_from(client: Ipv4Addr, daemon: &Daemon, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((client, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(daemon.address()).unwrap();
    let udp = exchange(&socket, query);
    let tcp = Stream::connect_from(client, daemon.address()).exchange(query);
    assert_eq!(udp, tcp, "{client} over UDP and TCP");
    udp
}

fn forward(name: &str) -> Vec<u8> {
    query(7, &format!("{name}.pod.cluster.local"))
}

#[test]
fn only_own_namespace_is_answered() {
    let (_folder, daemon) = hiding(&["--listen=127.0.0.1:0"]);
    for (client, name, expected) in [
        (A, "127-0-0-2.a", 0),
        (A, "a", 0),
        (A, "127-0-0-3.b", NXDOMAIN),
        (A, "b", NXDOMAIN),
        (B, "127-0-0-3.b", 0),
        (B, "10-9-8-7.b", 0),
        (B, "127-0-0-2.a", NXDOMAIN),
        (ADMIN, "127-0-0-2.a", 0),
        (ADMIN, "127-0-0-3.b", 0),
        (NOBODY, "127-0-0-3.b", NXDOMAIN),
        (FORWARDER, "127-0-0-3.b", NXDOMAIN),
    ] {
        assert_eq!(rcode(&ask_from(client, &daemon, &forward(name))), expected, "{client} {name}");
    }
    let hidden = ask_from(NOBODY, &daemon, &forward("b"));
    let absent = ask_from(NOBODY, &daemon, &forward("c"));
    assert_eq!(hidden[..12], absent[..12]);
    assert_eq!(hidden[15..], absent[15..], "all but the label is the same");
    let mut ptr = query(7, "3.0.0.127.in-addr.arpa");
    let end = ptr.len();
    ptr[end - 3] = 12;
    let to = |client| {
        let message = Message::from_vec(&ask_from(client, &daemon, &ptr)).unwrap();
        message.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(to(B), ["127-0-0-3.b.pod.cluster.local."]);
    assert_eq!(to(ADMIN), to(B));
    assert!(to(A).is_empty() && to(NOBODY).is_empty());
}

#[test]
fn forwarders_name_clients_and_nobody_else() {
    let (_folder, daemon) = hiding(&["--listen=127.0.0.1:0"]);
    let ask = |from, data: Option<&[u8]>| ask_from(from, &daemon, &with_subnet(forward("127-0-0-3.b"), data));
    let own = subnet(B);
    let response = ask(FORWARDER, Some(&own));
    assert_eq!(rcode(&response), 0);
    let mut echoed = own.clone();
    echoed[3] = 32;
    assert_eq!(response.last_chunk::<8>().unwrap()[..], echoed[..], "the scope is the source");
    assert_eq!(rcode(&ask(FORWARDER, Some(&subnet(A)))), NXDOMAIN);
    assert_eq!(rcode(&ask(FORWARDER, Some(&subnet(ADMIN)))), 0, "visible-to is for the client");
    assert_eq!(rcode(&ask(FORWARDER, Some(&[0, 1, 24, 0, 127, 0, 0]))), NXDOMAIN);
    assert_eq!(rcode(&ask(FORWARDER, None)), NXDOMAIN);
    assert_eq!(rcode(&ask(FORWARDER, Some(&[0, 1, 33, 0, 127, 0, 0, 3]))), 1, "FORMERR");
    for spoofed in [&own[..], &subnet(ADMIN), &[0, 1, 33, 0], &[]] {
        assert_eq!(ask(A, Some(spoofed)), ask(A, None), "{spoofed:?}");
        assert_eq!(rcode(&ask(A, Some(spoofed))), NXDOMAIN, "{spoofed:?}");
        assert_eq!(rcode(&ask(B, Some(spoofed))), 0, "{spoofed:?}");
    }
}

#[test]
fn hidden_names_spend_nxdomain_budget() {
    let limit = ["--listen=127.0.0.1:0", "--nxdomain-limit=1", "--rate-limit-exempt=none"];
    let (_folder, daemon) = hiding(&limit);
    let response = |client: Ipv4Addr, name: &str| {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(daemon.address()).unwrap();
        exchange(&socket, &forward(name))
    };
    // Clients in separate networks, each with its own budget.
    let [hidden, absent] = [Ipv4Addr::new(127, 1, 0, 1), Ipv4Addr::new(127, 2, 0, 1)];
    until("hidden names spend the budget", || rcode(&response(hidden, "127-0-0-3.b")) == REFUSED);
    until("absent names spend the budget", || rcode(&response(absent, "127-0-0-3.c")) == REFUSED);
    // Range of the first two labels in the message, including their length octets.
    let name = 12..12 + "_127-0-0-3_b".len();
    let without_name = |response: &[u8]| [&response[..name.start], &response[name.end..]].concat();
    for client in [hidden, absent] {
        // The budget is partly refilled meanwhile.
        until("both are refused with the same bytes", || {
            let [hidden, absent] = ["127-0-0-3.b", "127-0-0-3.c"].map(|name| response(client, name));
            rcode(&hidden) == REFUSED && without_name(&hidden) == without_name(&absent)
        });
    }
}

#[test]
fn both_addresses_of_pods_are_clients() {
    let (_folder, daemon) = hiding(&["--listen=[::1]:0"]);
    let server: SocketAddr = daemon.address();
    let socket = connect(server);
    assert_eq!(rcode(&exchange(&socket, &forward("127-0-0-2.a"))), 0);
    assert_eq!(rcode(&exchange(&socket, &forward("127-0-0-3.b"))), NXDOMAIN);
    let mut stream = Stream::connect(server);
    assert_eq!(rcode(&stream.exchange(&forward("127-0-0-2.a"))), 0);
    assert_eq!(rcode(&stream.exchange(&forward("127-0-0-3.b"))), NXDOMAIN);
}

#[test]
fn operators_see_what_is_hidden() {
    let (_folder, daemon) = hiding(&["--listen=127.0.0.1:0"]);
    daemon.wait_for_log("a cache defeats visibility namespace");
    let hidden = "poddns_decisions_total{reason=\"not-visible\"}";
    ask_from(A, &daemon, &forward("127-0-0-3.b"));
    assert_eq!(daemon.metric(hidden), 2);
    ask_from(A, &daemon, &forward("127-0-0-3.absent"));
    assert_eq!(daemon.metric(hidden), 4, "metrics do not tell them apart either");
    let visibility = &daemon.status()["visibility"];
    let expected = json!({ "clients": "namespace", "visible_to": ["127.0.0.4"], "trust_ecs": ["127.0.0.5"] });
    assert_eq!(*visibility, expected);
    let parts = [
        "not-visible",
        "Reverse zones of",
        "127.0.0.0/24",
        "pods of the namespace, and",
        "127.0.0.4",
        "127.0.0.5",
    ];
    until("the page shows it", || {
        let (_, page) = daemon.get("/");
        parts.iter().all(|part| page.contains(part))
    });
    let explain = |client: Option<IpAddr>| -> Value {
        let client = client.map_or_else(String::new, |client| format!("&client={client}"));
        let (_, body) = daemon.get(&format!("/explain?name=127-0-0-3.b.pod.cluster.local{client}"));
        serde_json::from_str(&body).unwrap()
    };
    assert_eq!(explain(Some(A.into()))["reason"], "not-visible");
    assert_eq!(explain(Some(B.into()))["reason"], "pod-has-address");
    assert_eq!(explain(None)["reason"], "pod-has-address");
    assert_eq!(daemon.get("/explain?name=a&client=x").0, 400);
}

#[test]
fn reverse_zones_are_served_and_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let pods: [(_, _, &[&str]); 1] = [("a", "one", &["10.42.2.46", "fd00:10:42::2e"])];
    let file = pods_file(&folder, &pods);
    let config = folder.path().join("poddns.toml");
    let configure = |more: &str| {
        fs::write(&config, format!("pods-file = {file:?}\nrate-limit = \"off\"\n{more}")).unwrap();
    };
    configure("reverse-zone = [\"10.42.0.0/15\", \"fd00:10:42::/48\"]\n");
    let daemon = start(&["--listen=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    until("ready", || daemon.get("/readyz").0 == 200);
    let ask = |name: &str| {
        let mut query = query(7, name);
        let end = query.len();
        query[end - 3] = 12;
        ask_from(Ipv4Addr::LOCALHOST, &daemon, &query)
    };
    let v6 = format!("e.2.{}2.4.0.0.0.1.0.0.0.0.d.f.ip6.arpa", "0.".repeat(18));
    for (name, expected) in [
        ("46.2.42.10.in-addr.arpa", "10-42-2-46.a.pod.cluster.local."),
        (v6.as_str(), "fd00-10-42--2e.a.pod.cluster.local."),
    ] {
        let message = Message::from_vec(&ask(name)).unwrap();
        let [record] = &message.answers[..] else { panic!("{message:?}") };
        let RData::PTR(to) = &record.data else { panic!("{record:?}") };
        assert_eq!(to.to_string(), expected);
    }
    assert_eq!(rcode(&ask("47.2.43.10.in-addr.arpa")), NXDOMAIN);
    assert_eq!(rcode(&ask("47.2.44.10.in-addr.arpa")), 5, "REFUSED: of another zone");
    assert_eq!(daemon.status()["reverse_zones"], json!(["10.42.0.0/15", "fd00:10:42::/48"]));
    assert_eq!(daemon.metric("poddns_decisions_total{reason=\"pod-of-address\"}"), 4);
    configure("pod-names = true\nreverse-zone = [\"10.42.2.0/24\"]\n");
    daemon.signal("HUP");
    until("the name is the pod's", || {
        let message = Message::from_vec(&ask("46.2.42.10.in-addr.arpa")).unwrap();
        message.answers.first().is_some_and(|record| record.data.to_string() == "one.a.pod.cluster.local.")
    });
    assert_eq!(rcode(&ask("47.2.43.10.in-addr.arpa")), 5);
}
