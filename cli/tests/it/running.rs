//! `poddns explain`, `pods` and `status` against a running server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use poddns_core::Mode;
use poddns_net::{Server, Settings};
use poddns_watch::Source;
use tempfile::NamedTempFile;

use crate::support::{Run, poddns, spawn};

/// A server in mode verified, with pod names, and its pods file.
struct Running {
    server: Server,
    file: NamedTempFile,
}

/// Writes a pods file: namespace, name and addresses of each pod.
pub(crate) fn pods_file(pods: &[(&str, &str, &[&str])]) -> NamedTempFile {
    let pod = |(namespace, name, addresses): &(&str, &str, &[&str])| {
        let addresses: Vec<_> = addresses.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}") },
            "status": { "phase": "Running", "podIPs": addresses },
        })
    };
    let items: Vec<_> = pods.iter().map(pod).collect();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(list.to_string().as_bytes()).expect("room on the disk");
    file
}

/// Starts a server with these pods on free ports of the loopback interface, with the given changes to the default
/// settings.
pub(crate) fn start(file: &NamedTempFile, change: impl FnOnce(&mut Settings)) -> Server {
    let mut settings = Settings::default();
    change(&mut settings);
    settings.source = Source::File(file.path().to_owned());
    settings.listen = vec![([127, 0, 0, 1], 0).into()];
    settings.admin = vec![([127, 0, 0, 1], 0).into()];
    let (server, opening) = Server::start(settings).expect("the settings are sound");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(opening.opened()).expect("the file is read");
    server
}

impl Running {
    fn new() -> Self {
        let file = pods_file(&[
            ("web", "web-0", &["10.42.2.46", "fd00::2e"]),
            ("web", "web-1", &["10.42.2.47"]),
            ("db", "db-0", &["10.42.3.1"]),
        ]);
        Self { server: start(&file, |settings| settings.pod_names = true), file }
    }

    fn run(&self, args: &[&str]) -> Run {
        let admin = self.server.admin().expect("it is served").to_string();
        poddns(args.iter().copied().chain(["--server", &admin]))
    }
}

fn out(run: &Run) -> (Option<i32>, &str, &str) {
    (run.code, &run.stdout, &run.stderr)
}

