//! Missing, granted, namespaced and revoked permissions.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::support::{follow, follow_until_ready};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{
    DnsAnswer, SERVFAIL, answered, denied, is_answered, lookup, lookup_namespace, no_data,
};
use poddns_test_support::wait::until;
use serde_json::Value;

use crate::kube_apiserver::SHARED;
use crate::kube_apiserver::api::{Api, PodPath, address};
use poddns_test_support::kube_apiserver::KubeApiserver;

const ALL: &[&str] = &["list", "watch"];

/// Returns the reasons why the server is not ready, one a line of `/readyz`; none if it is ready.
fn pending(daemon: &Daemon) -> Vec<String> {
    let (code, text) = daemon.get("/readyz");
    match code {
        200 => Vec::new(),
        503 => text.lines().map(str::to_owned).collect(),
        _ => panic!("{code} {text}"),
    }
}

/// Returns true if a line reports that `account` lacks this permission in the whole cluster, and the remedy.
fn is_refusal(line: &str, account: &str, verb: &str, resource: &str) -> bool {
    let by_server = format!(
        r#"403 "{resource} is forbidden: User \"system:serviceaccount:default:{account}\" cannot {verb} resource \"{resource}\" in API group \"\" at the cluster scope""#
    );
    let advice = format!(
        "a ClusterRole with the rule {{apiGroups: [\"\"], resources: [{resource}], verbs: [list, watch]}} and its \
         ClusterRoleBinding are missing"
    );
    line.contains(&format!("cannot {verb} {resource}")) && line.contains(&by_server) && line.contains(&advice)
}

/// Returns true if such a line is in the log as a warning.
fn is_logged(daemon: &Daemon, account: &str, verb: &str, resource: &str) -> bool {
    daemon.log().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && is_refusal(message, account, verb, resource)
    })
}

#[test]
fn missing_permissions_take_effect_once_granted() {
    let address = address();
    let api = Api::of(&SHARED);
    api.create_namespace("rights");
    api.run_pod(PodPath("rights", "pod"), &[address]);
    let cases: [(&str, &[&str], &str); 3] =
        [("nothing", &[], "list"), ("list-only", &["list"], "watch"), ("watch-only", &["watch"], "list")];
    let start = |(account, verbs, missing): (&'static str, &[&str], &'static str)| {
        let kubeconfig = SHARED.service_account(account);
        for resource in ["pods", "namespaces"].iter().filter(|_| !verbs.is_empty()) {
            SHARED.grant(account, verbs, resource, None);
        }
        (follow(&kubeconfig, &[]), account, missing)
    };
    let daemons = cases.map(start);
    for (daemon, account, missing) in &daemons {
        until("readiness names what is missing", || {
            let pending = pending(daemon);
            let names = |resource| pending.iter().any(|line| is_refusal(line, account, missing, resource));
            names("pods") && names("namespaces")
        });
        // The log is written asynchronously.
        until("the log names it", || {
            ["pods", "namespaces"].iter().all(|resource| is_logged(daemon, account, missing, resource))
        });
        let not_ready = DnsAnswer { rcode: SERVFAIL, addresses: Vec::new(), extended_error: Some(14) };
        assert_eq!(lookup(daemon, "rights", address), not_ready);
    }
    for (_, account, _) in &daemons {
        SHARED.grant(account, ALL, "pods", None);
    }
    for (daemon, account, missing) in &daemons {
        until("only namespaces are waited for", || match pending(daemon).as_slice() {
            [line] => is_refusal(line, account, missing, "namespaces"),
            _ => false,
        });
        SHARED.grant(account, ALL, "namespaces", None);
    }
    for (daemon, ..) in &daemons {
        until("ready", || pending(daemon).is_empty());
        assert_eq!(lookup(daemon, "rights", address), answered(address, None));
    }
}

