//! Credentials of the cluster.

use std::fs;
use std::path::Path;

use crate::support::{command, follow};
use poddns_test_support::api_server;
use poddns_test_support::api_server::ApiServer;
use poddns_test_support::dns::{SERVFAIL, lookup};
use poddns_test_support::wait::until;
use serde_json::json;

/// Writes a kubeconfig with this script as credential plugin, which has `$FOLDER` in its environment.
fn with_plugin(folder: &Path, url: &str, script: &str) -> std::path::PathBuf {
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
        "env": [{"name": "FOLDER", "value": folder}],
    });
    let path = folder.join("kubeconfig");
    fs::write(&path, api_server::kubeconfig(url, &json!({ "exec": exec }))).unwrap();
    path
}

#[test]
fn hanging_plugin_delays_neither_start_nor_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"sleep 100000 & echo $! > "$FOLDER/pid"; wait"#;
    let kubeconfig = with_plugin(folder.path(), "http://127.0.0.1:1", script);
    let mut daemon = follow(&kubeconfig, &["--lame-duck=0s"]);
    until("the plugin runs", || {
        fs::read_to_string(folder.path().join("pid")).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let answer = lookup(&daemon, "default", "10.0.0.1".parse().unwrap());
    assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, Some(14)));
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.get("/readyz").0, 503);
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let command_line = Path::new("/proc").join(pid.trim()).join("cmdline");
    until("the plugin is gone", || fs::read(&command_line).unwrap_or_default().is_empty());
}

#[test]
fn failing_plugin_is_named_by_readyz() {
    let folder = tempfile::tempdir().unwrap();
    let server = ApiServer::spawn();
    server.require_token("good");
    let script = r#"test -e "$FOLDER/login" || { printf 'no\033login\n' >&2; exit 1; }
        echo '{"kind": "ExecCredential", "status": {"token": "good\n"}}'"#;
    let kubeconfig = with_plugin(folder.path(), &server.url(), script);
    let daemon = follow(&kubeconfig, &[]);
    let reason = r#"credential plugin "sh" failed (exit status: 1); stderr: "no\u{1b}login""#;
    until("it is named", || daemon.get("/readyz").1.contains(reason));
    fs::write(folder.path().join("login"), "").unwrap();
    until("it is ready", || daemon.get("/readyz").0 == 200);
}

#[test]
fn unusable_kubeconfig_exits_with_64() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let good = api_server::kubeconfig("https://127.0.0.1:1", &json!({"token": "t"}));
    for (text, arguments, expected) in [
        (good.clone(), &["--context=nosuch"][..], "there is no context \"nosuch\""),
        (good.replace("https://", "tcp://"), &[], "its scheme must be https or http"),
        (r#"{"kind": "PodList", "items": []}"#.to_owned(), &[], "its kind is \"PodList\", not Config"),
    ] {
        fs::write(&path, text).unwrap();
        let mut command = command();
        command.args(["--listen=127.0.0.1:0", "--kubeconfig"]).arg(&path).args(arguments);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(expected), "{log}");
    }
}