#[test]
fn names_are_explained_by_server() {
    let running = Running::new();
    let name = "10-42-2-46.default.pod.cluster.local";
    let run = running.run(&["explain", name]);
    let reason = "10.42.2.46 is pod 'web-0' of 'web', not of 'default', and there is no such namespace";
    let expected = format!("{name}. A: NXDOMAIN\n{reason}; the index is in sync with the cluster\n");
    assert_eq!(out(&run), (Some(0), expected.as_str(), ""));
    let run = running.run(&["explain", "10-42-2-46.web.pod.cluster.local", "AAAA"]);
    assert!(run.stdout.contains("AAAA: NOERROR without records (NODATA)\n"), "{}", run.stdout);
    let run = running.run(&["explain", r"a\.b.\000.web.pod.cluster.local"]);
    assert!(
        run.stdout.starts_with(r"a\.b.\000.web.pod.cluster.local. A: NXDOMAIN"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    let run = running.run(&["explain", "example.org", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document["reason"], "outside-zones");
}

#[test]
fn names_are_explained_from_pods_file() {
    let running = Running::new();
    let file = running.file.path().to_str().expect("UTF-8");
    let explain = |args: &[&str]| poddns(["explain"].iter().chain(args));
    for name in ["10-42-2-46.web", "10-42-2-46.db", "web-0.web", "10-9-9-9.web", "web", "a.b.c"] {
        let name = format!("{name}.pod.cluster.local");
        let here = explain(&[&name, "--pods-file", file, "--pod-names"]);
        assert_eq!(out(&here), out(&running.run(&["explain", &name])), "{name}");
    }
    let name = "10-42-2-46.web.pod.cluster.local";
    let run = explain(&[name, "--pods-file", file, "--pod-cidr", "10.99.0.0/16"]);
    let expected = format!("{name}. A: NXDOMAIN, EDE 15 (Blocked)\n10.42.2.46 is outside pod-cidr\n");
    assert_eq!(out(&run), (Some(0), expected.as_str(), ""));
    let run = explain(&[name, "--pods", "insecure"]);
    assert!(
        run.stdout.contains("mode insecure answers with the address in the name"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    for (args, why) in [
        (&[name, "--server", "127.0.0.1", "--pods-file", file][..], "remove --pods-file"),
        (&[name, "--pod-names"], "need a cluster"),
        (&["a..b"], "empty label"),
    ] {
        let run = explain(args);
        assert_eq!(run.code, Some(64), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn pods_are_found_by_each_selector() {
    let running = Running::new();
    let rows = |args: &[&str]| {
        let run = running.run(&[&["pods"], args].concat());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        let mut rows: Vec<Vec<String>> = run
            .stdout
            .lines()
            .skip(1)
            .map(|line| line.split_ascii_whitespace().map(str::to_owned).collect())
            .collect();
        rows.sort();
        rows.concat().join(" ")
    };
    let (web_0, web_1, db) = ("web web-0 10.42.2.46,fd00::2e", "web web-1 10.42.2.47", "db db-0 10.42.3.1");
    assert_eq!(rows(&[]), format!("{db} {web_0} {web_1}"));
    assert_eq!(rows(&["--namespace", "web"]), format!("{web_0} {web_1}"));
    assert_eq!(rows(&["fd00::2e"]), web_0);
    assert_eq!(rows(&["10-42-2-47.default.pod.cluster.local"]), web_1);
    assert_eq!(rows(&["web-0", "db/db-0"]), format!("{db} {web_0}"));
    let run = running.run(&["pods", "10.42.3.1", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).expect("one object");
    let expected =
        serde_json::json!({ "version": 1, "namespace": "db", "name": "db-0", "addresses": ["10.42.3.1"] });
    assert_eq!(object, expected);
}

#[test]
fn missing_pods_fail_with_index_state() {
    let running = Running::new();
    let run = running.run(&["pods", "10.9.9.9", "10.42.3.1"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(1), "poddns: no pod has 10.9.9.9; the index is in sync\n")
    );
    assert!(run.stdout.contains("db-0"), "the others are printed: {}", run.stdout);
    let insecure = start(&running.file, |settings| settings.mode = Mode::Insecure);
    let admin = insecure.admin().expect("it is served").to_string();
    let run = poddns(["pods", "--server", &admin]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("keeps no pods"), "{}", run.stderr);
}

#[test]
fn status_is_one_screen() {
    let running = Running::new();
    let run = running.run(&["status"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for line in ["state      ready", "mode       verified", "zones      pod.cluster.local."] {
        assert!(run.stdout.lines().any(|have| have == line), "{line}\n{}", run.stdout);
    }
    assert!(run.stdout.contains("\nindex      3 pods, 4 addresses, 2 namespaces, "), "{}", run.stdout);
    assert!(run.stdout.lines().count() <= 24, "{}", run.stdout);
    let run = running.run(&["status", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document["index"]["pods"], 3);
}

#[test]
fn watched_status_is_printed_again() {
    let running = Running::new();
    let admin = running.server.admin().expect("it is served").to_string();
    let mut child = spawn(["status", "--watch=10ms", "--server", &admin]);
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let states = stdout.lines().map(|line| line.expect("UTF-8")).filter(|line| line == "state      ready");
    assert_eq!(states.take(3).count(), 3);
    child.kill().expect("it is a child of ours");
    child.wait().expect("it has ended");
}

#[test]
fn watched_status_ends_with_its_reader() {
    let running = Running::new();
    let admin = running.server.admin().expect("it is served").to_string();
    let mut child = spawn(["status", "--watch=10ms", "--server", &admin]);
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut String::new()).expect("UTF-8");
    drop(stdout);
    assert_eq!(child.wait().expect("it is a child of ours").code(), Some(0));
}

#[test]
fn control_characters_of_arguments_are_escaped() {
    for arguments in [["pods", "a\u{1b}[31m"], ["query", "+a\u{1b}[31m"], ["status", "--a\u{1b}[31m"]] {
        let run = poddns(arguments);
        assert_eq!(run.code, Some(64));
        assert!(run.stderr.contains("a\\u{1b}[31m"), "{}", run.stderr);
    }
}

#[test]
fn unreachable_servers_are_named() {
    // A port that was free before; connections are refused.
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = refusing.local_addr().expect("it is bound").to_string();
    drop(refusing);
    for command in [&["status"][..], &["pods"], &["explain", "a"]] {
        let run = poddns(command.iter().copied().chain(["--server", &address]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{command:?}");
        let expected = format!("poddns: cannot connect to {address}: ");
        assert!(run.stderr.starts_with(&expected), "{command:?}: {}", run.stderr);
    }
    let talking = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = talking.local_addr().expect("it is bound").to_string();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = talking.accept().expect("the client comes");
        stream.write_all(b"220 mail \x1b[31m ready\r\n").expect("it listens");
    });
    let run = poddns(["status", "--server", &address]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("does not speak HTTP as poddnsd does"), "{}", run.stderr);
    answers.join().expect("it does not panic");
}
