//! `poddns check`: the configuration, and the permissions in a cluster with a fake API server.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::support::{Run, poddns, poddns_with};
use poddns_test_support::api_server::{
    ApiServer, PreparedResponse, RequestVerb, ReviewedAccess, SERVICE_ACCOUNT, pod,
};
use poddns_test_support::dns::bind_both;
use serde_json::json;
use tempfile::TempDir;

/// Starts an API server with one pod that accepts the token `secret` as the service account `dns/poddns`.
fn api(is_allowed: fn(&ReviewedAccess) -> bool) -> ApiServer {
    let server = ApiServer::spawn();
    server.require_token("secret");
    server.allow(is_allowed);
    put_pod(&server, "web", "10.0.0.1");
    server
}

/// Adds a pod on the host 10.1.0.1.
fn put_pod(server: &ApiServer, namespace: &str, address: &str) {
    let mut pod = pod(namespace, "web-0", &[address]);
    pod["status"]["hostIP"] = json!("10.1.0.1");
    server.put(pod);
}

/// A kubeconfig with two contexts: `good`, and `bad` with a wrong token.
fn kubeconfig(folder: &TempDir, server: SocketAddr) -> String {
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: good
clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}]
users: [{{name: good, user: {{token: secret}}}}, {{name: bad, user: {{token: guess}}}}]
contexts: [{{name: good, context: {{cluster: c, user: good}}}}, {{name: bad, context: {{cluster: c, user: bad}}}}]
"
    );
    fs::write(&path, text).expect("a writable folder");
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs the check against this API server.
fn check(api: &ApiServer, args: &[&str]) -> Run {
    check_at(api.address(), args)
}

fn check_at(server: SocketAddr, args: &[&str]) -> Run {
    let folder = TempDir::new().expect("a temporary folder");
    let kubeconfig = kubeconfig(&folder, server);
    poddns(["check", "--kubeconfig", kubeconfig.as_str()].iter().chain(args))
}

/// Returns the findings, without the first line, which is about the configuration.
fn findings(run: &Run) -> Vec<&str> {
    run.stderr.lines().skip(1).collect()
}