#[test]
fn namespaced_permissions_suffice_for_their_namespaces() {
    let api = Api::of(&SHARED);
    let teams = ["team-a", "team-b", "team-c"].map(|namespace| (namespace, address()));
    for (namespace, address) in teams {
        api.create_namespace(namespace);
        api.run_pod(PodPath(namespace, "pod"), &[address]);
    }
    let served = ["--namespace=team-a", "--namespace=team-b"];
    let kubeconfig = SHARED.service_account("teams");
    SHARED.grant("teams", ALL, "namespaces", None);
    SHARED.grant("teams", ALL, "pods", Some("team-a"));
    let daemon = follow(&kubeconfig, &served);
    until("one namespace is waited for", || match pending(&daemon).as_slice() {
        [line] => {
            line.starts_with("pods in namespace team-b: cannot list pods in namespace team-b: 403")
                && line.contains("a Role in namespace team-b with the rule")
        }
        _ => false,
    });
    SHARED.grant("teams", ALL, "pods", Some("team-b"));
    until("ready", || pending(&daemon).is_empty());
    for (namespace, address) in teams {
        let is_served = namespace != "team-c";
        let (pod, own) =
            if is_served { (answered(address, None), no_data()) } else { (denied(None), denied(None)) };
        assert_eq!(lookup(&daemon, namespace, address), pod, "{namespace}");
        assert_eq!(lookup_namespace(&daemon, namespace), own, "{namespace}");
    }
    let new = address();
    api.run_pod(PodPath("team-b", "new"), &[new]);
    until("a pod in a namespace with a watch of its own", || is_answered(&daemon, "team-b", new));
}

#[test]
fn serving_one_namespace_needs_namespace_watch() {
    let kubeconfig = SHARED.service_account("no-namespaces");
    SHARED.grant("no-namespaces", ALL, "pods", Some("default"));
    let daemon = follow(&kubeconfig, &["--namespace=default"]);
    until("namespaces are waited for", || match pending(&daemon).as_slice() {
        [line] => is_refusal(line, "no-namespaces", "list", "namespaces"),
        _ => false,
    });
    SHARED.grant("no-namespaces", ALL, "namespaces", None);
    until("ready", || pending(&daemon).is_empty());
}

/// Starts an API server with a pod that has this address, and a daemon with an account of its own; waits until it is
/// ready.
fn following_own_server(known: IpAddr) -> (KubeApiserver, PathBuf, Daemon) {
    let server = KubeApiserver::start(&[]);
    let kubeconfig = server.service_account("poddns");
    for resource in ["pods", "namespaces"] {
        server.grant("poddns", ALL, resource, None);
    }
    Api::of(&server).run_pod(PodPath("default", "known"), &[known]);
    let daemon = follow_until_ready(&kubeconfig, &[]);
    (server, kubeconfig, daemon)
}

#[test]
fn revoked_permissions_keep_pods_and_are_reported() {
    let [known, later] = [address(), address()];
    let (server, _, daemon) = following_own_server(known);
    server.revoke("poddns", "pods");
    // The API server does not close open watches, so it is restarted; it refuses the next watch.
    server.kill();
    server.restart();
    until("the refusal is logged", || is_logged(&daemon, "poddns", "watch", "pods"));
    // After the grace period.
    until("the answer is stale", || lookup(&daemon, "default", known) == answered(known, Some(3)));
    assert_eq!(pending(&daemon), [""; 0], "it answers, so it stays in service");
    until("status says what is wrong", || {
        let watches = daemon.status()["watches"].clone();
        let find = |resource: &str| {
            let watch = watches.as_array().unwrap().iter().find(|watch| watch["resource"] == resource);
            (watch.unwrap()["freshness"]["state"].clone(), watch.unwrap()["error"].clone())
        };
        let ((pods, error), (namespaces, none)) = (find("pods"), find("namespaces"));
        let told = error.as_str().is_some_and(|error| is_refusal(error, "poddns", "watch", "pods"));
        told && pods == "stale" && namespaces == "fresh" && none.is_null()
    });

    Api::of(&server).run_pod(PodPath("default", "later"), &[later]);
    assert_eq!(lookup(&daemon, "default", later), denied(Some(19)));
    server.grant("poddns", ALL, "pods", None);
    until("in sync again", || is_answered(&daemon, "default", later));
    assert_eq!(lookup(&daemon, "default", known), answered(known, None));
}

#[test]
fn replaced_token_is_read_again() {
    let [known, later] = [address(), address()];
    let (server, kubeconfig, daemon) = following_own_server(known);
    server.kubectl(&["delete", "serviceaccount", "poddns"], "");
    server.kill();
    server.restart();
    until("the refusal is logged", || daemon.log().contains("cannot list namespaces: 401 "));
    // After the grace period.
    until("the answer is stale", || lookup(&daemon, "default", known) == answered(known, Some(3)));
    // Tokens of the old account are not valid for the new one of the same name. The new token is written to the same
    // file.
    assert_eq!(server.service_account("poddns"), kubeconfig);
    Api::of(&server).run_pod(PodPath("default", "later"), &[later]);
    until("in sync again", || is_answered(&daemon, "default", later));
}
