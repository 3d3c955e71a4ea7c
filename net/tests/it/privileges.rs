//! Dropped privileges of the running daemon, as procfs shows them.
//!
//! These tests require root, `setpriv`, `unshare` and `mount` (util-linux), `ip` (iproute2), and a kernel with Landlock
//! and seccomp; they fail without.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::hanging::wait_for_thread;
use crate::support::{command, insecure, start};
use poddns_test_support::daemon::{Daemon, without_settings};
use poddns_test_support::dns::{Stream, ask, assert_answers, id, name, query, rcode};
use poddns_test_support::wait::until;
use tempfile::TempDir;

/// User id of `nobody`.
const NOBODY: &str = "65534";

/// Returns the contents of `/proc/PID/task/TID/status` of every thread. A thread that ends meanwhile has none.
fn threads(daemon: &Daemon) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let threads: Vec<String> =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok()).collect();
    assert!(threads.len() >= 5, "main, log, UDP, TCP and control: {threads:?}");
    assert!(threads.iter().any(|thread| thread.starts_with("Name:\tpoddns-log\n")), "{threads:?}");
    threads
}

/// Asserts that a line is in the status of every thread, once the threads of the start have ended.
fn assert_everywhere(daemon: &Daemon, name: &str, value: &str) {
    until(&format!("{name} is {value:?} in every thread"), || {
        threads(daemon).iter().all(|thread| {
            let line = thread.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            line.map(str::trim_end) == Some(value)
        })
    });
}

fn assert_no_capabilities(daemon: &Daemon) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_everywhere(daemon, set, "0000000000000000");
    }
    assert_everywhere(daemon, "NoNewPrivs", "1");
}

fn assert_root() {
    let root = fs::metadata("/proc/self").unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&root), 0, "this test takes root");
}

/// Returns a folder that all users can read.
fn public_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Copies the daemon to a place where all users can run it.
fn public_daemon(folder: &TempDir) -> PathBuf {
    let program = folder.path().join("poddnsd");
    fs::copy(env!("CARGO_BIN_EXE_poddnsd-of-tests"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn pods(ip: Ipv4Addr) -> String {
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "pod", "namespace": "default", "uid": "uid" },
        "spec": {}, "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
    });
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": [pod] }).to_string()
}

/// Writes to another file and renames it, like an editor, or `kubectl` in a mounted volume.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

fn failed(arguments: &[&str]) -> Output {
    let output =
        command().args(["--pods=insecure", "--listen=127.0.0.1:0", "--admin=off"]).args(arguments).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    output
}

#[test]
fn capabilities_go_even_of_root() {
    assert_root();
    let daemon = insecure(&[]);
    assert_no_capabilities(&daemon);
    assert_everywhere(&daemon, "Uid", "0\t0\t0\t0");
    assert_everywhere(&daemon, "Seccomp", "0");
    assert_answers(daemon.address());
    assert!(daemon.log().contains("running as root, without its capabilities"));
    assert!(daemon.metric("process_open_fds") > 5, "/proc is within reach");
}

#[test]
fn root_becomes_the_user_that_is_named() {
    assert_root();
    let daemon = insecure(&["--user=65534:65533"]);
    assert_everywhere(&daemon, "Uid", "65534\t65534\t65534\t65534");
    assert_everywhere(&daemon, "Gid", "65533\t65533\t65533\t65533");
    assert_everywhere(&daemon, "Groups", "");
    assert_no_capabilities(&daemon);
    assert_answers(daemon.address());
    // Its files in /proc belong to root now, but it can read them.
    assert!(daemon.metric("process_open_fds") > 5);
}

#[test]
fn a_user_that_cannot_be_is_refused() {
    assert_root();
    let output = failed(&["--user=no-such-user-here"]);
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no such user on this system"), "{told}");

    let folder = public_folder();
    let program = public_daemon(&folder);
    let mut unprivileged = without_settings(Command::new("setpriv"));
    unprivileged.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).arg(program);
    let output =
        unprivileged.args(["--pods=insecure", "--listen=127.0.0.1:0", "--admin=off", "--user=0"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("only root can become another user, and this process is started as user 65534"),
        "{told}"
    );
}

/// Environment variable in the namespaces: the path of the folder of the daemon.
const INSIDE: &str = "TEST_IS_INSIDE";

