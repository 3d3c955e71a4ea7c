//! Outages of the API server, with and without compaction of its history.

use crate::kube_apiserver::api::{Api, PodPath, address};
use crate::support::{follow, follow_until_ready};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{
    DnsAnswer, SERVFAIL, answered, denied, is_answered, is_denied, lookup, lookup_namespace, no_data,
};
use poddns_test_support::kube_apiserver::KubeApiserver;
use poddns_test_support::wait::until;

/// Extended errors (RFC 8914).
const STALE_ANSWER: u16 = 3;
const NOT_READY: u16 = 14;
const STALE_NXDOMAIN: u16 = 19;
const NO_REACHABLE_AUTHORITY: u16 = 22;

fn failure(extended_error: u16) -> DnsAnswer {
    DnsAnswer { rcode: SERVFAIL, addresses: Vec::new(), extended_error: Some(extended_error) }
}

/// Returns the numbers of complete lists of pods and of failures.
fn lists_and_errors(daemon: &Daemon) -> (u64, u64) {
    let of_pods = |name: &str| daemon.metric(&format!("poddns_feed_{name}_total{{resource=\"pods\"}}"));
    (of_pods("lists"), of_pods("errors"))
}

#[test]
fn outage_makes_answers_stale_until_api_returns() {
    let server = KubeApiserver::start(&[]);
    let [old, new, never] = [address(), address(), address()];
    Api::of(&server).run_pod(PodPath("default", "old"), &[old]);
    let patient = follow_until_ready(&server.admin(), &[]);
    let strict = follow_until_ready(&server.admin(), &["--max-staleness=1s"]);
    assert!([&patient, &strict].iter().all(|daemon| is_answered(daemon, "default", old)));

    server.kill();
    until("marked as stale", || {
        let answer = lookup(&patient, "default", old);
        assert_eq!(answer.addresses, [old]);
        answer.extended_error == Some(STALE_ANSWER)
    });
    assert_eq!(lookup(&patient, "default", never), denied(Some(STALE_NXDOMAIN)));
    let (code, text) = patient.get("/readyz");
    assert_eq!(code, 200, "it answers, so it stays in service");
    assert!(text.starts_with("ready\nstale: the pods are"), "{text}");
    until("failures are counted", || lists_and_errors(&patient).1 > 0);
    assert_eq!(patient.metric("poddns_index_synced"), 1);
    assert_ne!(patient.metric_text("poddns_index_age_seconds"), "0.0");
    until("both watches have the reason", || {
        let watches = patient.status()["watches"].clone();
        let says_why = |watch: &serde_json::Value| {
            watch["freshness"]["state"] == "stale" && watch["error"].to_string().contains(&server.url())
        };
        watches.as_array().unwrap().iter().filter(|watch| says_why(watch)).count() == 2
    });

    until("too stale to be answered", || lookup(&strict, "default", old) == failure(NO_REACHABLE_AUTHORITY));
    let (code, text) = strict.get("/readyz");
    assert_eq!(code, 503);
    assert!(text.starts_with("stale: the pods are"), "{text}");

    let late = follow(&server.admin(), &[]);
    let unreachable = format!("cannot reach the API server at {}", server.url());
    until("it names what it waits for", || {
        let (code, text) = late.get("/readyz");
        let waits_for = |resource: &str| {
            text.lines().any(|line| line.starts_with(resource) && line.contains(&unreachable))
        };
        code == 503 && waits_for("pods: ") && waits_for("namespaces: ")
    });
    assert_eq!(lookup(&late, "default", old), failure(NOT_READY));

    server.restart();
    let api = Api::of(&server);
    api.run_pod(PodPath("default", "new"), &[new]);
    api.write(crate::kube_apiserver::api::Write::delete(PodPath("default", "old"), 0));
    for daemon in [patient, strict, late] {
        until("in sync again", || is_answered(&daemon, "default", new) && is_denied(&daemon, "default", old));
        assert_eq!(daemon.get("/readyz").0, 200);
    }
}

#[test]
fn watch_resumes_after_quiet_outage() {
    // With a watch cache, the API server has no events from before its start and might require a new list.
    let server = KubeApiserver::start(&["--watch-cache=false"]);
    let address = address();
    Api::of(&server).run_pod(PodPath("default", "pod"), &[address]);
    let daemon = follow_until_ready(&server.admin(), &[]);
    let (lists, _) = lists_and_errors(&daemon);
    server.kill();
    until("marked as stale", || lookup(&daemon, "default", address) == answered(address, Some(STALE_ANSWER)));
    server.restart();
    until("in sync again", || is_answered(&daemon, "default", address));
    assert_eq!(lists_and_errors(&daemon).0, lists);
    assert!(daemon.log().contains("in sync again"), "{}", daemon.log());
}

#[test]
fn pods_deleted_before_compaction_disappear() {
    // With a watch cache, the API server would answer from its cached events.
    let server = KubeApiserver::start(&["--watch-cache=false"]);
    let api = Api::of(&server);
    let [kept, removed, added] = [address(), address(), address()];
    api.create_namespace("removed");
    api.run_pod(PodPath("default", "kept"), &[kept]);
    api.run_pod(PodPath("default", "removed"), &[removed]);
    let daemon = follow_until_ready(&server.admin(), &[]);
    assert!(is_answered(&daemon, "default", removed));
    assert_eq!(lookup_namespace(&daemon, "removed"), no_data());
    let (lists, _) = lists_and_errors(&daemon);

    // While stopped, the daemon cannot connect again before all changes are made.
    daemon.signal("STOP");
    server.kill();
    server.restart();
    let api = Api::of(&server);
    api.write(crate::kube_apiserver::api::Write::delete(PodPath("default", "removed"), 0));
    api.delete_namespace("removed");
    api.run_pod(PodPath("default", "added"), &[added]);
    server.compact();
    daemon.signal("CONT");

    // Pods and namespaces are listed independently, in either order.
    until("new lists are complete", || {
        assert_eq!(lookup(&daemon, "default", kept).addresses, [kept], "it exists all the time");
        is_answered(&daemon, "default", added) && lookup_namespace(&daemon, "removed") == denied(None)
    });
    assert_eq!(lookup(&daemon, "default", kept), answered(kept, None));
    assert_eq!(lookup(&daemon, "default", removed), denied(None));
    assert_eq!(lists_and_errors(&daemon).0, lists + 1);
    assert!(daemon.log().contains("cannot watch pods in all namespaces: 410"), "{}", daemon.log());
}
