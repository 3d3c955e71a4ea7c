//! Sockets passed by systemd, and notifications to it: `sd_listen_fds`(3), `sd_notify`(3).
//!
//! A shell in place of systemd moves the sockets to the descriptors that systemd uses, and executes the daemon.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::command;
use poddns_test_support::daemon::{Daemon, without_settings};
use poddns_test_support::dns::{Stream, assert_answers, bind_both, connect, exchange, id, query, receive};
use poddns_test_support::wait::{PATIENCE, until};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// Script that executes the daemon with its standard input and output as descriptors 3 and 4.
const PASS: &str = "exec 3<&0 4<&1 </dev/null >&2; export LISTEN_PID=$$; exec \"$@\"";

/// Returns the command of a daemon with these descriptors passed: both, or the first if `count` is 1.
pub fn passed(first: impl Into<OwnedFd>, second: impl Into<OwnedFd>, count: u8) -> Command {
    let mut shell = without_settings(Command::new("sh"));
    shell
        .args(["-c", PASS, "sh", env!("CARGO_BIN_EXE_poddnsd-of-tests")])
        .env("LISTEN_FDS", count.to_string());
    shell.stdin(Stdio::from(first.into())).stdout(Stdio::from(second.into()));
    shell
}

/// Returns the message of a daemon that does not start.
fn refused(mut command: Command, arguments: &[&str]) -> String {
    let output =
        command.args(["--pods=insecure", "--admin=off"]).args(arguments).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(64));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn passed_sockets_survive_the_process() {
    let (udp, tcp) = bind_both();
    let address = udp.local_addr().unwrap();
    for round in 0..2 {
        let command = passed(udp.try_clone().unwrap(), tcp.try_clone().unwrap(), 2);
        // A query that arrives while no daemon runs waits in the socket, which stays open.
        let early = connect(address);
        early.send(&query(99, "example.com")).unwrap();
        let mut daemon = Daemon::launch(command, &["--pods=insecure", "--threads=2"]);
        assert_eq!(id(&receive(&early)), 99, "round {round}");
        assert_eq!(daemon.dns, [address]);
        assert_answers(address);
        assert_eq!(id(&Stream::connect(address).exchange(&query(3, "example.com"))), 3);
        assert_eq!(daemon.status()["listen"][0]["address"], address.to_string());
        // A reload keeps the sockets.
        daemon.signal("HUP");
        until("reloaded", || daemon.metric("poddns_config_reloads_total{result=\"success\"}") == 1);
        assert_answers(address);
        daemon.signal("TERM");
        assert_eq!(daemon.wait().code(), Some(0));
    }
}

#[test]
fn udp_sockets_alone_are_half_an_address() {
    let socket = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket
    };
    let first = socket();
    first.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = first.local_addr().unwrap();
    let second = socket();
    second.bind(&address).unwrap();
    let told = refused(passed(first, second, 2), &["--threads=2"]);
    assert!(
        told.contains("over UDP only, but DNS takes both UDP and TCP: add ListenStream=127.0.0.1:"),
        "{told}"
    );
}

#[test]
fn half_an_address_is_refused() {
    let (udp, tcp) = bind_both();
    let address = udp.local_addr().unwrap();
    let told = refused(passed(udp, tcp.try_clone().unwrap(), 1), &[]);
    assert!(told.contains(&format!("add ListenStream={address} to the .socket unit")), "{told}");
    let told = refused(passed(tcp, UdpSocket::bind("127.0.0.1:0").unwrap(), 1), &[]);
    assert!(told.contains(&format!("add ListenDatagram={address} to the .socket unit")), "{told}");
}

#[test]
fn what_is_no_bound_socket_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let told = refused(passed(file, UdpSocket::bind("127.0.0.1:0").unwrap(), 2), &[]);
    assert!(told.contains("descriptor 3, passed by systemd, is neither"), "{told}");
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let told = refused(passed(UdpSocket::bind("127.0.0.1:0").unwrap(), deaf, 2), &[]);
    assert!(told.contains("descriptor 4, passed by systemd, is neither"), "{told}");
}

