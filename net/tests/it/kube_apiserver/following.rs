//! Answers after changes of pods and namespaces in the cluster.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::support::follow_until_ready;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{denied, is_answered, is_denied, lookup, lookup_namespace, no_data};
use poddns_test_support::wait::until;
use serde_json::json;

use crate::kube_apiserver::SHARED;
use crate::kube_apiserver::api::{Api, PodPath, Write, address};

/// Kubeconfig of an account with exactly the permissions that the daemon needs.
pub(super) static KUBECONFIG: LazyLock<PathBuf> = LazyLock::new(|| {
    let kubeconfig = SHARED.service_account("follower");
    for resource in ["pods", "namespaces"] {
        SHARED.grant("follower", &["list", "watch"], resource, None);
    }
    kubeconfig
});

/// Starts a daemon in sync with the shared cluster, and creates a namespace there.
fn start(namespace: &str) -> (Api, Daemon) {
    start_with(namespace, &[])
}

/// Starts a daemon as [`start`] does, with these options.
pub(super) fn start_with(namespace: &str, arguments: &[&str]) -> (Api, Daemon) {
    let api = Api::of(&SHARED);
    api.create_namespace(namespace);
    (api, follow_until_ready(&KUBECONFIG, arguments))
}

/// Waits until the daemon has seen all earlier changes of pods.
fn catch_up(api: &Api, daemon: &Daemon) {
    let address = address();
    let name = format!("marker-{}", address.to_string().replace('.', "-"));
    api.run_pod(PodPath("default", &name), &[address]);
    until("the last change is seen", || is_answered(daemon, "default", address));
}

#[test]
fn pod_resolves_from_address_to_deletion() {
    let namespace = "life";
    let (api, daemon) = start(namespace);
    let (pod, address) = (PodPath(namespace, "pod"), address());
    api.write(Write::create(pod, &json!({})));
    catch_up(&api, &daemon);
    assert_eq!(lookup(&daemon, namespace, address), denied(None));
    api.write(Write::status(pod, "Pending", &[address]));
    until("an address is given", || is_answered(&daemon, namespace, address));
    assert_eq!(lookup(&daemon, "default", address), denied(None), "it is of another namespace");
    api.write(Write::status(pod, "Running", &[address]));
    api.write(Write::delete(pod, 0));
    until("a pod is deleted", || is_denied(&daemon, namespace, address));
}

#[test]
fn ended_pod_does_not_resolve() {
    let namespace = "end";
    let (api, daemon) = start(namespace);
    for phase in ["Succeeded", "Failed"] {
        let name = phase.to_lowercase();
        let (pod, address) = (PodPath(namespace, &name), address());
        api.run_pod(pod, &[address]);
        until("a pod runs", || is_answered(&daemon, namespace, address));
        api.write(Write::status(pod, phase, &[address]));
        until(phase, || is_denied(&daemon, namespace, address));
        api.run_pod(PodPath(namespace, &format!("{name}-next")), &[address]);
        until("its address is given again", || is_answered(&daemon, namespace, address));
        api.write(Write::delete(pod, 0));
        catch_up(&api, &daemon);
        assert!(is_answered(&daemon, namespace, address), "it is the next pod's");
    }
}

#[test]
fn an_address_that_changes_is_replaced() {
    let namespace = "change";
    let (api, daemon) = start(namespace);
    let (pod, old, new) = (PodPath(namespace, "pod"), address(), address());
    api.run_pod(pod, &[old]);
    until("the first address", || is_answered(&daemon, namespace, old));
    api.write(Write::status(pod, "Running", &[new]));
    until("the second address", || is_answered(&daemon, namespace, new));
    assert_eq!(lookup(&daemon, namespace, old), denied(None));
}

#[test]
fn dual_stack_pod_resolves_by_both_addresses() {
    let namespace = "dual-stack";
    let (api, daemon) = start(namespace);
    let (pod, four, six) =
        (PodPath(namespace, "pod"), address(), IpAddr::from([0xfd00, 0x42, 0, 0, 0, 0, 0, 1]));
    api.run_pod(pod, &[four, six]);
    until("the second address", || is_answered(&daemon, namespace, six));
    assert!(is_answered(&daemon, namespace, four));
    api.write(Write::status(pod, "Running", &[four]));
    until("the second address is gone", || is_denied(&daemon, namespace, six));
    assert!(is_answered(&daemon, namespace, four));
}

#[test]
fn node_address_resolves_while_pods_share_it() {
    let namespace = "host-network";
    let (api, daemon) = start(namespace);
    let excluding = follow_until_ready(&KUBECONFIG, &["--host-network=exclude"]);
    let node = address();
    let pods = [PodPath(namespace, "one"), PodPath(namespace, "two")];
    for pod in pods {
        api.write(Write::create(pod, &json!({ "hostNetwork": true })));
        api.write(Write::status(pod, "Running", &[node]));
    }
    until("a pod on its node's network", || is_answered(&daemon, namespace, node));
    api.write(Write::delete(pods[0], 0));
    catch_up(&api, &daemon);
    assert!(is_answered(&daemon, namespace, node), "one of two is left");
    catch_up(&api, &excluding);
    assert_eq!(lookup(&excluding, namespace, node), denied(None));
    api.write(Write::delete(pods[1], 0));
    until("the last of two is deleted", || is_denied(&daemon, namespace, node));
}

#[test]
fn terminating_pod_resolves_until_deleted() {
    let namespace = "terminating";
    let (api, daemon) = start(namespace);
    let (pod, address) = (PodPath(namespace, "pod"), address());
    api.run_pod(pod, &[address]);
    let left = api.write(Write::delete(pod, 3600));
    assert!(left["metadata"]["deletionTimestamp"].is_string(), "it terminates: {left}");
    catch_up(&api, &daemon);
    assert!(is_answered(&daemon, namespace, address));
    let started_meanwhile = follow_until_ready(&KUBECONFIG, &[]);
    assert!(is_answered(&started_meanwhile, namespace, address));
    api.write(Write::delete(pod, 0));
    for daemon in [daemon, started_meanwhile] {
        until("a terminating pod is gone", || is_denied(&daemon, namespace, address));
    }
}

#[test]
fn namespaces_are_created_and_deleted() {
    let (api, daemon) = start("there-before");
    assert_eq!(lookup_namespace(&daemon, "there-before"), no_data());
    let namespace = "later";
    assert_eq!(lookup_namespace(&daemon, namespace), denied(None));
    api.create_namespace(namespace);
    until("a namespace is made", || lookup_namespace(&daemon, namespace) == no_data());
    let (pod, address) = (PodPath(namespace, "pod"), address());
    api.run_pod(pod, &[address]);
    until("a pod in it", || is_answered(&daemon, namespace, address));
    api.write(Write::delete(pod, 0));
    until("its last pod is deleted", || is_denied(&daemon, namespace, address));
    assert_eq!(lookup_namespace(&daemon, namespace), no_data(), "an empty namespace exists");
    api.delete_namespace(namespace);
    until("a namespace is deleted", || lookup_namespace(&daemon, namespace) == denied(None));
}