/// Runs the daemon as in the most restricted container: user `nobody`, one capability, and a read-only root file
/// system.
#[test]
fn unprivileged_user_with_capability_serves_port_53() {
    assert_root();
    let Some(folder) = std::env::var_os(INSIDE) else {
        let this = std::env::current_exe().unwrap();
        let test = "privileges::unprivileged_user_with_capability_serves_port_53";
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "--"]).arg(this).args(["--exact", test, "--nocapture"]);
        // Created outside the namespaces, where it can be removed.
        let folder = public_folder();
        public_daemon(&folder);
        let inside = unshare.env(INSIDE, folder.path()).output().expect("unshare of util-linux");
        let told = [inside.stdout, inside.stderr].concat();
        assert!(inside.status.success(), "{}", String::from_utf8_lossy(&told));
        return;
    };
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
    };
    run("ip", &["link", "set", "lo", "up"]);
    let folder = Path::new(&folder);
    let (program, file) = (folder.join("poddnsd"), folder.join("pods.json"));
    fs::write(&file, pods(Ipv4Addr::new(10, 42, 2, 46))).unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for mount in
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|mount| !mount.starts_with("/proc/"))
    {
        // Fails for mounts that another one covers, which are not reachable and need not be read-only.
        let _ = Command::new("mount").args(["-o", "remount,bind,ro", mount]).output();
    }
    for place in [folder, Path::new("/"), Path::new("/tmp"), Path::new("/dev/shm")] {
        assert!(fs::write(place.join("poddns-test"), "").is_err(), "{} can be written", place.display());
    }
    let mut unprivileged = without_settings(Command::new("setpriv"));
    unprivileged.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    unprivileged.args(["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]);
    unprivileged.args(["--bounding-set=-all,+net_bind_service", "--"]).arg(program);
    let file = format!("--pods-file={}", file.display());
    let daemon =
        Daemon::launch(unprivileged, &["--listen=*:53", "--landlock=require", "--seccomp=on", &file]);
    until("ready", || daemon.get("/readyz").0 == 200);
    for server in ["127.0.0.1:53", "[::1]:53"] {
        assert_answers(server.parse().unwrap());
        assert_eq!(id(&Stream::connect(server.parse().unwrap()).exchange(&query(3, "example.com"))), 3);
    }
    assert_everywhere(&daemon, "Uid", "65534\t65534\t65534\t65534");
    // Without CAP_SETPCAP the bounding set stays; it has no effect with `no_new_privs`.
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_everywhere(&daemon, set, "0000000000000000");
    }
    assert_everywhere(&daemon, "NoNewPrivs", "1");
}

/// Starts a daemon, then reloads it with a pods file in another directory, which its user may read and Landlock may
/// forbid.
fn pods_file_elsewhere(landlock: &str) -> (Daemon, TempDir, TempDir) {
    let [near, far] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let config = near.path().join("poddns.toml");
    let (one, two) = (near.path().join("pods.json"), far.path().join("pods.json"));
    fs::write(&one, pods(Ipv4Addr::new(10, 42, 2, 46))).unwrap();
    fs::write(&two, pods(Ipv4Addr::new(10, 42, 2, 47))).unwrap();
    fs::write(&config, format!("pods-file = '{}'\n", one.display())).unwrap();
    let landlock = format!("--landlock={landlock}");
    let daemon = start(&["--listen=127.0.0.1:0", "--config", config.to_str().unwrap(), &landlock]);
    until("ready", || daemon.get("/readyz").0 == 200);
    replace(&config, &format!("pods-file = '{}'\n", two.display()));
    daemon.signal("HUP");
    (daemon, near, far)
}

#[test]
fn landlock_keeps_files_elsewhere_out_of_reach() {
    let (daemon, near, _far) = pods_file_elsewhere("require");
    daemon.wait_for_log("Permission denied");
    daemon.wait_for_log("since its start this process can open only files in these places");
    assert_answers(daemon.address());
    assert_eq!(rcode(&ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 42, 2, 47))))), 3);
    // The files named at the start may be replaced.
    replace(
        &near.path().join("poddns.toml"),
        &format!("ttl = 7\npods-file = {:?}\n", near.path().join("pods.json")),
    );
    daemon.signal("HUP");
    until("reloaded", || daemon.metric("poddns_config_reloads_total{result=\"success\"}") == 1);
    replace(&near.path().join("pods.json"), &pods(Ipv4Addr::new(10, 42, 2, 48)));
    until("the new file is served", || {
        rcode(&ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 42, 2, 48))))) == 0
    });
}

/// The counterpart of the test above, to show that Landlock is the cause.
#[test]
fn without_landlock_they_are_within_reach() {
    let (daemon, _near, _far) = pods_file_elsewhere("off");
    until("the other file is served", || {
        rcode(&ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 42, 2, 47))))) == 0
    });
}

