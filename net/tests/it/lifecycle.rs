//! Signals, reloads, and takeovers by another process, all without losing a query.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{insecure, start};
use hickory_proto::op::Message;
use poddns_test_support::dns::{
    Stream, addresses, ask, assert_answers, connect, frame, id, name, query, receive,
};
use poddns_test_support::wait::until;
use tempfile::TempDir;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

fn ttl(server: SocketAddr) -> u32 {
    let response = Message::from_vec(&ask(server, &query(1, &name(IP)))).unwrap();
    response.answers[0].ttl
}

struct Config {
    _directory: TempDir,
    path: PathBuf,
}

impl Config {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Self { path: directory.path().join("poddns.toml"), _directory: directory };
        config.write(text);
        config
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    fn path(&self) -> &str {
        Path::to_str(&self.path).unwrap()
    }
}

/// Clients that send queries without a pause until stopped, and count the answers. They panic if a query is not
/// answered.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<u32>>,
}

impl Load {
    fn on(server: SocketAddr) -> Self {
        Self::of(move |number| {
            // A new socket for each call, so that its port selects any of the server's sockets.
            let socket = connect(server);
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            // 20 queries in flight, so that some would be lost if the server dropped any.
            let mut expected: BTreeSet<u16> = (number * 100..number * 100 + 20).collect();
            for &id in &expected {
                socket.send(&query(id, &name(IP))).unwrap();
            }
            let mut answered = 0;
            while !expected.is_empty() {
                assert!(expected.remove(&id(&receive(&socket))));
                answered += 1;
            }
            answered
        })
    }

    /// Returns clients that send each query over a TCP connection of its own.
    fn over_tcp(server: SocketAddr) -> Self {
        Self::of(move |number| {
            assert_eq!(id(&Stream::connect(server).exchange(&query(number, &name(IP)))), number);
            1
        })
    }

    /// Returns four clients, each of which calls `ask` with its number repeatedly and sums the answers.
    fn of(ask: impl Fn(u16) -> u32 + Copy + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    answered += ask(number);
                }
                answered
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, clients }
    }

    fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().expect("every query is answered")).sum()
    }
}

#[test]
fn shared_listen_address_is_warned_about() {
    let first = insecure(&[]);
    assert!(!first.log().contains("another process is bound"));
    let listen = format!("--listen={}", first.address());
    let second = start(&["--pods=insecure", &listen]);
    second.wait_for_log("another process is bound to this address");
    assert_answers(second.address());
}

#[test]
fn sigterm_drains_before_the_end() {
    let mut daemon = insecure(&["--lame-duck=4s"]);
    daemon.wait_for_log("\"ready\"");
    let mut stream = Stream::connect(daemon.address());
    stream.exchange(&query(1, &name(IP)));
    daemon.signal("TERM");
    until("unready", || daemon.get("/readyz").0 == 503);
    assert_eq!(daemon.get("/readyz").1, "draining: the server is about to end\n");
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.status()["state"], "draining");
    assert_answers(daemon.address());
    assert_eq!(id(&stream.exchange(&query(2, &name(IP)))), 2);
    stream.assert_closed();
    assert_eq!(daemon.wait().code(), Some(0));
    daemon.wait_for_log("\"ended\"");
}

#[test]
fn sigint_ends_too() {
    let mut daemon = insecure(&[]);
    daemon.signal("INT");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut daemon = insecure(&["--lame-duck=1h"]);
    // Not earlier, since a signal during the start ends the daemon at once.
    daemon.wait_for_log("\"ready\"");
    daemon.signal("TERM");
    daemon.wait_for_log("unready from now on");
    // A reload request does not count as the second signal.
    daemon.signal("HUP");
    assert_answers(daemon.address());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(1));
    daemon.wait_for_log("ending at once");
}