#[test]
fn sufficient_permissions_are_success() {
    let api = api(|_| true);
    let run = check(&api, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert_eq!(
        run.stderr,
        format!(
            "ok      configuration: mode verified, zones pod.cluster.local., listening on 127.0.0.1:1053
ok      the API server at http://{}/ answers: v1.36.0
ok      authenticated us as service account poddns of namespace dns
ok      may list pods in all namespaces
ok      may watch pods in all namespaces
ok      may list namespaces
ok      may watch namespaces
ok      the rate limit applies to none of 2 addresses
",
            api.address()
        )
    );
}

#[test]
fn permissions_of_another_subject_are_checked() {
    let api = api(|access| {
        let groups = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:dns", "g"];
        access.user == "system:serviceaccount:dns:other"
            && access.groups == groups
            && access.resource == "pods"
    });
    let run = check(&api, &["--as", "system:serviceaccount:dns:other", "--as-group", "g"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    for expected in [
        "ok      checked for service account other of namespace dns",
        "ok      may list pods in all namespaces",
        "missing may not watch namespaces",
    ] {
        assert!(findings(&run).contains(&expected), "{expected}\n{}", run.stderr);
    }
    assert!(run.stdout.contains("name: \"other\""), "{}", run.stdout);
    let run = check(&api, &["--as", "jane"]);
    assert!(run.code == Some(1) && run.stdout.contains("kind: User"), "{run:?}");
}

#[test]
fn rbac_is_printed_without_a_cluster() {
    let subject = "--as=system:serviceaccount:dns:poddns";
    let run = poddns(["check", "--rbac", subject]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout.contains("kind: ClusterRole\n") && run.stdout.contains("\"pods\", \"namespaces\""),
        "{run:?}"
    );
    assert!(run.stdout.contains("namespace: \"dns\"\n  name: \"poddns\""), "{run:?}");
    let run = poddns(["check", "--rbac", "--namespace=web"]);
    let kinds: Vec<_> = run.stdout.lines().filter(|line| line.starts_with("kind: ")).collect();
    assert_eq!(kinds, ["kind: Role", "kind: RoleBinding", "kind: ClusterRole", "kind: ClusterRoleBinding"]);
    let run = poddns(["check", "--rbac", "--pods=insecure", "--block-special"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "nothing is needed");
    assert_eq!(poddns(["check", "--rbac", "--ttl=9999"]).code, Some(64));
}

#[test]
fn missing_permissions_are_printed_as_rbac() {
    let api = api(|access| {
        assert_eq!((access.user.as_str(), access.groups.len()), (SERVICE_ACCOUNT, 0));
        (access.verb.as_str(), access.resource.as_str()) != ("watch", "pods")
    });
    let run = check(&api, &[]);
    assert_eq!(run.code, Some(1));
    assert!(findings(&run).contains(&"missing may not watch pods in all namespaces"), "{}", run.stderr);
    assert!(findings(&run).contains(&"ok      may list pods in all namespaces"), "{}", run.stderr);
    assert!(run.stderr.contains("kubectl apply -f -"), "{}", run.stderr);
    // The contents of the YAML are tested in their own crate; here, that nothing else is printed.
    assert!(run.stdout.starts_with("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"));
    assert!(run.stdout.ends_with("- kind: ServiceAccount\n  namespace: \"dns\"\n  name: \"poddns\"\n"));
}

#[test]
fn namespaces_are_checked_one_by_one() {
    let api = api(|access| access.resource == "namespaces" || access.namespace.as_deref() == Some("web"));
    let run = check(&api, &["--namespace", "web", "--namespace", "shop"]);
    assert_eq!(run.code, Some(1));
    for expected in [
        "ok      may list pods in namespace web",
        "ok      may watch pods in namespace web",
        "missing may not list pods in namespace shop",
        "missing may not watch pods in namespace shop",
        "ok      may list namespaces",
    ] {
        assert!(findings(&run).contains(&expected), "{expected}\n{}", run.stderr);
    }
    let kinds: Vec<_> = run.stdout.lines().filter(|line| line.starts_with("kind: ")).collect();
    assert_eq!(kinds, ["kind: Role", "kind: RoleBinding"]);
    assert!(run.stdout.contains("namespace: \"shop\"") && !run.stdout.contains("\"web\""), "{}", run.stdout);
}

#[test]
fn only_permissions_of_mode_are_checked() {
    let api = api(|access| access.resource == "namespaces");
    let run = check(&api, &["--pods", "insecure", "--check-namespaces"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert!(!run.stderr.contains("list pods"), "{}", run.stderr);

    let before = api.paths();
    for args in [["--pods", "disabled"].as_slice(), &["--pods", "insecure", "--block-special"]] {
        let run = poddns(["check"].iter().chain(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
        assert_eq!(findings(&run), ["ok      nothing is needed of a cluster"]);
    }
    assert_eq!(api.paths(), before);
}

#[test]
fn snapshot_is_read_and_its_folder_tried() {
    let api = api(|_| true);
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("snapshot");
    let path = file.to_str().expect("UTF-8");
    let run = check(&api, &["--snapshot", path]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    let none = format!("ok      snapshot {path}: none yet");
    let writable = format!("ok      this user can write snapshots to {path}");
    assert_eq!(findings(&run)[..2], [none.as_str(), writable.as_str()]);
    assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0, "nothing is left of the trial");

    fs::write(&file, "\u{89}poddns\n").expect("a writable folder");
    let run = check(&api, &["--snapshot", path]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let other =
        format!("missing cannot write snapshot {path}: the file exists and is not a snapshot of poddns");
    assert!(findings(&run).iter().any(|line| line.starts_with(&other)), "{}", run.stderr);
    fs::write(&file, b"\x89poddns\n\x01\0").expect("a writable folder");
    let run = check(&api, &["--snapshot", path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let cut = format!(
        "warning snapshot {path} is not used: it ends after 10 octets, in the middle: it was cut off; "
    );
    assert!(findings(&run)[0].starts_with(&cut), "{}", run.stderr);

    let run = check(&api, &["--snapshot", "/nonexistent/snapshot"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    let lost = "missing cannot write snapshot /nonexistent/snapshot: No such file";
    assert!(findings(&run).iter().any(|line| line.starts_with(lost)), "{}", run.stderr);
}

#[test]
fn audit_file_is_read_and_folder_tried() {
    let api = api(|_| true);
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("audit");
    let path = file.to_str().expect("UTF-8");
    let try_out =
        |path: &str| check(&api, &["--pods=insecure", "--block-special", "--audit", "--audit-file", path]);
    let run = try_out(path);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert_eq!(findings(&run)[0], format!("ok      audit-file {path}: none yet"));
    assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0, "nothing is left of the trial");
    fs::write(&file, "something else\n").expect("a writable folder");
    let run = try_out(path);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let refused = format!("missing audit-file {path} is not used: ");
    assert!(findings(&run)[0].starts_with(&refused), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "something else\n", "it is left as it is");
    let run = try_out("/nonexistent/audit");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        findings(&run)[0].starts_with("missing audit-file /nonexistent/audit cannot be written: "),
        "{}",
        run.stderr
    );
}

#[test]
fn visibility_causes_warning() {
    let api = api(|_| true);
    let run = check(&api, &["--visibility=namespace"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(findings(&run)[0].starts_with("warning a cache defeats visibility namespace"), "{}", run.stderr);
}

#[test]
fn insecure_without_guard_causes_warning() {
    let run = poddns(["check", "--pods", "insecure"]);
    assert_eq!(run.code, Some(0));
    assert!(findings(&run)[0].starts_with("warning mode insecure without any guard"), "{}", run.stderr);
}

#[test]
fn unreachable_cluster_is_reported_with_status_1() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let run = check_at(address, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let expected = format!("poddns: cannot reach the API server at http://{address}/: ");
    assert!(run.stderr.contains(&expected) && run.stderr.contains("refused"), "{}", run.stderr);
}

#[test]
fn refused_credentials_are_reported_with_status_1() {
    let api = api(|_| true);
    let run = check(&api, &["--context", "bad"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains(r#"does not accept our credentials (401 "Unauthorized")"#), "{}", run.stderr);
}

#[test]
fn unusable_kubeconfig_is_reported_with_status_64() {
    let api = api(|_| true);
    let run = check(&api, &["--context", "missing"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""));
    assert!(run.stderr.contains("missing"), "{}", run.stderr);
    let run = poddns(["check", "--kubeconfig", "/nonexistent/kubeconfig"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""));
    assert!(run.stderr.contains("/nonexistent/kubeconfig"), "{}", run.stderr);
    assert_eq!(api.paths(), Vec::<String>::new());
}

#[test]
fn all_configuration_errors_are_reported_together() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("poddnsd.toml");
    fs::write(&file, "pods = \"verified\"\nlisen = [\"127.0.0.1:53\"]\n").expect("a writable folder");
    let file = file.to_str().expect("UTF-8");
    let run = poddns_with(["check", "--config", file, "--ttl", "9999"], &[("PODDNS_POD_CIDR", "ten")]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""));
    let line = format!("{file}:2");
    for expected in [line.as_str(), "lisen", "--ttl", "9999", "PODDNS_POD_CIDR", "ten"] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    assert!(run.stderr.lines().all(|line| line.starts_with("poddns: ")), "{}", run.stderr);
}

#[test]
fn flags_take_precedence_over_variables() {
    let run = poddns_with(["check"], &[("PODDNS_PODS", "disabled"), ("PODDNS_DOMAIN", "example.org")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("mode disabled, zones pod.example.org."), "{}", run.stderr);
    let run = poddns_with(["check", "--pods", "insecure"], &[("PODDNS_PODS", "disabled")]);
    assert!(run.stderr.contains("mode insecure"), "{}", run.stderr);
}

/// Returns a path within the repository.
fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_pods_file_is_read() {
    let run = poddns(["check", "--pods-file", &repository("demo/pods.json")]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert!(run.stderr.contains("demo/pods.json: 26 pods, 44 addresses, 6 namespaces"), "{}", run.stderr);
    assert!(!run.stderr.contains("rate limit"), "{}", run.stderr);
    let run = poddns([
        "check",
        "--pods-file",
        &repository("demo/pods.json"),
        "--rate-limit-exempt",
        "192.0.2.0/24",
    ]);
    assert!(run.stderr.contains("the rate limit applies to "), "{}", run.stderr);
    let run = poddns(["check", "--pods-file", &repository("demo/pods.json"), "--host-network", "exclude"]);
    assert!(run.stderr.contains("demo/pods.json: 19 pods, 38 addresses, 6 namespaces"), "{}", run.stderr);
}

#[test]
fn broken_file_fails_and_broken_pod_warns() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("pods.json");
    let path = file.to_str().expect("UTF-8");
    fs::write(&file, "{\"kind\": \"List\", \"items\": [\n}").expect("a writable folder");
    let run = poddns(["check", "--pods-file", path]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{}", run.stderr);
    assert!(run.stderr.contains(path) && run.stderr.contains("line 2"), "{}", run.stderr);

    let pod = |name: &str, ip: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "web", "uid": name},
               "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}})
    };
    let items = [pod("sound", "10.0.0.1"), pod("odd", "10.0.0.256")];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    fs::write(&file, list.to_string()).expect("a writable folder");
    let run = poddns(["check", "--pods-file", path]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    assert!(run.stderr.contains("odd") && run.stderr.contains("10.0.0.256"), "{}", run.stderr);
    assert!(run.stderr.contains("1 pods, 1 addresses, 1 namespaces"), "{}", run.stderr);
}

#[test]
fn items_of_other_kinds_are_reported() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("pods.json");
    let metadata = |name: &str| json!({"name": name, "namespace": "web"});
    let items = [
        json!({"metadata": metadata("nameless-kind")}),
        json!({"kind": "ConfigMap\n", "metadata": metadata("settings")}),
    ];
    fs::write(&file, json!({"kind": "List", "items": items}).to_string()).expect("a writable folder");
    let run = poddns(["check", "--pods-file", file.to_str().expect("UTF-8")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let line = |name: &str| run.stderr.lines().find(|line| line.contains(name)).expect("a finding");
    assert!(line("nameless-kind").contains("kind=none"), "{}", run.stderr);
    assert!(line("settings").contains(r#"kind="ConfigMap\n""#), "{}", run.stderr);
    assert!(!run.stderr.contains("kind=Namespace"), "{}", run.stderr);
}

#[test]
fn sample_configuration_is_valid_and_complete() {
    let text = fs::read_to_string(repository("demo/poddnsd.toml")).expect("the sample");
    let help = poddns(["check", "--help"]).stdout;
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")).map(|line| {
        line.split(|char: char| char != '-' && !char.is_ascii_lowercase() && !char.is_ascii_digit())
            .next()
            .unwrap_or_default()
    });
    let keys: Vec<&str> = flags
        .filter(|flag| !["as", "as-group", "config", "help", "rbac", "version"].contains(flag))
        .collect();
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        let set = |line: &str| line.trim_start_matches('#').starts_with(&format!("{key} = "));
        assert!(text.lines().any(set), "the sample lacks {key}");
    }

    // As it is, and with each commented-out example enabled on its own.
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("poddnsd.toml");
    let pods = repository("demo/pods.json");
    let text = text.replace("\"demo/pods.json\"", &format!("{pods:?}"));
    let examples: Vec<&str> =
        text.lines().filter(|line| line.starts_with('#') && line.contains(" = ")).collect();
    assert_eq!(examples.len(), 20, "{examples:?}");
    let without_pods = text.replace("\npods-file", "\n#pods-file");
    for example in std::iter::once("").chain(examples) {
        let cluster = ["#kubeconfig", "#context", "#snapshot"].iter().any(|key| example.starts_with(key));
        let base = if cluster { &without_pods } else { &text };
        let mut with = if example.is_empty() { base.clone() } else { base.replace(example, &example[1..]) };
        if example.starts_with("#snapshot-interval") {
            with = with.replace("#snapshot = ", "snapshot = ");
        }
        if example.starts_with("#transfer-key") || example.starts_with("#transfer-journal") {
            with = with.replace("#transfer-to = ", "transfer-to = ");
        }
        if example.starts_with("#visible-to") || example.starts_with("#trust-ecs") {
            with = with.replace("visibility = \"all\"", "visibility = \"namespace\"");
        }
        fs::write(&file, with).expect("a writable folder");
        let run = poddns(["check", "--config", file.to_str().expect("UTF-8")]);
        let first = run.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("ok      configuration: mode verified"), "{example}: {}", run.stderr);
        // Examples that depend on this machine.
        let machine =
            ["#user", "#cookie-secret-file", "#transfer-key"].iter().any(|key| example.starts_with(key));
        assert!(cluster || machine || run.code == Some(0), "{example}: {}", run.stderr);
    }
}

#[test]
fn obstacles_to_serving_are_reported() {
    let insecure = ["--pods=insecure", "--block-special"];
    let pods = format!("--pods-file={}", repository("demo/pods.json"));
    let verified = [pods.as_str(), "--transfer-to=192.0.2.53"];
    let cases = [
        (insecure, "--user=no-such-user-here", "no such user on this system"),
        (
            insecure,
            "--cookie-secret-file=/nonexistent/secret",
            "cookie-secret-file /nonexistent/secret: No such file",
        ),
        (verified, "--transfer-key=/nonexistent/key", "transfer-key /nonexistent/key: No such file"),
    ];
    for (options, option, reason) in cases {
        let run = poddns([&["check"], &options[..], &[option]].concat());
        assert_eq!(run.code, Some(64), "{option}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "{option}: {}", run.stderr);
    }
}

#[test]
fn rate_limited_pods_are_reported() {
    let api = api(|_| true);
    let run = check(&api, &[]);
    assert!(run.stderr.contains("ok      the rate limit applies to none of 2 addresses"), "{}", run.stderr);
    put_pod(&api, "global", "2600:1f18::7");
    let run = check(&api, &["--namespace", "global"]);
    let expected =
        "warning the rate limit applies to 2600:1f18::7, a pod or its node: it would throttle CoreDNS";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert_eq!(run.code, Some(0));
    let run = check(&api, &["--namespace", "global", "--rate-limit", "off"]);
    assert!(!run.stderr.contains("rate limit"), "{}", run.stderr);
    // A page that cannot be fetched is not a failure.
    api.next("pods", RequestVerb::List, PreparedResponse::status(503, "{}"));
    let run = check(&api, &["--namespace", "other"]);
    assert!(run.stderr.contains("so the rate limit cannot be checked"), "{}", run.stderr);
    assert_eq!(run.code, Some(0));
}

#[test]
#[cfg(unix)]
fn sockets_of_systemd_are_checked() {
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};
    // Two sockets for UDP and one for TCP, for a single thread; then one of them alone.
    let (udp, tcp) = bind_both();
    let pass = "exec 3<&0 4<&1 5<&0 </dev/null >&2; export LISTEN_PID=$$; exec \"$@\"";
    let check = |count: &str| {
        let (udp, tcp) = (udp.try_clone().expect("a descriptor"), tcp.try_clone().expect("a descriptor"));
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            pass,
            "sh",
            env!("CARGO_BIN_EXE_poddns"),
            "check",
            "--pods=insecure",
            "--threads=1",
        ]);
        shell.args(["--block-special"]).env("LISTEN_FDS", count);
        shell.stdin(Stdio::from(OwnedFd::from(udp))).stdout(Stdio::from(OwnedFd::from(tcp)));
        let output = shell.stderr(Stdio::piped()).output().expect("a shell");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, stderr) = check("3");
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("over UDP 2 times, but there are only 1 threads"), "{stderr}");
    let (code, stderr) = check("1");
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("over UDP only, but DNS takes both"), "{stderr}");
    let (code, stderr) = check("2");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(&udp.local_addr().expect("it is bound").to_string()), "{stderr}");
}
