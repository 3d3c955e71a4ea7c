//! Reading a cluster under all restrictions at once: no capability, Landlock, seccomp, and credentials that the
//! kubelet exchanges meanwhile.
//!
//! The API server here knows no more than lists, watches without news, and which token is good: the feeds' own
//! tests have one that knows more, and this is about what the daemon may open and call.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::{Daemon, addresses, ask, name, query, until};

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);

/// An API server that lets in who has this token.
struct ApiServer {
    address: SocketAddr,
    token: Arc<Mutex<String>>,
}

impl ApiServer {
    fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let token = Arc::new(Mutex::new(token.to_owned()));
        let good = Arc::clone(&token);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let good = Arc::clone(&good);
                thread::spawn(move || serve(stream, &good));
            }
        });
        Self { address, token }
    }
}

/// Answers one request and closes; what fails is the client's to notice.
fn serve(mut stream: TcpStream, good: &Mutex<String>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let bearer = format!("authorization: bearer {}", good.lock().ok()?);
    let known = head.iter().any(|line| line.eq_ignore_ascii_case(&bearer));
    let (path, parameters) = target.split_once('?').unwrap_or((&target, ""));
    let watch = parameters.contains("watch=true");
    let (status, body) = match path {
        _ if !known => (401, status(401, "Unauthorized")),
        // As servers without streaming lists say it.
        _ if parameters.contains("sendInitialEvents") => (422, status(422, "Invalid")),
        "/api/v1/pods" => (200, pods()),
        "/api/v1/namespaces" => (200, namespaces()),
        _ => (404, status(404, "NotFound")),
    };
    if watch && status == 200 {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .ok()?;
        // Nothing happens, until the token is another.
        while known && head.iter().any(|line| good.lock().is_ok_and(|good| line.ends_with(&**good))) {
            thread::sleep(Duration::from_millis(20));
        }
        return Some(());
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: \
         close\r\n\r\n{body}"
    )
    .ok()
}

fn status(code: u16, reason: &str) -> String {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code,
    })
    .to_string()
}

fn pods() -> String {
    let pod = serde_json::json!({
        "metadata": { "name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7" },
        "spec": {}, "status": { "phase": "Running", "podIP": POD, "podIPs": [{ "ip": POD }] },
    });
    list("PodList", &pod)
}

fn namespaces() -> String {
    list(
        "NamespaceList",
        &serde_json::json!({ "metadata": { "name": "default", "uid": "n", "resourceVersion": "3" } }),
    )
}

fn list(kind: &str, item: &serde_json::Value) -> String {
    let metadata = serde_json::json!({ "resourceVersion": "9" });
    serde_json::json!({ "kind": kind, "apiVersion": "v1", "metadata": metadata, "items": [item] }).to_string()
}

/// A volume as the kubelet fills it: the token is a link into a directory that is a link itself.
fn fill(volume: &Path, directory: &str, token: &str) {
    fs::create_dir(volume.join(directory)).unwrap();
    fs::write(volume.join(directory).join("token"), token).unwrap();
    symlink(directory, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[test]
fn a_cluster_is_read_and_read_again_when_the_token_has_been_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("serviceaccount");
    fs::create_dir(&volume).unwrap();
    fill(&volume, "..1", "first-token");
    symlink("..data/token", volume.join("token")).unwrap();
    let server = ApiServer::start("first-token");
    // By name, so that the C library has to look it up.
    let url = format!("http://localhost:{}", server.address.port());
    let kubeconfig = folder.path().join("kubeconfig");
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": url } }],
        "users": [{ "name": "c", "user": { "tokenFile": volume.join("token") } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
    });
    fs::write(&kubeconfig, text.to_string()).unwrap();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let strict = ["--landlock=require", "--seccomp=on", "--listen=127.0.0.1:0"];
    let daemon = Daemon::start(&[&["--kubeconfig", kubeconfig], &strict[..]].concat());
    until("ready", || daemon.get("/readyz").0 == 200);
    let answered = || addresses(&ask(daemon.address(), &query(1, &name(POD)))) == [POD];
    assert!(answered());

    *server.token.lock().unwrap() = "second-token".to_owned();
    until("the old token is refused", || daemon.log().contains("401 Unauthorized"));
    assert!(answered(), "what is known stays");
    fill(&volume, "..2", "second-token");
    fs::remove_dir_all(volume.join("..1")).unwrap();
    until("the new token is taken", || daemon.status()["index"]["freshness"]["state"] == "fresh");
    assert!(answered());
    assert!(
        !daemon.log().contains("ermission denied") && !daemon.log().contains("not permitted"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_program_for_credentials_and_a_filter_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let plugin = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "cloud-login", "interactiveMode": "Never",
    });
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": "http://127.0.0.1:9" } }],
        "users": [{ "name": "c", "user": { "exec": plugin } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
    });
    fs::write(&kubeconfig, text.to_string()).unwrap();
    for (flag, setting) in [("--seccomp=on", "seccomp on"), ("--landlock=require", "landlock require")] {
        let mut command = support::command();
        command.arg("--kubeconfig").arg(&kubeconfig).args(["--listen=127.0.0.1:0", "--admin=off", flag]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let told = String::from_utf8_lossy(&output.stderr);
        let expected =
            format!("--{setting} forbids to run programs, but the kubeconfig runs \"cloud-login\"");
        assert!(told.contains(&expected), "{told}");
    }
}
