//! The audit of mode insecure, in a real daemon.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::support::{command, insecure, start};
use poddns_test_support::api_server;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, addresses, ask, padded, query, rcode};
use poddns_test_support::wait::until;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Writes a file with these pods: namespace, name and address.
fn pods_file(folder: &TempDir, pods: &[(&str, &str, &str)]) -> PathBuf {
    let items: Vec<Value> = pods
        .iter()
        .map(|(namespace, name, ip)| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}") },
                "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
            })
        })
        .collect();
    let path = folder.path().join("pods.json");
    fs::write(&path, json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()).unwrap();
    path
}

fn some_pods(folder: &TempDir) -> PathBuf {
    pods_file(
        folder,
        &[("web", "web-0", "10.42.2.46"), ("db", "db-0", "10.42.3.1"), ("db", "db-1", "fd00::7")],
    )
}

/// Starts a daemon in mode insecure with an audit against the pods of a file.
fn auditing(pods: &Path, arguments: &[&str]) -> Daemon {
    let pods = format!("--pods-file={}", pods.display());
    insecure(&[&["--audit", pods.as_str()], arguments].concat())
}

fn document(daemon: &Daemon) -> Value {
    let (status, body) = daemon.get("/audit");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn name(first: &str, namespace: &str) -> String {
    format!("{first}.{namespace}.pod.cluster.local")
}

/// Waits until the index has the pods of the file.
fn wait_until_synced(daemon: &Daemon) {
    until("the pods are known", || daemon.metric("poddns_index_synced") == 1);
}

#[test]
fn refusals_are_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = auditing(&some_pods(&folder), &[]);
    wait_until_synced(&daemon);
    let asked = [
        ("10-42-2-46", "web", None),
        ("10-42-2-46", "db", Some("other-namespace")),
        ("10-42-9-9", "web", Some("no-such-pod")),
        ("10-42-2-46", "nowhere", Some("no-such-namespace")),
        ("FD00--0007", "db", None),
        ("fd00--8", "db", Some("no-such-pod")),
    ];
    for (first, namespace, _) in asked {
        for number in 0..3 {
            assert_eq!(rcode(&ask(daemon.address(), &query(number, &name(first, namespace)))), 0);
        }
        Stream::connect(daemon.address()).exchange(&query(9, &name(first, namespace)));
    }
    // Mode insecure answers none of these with an address, so the audit ignores them.
    for other in ["web.pod.cluster.local", "web-0.web.pod.cluster.local", "pod.cluster.local", "example.org"]
    {
        ask(daemon.address(), &query(1, other));
    }
    let document = document(&daemon);
    assert_eq!(document["version"], 1);
    assert_eq!((&document["queries"], &document["queries_without_client"]), (&json!(24), &json!(0)));
    let refused = json!({ "no-such-namespace": 4, "no-such-pod": 8, "other-namespace": 4 });
    assert_eq!((&document["refused"], &document["not_ready"]), (&refused, &json!(0)));
    let mut expected: Vec<Value> = Vec::new();
    for (first, namespace, finding) in asked {
        let Some(finding) = finding else { continue };
        expected.push(json!([name(first, namespace), "127.0.0.1", finding, 4, 0]));
    }
    let mut found: Vec<Value> = document["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| json!([pair["name"], pair["client"], pair["reason"], pair["count"], pair["error"]]))
        .collect();
    found.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(found, expected);
    let owner = |namespace| {
        let pairs = document["pairs"].as_array().unwrap();
        pairs.iter().find(|pair| pair["namespace"] == namespace && pair["address"] == "10.42.2.46").unwrap()["owner"]
            ["namespace"]
            .clone()
    };
    assert_eq!(owner("db"), "web");
    for (reason, count) in
        [("no-such-namespace", 4), ("no-such-pod", 8), ("other-namespace", 4), ("not-ready", 0)]
    {
        assert_eq!(daemon.metric(&format!("poddns_audit_refused_total{{reason=\"{reason}\"}}")), count);
    }
    assert_eq!(daemon.metric("poddns_audit_queries_total"), 24);
    assert_eq!(daemon.metric("poddns_audit_pairs"), 4);
}

#[test]
fn answers_are_those_of_insecure() {
    let folder = tempfile::tempdir().unwrap();
    let pods = some_pods(&folder);
    for guards in
        [&[][..], &["--block-special", "--pod-cidr=10.42.0.0/16", "--pod-cidr=fd00::/64", "--namespace=web"]]
    {
        let plain = insecure(guards);
        let audited = auditing(&pods, guards);
        wait_until_synced(&audited);
        let mut names = Vec::new();
        for first in
            ["10-42-2-46", "10-42-9-9", "169-254-169-254", "fd00--7", "fd00--1-2", "1-2-3", "web-0", "*"]
        {
            names.extend(["web", "db", "nowhere", "-"].map(|namespace| name(first, namespace)));
        }
        names.extend(
            ["pod.cluster.local", "web.pod.cluster.local", "a.b.c.pod.cluster.local", "x.org"]
                .map(str::to_owned),
        );
        for name in &names {
            for kind in [1, 28, 6, 2, 16, 255, 252] {
                for mut query in [query(7, name), padded(7, name, 0)] {
                    let end = 12 + name.len() + 2;
                    query[end + 1] = kind;
                    let (server, other) = (plain.address(), audited.address());
                    assert_eq!(ask(server, &query), ask(other, &query), "{name} {kind}");
                    let over_tcp = |server| Stream::connect(server).exchange(&query);
                    if kind == 1 {
                        assert_eq!(over_tcp(server), over_tcp(other), "{name} over TCP");
                    }
                }
            }
        }
    }
}

#[test]
fn answers_continue_without_pods() {
    let folder = tempfile::tempdir().unwrap();
    // No API server listens there, so the feed never completes a list.
    let kubeconfig = folder.path().join("kubeconfig");
    let user = json!({ "token": "t" });
    fs::write(&kubeconfig, api_server::kubeconfig("http://127.0.0.1:9", &user)).unwrap();
    let broken = [
        vec![format!("--kubeconfig={}", kubeconfig.display())],
        // The pods file does not exist.
        vec![format!("--pods-file={}", folder.path().join("missing.json").display())],
    ];
    for arguments in broken {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let daemon = insecure(&[&["--audit"], arguments.as_slice()].concat());
        assert_eq!(rcode(&ask(daemon.address(), &query(1, &name("10-42-2-46", "web")))), 0);
        let (status, body) = daemon.get("/readyz");
        assert_eq!(status, 200, "insecure needs no pods: {body}");
        until("the query is counted", || document(&daemon)["not_ready"] == 1);
        let document = document(&daemon);
        assert_eq!(document["freshness"]["state"], "unsynced");
        assert_eq!((&document["observed_seconds"], &document["pairs"]), (&json!(0), &json!([])));
    }
}

#[test]
fn file_keeps_the_audit_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (pods, file) = (some_pods(&folder), folder.path().join("audit"));
    let argument = format!("--audit-file={}", file.display());
    let missing = name("10-42-9-9", "web");
    let mut begun = Value::Null;
    for round in 1..=3 {
        let mut daemon = auditing(&pods, &[&argument]);
        wait_until_synced(&daemon);
        until("the file is read", || document(&daemon)["file"]["restored"] == (round > 1));
        ask(daemon.address(), &query(1, &missing));
        let document = document(&daemon);
        assert_eq!((&document["queries"], &document["pairs"][0]["count"]), (&json!(round), &json!(round)));
        if round > 1 {
            assert_eq!(document["begun_unix_seconds"], begun);
            assert_eq!(daemon.metric("poddns_audit_queries_total"), 1, "a counter begins at 0");
        }
        begun = document["begun_unix_seconds"].clone();
        daemon.signal("TERM");
        assert!(daemon.wait().success());
    }
    // The file is of an audit of other domains.
    let other = auditing(&pods, &[&argument, "--domain=example.org"]);
    other.wait_for_log("it is an audit of the domains cluster.local, and now they are example.org");
    until("the error is shown", || document(&other)["file"]["error"].is_string());
    assert_eq!(document(&other)["queries"], 0);
}