/// Exercises all system calls of the daemon under the filter: both transports, endpoints, reloads that bind and close
/// sockets, files that change, and the end.
#[test]
fn everything_works_under_seccomp() {
    let folder = tempfile::tempdir().unwrap();
    let [config, file, secret] = ["poddns.toml", "pods.json", "secret"].map(|name| folder.path().join(name));
    fs::write(&file, pods(Ipv4Addr::new(10, 42, 2, 46))).unwrap();
    fs::write(&secret, "11".repeat(16)).unwrap();
    let configure = |listen: &str| {
        let text = format!("pods-file = {file:?}\ncookie-secret-file = {secret:?}\nlisten = [{listen}]\n");
        replace(&config, &text);
    };
    configure("\"127.0.0.1:0\"");
    let arguments = ["--seccomp=on", "--landlock=require", "--tcp-idle-timeout=200ms", "--lame-duck=100ms"];
    let mut daemon = start(&[&["--config", config.to_str().unwrap()], &arguments[..]].concat());
    let first = daemon.address();
    until("ready", || daemon.get("/readyz").0 == 200);
    assert_everywhere(&daemon, "Seccomp", "2");
    assert_everywhere(&daemon, "Seccomp_filters", "3");
    assert_no_capabilities(&daemon);
    for path in ["/healthz", "/readyz", "/status", "/metrics"] {
        assert_eq!(daemon.get(path).0, 200, "{path}");
    }
    assert!(daemon.metric("process_resident_memory_bytes") > 0 && daemon.metric("process_open_fds") > 5);
    assert_answers(first);
    let mut stream = Stream::connect(first);
    assert_eq!(id(&stream.exchange(&query(3, "example.com"))), 3);
    stream.assert_closed();

    replace(&file, &pods(Ipv4Addr::new(10, 42, 2, 49)));
    until("the new file is served", || {
        rcode(&ask(first, &query(1, &name(Ipv4Addr::new(10, 42, 2, 49))))) == 0
    });
    fs::write(&secret, "22".repeat(16)).unwrap();
    daemon.wait_for_log("the cookie secrets have changed");

    configure("\"127.0.0.1:0\", \"127.0.0.2:0\", \"[::1]:0\"");
    daemon.signal("HUP");
    until("listening on three addresses", || daemon.status()["listen"].as_array().unwrap().len() == 3);
    for listener in daemon.status()["listen"].as_array().unwrap() {
        let server = listener["address"].as_str().unwrap().parse().unwrap();
        assert_eq!(rcode(&ask(server, &query(1, &name(Ipv4Addr::new(10, 42, 2, 49))))), 0);
        assert_eq!(id(&Stream::connect(server).exchange(&query(4, "example.com"))), 4);
    }
    configure("\"127.0.0.1:0\"");
    daemon.signal("HUP");
    until("listening on one address", || daemon.status()["listen"].as_array().unwrap().len() == 1);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    assert!(!daemon.log().contains("not permitted"), "{}", daemon.log());
}

/// Re-points a link in the path and removes its old target, as git-sync does to publish a version.
#[test]
fn pods_file_behind_repointed_link_is_reread() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let publish = |version: &str, ip: Ipv4Addr| {
        fs::create_dir_all(path(version)).unwrap();
        fs::write(path(version).join("pods.json"), pods(ip)).unwrap();
        std::os::unix::fs::symlink(version, path("new")).unwrap();
        fs::rename(path("new"), path("current")).unwrap();
    };
    publish(".w/a", Ipv4Addr::new(10, 42, 2, 46));
    let file = format!("--pods-file={}", path("current/pods.json").display());
    let daemon = start(&["--listen=127.0.0.1:0", "--landlock=require", &file]);
    until("ready", || daemon.get("/readyz").0 == 200);
    assert_answers(daemon.address());
    publish(".w/b", Ipv4Addr::new(10, 42, 2, 47));
    fs::remove_dir_all(path(".w/a")).unwrap();
    until("the new version is served", || {
        rcode(&ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 42, 2, 47))))) == 0
    });
}

#[test]
fn recreated_directory_in_shared_one_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pods.json");
    fs::write(&file, pods(Ipv4Addr::new(10, 42, 2, 46))).unwrap();
    let option = format!("--pods-file={}", file.display());
    let daemon = start(&["--listen=127.0.0.1:0", "--landlock=require", &option]);
    until("ready", || daemon.get("/readyz").0 == 200);
    fs::remove_dir_all(folder.path()).unwrap();
    fs::create_dir(folder.path()).unwrap();
    fs::write(&file, pods(Ipv4Addr::new(10, 42, 2, 47))).unwrap();
    daemon.wait_for_log("since its start this process can open only files in these places (Landlock)");
    assert_answers(daemon.address());
}

#[test]
fn sigterm_ends_hanging_look_up_of_user() {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("passwd");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut mounted = without_settings(Command::new("unshare"));
    // The C library opens the pipe as /etc/passwd, and waits for a writer.
    let script = "mount --bind \"$1\" /etc/passwd && shift && exec \"$@\"";
    mounted.args(["--mount", "--", "sh", "-c", script, "sh"]).arg(&pipe);
    mounted.arg(env!("CARGO_BIN_EXE_poddnsd-of-tests"));
    let mut daemon = Daemon::spawn(mounted, &["--pods=insecure", "--listen=127.0.0.1:0", "--user=nobody"]);
    wait_for_thread(&daemon, "poddns-user");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
}
