//! Reading a cluster under all restrictions: no capabilities, Landlock and seccomp, with credentials that the kubelet
//! rotates meanwhile.
//!
//! These tests cover the files and system calls of the daemon; the tests of the feeds cover watching a cluster.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::support::{POD, command, one_pod, start};
use poddns_test_support::api_server;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{addresses, ask, name, query};
use poddns_test_support::wait::until;

/// Writes a token to a volume like the kubelet: into a new directory, to which it re-points the link `..data`.
fn fill(volume: &Path, directory: &str, token: &str) {
    fs::create_dir(volume.join(directory)).unwrap();
    fs::write(volume.join(directory).join("token"), token).unwrap();
    symlink(directory, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[test]
fn rotated_token_is_read_under_restrictions() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("serviceaccount");
    fs::create_dir(&volume).unwrap();
    fill(&volume, "..1", "first-token");
    symlink("..data/token", volume.join("token")).unwrap();
    let server = one_pod();
    server.require_token("first-token");
    // A host name, so that the C library has to resolve it.
    let url = format!("http://localhost:{}", server.address().port());
    let kubeconfig = folder.path().join("kubeconfig");
    let user = serde_json::json!({ "tokenFile": volume.join("token") });
    fs::write(&kubeconfig, api_server::kubeconfig(&url, &user)).unwrap();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let strict = ["--landlock=require", "--seccomp=on", "--listen=127.0.0.1:0"];
    let daemon = start(&[&["--kubeconfig", kubeconfig], &strict[..]].concat());
    until("ready", || daemon.get("/readyz").0 == 200);
    let answered = || addresses(&ask(daemon.address(), &query(1, &name(POD)))) == [POD];
    assert!(answered());

    server.require_token("second-token");
    for resource in ["pods", "namespaces"] {
        server.end_watches(resource);
    }
    until("the old token is refused", || daemon.log().contains("does not accept our credentials"));
    assert!(answered(), "what is known stays");
    fill(&volume, "..2", "second-token");
    fs::remove_dir_all(volume.join("..1")).unwrap();
    until("the new token is used", || daemon.status()["index"]["freshness"]["state"] == "fresh");
    assert!(answered());
    assert!(
        !daemon.log().contains("ermission denied") && !daemon.log().contains("not permitted"),
        "{}",
        daemon.log()
    );
}

#[test]
fn credential_plugin_and_seccomp_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let plugin = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "cloud-login", "interactiveMode": "Never",
    });
    let user = serde_json::json!({ "exec": plugin });
    fs::write(&kubeconfig, api_server::kubeconfig("http://127.0.0.1:9", &user)).unwrap();
    for (flag, setting) in [("--seccomp=on", "seccomp on"), ("--landlock=require", "landlock require")] {
        let mut command = command();
        command.arg("--kubeconfig").arg(&kubeconfig).args(["--listen=127.0.0.1:0", "--admin=off", flag]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let told = String::from_utf8_lossy(&output.stderr);
        let expected =
            format!("--{setting} forbids to run programs, but the kubeconfig runs \"cloud-login\"");
        assert!(told.contains(&expected), "{told}");
    }
}

/// Snapshots need only write access to their folder, which another user than root owns here.
#[test]
fn snapshots_work_under_all_restrictions() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let mut server = one_pod();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, api_server::kubeconfig(&server.url(), &serde_json::json!({ "token": "token" })))
        .unwrap();
    let (kubeconfig, snapshot) = (kubeconfig.display(), state.join("snapshot"));
    let arguments = [
        "--listen=127.0.0.1:0",
        "--landlock=require",
        "--seccomp=on",
        "--user=65534:65534",
        "--snapshot-interval=1s",
        &format!("--kubeconfig={kubeconfig}"),
        &format!("--snapshot={}", snapshot.display()),
    ];
    let assert_calm = |daemon: &Daemon| {
        let log = daemon.log();
        assert!(!log.contains("ermission denied") && !log.contains("not permitted"), "{log}");
    };
    let mut daemon = start(&arguments);
    until("two snapshots", || daemon.metric("poddns_snapshot_writes_total{result=\"success\"}") >= 2);
    let metadata = fs::metadata(&snapshot).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&metadata), 65534);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_calm(&daemon);
    server.stop_spawned();
    let daemon = start(&arguments);
    assert_eq!(addresses(&ask(daemon.address(), &query(1, &name(POD)))), [POD]);
    assert_calm(&daemon);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left beside it");
}