/// Puts the file of the audit on a full file system.
#[cfg(feature = "system-tests")]
#[test]
fn full_disk_stops_only_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mounted = poddns_test_support::daemon::without_settings(std::process::Command::new("unshare"));
    let script = "mount -t tmpfs -o size=4k tmpfs \"$1\" && head -c 4096 /dev/zero > \"$1/full\" && shift && exec \"$@\"";
    mounted.args(["--map-root-user", "--mount", "--", "sh", "-c", script, "sh"]).arg(&disk);
    mounted.arg(env!("CARGO_BIN_EXE_poddnsd-of-tests"));
    let (pods, file) = (some_pods(&folder), disk.join("audit"));
    let arguments = [
        "--pods=insecure".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--audit".to_owned(),
        format!("--pods-file={}", pods.display()),
        format!("--audit-file={}", file.display()),
    ];
    let mut daemon = Daemon::launch(mounted, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    wait_until_synced(&daemon);
    assert_eq!(rcode(&ask(daemon.address(), &query(1, &name("10-42-9-9", "web")))), 0);
    assert_eq!(document(&daemon)["queries"], 1);
    daemon.signal("TERM");
    daemon.wait_for_log("No space left on device");
    assert!(daemon.wait().success());
}

#[test]
fn foreign_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (pods, file) = (some_pods(&folder), folder.path().join("precious"));
    fs::write(&file, "precious").unwrap();
    let mut daemon = auditing(&pods, &[&format!("--audit-file={}", file.display())]);
    daemon.wait_for_log("it is no audit of poddns; name another file");
    ask(daemon.address(), &query(1, &name("10-42-9-9", "web")));
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn reload_begins_and_ends_an_audit() {
    let folder = tempfile::tempdir().unwrap();
    let (pods, config) = (some_pods(&folder), folder.path().join("poddnsd.toml"));
    let configure = |text: String| fs::write(&config, text).unwrap();
    configure("pods = \"insecure\"\n".to_owned());
    let daemon = start(&["--listen=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    let (status, body) = daemon.get("/audit");
    assert_eq!((status, body.contains("--pods insecure --audit")), (404, true), "{body}");
    let reloads = |daemon: &Daemon| daemon.metric("poddns_config_reloads_total{result=\"success\"}");
    configure(format!("pods = \"insecure\"\naudit = true\npods-file = {:?}\n", pods.display().to_string()));
    daemon.signal("HUP");
    until("reloaded", || reloads(&daemon) == 1);
    wait_until_synced(&daemon);
    ask(daemon.address(), &query(1, &name("10-42-9-9", "web")));
    until("it is counted", || document(&daemon)["refused"]["no-such-pod"] == 1);
    configure(format!("pods = \"verified\"\npods-file = {:?}\n", pods.display().to_string()));
    daemon.signal("HUP");
    until("reloaded", || reloads(&daemon) == 2);
    assert_eq!(rcode(&ask(daemon.address(), &query(1, &name("10-42-9-9", "web")))), 3, "as the audit said");
    assert_eq!(daemon.get("/audit").0, 404);
}

#[test]
fn verified_and_disabled_have_no_audit() {
    for mode in ["verified", "disabled"] {
        let output = command().args([&format!("--pods={mode}"), "--audit"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(
            text.contains("is for --pods insecure: it counts what --pods verified would refuse"),
            "{text}"
        );
    }
    let output = command().args(["--pods=insecure", "--audit-file=/tmp/x/audit"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("has no effect without audit"), "{text}");
}

#[test]
fn check_namespaces_answers_by_namespaces_alone() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = auditing(&some_pods(&folder), &["--check-namespaces"]);
    wait_until_synced(&daemon);
    let address: IpAddr = [10, 42, 9, 9].into();
    let response = ask(daemon.address(), &query(1, &name("10-42-9-9", "web")));
    assert_eq!(addresses(&response), [address]);
    assert_eq!(rcode(&ask(daemon.address(), &query(1, &name("10-42-9-9", "nowhere")))), 3);
    let document = document(&daemon);
    assert_eq!((&document["queries"], &document["refused"]["no-such-pod"]), (&json!(1), &json!(1)));
}

/// Returns an A query with an IPv4 client subnet (RFC 7871).
fn from_subnet(name: &str, prefix: u8, address: &[u8]) -> Vec<u8> {
    let mut query = query(7, name);
    query[11] = 1;
    let len = u8::try_from(address.len()).unwrap();
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, len + 8, 0, 8, 0, len + 4, 0, 1, prefix, 0]);
    query.extend(address);
    query
}

#[test]
fn forwarders_name_the_clients() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = auditing(&some_pods(&folder), &["--trust-ecs=127.0.0.1/32"]);
    wait_until_synced(&daemon);
    let name = name("10-42-9-9", "web");
    let whole = from_subnet(&name, 32, &[10, 42, 7, 1]);
    // Two queries name their client; the client of the other three is unknown.
    ask(daemon.address(), &whole);
    Stream::connect(daemon.address()).exchange(&whole);
    ask(daemon.address(), &from_subnet(&name, 24, &[10, 42, 7]));
    ask(daemon.address(), &from_subnet(&name, 33, &[10, 42, 7, 1]));
    let response = ask(daemon.address(), &query(7, &name));
    assert_eq!((rcode(&response), response.len()), (0, query(7, &name).len() + 16), "as ever");
    let document = document(&daemon);
    assert_eq!((&document["queries"], &document["queries_without_client"]), (&json!(5), &json!(3)));
    let pairs: Vec<Value> = document["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| json!([pair["client"], pair["count"]]))
        .collect();
    assert_eq!(pairs, [json!([null, 3]), json!(["10.42.7.1", 2])]);
}

#[test]
fn nobody_else_names_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = auditing(&some_pods(&folder), &["--trust-ecs=127.0.0.9/32"]);
    wait_until_synced(&daemon);
    ask(daemon.address(), &from_subnet(&name("10-42-9-9", "web"), 32, &[10, 42, 7, 1]));
    let document = document(&daemon);
    assert_eq!(document["queries_without_client"], 0);
    assert_eq!(document["pairs"][0]["client"], "127.0.0.1");
}
