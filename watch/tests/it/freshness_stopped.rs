//! Staleness of a process that was stopped and continued.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Running;
use poddns_core::{Freshness, PodLookup as _};
use poddns_test_support::api_server::{ApiServer, RequestVerb, namespace, pod};
use poddns_test_support::wait::until_async as until;
use poddns_watch::Scope;
use rustix::process::{Pid, Signal, kill_process};

/// Environment variable that is set in the process to be stopped.
const CHILD: &str = "PODDNS_TEST_STOPPED";
const TEST: &str = "freshness_stopped::stopped_process_is_stale_before_feed_runs";
const IN_SYNC: &str = "in sync";
/// Slightly longer than an index counts as fresh without its feed.
const STOP: Duration = Duration::from_secs(11);

/// Follows a server, and reads the index after the process was stopped, before anything else runs.
fn child() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = ApiServer::start();
        server.put(namespace("default"));
        server.put(pod("default", "web", &["10.0.0.1"]));
        let running = Running::follow(&server, Scope::default()).await;
        let is_fresh = || running.index.freshness() == Freshness::Fresh;
        until("fresh", is_fresh).await;
        let asked = server.count("namespaces", RequestVerb::Identify);
        println!("\n{IN_SYNC}");
        // Blocks the only thread: no task runs until the index has been read.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        let freshness = running.index.freshness();
        assert!(matches!(freshness, Freshness::Stale { age } if age >= STOP), "{freshness:?}");
        until("fresh again", is_fresh).await;
        assert!(server.count("namespaces", RequestVerb::Identify) > asked, "the watch was begun again");
        assert_eq!(running.stats.pods.lists(), 1, "without a list");
    });
}

#[test]
fn stopped_process_is_stale_before_feed_runs() {
    if env::var_os(CHILD).is_some() {
        return child();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env(CHILD, "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == IN_SYNC), "the child came to be in sync");
    kill_process(pid, Signal::STOP).unwrap();
    let is_stopped = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    };
    while !is_stopped() {
        std::thread::yield_now();
    }
    // Time must pass here; there is no event to wait for.
    let stopped = Instant::now();
    while stopped.elapsed() < STOP {
        std::thread::sleep(STOP.saturating_sub(stopped.elapsed()));
    }
    kill_process(pid, Signal::CONT).unwrap();
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{}", rest.join("\n"));
}
