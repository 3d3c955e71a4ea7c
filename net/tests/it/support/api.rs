//! An API server of one pod, which knows no more than lists, watches without news, and which token is good.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The pod's address; its namespace is `default`.
pub const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);

/// A kubeconfig for this server and user.
pub fn kubeconfig(url: &str, user: &serde_json::Value) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": url } }],
        "users": [{ "name": "c", "user": user }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
    })
    .to_string()
}

/// Lets in who has this token.
pub struct ApiServer {
    pub address: SocketAddr,
    pub token: Arc<Mutex<String>>,
    gone: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl ApiServer {
    pub fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (token, gone) = (Arc::new(Mutex::new(token.to_owned())), Arc::new(AtomicBool::new(false)));
        let (good, end) = (Arc::clone(&token), Arc::clone(&gone));
        // Ends with the test's process, unless it is stopped before.
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let good = Arc::clone(&good);
                thread::spawn(move || serve(stream, &good));
            }
        });
        Self { address, token, gone, accepting: Some(accepting) }
    }

    /// Is gone: connections are refused, and those that were open end.
    pub fn stop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        self.token.lock().unwrap().clear();
        // The listener hears of it by one more connection.
        drop(TcpStream::connect(self.address));
        self.accepting.take().into_iter().for_each(|thread| thread.join().unwrap());
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
