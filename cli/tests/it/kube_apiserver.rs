//! `poddns check` against a real API server, which `.ci/kube-apiserver` starts.
//!
//! `.ci/kube-apiserver build`, once, then `cargo test --package poddns --features kube-apiserver`.

use std::path::Path;
use std::sync::LazyLock;

use crate::support::{Run, poddns};
use poddns_test_support::kube_apiserver::KubeApiserver;
use poddns_test_support::wait::until;

/// One cluster for all tests.
static SHARED: LazyLock<KubeApiserver> = LazyLock::new(|| KubeApiserver::start(&[]));

fn check(kubeconfig: &Path, arguments: &[&str]) -> Run {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    poddns([&["check", &kubeconfig], arguments].concat())
}

/// Repeats the check until this many permissions are missing: the API server's own watch of RBAC objects may lag
/// behind.
fn check_until_missing(missing: usize, kubeconfig: &Path, arguments: &[&str]) -> Run {
    let mut last = None;
    until(&format!("{missing} permissions are missing"), || {
        let run = last.insert(check(kubeconfig, arguments));
        run.stderr.matches("missing may not").count() == missing
    });
    let run = last.expect("at least one check");
    assert_eq!(run.code, Some(i32::from(missing > 0)), "{run:?}");
    run
}

/// Runs the check, applies only the printed objects, and checks again. Returns the output of the first check, in
/// which this many permissions are missing.
fn check_and_apply(missing: usize, kubeconfig: &Path, arguments: &[&str]) -> Run {
    let first = check_until_missing(missing, kubeconfig, arguments);
    SHARED.apply(&first.stdout);
    let second = check_until_missing(0, kubeconfig, arguments);
    assert_eq!(second.stdout, "");
    assert!(!second.stderr.contains("missing"), "{second:?}");
    first
}

fn assert_lines(run: &Run, lines: &[&str]) {
    for line in lines {
        assert!(run.stderr.lines().any(|found| found == *line), "no line {line:?} in\n{}", run.stderr);
    }
}

#[test]
fn printed_rbac_grants_missing_permissions() {
    let kubeconfig = SHARED.service_account("nothing");
    let first = check_and_apply(4, &kubeconfig, &[]);
    assert_lines(
        &first,
        &[
            "missing may not list pods in all namespaces",
            "missing may not watch pods in all namespaces",
            "missing may not list namespaces",
            "missing may not watch namespaces",
        ],
    );
    assert!(
        first.stderr.contains("authenticated us as service account nothing of namespace default"),
        "{first:?}"
    );
}

#[test]
fn existing_permissions_are_kept() {
    let kubeconfig = SHARED.service_account("list-only");
    SHARED.grant("list-only", &["list"], "pods", None);
    SHARED.grant("list-only", &["list", "watch"], "namespaces", None);
    let first = check_and_apply(1, &kubeconfig, &[]);
    assert_lines(&first, &["missing may not watch pods in all namespaces"]);
    // Objects printed for one subject do not revoke permissions of another.
    let other = SHARED.service_account("other");
    check_and_apply(4, &other, &[]);
    assert_eq!(check(&kubeconfig, &[]).code, Some(0));
}

#[test]
fn namespaced_permissions_are_reviewed_in_their_namespaces() {
    for namespace in ["team-a", "team-b"] {
        SHARED.kubectl(&["create", "namespace", namespace], "");
    }
    let kubeconfig = SHARED.service_account("teams");
    SHARED.grant("teams", &["list", "watch"], "pods", Some("team-b"));
    let first = check_and_apply(4, &kubeconfig, &["--namespace=team-a", "--namespace=team-b"]);
    assert_lines(
        &first,
        &[
            "missing may not list pods in namespace team-a",
            "missing may not watch pods in namespace team-a",
            "missing may not list namespaces",
            "missing may not watch namespaces",
        ],
    );
    // No further permissions are granted.
    let everywhere = check(&kubeconfig, &[]);
    assert_eq!(everywhere.code, Some(1));
    assert_lines(&everywhere, &["missing may not watch pods in all namespaces"]);
}

#[test]
fn permissions_of_other_users_are_checked() {
    SHARED.service_account("someone");
    let subject = "--as=system:serviceaccount:default:someone";
    let first = check(&SHARED.admin(), &[subject]);
    assert_eq!(first.code, Some(1), "{first:?}");
    assert_lines(&first, &["missing may not list namespaces"]);
    // The objects that are printed without a check are sufficient.
    let printed = poddns(["check", "--rbac", subject]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    SHARED.apply(&printed.stdout);
    check_until_missing(0, &SHARED.admin(), &[subject]);
}
