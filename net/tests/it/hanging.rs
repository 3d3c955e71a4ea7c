//! Starts and reloads that hang: the daemon answers meanwhile, and ends on SIGTERM.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{POD, command, insecure, start};
use poddns_test_support::api_server::kubeconfig;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{SERVFAIL, assert_answers, lookup};
use poddns_test_support::wait::{PATIENCE, until};
use tempfile::TempDir;

const HERE: IpAddr = IpAddr::V4(POD);

/// A directory with files and programs that hang.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a kubeconfig with a credential plugin that never returns; returns its path and that of a file that the
    /// plugin creates when it starts.
    fn hanging_plugin(&self) -> (PathBuf, PathBuf) {
        let begun = self.path("begun");
        let program =
            self.write("plugin", &format!("#!/bin/sh\ntouch {}\nexec sleep 1000\n", begun.display()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let exec = serde_json::json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never",
        } });
        (self.write("kubeconfig", &kubeconfig("https://127.0.0.1:1", &exec)), begun)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// Asserts that the daemon answers, but has no pods yet.
fn assert_not_ready(daemon: &Daemon) {
    let answer = lookup(daemon, "default", HERE);
    assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, Some(14)));
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.get("/readyz").0, 503);
}

fn assert_sigterm_ends(mut daemon: Daemon) {
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}

/// Waits until the daemon has a thread of this name.
pub(crate) fn wait_for_thread(daemon: &Daemon, name: &str) {
    let comm = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    until(&format!("a thread {name}"), || {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        tasks.map(Result::unwrap).any(|task| comm(task).trim_end() == name)
    });
}

/// Starts the daemon in mode insecure with a config file, and returns both.
fn reloadable(folder: &Folder, to: Option<&UnixDatagram>) -> (Daemon, PathBuf) {
    let config = folder.write("poddns.toml", "pods = \"insecure\"\n");
    let mut command = command();
    if to.is_some() {
        command.env("NOTIFY_SOCKET", folder.path("notify")).env("WATCHDOG_USEC", "400000");
    }
    let daemon =
        Daemon::launch(command, &["--listen=127.0.0.1:0", "--landlock=off", &flag("config", &config)]);
    assert_answers(daemon.address());
    (daemon, config)
}

#[test]
fn hanging_plugin_at_start_blocks_nothing() {
    let folder = Folder::new();
    let (kubeconfig, begun) = folder.hanging_plugin();
    let daemon = start(&["--listen=127.0.0.1:0", &flag("kubeconfig", &kubeconfig)]);
    until("the plugin runs", || begun.exists());
    assert_not_ready(&daemon);
    assert_sigterm_ends(daemon);
}

#[test]
fn hanging_plugin_at_reload_blocks_nothing() {
    let folder = Folder::new();
    let (daemon, config) = reloadable(&folder, None);
    let (kubeconfig, begun) = folder.hanging_plugin();
    fs::write(&config, format!("kubeconfig = {kubeconfig:?}\n")).unwrap();
    daemon.signal("HUP");
    until("the plugin runs", || begun.exists());
    assert_answers(daemon.address());
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_sigterm_ends(daemon);
}

#[test]
fn pods_file_without_writer_blocks_nothing() {
    let folder = Folder::new();
    let pipe = folder.fifo("pods.json");
    let daemon = start(&["--listen=127.0.0.1:0", &flag("pods-file", &pipe)]);
    assert_not_ready(&daemon);
    assert_sigterm_ends(daemon);
}

#[test]
fn hanging_config_file_at_reload_blocks_nothing() {
    let folder = Folder::new();
    let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (daemon, config) = reloadable(&folder, Some(&socket));
    fs::remove_file(&config).unwrap();
    folder.fifo("poddns.toml");
    daemon.signal("HUP");
    wait_for_thread(&daemon, "poddns-config");
    assert_answers(daemon.address());
    // The watchdog is pinged meanwhile.
    let mut messages = std::iter::repeat_with(|| {
        let mut message = [0; 4096];
        let len = socket.recv(&mut message).expect("a message");
        message[..len].to_vec()
    });
    assert!(messages.any(|message| message.starts_with(b"RELOADING=1")));
    assert_eq!(messages.by_ref().filter(|message| message == b"WATCHDOG=1\n").take(3).count(), 3);
    assert_sigterm_ends(daemon);
}

#[test]
fn silent_api_server_blocks_nothing() {
    let folder = Folder::new();
    // The kernel establishes connections, which are never accepted.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let kubeconfig = folder.write("kubeconfig", &kubeconfig(&url, &serde_json::json!({})));
    let daemon = start(&["--listen=127.0.0.1:0", &flag("kubeconfig", &kubeconfig)]);
    assert_not_ready(&daemon);
    assert_sigterm_ends(daemon);
}

#[test]
fn reload_during_a_hanging_one_follows() {
    let folder = Folder::new();
    let (daemon, config) = reloadable(&folder, None);
    fs::remove_file(&config).unwrap();
    let pipe = folder.fifo("poddns.toml");
    daemon.signal("HUP");
    wait_for_thread(&daemon, "poddns-config");
    // Requested while the first reload is in progress, so it follows; writing to the pipe ends the first.
    daemon.signal("HUP");
    fs::write(&pipe, "pods = \"insecure\"\nttl = 1\n").unwrap();
    let reloads = || daemon.metric("poddns_config_reloads_total{result=\"success\"}");
    until("the first is done", || reloads() == 1);
    wait_for_thread(&daemon, "poddns-config");
    fs::write(&pipe, "pods = \"insecure\"\nttl = 2\n").unwrap();
    until("the second is done", || reloads() == 2);
    assert_eq!(daemon.status()["ttl_seconds"], 2);
}

#[test]
fn signals_without_meaning_are_ignored() {
    let daemon = insecure(&[]);
    for signal in ["USR1", "USR2", "XFSZ", "PIPE"] {
        daemon.signal(signal);
    }
    assert_answers(daemon.address());
    assert_sigterm_ends(daemon);
}

#[test]
fn fifo_as_key_file_is_refused() {
    let folder = Folder::new();
    let (daemon, config) = reloadable(&folder, None);
    let (pods, pipe) = (folder.write("pods.json", r#"{"kind": "List", "items": []}"#), folder.fifo("key"));
    let secondary = "transfer-to = [\"127.0.0.1:9\"]";
    fs::write(&config, format!("pods-file = {pods:?}\n{secondary}\ntransfer-key = {pipe:?}\n")).unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("is not a regular file");
    daemon.wait_for_log("the old configuration stays in effect");
    assert_answers(daemon.address());
    assert_sigterm_ends(daemon);
}

#[test]
fn fifo_as_pods_file_is_refused() {
    let folder = Folder::new();
    let (daemon, config) = reloadable(&folder, None);
    let pipe = folder.fifo("pods.json");
    fs::write(&config, format!("pods-file = {pipe:?}\n")).unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("it is a pipe, which can be read only once, when the program starts");
    daemon.wait_for_log("the old configuration stays in effect");
    assert_answers(daemon.address());
    assert_eq!(daemon.metric("poddns_config_reloads_total{result=\"failure\"}"), 1);
    assert_sigterm_ends(daemon);
}