#[test]
fn begun_query_is_answered_before_exit() {
    let mut daemon = insecure(&["--tcp-idle-timeout=20s"]);
    let mut busy = Stream::connect(daemon.address());
    let mut idle = Stream::connect(daemon.address());
    idle.exchange(&query(1, &name(IP)));
    let whole = frame(&query(7, &name(IP)));
    let (head, tail) = whole.split_at(10);
    busy.exchange(&query(6, &name(IP)));
    busy.0.write_all(head).unwrap();
    // The server may not have read the beginning of the query yet: it reads once more before it closes a connection.
    daemon.signal("TERM");
    idle.assert_closed();
    busy.0.write_all(tail).unwrap();
    assert_eq!(id(&busy.receive()), 7);
    busy.assert_closed();
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn sighup_rereads_file_below_flags() {
    let config = Config::new("ttl = 11\nadmin = \"127.0.0.1:0\"\n");
    let daemon = insecure(&["--config", config.path()]);
    assert_eq!(ttl(daemon.address()), 11);
    config.write("ttl = 22\nthreads = 7\npods = \"disabled\"\n");
    daemon.signal("HUP");
    until("the new TTL is served", || ttl(daemon.address()) == 22);
    daemon.wait_for_log("the configuration has been read again");
    assert_eq!(daemon.status()["mode"], "insecure");
    assert!(
        daemon.log().contains("\"setting\":\"threads\""),
        "told that it needs a restart: {}",
        daemon.log()
    );
    assert_eq!(daemon.metric("poddns_config_reloads_total{result=\"success\"}"), 1);
}

#[test]
fn an_invalid_file_keeps_the_old_configuration() {
    let config = Config::new("ttl = 11\n");
    let daemon = insecure(&["--config", config.path()]);
    for (number, text) in (1..).zip(["ttl = 22\nunknown = 1\n", "ttl = ", "ttl = 99999\n"]) {
        config.write(text);
        daemon.signal("HUP");
        let failures = || daemon.metric("poddns_config_reloads_total{result=\"failure\"}");
        until("the failure is counted", || failures() >= number);
        assert_eq!(ttl(daemon.address()), 11);
    }
    fs::remove_file(&config.path).unwrap();
    daemon.signal("HUP");
    until("the failure is counted", || daemon.metric("poddns_config_reloads_total{result=\"failure\"}") >= 4);
    assert!(daemon.log().contains("2: unknown key"), "{}", daemon.log());
    assert!(daemon.log().contains("the old one stays in effect"), "{}", daemon.log());
    assert_eq!(ttl(daemon.address()), 11);
    config.write("ttl = 33\n");
    daemon.signal("HUP");
    until("a right one is taken again", || ttl(daemon.address()) == 33);
}

#[test]
fn listener_changes_lose_no_query() {
    let config = Config::new("listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n");
    let daemon = start(&["--pods=insecure", "--threads=2", "--config", config.path()]);
    let [stays, goes] = daemon.dns[..] else { panic!("two addresses") };
    let load = Load::on(stays);
    let listening = || {
        let status = daemon.status();
        let listen = status["listen"].as_array().unwrap().clone();
        listen
            .iter()
            .map(|entry| entry["address"].as_str().unwrap().parse().unwrap())
            .collect::<Vec<SocketAddr>>()
    };
    for round in 0..3 {
        config.write("listen = [\"127.0.0.1:0\", \"127.0.0.3:0\"]\n");
        daemon.signal("HUP");
        until("one has come and one has gone", || {
            listening().iter().any(|address| address.ip() == Ipv4Addr::new(127, 0, 0, 3))
        });
        let new = listening();
        assert_eq!((new.len(), new[0]), (2, stays));
        assert_answers(new[1]);
        assert_eq!(id(&Stream::connect(new[1]).exchange(&query(1, &name(IP)))), 1);
        if round == 0 {
            until("the old one is closed", || {
                UdpSocket::bind(goes).is_ok() && std::net::TcpListener::bind(goes).is_ok()
            });
        }
        config.write("listen = [\"127.0.0.1:0\"]\n");
        daemon.signal("HUP");
        until("it has gone again", || listening() == [stays]);
    }
    assert!(load.stop() > 0);
    // If one address cannot be bound, nothing changes.
    let taken = UdpSocket::bind("127.0.0.4:0").unwrap();
    config.write(&format!("ttl = 60\nlisten = [\"127.0.0.5:0\", \"{}\"]\n", taken.local_addr().unwrap()));
    daemon.signal("HUP");
    daemon.wait_for_log("the old configuration stays in effect");
    assert_eq!(listening(), [stays]);
    assert_eq!(ttl(stays), 5);
}

#[test]
fn reloads_lose_no_query() {
    // A TTL of no round, since otherwise the wait of that round would end before its reload.
    let config = Config::new("ttl = 100\n");
    let daemon = insecure(&["--threads=2", "--config", config.path()]);
    let load = Load::on(daemon.address());
    for round in 1..=20 {
        config.write(&format!("ttl = {round}\n"));
        daemon.signal("HUP");
        until("it is taken", || ttl(daemon.address()) == round);
    }
    assert!(load.stop() > 0);
    // A reload is counted once all threads have the settings; the thread that answered may have been the first.
    until("all are counted", || daemon.metric("poddns_config_reloads_total{result=\"success\"}") == 20);
}

#[test]
fn takeover_loses_no_query() {
    take_over(Load::on);
}

#[test]
fn takeover_loses_no_connection() {
    take_over(Load::over_tcp);
}

fn take_over(load: fn(SocketAddr) -> Load) {
    let mut old = insecure(&["--threads=2"]);
    let server = old.address();
    let load = load(server);
    // Enough rounds that a query would almost certainly be lost if those in flight were not answered.
    for _ in 0..30 {
        let listen = format!("--listen={server}");
        let new = start(&["--pods=insecure", "--threads=2", &listen]);
        assert_eq!(new.address(), server);
        old.signal("TERM");
        assert_eq!(old.wait().code(), Some(0));
        old = new;
    }
    assert!(load.stop() > 0);
    assert_eq!(addresses(&ask(server, &query(1, &name(IP)))), [IP]);
}
