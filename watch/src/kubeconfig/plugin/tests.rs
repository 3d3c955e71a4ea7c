//! Failures of plugins, which are shell scripts here.

use std::fs;
use std::path::Path;

use poddns_test_support::wait::{pass, until_async as until};

use super::*;
use crate::kubeconfig::merge::KubeconfigEntry;

const CLIENT: &str = include_str!("../../../tests/data/tls/client.crt");
const CLIENT_KEY: &str = include_str!("../../../tests/data/tls/client.key");

/// Returns a plugin that runs this script, in a kubeconfig of this folder.
fn plugin_with(folder: &Path, script: &str, more: &str) -> Plugin {
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
        "env": [{"name": "FOLDER", "value": folder}], "installHint": "see\nhere",
    });
    let exec = exec.to_string().replacen('{', &format!("{{{more}"), 1);
    let exec = YamlNode::parse(&exec).unwrap().remove(0);
    let entry = |text: &str| {
        KubeconfigEntry::new("test".to_owned(), YamlNode::parse(text).unwrap().remove(0), folder)
    };
    let cluster = entry(
        "server: https://192.0.2.1\ntls-server-name: name\ncertificate-authority-data: QQ==\n\
         extensions: [{name: other}, {name: client.authentication.k8s.io/exec, extension: {a: 1, b: '2', c: [x, true]}}]",
    );
    Plugin::of(&entry("{}"), &exec, &cluster).unwrap()
}

fn plugin(script: &str) -> Plugin {
    plugin_with(Path::new("/"), script, "")
}

async fn failure(script: &str) -> String {
    plugin(script).run().await.err().expect("it fails").to_string()
}

fn answer(status: &serde_json::Value) -> String {
    let kind = "ExecCredential";
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": kind, "status": status}).to_string()
}

/// Returns a script that prints a text.
fn print(text: &str) -> String {
    format!("cat <<'END'\n{text}\nEND\n")
}

#[tokio::test]
async fn tokens_and_their_end_are_read() {
    let status = json!({"token": "good\n", "expirationTimestamp": "2030-01-01T00:00:00Z"});
    let credentials = plugin(&print(&answer(&status))).run().await.unwrap();
    assert_eq!(credentials.header.unwrap(), "Bearer good");
    assert_eq!(credentials.expires.unwrap().to_string(), "2030-01-01T00:00:00Z");
    let yaml = "# a comment\nkind: ExecCredential\nstatus:\n  token: 1e999\n";
    assert_eq!(plugin(&print(yaml)).run().await.unwrap().header.unwrap(), "Bearer 1e999");
}

#[tokio::test]
async fn client_certificates_are_read() {
    let status = json!({"clientCertificateData": CLIENT, "clientKeyData": CLIENT_KEY});
    let credentials = plugin(&print(&answer(&status))).run().await.unwrap();
    assert!(credentials.header.is_none() && credentials.identity.is_some());
}

#[tokio::test]
async fn the_environment_describes_the_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "printf %s \"$KUBERNETES_EXEC_INFO\" > \"$FOLDER/info\"\n{}",
        print(&answer(&json!({"token": "t"})))
    );
    plugin_with(folder.path(), &script, "").run().await.unwrap();
    let info =
        || fs::read_to_string(folder.path().join("info")).unwrap().parse::<serde_json::Value>().unwrap();
    let mut expected = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "spec": {"interactive": false},
    });
    assert_eq!(info(), expected);
    plugin_with(folder.path(), &script, "\"provideClusterInfo\": true, ").run().await.unwrap();
    expected["spec"]["cluster"] = json!({
        "server": "https://192.0.2.1", "tls-server-name": "name", "certificate-authority-data": "QQ==",
        "config": {"a": 1, "b": "2", "c": ["x", true]},
    });
    assert_eq!(info(), expected);
}

#[tokio::test]
async fn failure_quotes_end_of_standard_error() {
    let text = failure("echo first >&2; printf '\\033[31mno\\n' >&2; exit 3").await;
    let expected = r#"credential plugin "sh" failed (exit status: 3); stderr: "first\n\u{1b}[31mno""#;
    assert_eq!(text, expected);
    let text = failure("yes secret | head -c 4999995 >&2; echo why >&2; exit 1").await;
    assert!(text.ends_with("secret\\nwhy\"") && text.len() < 400, "{text}");
}

#[tokio::test]
async fn output_that_is_no_credential_is_described() {
    for (output, expected) in [
        ("", "it is null without kind: ExecCredential"),
        ("Please log in", "it is text without kind: ExecCredential"),
        ("{kind: Status}", "its kind is \"Status\""),
        ("{kind: ExecCredential}", "its status has neither a token nor a client certificate"),
        ("{kind: ExecCredential, status: {token: [1]}}", "status.token must be text, and is a list"),
        (
            "{kind: ExecCredential, status: {token: t, expirationTimestamp: soon}}",
            "\"soon\" is not an RFC 3339 time",
        ),
        (
            "{kind: ExecCredential, status: {clientKeyData: t}}",
            "clientCertificateData and clientKeyData go together",
        ),
        ("{", "line 1: "),
    ] {
        let text = failure(&print(output)).await;
        assert!(text.starts_with("credential plugin \"sh\" printed no usable ExecCredential: "), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("Please"), "what may be a secret is not shown: {text}");
    }
    assert!(failure("printf '\\377'").await.contains("it is not UTF-8"));
}

#[tokio::test]
async fn endless_output_is_cut_off() {
    assert!(failure("yes").await.contains("printed no usable ExecCredential: more than 1 MiB"));
}

#[tokio::test]
async fn missing_program_is_reported_with_hint() {
    let plugin = Plugin { command: "/nonexistent/plugin".to_owned(), ..plugin("") };
    let text = plugin.run().await.err().unwrap().to_string();
    let start = "cannot run credential plugin \"/nonexistent/plugin\": No such file or directory";
    assert!(
        text.starts_with(start) && text.ends_with("; install hint of the kubeconfig: \"see\\nhere\""),
        "{text}"
    );
}

/// Waits until a process has ended, except that its parent may not have waited for it yet.
async fn until_gone(pid: &str) {
    let is_there = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    };
    until("the process is gone", || !is_there()).await;
}

/// Waits until a script has written a line to a file, and returns it.
async fn written(path: &Path) -> String {
    let text = || fs::read_to_string(path).unwrap_or_default();
    until("the file is written", || text().ends_with('\n')).await;
    text().trim().to_owned()
}

/// Script that writes the id of a process that it has started, and never ends.
const HANGS: &str = "echo waiting >&2; sleep 100000 & echo $! > \"$FOLDER/pid\"; wait";

#[tokio::test]
async fn hanging_plugin_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = plugin_with(folder.path(), HANGS, "");
    let running = tokio::spawn(async move { plugin.run().await.err().unwrap().to_string() });
    let pid = written(&folder.path().join("pid")).await;
    pass(TIME_LIMIT).await;
    let text = running.await.unwrap();
    assert!(text.starts_with("credential plugin \"sh\" did not end within 30s and was killed"), "{text}");
    until_gone(&pid).await;
}

#[tokio::test]
async fn plugin_is_killed_when_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = plugin_with(folder.path(), HANGS, "");
    let running = tokio::spawn(async move { plugin.run().await.map(|_| ()) });
    let pid = written(&folder.path().join("pid")).await;
    running.abort();
    until_gone(&pid).await;
}
