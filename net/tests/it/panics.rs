//! Panics and failures of an embedder's index: they are counted, and the server continues.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use poddns_core::{Label, PodLookup, Unknown};
use poddns_net::{PodsReport, ServedPods, Server, Settings};
use poddns_test_support::dns::{Stream, assert_answers, connect, exchange, id, name, query, rcode};
use poddns_test_support::wait::{PATIENCE, until};

/// Address at which a lookup panics.
const POISON: Ipv4Addr = Ipv4Addr::new(10, 6, 6, 6);
/// Address at which a lookup fails. All other addresses belong to pods.
const UNREADABLE: Ipv4Addr = Ipv4Addr::new(10, 7, 7, 7);

#[derive(Default)]
struct Poisoned {
    /// True to make `report` panic.
    report: AtomicBool,
    /// True to make the next call of `find_address`, by the check of the rate limit, panic.
    find: AtomicBool,
}

impl PodLookup for Poisoned {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Ok(true)
    }

    fn contains(&self, _: &Label, address: IpAddr) -> Result<bool, Unknown> {
        assert_ne!(address, POISON, "injected");
        if address == UNREADABLE { Err(Unknown) } else { Ok(true) }
    }
}

impl ServedPods for Poisoned {
    fn report(&self) -> PodsReport {
        assert!(!self.report.load(Ordering::Relaxed), "injected");
        PodsReport::default()
    }

    fn find_address(&self, _: &mut dyn FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        assert!(!self.find.swap(false, Ordering::Relaxed), "injected");
        None
    }
}

fn start() -> (Server, Arc<Poisoned>) {
    let pods = Arc::new(Poisoned::default());
    let mut settings = Settings::default();
    (settings.listen, settings.threads) = (vec![([127, 0, 0, 1], 0).into()], NonZeroUsize::MIN);
    settings.admin = vec![([127, 0, 0, 1], 0).into()];
    (Server::with_pods(settings, Arc::clone(&pods) as Arc<dyn ServedPods>).unwrap(), pods)
}

fn get(admin: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Returns the line of `/metrics` after this number of panics.
fn panics(task: &str, number: u32) -> String {
    format!("poddns_panics_total{{task=\"{task}\"}} {number}\n")
}

fn assert_panics(admin: SocketAddr, task: &str, number: u32) {
    let metrics = get(admin, "/metrics");
    assert!(metrics.contains(&panics(task, number)), "{metrics}");
}

#[test]
fn udp_continues_after_a_panic() {
    let (server, _pods) = start();
    let (address, admin) = (server.addresses()[0], server.admin().unwrap());
    for number in 1..=3 {
        let socket = connect(address);
        socket.send(&query(7, &name(POISON))).unwrap();
        // The other queries of its batch are lost.
        until("the panic is counted", || get(admin, "/metrics").contains(&panics("udp", number)));
        assert_eq!(id(&exchange(&socket, &query(8, "example.com"))), 8);
        assert_answers(address);
    }
    server.stop();
}

#[test]
fn tcp_continues_after_a_panic() {
    let (server, _pods) = start();
    let (address, admin) = (server.addresses()[0], server.admin().unwrap());
    let mut other = Stream::connect(address);
    assert_eq!(id(&other.exchange(&query(1, &name(Ipv4Addr::new(10, 1, 1, 1))))), 1);
    for number in 1..=3 {
        let mut stream = Stream::connect(address);
        stream.send(&query(7, &name(POISON)));
        stream.assert_closed();
        assert_eq!(id(&other.exchange(&query(2, &name(Ipv4Addr::new(10, 1, 1, 1))))), 2);
        assert_panics(admin, "tcp", number);
    }
    server.stop();
}

#[test]
fn admin_endpoints_continue_after_a_panic() {
    let (server, pods) = start();
    let admin = server.admin().unwrap();
    pods.report.store(true, Ordering::Relaxed);
    for path in ["/readyz", "/status", "/metrics"] {
        let answer = get(admin, path);
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
    }
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200 "));
    pods.report.store(false, Ordering::Relaxed);
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200 "));
    assert_panics(admin, "admin", 3);
    server.stop();
}

#[test]
fn control_tasks_continue_after_a_panic() {
    let (server, pods) = start();
    let admin = server.admin().unwrap();
    pods.find.store(true, Ordering::Relaxed);
    until("the panic is counted", || get(admin, "/metrics").contains(&panics("control", 1)));
    // `find_address` has reset the flag, so the panic was the injected one.
    assert!(!pods.find.load(Ordering::Relaxed));
    assert_answers(server.addresses()[0]);
    assert_eq!(server.pending(), Vec::<String>::new());
    server.stop();
}

#[test]
fn failed_lookups_are_counted_by_transport() {
    const SERVFAIL: u8 = 2;
    let (server, _pods) = start();
    let (address, admin) = (server.addresses()[0], server.admin().unwrap());
    let counted = |udp, tcp| {
        let metrics = get(admin, "/metrics");
        for (transport, number) in [("udp", udp), ("tcp", tcp)] {
            let line = format!("poddns_unknown_lookups_total{{transport=\"{transport}\"}} {number}\n");
            assert!(metrics.contains(&line), "{metrics}");
        }
    };
    counted(0, 0);
    let socket = connect(address);
    for number in 1..=2 {
        assert_eq!(rcode(&exchange(&socket, &query(number, &name(UNREADABLE)))), SERVFAIL);
    }
    assert_answers(address);
    counted(2, 0);
    let mut stream = Stream::connect(address);
    assert_eq!(rcode(&stream.exchange(&query(3, &name(UNREADABLE)))), SERVFAIL);
    counted(2, 1);
    server.stop();
}
