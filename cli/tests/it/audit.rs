//! `poddns audit` against a running server.

use poddns_core::Mode;
use poddns_net::Server;
use poddns_test_support::dns::{ask, query};

use crate::running::{self, pods_file};
use crate::support::{Run, poddns};

fn start(file: &tempfile::NamedTempFile) -> Server {
    running::start(file, |settings| (settings.mode, settings.audit) = (Mode::Insecure, true))
}

/// Queries a server for an address in a namespace.
fn query_for(server: &Server, address: &str, namespace: &str) {
    ask(server.addresses()[0], &query(7, &format!("{address}.{namespace}.pod.cluster.local")));
}

fn audit(servers: &[&Server], args: &[&str]) -> Run {
    let admin: Vec<String> =
        servers.iter().map(|server| server.admin().expect("served").to_string()).collect();
    let servers = admin.iter().flat_map(|admin| ["--server", admin.as_str()]);
    poddns(["audit"].into_iter().chain(args.iter().copied()).chain(servers))
}

#[test]
fn verdict_is_the_exit_status() {
    let file = pods_file(&[("web", "web-0", &["10.42.2.46"])]);
    let (one, two) = (start(&file), start(&file));
    let run = audit(&[&one, &two], &["--at-least", "0s"]);
    assert_eq!(run.code, Some(4), "nobody has asked: {}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("does CoreDNS forward the zone"), "{}", run.stdout);
    query_for(&one, "10-42-2-46", "web");
    let run = audit(&[&one, &two], &["--at-least", "0s"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.ends_with(": 1 query, nothing would break\n"), "{}", run.stdout);
    let run = audit(&[&one, &two], &[]);
    assert_eq!(run.code, Some(4), "a week has not passed: {}", run.stdout);
    query_for(&two, "10-42-2-47", "web");
    let run = audit(&[&one, &two], &[]);
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(": 2 queries, 1 name from 1 client would break\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("\n10-42-2-47.web.pod.cluster.local from 127.0.0.1: 1 time, "),
        "{}",
        run.stdout
    );
    let run = audit(&[&two], &["--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&document["verdict"], &document["names"]), (&"breaks".into(), &1.into()));
    assert_eq!(document["pairs"][0]["reason"], "no-such-pod");
}

#[test]
fn server_without_audit_is_named() {
    let file = pods_file(&[]);
    let server = running::start(&file, |_| {});
    let run = audit(&[&server], &[]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("no audit is made: start poddnsd with --pods insecure --audit"),
        "{}",
        run.stderr
    );
    assert_eq!(poddns(["audit", "--at-least", "7"]).code, Some(64));
}
