//! Mode verified with pods from a file.

use std::io::Write;
use std::net::Ipv4Addr;

use crate::support::{command, start};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{addresses, ask, name, query, rcode};
use poddns_test_support::wait::until;

const HERE: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 6);

fn list(ips: &[Ipv4Addr]) -> String {
    let pod = |(number, ip): (usize, &Ipv4Addr)| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("pod-{number}"), "namespace": "default", "uid": format!("uid-{number}") },
            "spec": {},
            "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
        })
    };
    let items: Vec<_> = ips.iter().enumerate().map(pod).collect();
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

#[test]
fn only_pods_that_exist_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pods.json");
    std::fs::write(&file, list(&[HERE])).unwrap();
    let daemon = start(&["--listen=127.0.0.1:0", "--pods-file", file.to_str().unwrap()]);
    until("ready", || daemon.get("/readyz").0 == 200);
    let server = daemon.address();
    assert_eq!(addresses(&ask(server, &query(1, &name(HERE)))), [HERE]);
    assert_eq!(rcode(&ask(server, &query(2, &name(ELSEWHERE)))), 3);
    let status = daemon.status();
    assert_eq!(status["index"]["pods"], 1);
    assert_eq!(status["index"]["freshness"]["state"], "fresh");
    assert_eq!(daemon.metric("poddns_index_pods"), 1);
    assert_eq!(daemon.metric("poddns_index_synced"), 1);
    // Written to another file and renamed, as by an editor or in a ConfigMap's volume.
    let beside = directory.path().join("pods.json.new");
    std::fs::write(&beside, list(&[ELSEWHERE])).unwrap();
    std::fs::rename(&beside, &file).unwrap();
    until("the new file is served", || rcode(&ask(server, &query(3, &name(HERE)))) == 3);
    assert_eq!(addresses(&ask(server, &query(4, &name(ELSEWHERE)))), [ELSEWHERE]);
}

#[test]
fn reload_can_change_source_of_pods() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two, config] = ["one.json", "two.json", "poddns.toml"].map(|name| directory.path().join(name));
    std::fs::write(&one, list(&[HERE])).unwrap();
    std::fs::write(&two, list(&[ELSEWHERE])).unwrap();
    let configure = |text: String| std::fs::write(&config, text).unwrap();
    configure(format!("pods-file = {one:?}\n"));
    let daemon = start(&["--listen=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    until("ready", || daemon.get("/readyz").0 == 200);
    let server = daemon.address();
    let answered = |ip| rcode(&ask(server, &query(1, &name(ip)))) == 0;
    assert!(answered(HERE) && !answered(ELSEWHERE));
    configure(format!("pods-file = {two:?}\n"));
    daemon.signal("HUP");
    until("the other file is served", || answered(ELSEWHERE) && !answered(HERE));
    // If the file is missing, the old one is still served.
    configure("pods-file = \"/nonexistent/pods.json\"\n".to_owned());
    daemon.signal("HUP");
    daemon.wait_for_log("the old configuration stays in effect");
    assert!(answered(ELSEWHERE) && !answered(HERE));
    configure("pods = \"insecure\"\n".to_owned());
    daemon.signal("HUP");
    until("everything is served", || answered(HERE));
    assert_eq!(daemon.status()["index"], serde_json::Value::Null);
}

#[test]
fn rate_limited_pods_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pods.json");
    let global = Ipv4Addr::new(203, 0, 113, 7);
    std::fs::write(&file, list(&[HERE, global])).unwrap();
    let start = |arguments: &[&str]| {
        let file = format!("--pods-file={}", file.display());
        start(&[&["--listen=127.0.0.1:0", &file], arguments].concat())
    };
    let daemon = start(&[]);
    daemon.wait_for_log("throttles CoreDNS");
    assert_eq!(daemon.status()["rate_limited_pod"], global.to_string());
    // Without this address in the file, it is no longer reported.
    std::fs::write(&file, list(&[HERE])).unwrap();
    until("the new file is read", || daemon.status()["rate_limited_pod"].is_null());
    // The address is exempt.
    std::fs::write(&file, list(&[HERE, global])).unwrap();
    for exempt in ["--pod-cidr=203.0.113.0/24", "--rate-limit-exempt=203.0.113.0/24", "--rate-limit=off"] {
        let arguments = [exempt, "--rate-limit-exempt=private"];
        let daemon = start(if exempt.starts_with("--pod-cidr") { &arguments[..1] } else { &arguments[..] });
        until("ready", || daemon.get("/readyz").0 == 200);
        assert!(daemon.status()["rate_limited_pod"].is_null(), "{exempt}");
    }
}

/// A pipe is read once, when the daemon starts; a reload that would read it again fails.
#[test]
fn pipe_is_read_at_the_start_alone() {
    let directory = tempfile::tempdir().unwrap();
    let [pipe, config] = ["pipe", "poddns.toml"].map(|name| directory.path().join(name));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let configure = |more: &str| std::fs::write(&config, format!("pods-file = {pipe:?}\n{more}")).unwrap();
    configure("");
    let to = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(to, list(&[HERE])));
    let daemon = start(&["--listen=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    until("ready", || daemon.get("/readyz").0 == 200);
    writer.join().unwrap().unwrap();
    assert_eq!(addresses(&ask(daemon.address(), &query(1, &name(HERE)))), [HERE]);
    configure("host-network = \"exclude\"\n");
    daemon.signal("HUP");
    daemon.wait_for_log("it is a pipe, which can be read only once, when the program starts");
    assert_eq!(addresses(&ask(daemon.address(), &query(2, &name(HERE)))), [HERE]);
    assert_eq!(daemon.get("/readyz").0, 200);
}

/// Runs the equivalent of `kubectl get pods -A -o json | poddnsd --pods-file /dev/stdin`, with Landlock if the kernel
/// has it.
#[test]
fn standard_input_is_read_at_the_start() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = command();
    command.stdin(reader);
    let writing = std::thread::spawn(move || writer.write_all(list(&[HERE]).as_bytes()));
    let daemon = Daemon::launch(command, &["--listen=127.0.0.1:0", "--pods-file=/dev/stdin"]);
    until("ready", || daemon.get("/readyz").0 == 200);
    writing.join().unwrap().unwrap();
    assert_eq!(addresses(&ask(daemon.address(), &query(1, &name(HERE)))), [HERE]);
}
