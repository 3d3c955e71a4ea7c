//! The admin endpoints: for probes, people and Prometheus.

use std::net::{Ipv4Addr, TcpListener};

use crate::support::{Daemon, Stream, ask, name, query, rcode, until};

#[test]
fn an_insecure_server_is_ready_at_once() {
    let daemon = Daemon::insecure(&["--domain=a.example", "--domain=b.example", "--ttl=30"]);
    assert_eq!(daemon.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(daemon.get("/readyz"), (200, "ready\n".to_owned()));
    let status = daemon.status();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["mode"], "insecure");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["zones"], serde_json::json!(["pod.a.example.", "pod.b.example."]));
    assert_eq!(status["ttl"], 30);
    assert_eq!(status["listen"][0]["address"], daemon.address().to_string());
    assert_eq!(status["listen"][0]["configured"], "127.0.0.1:0");
    assert_eq!(status["admin"], daemon.admin.to_string());
    assert_eq!(status["index"], serde_json::Value::Null);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let daemon = Daemon::insecure(&[]);
    assert_eq!(daemon.get("/").0, 404);
    assert_eq!(daemon.get("/status/").0, 404);
    let (head, _) =
        daemon.http("POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    assert!(head.contains("allow: GET, HEAD"), "{head}");
    let (head, body) = daemon.http("HEAD /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "");
    let (head, _) = daemon.http("nonsense\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert_eq!(daemon.get("/healthz").0, 200);
}

#[test]
fn queries_are_counted_by_what_became_of_them() {
    let daemon = Daemon::insecure(&["--block-special"]);
    let server = daemon.address();
    ask(server, &query(1, &name(Ipv4Addr::new(10, 1, 1, 1))));
    ask(server, &query(2, &name(Ipv4Addr::LOCALHOST)));
    ask(server, &query(3, "example.com"));
    Stream::connect(server).exchange(&query(4, "example.com"));
    let expected = [
        ("poddns_queries_total{transport=\"udp\"}", 3),
        ("poddns_queries_total{transport=\"tcp\"}", 1),
        ("poddns_responses_total{transport=\"udp\",rcode=\"NOERROR\"}", 1),
        ("poddns_responses_total{transport=\"udp\",rcode=\"NXDOMAIN\"}", 1),
        ("poddns_responses_total{transport=\"udp\",rcode=\"REFUSED\"}", 1),
        ("poddns_responses_total{transport=\"tcp\",rcode=\"REFUSED\"}", 1),
        ("poddns_extended_errors_total{transport=\"udp\",info_code=\"15\"}", 1),
        ("poddns_tcp_accepted_connections_total", 1),
        ("poddns_ready", 1),
        ("poddns_build_info{version=\"0.1.0\",mode=\"insecure\"}", 1),
    ];
    for (metric, value) in expected {
        assert_eq!(daemon.metric(metric), value, "{metric}");
    }
    let (head, body) = daemon.http("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    until("the connection is gone", || daemon.metric("poddns_tcp_connections") == 0);
}

#[test]
fn an_unsynced_server_says_what_it_waits_for_and_answers_servfail() {
    // A port that was free a moment ago and refuses.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{{name: c, cluster: {{server: \
         'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: test, context: \
         {{cluster: c, user: u}}}}]\n"
    );
    std::fs::write(kubeconfig.path(), text).unwrap();
    let path = kubeconfig.path().to_str().unwrap();
    let daemon = Daemon::start(&["--listen=127.0.0.1:0", "--kubeconfig", path]);
    let (code, reasons) = daemon.get("/readyz");
    assert_eq!(code, 503);
    assert!(reasons.lines().any(|line| line.starts_with("pods")), "{reasons}");
    assert!(reasons.lines().any(|line| line.starts_with("namespaces")), "{reasons}");
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.status()["state"], "pending");
    assert_eq!(daemon.status()["index"]["freshness"]["state"], "unsynced");
    // NXDOMAIN would be cached, with all below it.
    let response = ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 1, 1, 1))));
    assert_eq!(rcode(&response), 2);
    until("the reason is known", || daemon.get("/readyz").1.contains("127.0.0.1"));
}

#[test]
fn slow_http_clients_do_not_keep_others_out() {
    let daemon = Daemon::insecure(&[]);
    let _silent: Vec<_> = (0..32).map(|_| std::net::TcpStream::connect(daemon.admin).unwrap()).collect();
    assert_eq!(daemon.get("/readyz").0, 200);
}
