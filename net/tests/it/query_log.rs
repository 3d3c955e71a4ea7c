//! `--query-log`: one line of JSON for each selected query.

use std::net::Ipv4Addr;

use crate::support::insecure;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, ask, connect, exchange, name, query};
use poddns_test_support::wait::until;
use serde_json::{Value, json};

const POD: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);

/// Returns the lines of the query log so far.
fn lines(daemon: &Daemon) -> Vec<Value> {
    let log = daemon.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["target"] == "poddns_query").collect()
}

fn wait_for_lines(daemon: &Daemon, number: usize) -> Vec<Value> {
    until("the lines are logged", || lines(daemon).len() >= number);
    lines(daemon)
}

fn counted(daemon: &Daemon, result: &str) -> u64 {
    daemon.metric(&format!("poddns_query_log_lines_total{{result=\"{result}\"}}"))
}

#[test]
fn all_queries_have_client_question_and_outcome() {
    let daemon = insecure(&["--query-log=all", "--block-special"]);
    let server = daemon.address();
    let client = connect(server);
    exchange(&client, &query(1, &name(POD)));
    Stream::connect(server).exchange(&query(2, "example.com"));
    exchange(&client, &query(3, &name(Ipv4Addr::LOCALHOST)));
    let mut malformed = query(4, "a");
    malformed.truncate(14);
    exchange(&client, &malformed);
    let lines = wait_for_lines(&daemon, 4);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let mut first = lines[0].clone();
    assert!(first["timestamp"].take().as_str().unwrap().ends_with('Z'));
    let expected = json!({
        "target": "poddns_query", "timestamp": null, "client": "127.0.0.1",
        "port": client.local_addr().unwrap().port(), "transport": "udp", "name": name(POD) + ".", "type": "A",
        "rcode": "NOERROR", "extended_error": null, "reason": "address-unchecked",
    });
    assert_eq!(first, expected);
    assert_eq!((&lines[1]["transport"], &lines[1]["rcode"]), (&json!("tcp"), &json!("REFUSED")));
    assert_eq!((&lines[1]["name"], &lines[1]["reason"]), (&json!("example.com."), &json!("outside-zones")));
    assert_eq!((&lines[2]["rcode"], &lines[2]["extended_error"]), (&json!("NXDOMAIN"), &json!(15)));
    assert_eq!(lines[2]["reason"], "special-address");
    assert_eq!((&lines[3]["rcode"], &lines[3]["name"]), (&json!("FORMERR"), &Value::Null));
    assert_eq!((counted(&daemon, "written"), counted(&daemon, "suppressed")), (4, 0));
}

#[test]
fn refused_queries_are_those_without_noerror() {
    let daemon = insecure(&["--query-log=refused", "--block-special"]);
    for name in [&name(POD), "example.com", &name(Ipv4Addr::LOCALHOST), "pod.cluster.local"] {
        ask(daemon.address(), &query(1, name));
    }
    let rcodes: Vec<Value> = wait_for_lines(&daemon, 2).iter().map(|line| line["rcode"].clone()).collect();
    assert_eq!(rcodes, ["REFUSED", "NXDOMAIN"]);
    assert_eq!(counted(&daemon, "written"), 2);
}

#[test]
fn sample_is_one_query_of_three() {
    let daemon = insecure(&["--query-log=all", "--query-log-sample=3", "--threads=1"]);
    for number in 1..=7 {
        ask(daemon.address(), &query(number, &name(POD)));
    }
    assert_eq!(wait_for_lines(&daemon, 3).len(), 3);
    assert_eq!((counted(&daemon, "written"), counted(&daemon, "suppressed")), (3, 0));
}

#[test]
fn queries_beyond_the_rate_are_counted() {
    let daemon = insecure(&["--query-log=all", "--query-log-rate=1"]);
    let mut asked = 0;
    until("more than one in a second", || {
        ask(daemon.address(), &query(1, &name(POD)));
        asked += 1;
        counted(&daemon, "suppressed") > 0
    });
    assert_eq!(counted(&daemon, "written") + counted(&daemon, "suppressed"), asked);
    assert_eq!(wait_for_lines(&daemon, 1).len() as u64, counted(&daemon, "written"));
}

#[test]
fn reload_switches_log_on_and_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poddnsd.toml");
    let reload = |daemon: &Daemon, text: &str, ttl: u32| {
        std::fs::write(&path, format!("{text}ttl = {ttl}\n")).unwrap();
        daemon.signal("HUP");
        until("reloaded", || daemon.status()["ttl_seconds"] == ttl);
    };
    std::fs::write(&path, "ttl = 1\n").unwrap();
    let daemon = insecure(&["--config", path.to_str().unwrap()]);
    ask(daemon.address(), &query(1, &name(POD)));
    reload(&daemon, "query-log = \"all\"\n", 2);
    ask(daemon.address(), &query(2, &name(POD)));
    wait_for_lines(&daemon, 1);
    reload(&daemon, "", 3);
    ask(daemon.address(), &query(3, &name(POD)));
    assert_eq!((lines(&daemon).len(), counted(&daemon, "written")), (1, 1));
}