#[test]
fn passed_sockets_and_listen_exclude_each_other() {
    let (udp, tcp) = bind_both();
    let told = refused(passed(udp, tcp, 2), &["--listen=127.0.0.1:0"]);
    assert!(
        told.contains("--listen \"127.0.0.1:0\": cannot be combined with the sockets that systemd"),
        "{told}"
    );
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let mut command = command();
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "2");
    let daemon = Daemon::launch(command, &["--pods=insecure", "--listen=127.0.0.1:0"]);
    assert_answers(daemon.address());
}

/// The service manager's end of `NOTIFY_SOCKET`.
struct Manager {
    _folder: TempDir,
    path: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { _folder: folder, path, socket }
    }

    fn start(&self, arguments: &[&str]) -> Daemon {
        let mut command = command();
        command.env("NOTIFY_SOCKET", &self.path);
        Daemon::launch(command, arguments)
    }

    /// Returns the lines of the next message.
    fn next(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let len = self.socket.recv(&mut message).expect("a message");
        let lines = std::str::from_utf8(&message[..len]).unwrap();
        lines.lines().map(str::to_owned).collect()
    }

    /// Waits for a message for which `like` returns true, and returns it.
    fn wait_for(&self, what: &str, like: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        until(what, || {
            seen = self.next();
            like(&seen)
        });
        seen
    }
}

const INSECURE: [&str; 2] = ["--pods=insecure", "--listen=127.0.0.1:0"];

#[test]
fn manager_is_notified_of_start_reload_exit() {
    let manager = Manager::new();
    let strict = ["--seccomp=on", "--lame-duck=1s", "--tcp-idle-timeout=2s"];
    let mut daemon = manager.start(&[&INSECURE[..], &strict].concat());
    assert_eq!(manager.next(), ["READY=1"]);
    assert_answers(daemon.address());
    manager.wait_for("the status", |lines| *lines == ["STATUS=ready"]);
    daemon.signal("HUP");
    let reloading = manager.wait_for("the reload", |lines| lines[0] == "RELOADING=1");
    let time: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: u64 = uptime.split('.').next().unwrap().parse().unwrap();
    assert!(time > 0 && time / 1_000_000 <= uptime + 1, "{time} {uptime}");
    manager.wait_for("the end of the reload", |lines| *lines == ["READY=1"]);
    daemon.signal("TERM");
    let stopping = manager.wait_for("the end", |lines| lines[0] == "STOPPING=1");
    // The sum of lame-duck time, idle time-out and 15 seconds.
    assert_eq!(stopping[1..], ["EXTEND_TIMEOUT_USEC=18000000", "STATUS=ending"]);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_failed_reload_ends_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("poddns.toml");
    fs::write(&config, "ttl = 5\n").unwrap();
    let manager = Manager::new();
    let daemon = manager.start(&[&INSECURE[..], &["--config", config.to_str().unwrap()]].concat());
    fs::write(&config, "ttl = \"soon\"\n").unwrap();
    daemon.signal("HUP");
    manager.wait_for("the reload", |lines| lines[0] == "RELOADING=1");
    manager.wait_for("the end of the reload", |lines| *lines == ["READY=1"]);
    assert_answers(daemon.address());
}

#[test]
fn status_names_pending_reason() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    // A port that was free a moment ago, and so refuses connections.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: \
         'http://{nobody}'}}}}], users: [{{name: c, user: {{}}}}], contexts: [{{name: c, context: {{cluster: c, \
         user: c}}}}]}}"
    );
    fs::write(&kubeconfig, text).unwrap();
    let manager = Manager::new();
    let _daemon = manager.start(&["--listen=127.0.0.1:0", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    assert_eq!(manager.next(), ["READY=1"], "an unreachable cluster does not keep the daemon from starting");
    let status = manager.wait_for("the status", |lines| lines[0].contains("cannot reach the API server"));
    assert!(status[0].starts_with("STATUS=not ready: "), "{status:?}");
}

#[test]
fn watchdog_is_pinged_in_time() {
    let manager = Manager::new();
    let mut command = command();
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "400000");
    let daemon = Daemon::launch(command, &INSECURE);
    for _ in 0..3 {
        manager.wait_for("a sign of life", |lines| *lines == ["WATCHDOG=1"]);
    }
    assert_eq!(id(&exchange(&connect(daemon.address()), &query(7, "example.com"))), 7);
}
