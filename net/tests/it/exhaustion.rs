//! Exhaustion of descriptors, and of the disk or the pipe of the log. The daemon continues to answer.
//!
//! Requires `prlimit` and `unshare` (util-linux), `ip` (iproute2) and /dev/full; fails without them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};

use crate::support::command;
use poddns_test_support::daemon::{Daemon, without_settings};
use poddns_test_support::dns::{Stream, assert_answers, id, name, query};
use poddns_test_support::netns::in_namespace;
use poddns_test_support::wait::{PATIENCE, until};

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

/// Limit of the daemon's descriptors. Half of those that its sockets and threads do not use may be TCP connections.
const FILES: usize = 64;

fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// Starts the daemon with at most [`FILES`] descriptors.
fn limited(arguments: &[&str]) -> Daemon {
    let mut command = without_settings(Command::new("prlimit"));
    command.arg(format!("--nofile={FILES}:{FILES}")).arg(env!("CARGO_BIN_EXE_poddnsd-of-tests"));
    let arguments = [&["--pods=insecure", "--listen=127.0.0.1:0", "--threads=1"], arguments].concat();
    Daemon::launch(command, &arguments)
}

#[test]
fn connections_leave_descriptors_for_the_rest() {
    let daemon = limited(&[]);
    daemon.wait_for_log("RLIMIT_NOFILE");
    let before = open_files(&daemon);
    // From many addresses, so that the limit of connections per client is not reached.
    let mut streams: Vec<Stream> = (0..200)
        .map(|host| {
            let mut stream = Stream::connect_from(Ipv4Addr::new(127, 0, 2, host), daemon.address());
            assert_eq!(id(&stream.exchange(&query(1, &name(IP)))), 1);
            stream
        })
        .collect();
    // The admin endpoints, UDP and every new connection are served: idle connections are closed for new ones.
    let open = daemon.metric("poddns_tcp_connections");
    assert!((10..FILES as u64 / 2).contains(&open), "{open} connections");
    assert_eq!(daemon.metric("poddns_tcp_accept_errors_total"), 0);
    assert_answers(daemon.address());
    let mut last = streams.pop().unwrap();
    assert_eq!(id(&last.exchange(&query(2, &name(IP)))), 2);
    drop((streams, last));
    until("all are closed", || daemon.metric("poddns_tcp_connections") == 0);
    until("all descriptors are free again", || open_files(&daemon) <= before);
}

/// With any number of threads, the daemon serves as many connections as it has logged, and has descriptors left.
#[test]
fn threads_leave_the_logged_descriptors() {
    const LIMIT: u64 = 2048;
    const CLIENTS: u16 = 2000;
    // This process needs a descriptor for each connection, too.
    let raised =
        Command::new("prlimit").args(["--nofile=4096:", "--pid", &std::process::id().to_string()]).status();
    assert!(raised.expect("prlimit of util-linux").success(), "the hard limit of open files allows 4,096");
    for threads in [2, 64, 150] {
        let mut command = without_settings(Command::new("prlimit"));
        command.arg(format!("--nofile={LIMIT}:{LIMIT}")).arg(env!("CARGO_BIN_EXE_poddnsd-of-tests"));
        let threads = format!("--threads={threads}");
        let daemon = Daemon::launch(
            command,
            &["--pods=insecure", "--listen=127.0.0.1:0", "--tcp-idle-timeout=1h", &threads],
        );
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("RLIMIT_NOFILE")).expect("a warning");
        let promised =
            serde_json::from_str::<serde_json::Value>(line).unwrap()["connections"].as_u64().unwrap();
        let clients: Vec<Stream> = (0..CLIENTS)
            .map(|number| {
                let [.., client] = (number / 100).to_be_bytes();
                Stream::connect_from(Ipv4Addr::new(127, 0, 3, client), daemon.address())
            })
            .collect();
        assert_eq!(daemon.get("/healthz").0, 200, "{threads}");
        assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(1, &name(IP)))), 1, "{threads}");
        let open = daemon.metric("poddns_tcp_connections");
        assert!(open + 1 >= promised.min(CLIENTS.into()), "{threads}: {open} of {promised}");
        assert_eq!(daemon.metric("poddns_tcp_accept_errors_total"), 0, "{threads}");
        let reserve = LIMIT - open_files(&daemon) as u64;
        println!("{threads}: {open} connections, {reserve} descriptors left");
        assert!(reserve >= 64, "{threads}: {reserve} descriptors left");
        drop(clients);
    }
}

