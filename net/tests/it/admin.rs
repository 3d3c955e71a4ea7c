//! The admin endpoints, for probes, operators and Prometheus.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

use crate::support::{insecure, start};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, ask, name, query, rcode};
use poddns_test_support::wait::{PATIENCE, until};

#[test]
fn an_insecure_server_is_ready_at_once() {
    let daemon = insecure(&["--domain=a.example", "--domain=b.example", "--ttl=30"]);
    assert_eq!(daemon.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(daemon.get("/readyz"), (200, "ready\n".to_owned()));
    let status = daemon.status();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["mode"], "insecure");
    assert_eq!(status["version"], 1);
    assert_eq!(status["server_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["zones"], serde_json::json!(["pod.a.example.", "pod.b.example."]));
    assert_eq!(status["ttl_seconds"], 30);
    assert_eq!(status["listen"][0]["address"], daemon.address().to_string());
    assert_eq!(status["listen"][0]["configured"], "127.0.0.1:0");
    assert_eq!(status["admin"], daemon.admin.to_string());
    assert_eq!(status["index"], serde_json::Value::Null);
}

#[test]
fn admin_on_both_wildcards_serves_both_families() {
    let daemon = insecure(&["--admin=*:0"]);
    let port = daemon.admin.port();
    let probe = |address: IpAddr| {
        let mut stream = TcpStream::connect((address, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    assert!(probe(v4).unwrap().starts_with("HTTP/1.1 200 "));
    if TcpListener::bind((v6, 0)).is_ok() {
        assert!(probe(v6).unwrap().starts_with("HTTP/1.1 200 "));
    } else {
        println!("this host has no IPv6");
    }
}

#[test]
fn other_paths_and_methods_are_refused() {
    let daemon = insecure(&[]);
    assert_eq!(daemon.get("/index.html").0, 404);
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
fn queries_are_counted_by_outcome() {
    let daemon = insecure(&["--block-special"]);
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
        ("poddns_build_info{version=\"0.1.0\",revision=\"unknown\"}", 1),
        ("poddns_mode{mode=\"insecure\"}", 1),
        ("poddns_mode{mode=\"verified\"}", 0),
    ];
    for (metric, value) in expected {
        assert_eq!(daemon.metric(metric), value, "{metric}");
    }
    until("the connection is gone", || daemon.metric("poddns_tcp_connections") == 0);
}

#[test]
fn unsynced_server_is_pending_and_answers_servfail() {
    // A port that was free a moment ago, and so refuses connections.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{{name: c, cluster: {{server: \
         'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: test, context: \
         {{cluster: c, user: u}}}}]\n"
    );
    std::fs::write(kubeconfig.path(), text).unwrap();
    let path = kubeconfig.path().to_str().unwrap();
    let daemon = start(&["--listen=127.0.0.1:0", "--kubeconfig", path]);
    until("both watches are pending", || {
        let (code, reasons) = daemon.get("/readyz");
        assert_eq!(code, 503);
        ["pods", "namespaces"].iter().all(|watch| reasons.lines().any(|line| line.starts_with(watch)))
    });
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.status()["state"], "pending");
    assert_eq!(daemon.status()["index"]["freshness"]["state"], "unsynced");
    let (_, metrics) = daemon.get("/metrics");
    assert!(metrics.contains("poddns_index_synced 0\n"), "{metrics}");
    assert!(!metrics.contains("poddns_index_age_seconds"), "never in sync is no age");
    for result in ["complete", "failed"] {
        let none = format!("poddns_resync_comparisons_total{{result=\"{result}\"}} 0\n");
        assert!(metrics.contains(&none), "{metrics}");
    }
    // NXDOMAIN would be cached, for all names below it, too (RFC 8020).
    let response = ask(daemon.address(), &query(1, &name(Ipv4Addr::new(10, 1, 1, 1))));
    assert_eq!(rcode(&response), 2);
    until("the reason is known", || daemon.get("/readyz").1.contains("127.0.0.1"));
}

#[test]
fn sampled_durations_are_counted_for_each_transport() {
    let daemon = insecure(&[]);
    let server = daemon.address();
    let name = name(Ipv4Addr::new(10, 1, 1, 1));
    ask(server, &query(1, &name));
    let mut stream = Stream::connect(server);
    stream.exchange(&query(2, &name));
    stream.exchange(&query(3, &name));
    for transport in ["udp", "tcp"] {
        // The sample is counted after the response is sent.
        until("the first query of the thread is a sample", || {
            daemon.metric(&format!("poddns_query_duration_seconds_count{{transport=\"{transport}\"}}")) == 1
        });
    }
    assert_eq!(daemon.metric("poddns_decisions_total{reason=\"address-unchecked\"}"), 3);
    assert_eq!(daemon.metric("poddns_decisions_total{reason=\"outside-zones\"}"), 0);
}

#[test]
fn options_in_force_have_their_source() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "pods = \"insecure\"\n\nttl = 7\n").unwrap();
    let path = file.path().to_str().unwrap();
    let daemon = start(&["--listen=127.0.0.1:0", "--config", path, "--block-special"]);
    let option = |name: &str| {
        let status = daemon.status();
        let mut options = status["configuration"].as_array().unwrap().iter();
        let option = options.find(|option| option["name"] == name).unwrap();
        let part = |field: &str| option[field].as_str().unwrap_or_default().to_owned();
        (option["values"][0].as_str().map(str::to_owned), part("source"), part("place"))
    };
    let of = |value: &str, source: &str, place: &str| {
        (Some(value.to_owned()), source.to_owned(), place.to_owned())
    };
    assert_eq!(option("ttl"), of("7", "file", &format!("{path}:3")));
    assert_eq!(option("block-special"), of("true", "flag", "--block-special"));
    assert_eq!(option("max-staleness"), of("off", "default", ""));
    assert_eq!(option("cookie-secret-file"), (None, "default".to_owned(), String::new()));
    // After a reload the document has the new values of reloadable options and the old values of the others.
    std::fs::write(file.path(), "pods = \"insecure\"\nttl = 8\nthreads = 64\n").unwrap();
    let threads = option("threads");
    daemon.signal("HUP");
    until("the file is read again", || option("ttl") == of("8", "file", &format!("{path}:2")));
    assert_eq!(option("threads"), threads);
}

#[test]
fn page_has_state_and_strict_policy() {
    let daemon = insecure(&["--domain=a.example"]);
    let (head, body) = daemon.http("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{head}");
    assert!(
        head.contains("x-content-type-options: nosniff") && head.contains("cache-control: no-store"),
        "{head}"
    );
    for text in [
        "pod.a.example.",
        "id=\"mode\">insecure",
        "no guard: any address is answered",
        &daemon.admin.to_string(),
    ] {
        assert!(body.contains(text), "{text}: {body}");
    }
    let (head, body) = daemon.http("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
}

/// Number of connections that send nothing or an incomplete request: more than the server keeps open.
const FLOOD: u16 = 500;

/// Connects to the admin endpoints from this loopback address.
fn connect_from(client: Ipv4Addr, daemon: &Daemon) -> TcpStream {
    Stream::connect_from(client, daemon.admin).0
}

fn assert_probes_are_answered(daemon: &Daemon) {
    for path in ["/healthz", "/livez", "/health", "/readyz", "/ready"] {
        assert_eq!(daemon.get(path).0, 200, "{path}");
    }
}

#[test]
fn silent_connections_do_not_keep_probes_out() {
    let daemon = insecure(&[]);
    let before = daemon.memory();
    let one = (0..FLOOD).map(|_| Ipv4Addr::LOCALHOST);
    let many = (0..FLOOD).map(|number| {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(127, 1, high, low)
    });
    let clients: Vec<Ipv4Addr> = one.chain(many).collect();
    for head in ["", "GET /healthz HTTP/1.1\r\nX-Padding: "] {
        let mut connections = Vec::new();
        for (number, &client) in clients.iter().enumerate() {
            let mut stream = connect_from(client, &daemon);
            // The server may have closed the connection already.
            let _ = stream.write_all(head.as_bytes());
            if !head.is_empty() {
                let _ = stream.write_all(&[b'x'; 8000]);
            }
            connections.push(stream);
            if number % 100 == 99 {
                assert_probes_are_answered(&daemon);
            }
        }
        assert_probes_are_answered(&daemon);
    }
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes");
}

#[test]
fn client_beyond_limit_loses_silent_connections() {
    let daemon = insecure(&[]);
    let mut silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(daemon.admin).unwrap()).collect();
    let mut used = TcpStream::connect(daemon.admin).unwrap();
    used.set_read_timeout(Some(PATIENCE)).unwrap();
    // Enough to exceed the limit by one; the first silent connection is the oldest without a request.
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut answer = [0; 256];
    silent.extend((0..14).map(|_| {
        used.write_all(request).unwrap();
        assert!(used.read(&mut answer).unwrap() > 0);
        TcpStream::connect(daemon.admin).unwrap()
    }));
    let mut first = Stream(silent.remove(0));
    first.0.set_read_timeout(Some(PATIENCE)).unwrap();
    first.assert_closed();
    used.write_all(request).unwrap();
    assert!(used.read(&mut answer).unwrap() > 0, "still open");
}

#[test]
fn clients_that_never_read_delay_no_probe() {
    let daemon = insecure(&[]);
    let before = daemon.memory();
    let mut connections = Vec::new();
    for number in 0..FLOOD {
        let [high, low] = number.to_be_bytes();
        let mut stream = connect_from(Ipv4Addr::new(127, 1, high, low), &daemon);
        for _ in 0..10 {
            // Fails if the server has closed the connection.
            let _ = stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        connections.push(stream);
    }
    assert_probes_are_answered(&daemon);
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
}

#[test]
fn metrics_have_the_accepted_format() {
    let daemon = insecure(&[]);
    let get = |accept: &str| {
        daemon.http(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}Connection: close\r\n\r\n"))
    };
    let (head, body) =
        get("Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n") && body.contains("# TYPE poddns_build info\n"), "{body}");
    for accept in ["", "Accept: */*\r\n", "Accept: text/plain\r\n"] {
        let (head, body) = get(accept);
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(!body.contains("# EOF") && body.contains("# TYPE poddns_queries_total counter\n"), "{body}");
        assert!(body.contains("# TYPE poddns_build_info gauge\n"), "{body}");
    }
}

#[test]
fn counts_by_code_begin_at_zero() {
    let daemon = insecure(&[]);
    for transport in ["udp", "tcp"] {
        for rcode in ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"] {
            let metric = format!("poddns_responses_total{{transport=\"{transport}\",rcode=\"{rcode}\"}}");
            assert_eq!(daemon.metric(&metric), 0, "{metric}");
        }
        for code in [0, 3, 14, 15, 19, 20, 21, 22] {
            let metric =
                format!("poddns_extended_errors_total{{transport=\"{transport}\",info_code=\"{code}\"}}");
            assert_eq!(daemon.metric(&metric), 0, "{metric}");
        }
    }
}