#[test]
fn descriptor_exhaustion_spares_udp_and_tcp_recovers() {
    let daemon = limited(&["--tcp-idle-timeout=1h"]);
    let prlimit = |files: usize| {
        let done = Command::new("prlimit")
            .args([&format!("--nofile={files}:{FILES}"), "--pid", &daemon.pid().to_string()])
            .status();
        assert!(done.expect("prlimit of util-linux").success());
    };
    // Equal to the number of open descriptors, so that no further connection can be accepted, for DNS or HTTP.
    let before = open_files(&daemon);
    prlimit(before);
    let mut waiting: Vec<Stream> = (0..50).map(|_| Stream::connect(daemon.address())).collect();
    for (number, stream) in (0..).zip(&mut waiting) {
        assert_answers(daemon.address());
        stream.send(&query(number, &name(IP)));
    }
    daemon.wait_for_log("a TCP connection could not be accepted");
    let switches = voluntary_switches(&daemon);
    for _ in 0..1000 {
        assert_answers(daemon.address());
    }
    // The thread sleeps after each failed attempt, so that it does not use all of a core, and the log has one line
    // about it.
    until("there are pauses", || voluntary_switches(&daemon) > switches + 3);
    assert_eq!(daemon.log().matches("a TCP connection could not be accepted").count(), 1);
    prlimit(FILES);
    // All are answered, although only half of the descriptors are available to connections at a time.
    for (number, stream) in (0..).zip(&mut waiting) {
        assert_eq!(id(&stream.receive()), number);
    }
    assert_eq!(daemon.get("/healthz").0, 200);
    let failures = daemon.metric("poddns_tcp_accept_errors_total");
    assert!(failures > 0);
}

/// Returns the number of voluntary context switches of the TCP thread, by which it sleeps.
fn voluntary_switches(daemon: &Daemon) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let is_tcp =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap() == "poddns-tcp\n";
    let task = tasks.map(Result::unwrap).find(is_tcp).expect("a thread for TCP");
    let status = fs::read_to_string(task.path().join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn full_disk_of_log_does_no_harm() {
    // The log reports the port, and is not readable here, so the port is fixed, in a network namespace of the test's
    // own.
    in_namespace("exhaustion::full_disk_of_log_does_no_harm", &["link set lo up"], log_on_a_full_disk);
}

fn log_on_a_full_disk() {
    // Every write to /dev/full fails with ENOSPC, as on a full disk.
    serves_with_log(OpenOptions::new().write(true).open("/dev/full").unwrap().into());
}

#[test]
fn full_pipe_of_log_does_no_harm() {
    let this = "exhaustion::full_pipe_of_log_does_no_harm";
    in_namespace(this, &["link set lo up"], log_on_a_full_pipe);
}

fn log_on_a_full_pipe() {
    let (unread, pipe) = io::pipe().unwrap();
    // Opened again, so that only this descriptor is non-blocking, and not the daemon's.
    let again = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut filler = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(again).unwrap();
    // Single bytes, since a larger write could fail while a page still has room for a line.
    let full = loop {
        if let Err(error) = filler.write_all(b"\n") {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    serves_with_log(pipe.into());
    drop(unread);
}

/// A daemon without a readable log; killed when dropped.
struct Mute(Child);

impl Drop for Mute {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts that the daemon serves and ends in order with this standard error, to which nothing can be written.
fn serves_with_log(stderr: Stdio) {
    let server = SocketAddr::from(([127, 0, 0, 1], 53));
    let daemon = command()
        .args(["--pods=insecure", &format!("--listen={server}"), "--admin=off", "--lame-duck=0s"])
        // The maximum number of lines.
        .env("RUST_LOG", "trace")
        .stderr(stderr)
        .spawn();
    let mut daemon = Mute(daemon.unwrap());
    // The socket is connected, so until the daemon serves, it fails with ECONNREFUSED.
    until("it answers", || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(&query(1, &name(IP))).is_ok() && socket.recv(&mut [0; 512]).is_ok()
    });
    for number in 0..100 {
        assert_answers(server);
        assert_eq!(id(&Stream::connect(server).exchange(&query(number, &name(IP)))), number);
    }
    let pid = daemon.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    for _ in 0..100 {
        assert_answers(server);
    }
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let mut ended = None;
    until("it ends", || {
        ended = daemon.0.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0), "in order");
}