/// Returns a file with these pods: namespace, name and addresses.
fn pods_file(pods: &[(&str, &str, &[&str])]) -> tempfile::NamedTempFile {
    let items: Vec<_> = pods
        .iter()
        .map(|(namespace, name, addresses)| {
            let addresses: Vec<_> = addresses.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
            serde_json::json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}") },
                "status": { "phase": "Running", "podIPs": addresses },
            })
        })
        .collect();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list.to_string()).unwrap();
    file
}

fn verified(file: &tempfile::NamedTempFile) -> Daemon {
    let path = file.path().to_str().unwrap();
    let daemon = start(&["--listen=127.0.0.1:0", "--pods-file", path, "--pod-names"]);
    until("the file is read", || daemon.get("/readyz").0 == 200);
    daemon
}

fn json(daemon: &Daemon, path: &str) -> serde_json::Value {
    let (code, body) = daemon.get(path);
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn pods_are_listed_page_by_page() {
    let pods: Vec<(String, String)> =
        (0..25).map(|number| (format!("pod-{number}"), format!("10.1.0.{number}"))).collect();
    let addresses: Vec<[&str; 1]> = pods.iter().map(|(_, address)| [address.as_str()]).collect();
    let rows: Vec<(&str, &str, &[&str])> = pods
        .iter()
        .zip(&addresses)
        .map(|((name, _), addresses)| ("web", name.as_str(), addresses.as_slice()))
        .chain([("db", "db-0", &["10.2.0.1", "fd00::1"][..])])
        .collect();
    let file = pods_file(&rows);
    let daemon = verified(&file);
    let (mut names, mut path) = (Vec::new(), "/pods?limit=10".to_owned());
    loop {
        let page = json(&daemon, &path);
        assert_eq!((&page["version"], &page["freshness"]["state"]), (&1.into(), &"fresh".into()));
        let pods = page["pods"].as_array().unwrap();
        assert!(pods.len() <= 10);
        names.extend(pods.iter().map(|pod| pod["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["continue"].as_str() else { break };
        path = format!("/pods?limit=10&continue={next}");
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 26);
    let of_namespace = json(&daemon, "/pods?namespace=db");
    let expected =
        serde_json::json!([{ "namespace": "db", "name": "db-0", "addresses": ["10.2.0.1", "fd00::1"] }]);
    assert_eq!(of_namespace["pods"], expected);
    assert_eq!(json(&daemon, "/pods?address=fd00%3A%3A1")["pods"], expected);
    assert_eq!(json(&daemon, "/pods?name=db-0&namespace=web")["pods"], serde_json::json!([]));
}

#[test]
fn listings_refuse_what_they_cannot_do() {
    let file = pods_file(&[("web", "web-0", &["10.1.0.1"])]);
    let daemon = verified(&file);
    assert_eq!(daemon.get("/pods?namespace=Web").0, 400);
    assert_eq!(daemon.get("/pods?continue=4000-1").0, 410);
    let insecure = insecure(&[]);
    let (code, body) = insecure.get("/pods");
    assert_eq!(code, 404);
    assert!(body.contains("keeps no pods"), "{body}");
}

#[test]
fn explanations_match_the_running_server() {
    let file = pods_file(&[("web", "web-0", &["10.1.0.1"])]);
    let daemon = verified(&file);
    let explain = |query: &str| json(&daemon, &format!("/explain?{query}"));
    let name = "10-1-0-1.default.pod.cluster.local";
    let document = explain(&format!("name={name}"));
    assert_eq!(
        (&document["status"], &document["reason"]),
        (&"NXDOMAIN".into(), &"no-pod-has-address".into())
    );
    let text = document["text"].as_str().unwrap();
    assert!(text.starts_with("10.1.0.1 is pod 'web-0' of 'web', not of 'default'"), "{text}");
    assert_eq!(document["owner"], serde_json::json!({ "kind": "pod", "namespace": "web", "name": "web-0" }));
    assert_eq!(rcode(&ask(daemon.address(), &query(1, name))), 3, "as the server answers");
    let document = explain("name=10-1-0-1.web.pod.cluster.local&type=AAAA");
    assert_eq!((&document["status"], &document["has_records"]), (&"NOERROR".into(), &false.into()));
    for (query, why) in [
        ("", "name is missing"),
        ("name=a..b", "is not a domain name"),
        ("name=a&type=B", "is not a record type"),
        ("nam=a", "'nam' is not a parameter"),
    ] {
        let (code, body) = daemon.get(&format!("/explain?{query}"));
        assert_eq!(code, 400, "{query}");
        assert!(body.contains(why), "{query}: {body}");
    }
}
