//! Errors in flags, environment and file: they are reported before a socket is bound, with exit code 64.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;

use crate::support::{command, insecure};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{ask, query};
use tempfile::TempDir;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command().args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// Runs the daemon and asserts that it prints exactly these lines and exits with code 64.
#[track_caller]
fn assert_refused(arguments: &[&str], variables: &[(&str, &str)], expected: &[&str]) {
    let output = run(arguments, variables);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    let lines: Vec<&str> = told.lines().map(|line| line.strip_prefix("poddnsd: ").unwrap_or(line)).collect();
    assert_eq!(lines, expected);
}

/// Writes a config file with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("poddns.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

/// Runs the daemon with a config file and asserts that it prints these lines, each after the path of the file.
#[track_caller]
fn assert_file_refused(text: &str, expected: &[&str]) {
    let (_directory, path) = file(text);
    let expected: Vec<String> = expected.iter().map(|line| format!("{}:{line}", path.display())).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_refused(&["--config", path.to_str().unwrap()], &[], &expected);
}

#[test]
fn wrong_values_of_flags() {
    let cases = [
        ("pods", "checked", "is not a mode; allowed: disabled, insecure or verified"),
        (
            "domain",
            "a..b",
            "has an empty label (a dot in front, or two in a row); allowed: domain names such as cluster.local",
        ),
        (
            "domain",
            "",
            "is empty; a domain name such as cluster.local is needed; allowed: domain names such as cluster.local",
        ),
        ("ttl", "3601", "is out of range; allowed: 0 to 3600 (seconds)"),
        ("ttl", "-1", "is not a whole number; allowed: 0 to 3600 (seconds)"),
        ("ttl", "5s", "is not a whole number; allowed: 0 to 3600 (seconds)"),
        ("ttl", "99999999999999999999999", "is out of range; allowed: 0 to 3600 (seconds)"),
        (
            "pod-cidr",
            "10.0.0.0",
            "has no prefix length; allowed: networks such as 10.244.0.0/16 or fd00:10:244::/56",
        ),
        (
            "pod-cidr",
            "10.0.0.0/33",
            "is not a network in CIDR notation; allowed: networks such as 10.244.0.0/16 or fd00:10:244::/56",
        ),
        (
            "namespace",
            "Default",
            "has a character other than a-z, 0-9 and '-' at offset 0; allowed: namespace names: 1 to 63 of a-z, 0-9 and '-'",
        ),
        (
            "listen",
            "53",
            "is not an IP address with a port; allowed: IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, or *:PORT for 0.0.0.0 and [::]",
        ),
        (
            "listen",
            "[fe80::1%nope0]:53",
            "names no interface: \"nope0\"; allowed: IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, or *:PORT for 0.0.0.0 and [::]",
        ),
        (
            "admin",
            "on",
            "is not an IP address with a port; allowed: off, IPv4:PORT, [IPv6]:PORT, or *:PORT for 0.0.0.0 and [::]",
        ),
        ("threads", "0", "is out of range; allowed: 1 to 512"),
        ("log-format", "xml", "is neither; allowed: text or json"),
        ("host-network", "yes", "is neither; allowed: include or exclude"),
        (
            "lame-duck",
            "soon",
            "is not a time: a whole number and ms, s, m, h or d; allowed: a time from 0s to 1h such as 5s",
        ),
        ("tcp-idle-timeout", "10ms", "is out of range; allowed: a time from 100ms to 1h such as 10s"),
        (
            "tcp-lifetime",
            "0s",
            "is out of range; allowed: off, or a time from 1s to 7d such as 90s, 5m or 1h",
        ),
        ("tcp-connections", "0", "is out of range; allowed: 1 to 1000000"),
        ("tcp-connections-per-client", "many", "is not a whole number; allowed: 1 to 1000000"),
        (
            "max-staleness",
            "0s",
            "is out of range; allowed: off, or a time from 1s to 7d such as 90s, 5m or 1h",
        ),
        ("block-special", "yes", "is neither; allowed: true or false"),
        ("kubeconfig", "", "is empty; allowed: the path of a kubeconfig file"),
    ];
    for (flag, value, why) in cases {
        assert_refused(&[&format!("--{flag}={value}")], &[], &[&format!("--{flag} {value:?}: {why}")]);
    }
}

#[test]
fn wrong_values_of_flags_that_harden() {
    let cases = [
        ("rate-limit", "0", "is out of range; allowed: off, or 1 to 1000000 (responses a second)"),
        ("rate-limit", "on", "is not a whole number; allowed: off, or 1 to 1000000 (responses a second)"),
        ("rate-limit-slip", "256", "is out of range; allowed: 0 to 255"),
        ("rate-limit-ipv4-prefix", "33", "is out of range; allowed: 0 to 32"),
        ("rate-limit-ipv6-prefix", "/56", "is not a whole number; allowed: 0 to 128"),
        ("rate-limit-table", "1023", "is out of range; allowed: 1024 to 16777216 (client networks)"),
        (
            "rate-limit-exempt",
            "10.0.0.1",
            "has no prefix length; allowed: none, private (RFC 1918, 100.64.0.0/10, fc00::/7, link-local, loopback) \
             or networks in CIDR notation",
        ),
        ("cookies", "maybe", "is neither; allowed: true or false"),
        (
            "cookie-secret-file",
            "",
            "is empty; allowed: the path of a file with one or two lines of 32 hexadecimal digits",
        ),
        ("nsid", "", "is empty; allowed: off, hostname, or a text of at most 128 octets"),
        ("chaos-id", "", "is empty; allowed: off, hostname, or a text of at most 255 octets"),
        (
            "chaos-version",
            "",
            "is empty; allowed: off, auto (name and version of this program), or a text of at most 255 octets",
        ),
        (
            "user",
            "nobody:",
            "names no group after the colon; allowed: a user and, after a colon, a group: names or numbers",
        ),
        ("landlock", "yes", "is none of these; allowed: off, on (where the kernel has it) or require"),
        ("seccomp", "true", "is neither; allowed: off or on"),
    ];
    for (flag, value, why) in cases {
        assert_refused(&[&format!("--{flag}={value}")], &[], &[&format!("--{flag} {value:?}: {why}")]);
    }
}

#[test]
fn hardening_options_are_set_in_every_way() {
    let (_directory, path) = file("rate-limit-exempt = [\"none\", \"10.0.0.0/8\"]\n");
    let line = format!(
        "{}:1: rate-limit-exempt = \"none\": contains none beside networks; none must be the only value",
        path.display()
    );
    assert_refused(&["--config", path.to_str().unwrap()], &[], &[&line]);
    assert_refused(
        &["--cookies=false"],
        &[("PODDNS_COOKIE_SECRET_FILE", "/etc/poddns/secret")],
        &[
            "PODDNS_COOKIE_SECRET_FILE=\"/etc/poddns/secret\": has no effect without cookies; leave it out, or cookies on",
        ],
    );
    let long = "x".repeat(129);
    let told = format!(
        "PODDNS_NSID={long:?}: has 129 octets; allowed: off, hostname, or a text of at most 128 octets"
    );
    assert_refused(&[], &[("PODDNS_NSID", &long)], &[&told]);
}

#[test]
fn all_problems_are_reported_by_origin() {
    let (_directory, path) = file("ttl = 5\n\nthreads = 0\n");
    let third = format!("{}:3: threads = \"0\": is out of range; allowed: 1 to 512", path.display());
    assert_refused(
        &["--config", path.to_str().unwrap(), "--pods", "x", "--listen", "127.0.0.1:1", "--listen", "y"],
        &[("PODDNS_POD_CIDR", "10.0.0.0/8,z")],
        &[
            "--pods \"x\": is not a mode; allowed: disabled, insecure or verified",
            "PODDNS_POD_CIDR=\"z\": is not a network in CIDR notation; allowed: networks such as 10.244.0.0/16 or \
             fd00:10:244::/56",
            "--listen \"y\": is not an IP address with a port; allowed: IPv4:PORT, [IPv6]:PORT, [IPv6%interface]:PORT, \
             or *:PORT for 0.0.0.0 and [::]",
            &third,
        ],
    );
}

#[test]
fn wrong_files() {
    assert_file_refused(
        "pods = \"insecure\"\n# comment\nforward = \".\"\npod-cidrs = []\n",
        &[
            "3: unknown key \"forward\"; `poddnsd --help` lists the keys (they are the flags without dashes in front)",
            "4: unknown key \"pod-cidrs\"; did you mean \"pod-cidr\"?",
        ],
    );
    assert_file_refused(
        "[server]\nttl = 5\n",
        &[
            "1: unknown key \"server\"; `poddnsd --help` lists the keys (they are the flags without dashes in front)",
        ],
    );
    assert_file_refused(
        "config = \"other.toml\"\n",
        &[
            "1: unknown key \"config\"; `poddnsd --help` lists the keys (they are the flags without dashes in front)",
        ],
    );
    assert_file_refused(
        "\nttl = 1.5\n",
        &["2: ttl: is a number with a fraction; allowed: 0 to 3600 (seconds)"],
    );
    assert_file_refused(
        "ttl = [1]\n",
        &["1: ttl: is an array, but takes one value; allowed: 0 to 3600 (seconds)"],
    );
    assert_file_refused(
        "domain = []\n",
        &["1: domain: is an empty array; leave the key out; allowed: domain names such as cluster.local"],
    );
    assert_file_refused(
        "namespace = [\"a\", \"b c\"]\n",
        &[
            "1: namespace = \"b c\": has a character other than a-z, 0-9 and '-' at offset 1; allowed: namespace names: 1 \
         to 63 of a-z, 0-9 and '-'",
        ],
    );
    let (_directory, path) = file("pods = \"insecure\"\nttl = = 3\n");
    let output = run(&["--config", path.to_str().unwrap()], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(told.starts_with(&format!("poddnsd: {}:2: not valid TOML: ", path.display())), "{told}");
    let output = run(&["--config=/nonexistent/poddns.toml"], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(told.starts_with("poddnsd: config file /nonexistent/poddns.toml: No such file"), "{told}");
}

#[test]
fn settings_that_contradict_each_other() {
    let nothing_read = "has no effect, because nothing is read from a cluster in this mode; leave it out, or use \
                        --pods verified, or --pods insecure with --check-namespaces or --audit";
    let file = "cannot be combined with --pods-file \"p.json\": pods come from a cluster or from a file";
    let cases: [(&[&str], String); 19] = [
        (&["--pods-file=p.json", "--kubeconfig=k"], format!("--kubeconfig \"k\": {file}")),
        (&["--pods-file=p.json", "--context=c"], format!("--context \"c\": {file}")),
        (&["--pods=insecure", "--context=c"], format!("--context \"c\": {nothing_read}")),
        (&["--pods=insecure", "--kubeconfig=k"], format!("--kubeconfig \"k\": {nothing_read}")),
        (&["--pods=disabled", "--pods-file=p.json"], format!("--pods-file \"p.json\": {nothing_read}")),
        (&["--pods=disabled", "--max-staleness=1h"], format!("--max-staleness \"1h\": {nothing_read}")),
        (
            &["--check-namespaces"],
            "--check-namespaces \"true\": is for --pods insecure; verified checks namespaces anyway, disabled has none"
                .to_owned(),
        ),
        (
            &["--pods=insecure", "--pod-names"],
            "--pod-names \"true\": needs --pods verified: no other mode has pods".to_owned(),
        ),
        (
            &["--pods=insecure", "--reverse-zone=10.0.0.0/8"],
            "--reverse-zone \"10.0.0.0/8\": needs --pods verified: no other mode has pods".to_owned(),
        ),
        (
            &["--reverse-zone=10.0.0.0/9", "--reverse-zone=11.0.0.0/9", "--reverse-zone=12.0.0.0/8"],
            "--reverse-zone \"10.0.0.0/9\": all of them together make 257 reverse zones, and at most 256 are served; \
             use prefix lengths that are multiples of 8 (IPv4) or 4 (IPv6)"
                .to_owned(),
        ),
        (
            &["--pods=insecure", "--visibility=namespace"],
            "--visibility \"namespace\": needs --pods verified: no other mode has pods".to_owned(),
        ),
        (
            &["--visible-to=10.0.0.0/8"],
            "--visible-to \"10.0.0.0/8\": has no effect without visibility; leave it out, or set that, too".to_owned(),
        ),
        (
            &["--visible-to=10.0.0.0/8", "--visibility=all"],
            "--visible-to \"10.0.0.0/8\": has no effect, because all clients see all pods; leave it out, or use \
             --visibility namespace"
                .to_owned(),
        ),
        (
            &["--trust-ecs=10.0.0.1/32"],
            "--trust-ecs \"10.0.0.1/32\": has no effect, because nothing depends on the client; leave it out, or use \
             --visibility namespace or --audit"
                .to_owned(),
        ),
        (
            &["--pods=insecure", "--host-network=exclude"],
            "--host-network \"exclude\": needs --pods verified: no other mode has pods".to_owned(),
        ),
        (
            &["--pods=insecure", "--domain=a.b", "--domain=A.B."],
            "--domain \"a.b\": contains a.b. twice".to_owned(),
        ),
        (
            &["--pods=insecure", "--listen=127.0.0.1:5353", "--listen=127.0.0.1:5353"],
            "--listen \"127.0.0.1:5353\": contains 127.0.0.1:5353 twice".to_owned(),
        ),
        (
            &["--pods=insecure", "--watch-config"],
            "--watch-config \"true\": has no effect without a config file; leave it out, or name one with --config".to_owned(),
        ),
        (
            &["--pods=insecure", "--admin=127.0.0.1:1053"],
            "--admin \"127.0.0.1:1053\": 127.0.0.1:1053 cannot be both for --admin and for --listen over TCP".to_owned(),
        ),
    ];
    for (arguments, expected) in cases {
        assert_refused(arguments, &[], &[&expected]);
    }
}

#[test]
fn flags_beat_variables_which_beat_file() {
    let (_directory, path) =
        file("ttl = 1\ndomain = [\"file.example\", \"two.example\"]\nblock-special = true\n");
    let path = path.to_str().unwrap();
    let ttl = |arguments: &[&str], variables: &[(&str, &str)]| {
        // Runs in this process, so the environment is a function in place of the process's own.
        let flags = poddns_net::config::with_flags(clap::Command::new("test"))
            .try_get_matches_from([&["test", "--pods=insecure", "--config", path], arguments].concat())
            .unwrap();
        let lookup = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).into())
        };
        poddns_net::config::Sources::new(&flags, lookup).unwrap().settings().unwrap().server
    };
    let domains = |settings: &poddns_net::Settings| {
        settings.zones.iter().map(|zone| zone.domain().to_string()).collect::<Vec<_>>()
    };
    let settings = ttl(&[], &[]);
    assert_eq!((settings.ttl.as_secs(), settings.block_special), (1, true));
    assert_eq!(domains(&settings), ["file.example.", "two.example."]);
    let settings =
        ttl(&[], &[("PODDNS_TTL", "2"), ("PODDNS_DOMAIN", "variable.example"), ("PODDNS_BLOCK_SPECIAL", "")]);
    assert_eq!(
        (settings.ttl.as_secs(), settings.block_special),
        (2, true),
        "an empty variable counts as unset"
    );
    assert_eq!(domains(&settings), ["variable.example."], "lists are replaced, not joined");
    let settings = ttl(&["--ttl=3", "--block-special=false"], &[("PODDNS_TTL", "2")]);
    assert_eq!((settings.ttl.as_secs(), settings.block_special), (3, false));
}

#[test]
fn pod_cidrs_are_exempt_unless_others_are() {
    let exempt = |arguments: &[&str]| {
        let flags = poddns_net::config::with_flags(clap::Command::new("test"))
            .try_get_matches_from([&["test", "--pod-cidr=203.0.113.0/24"], arguments].concat())
            .unwrap();
        let settings = poddns_net::config::Sources::new(&flags, |_| None).unwrap().settings().unwrap().server;
        settings.exempt.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let default = exempt(&[]);
    assert!(
        ["10.0.0.0/8", "fc00::/7", "203.0.113.0/24"].iter().all(|&network| default.contains(&network.into()))
    );
    assert_eq!(exempt(&["--rate-limit=off"]), default, "cookies follow the same networks");
    assert_eq!(exempt(&["--rate-limit-exempt=192.0.2.0/24"]), ["192.0.2.0/24"]);
    assert!(exempt(&["--rate-limit-exempt=none"]).is_empty());
}

#[test]
fn a_variable_may_name_the_file() {
    let (_directory, path) = file("ttl = 9999\n");
    let expected =
        format!("{}:1: ttl = \"9999\": is out of range; allowed: 0 to 3600 (seconds)", path.display());
    assert_refused(&[], &[("PODDNS_CONFIG", path.to_str().unwrap())], &[&expected]);
}

#[test]
fn variables_of_services_are_no_settings() {
    let service =
        [("PODDNS_SERVICE_HOST", "10.0.0.1"), ("PODDNS_PORT", "tcp://10.0.0.1:53"), ("PODDNS_TTL", "7000")];
    assert_refused(&[], &service, &["PODDNS_TTL=\"7000\": is out of range; allowed: 0 to 3600 (seconds)"]);
}

#[test]
fn usage() {
    let output = run(&["--version"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let version = String::from_utf8(output.stdout).unwrap();
    let first = format!("poddnsd {}\ncommit: ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&first) && version.contains("\nfeatures: daemon"), "{version}");
    let output = run(&["-V"], &[]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("poddnsd {}\n", env!("CARGO_PKG_VERSION")));
    let output = run(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    let flags = [
        "--pods <disabled|insecure|verified>",
        "--check-namespaces",
        "--lame-duck <TIME>",
        "--config <FILE>",
    ];
    for text in flags.into_iter().chain(["Allowed: 0 to 3600 (seconds)", "Allowed: include or exclude"]) {
        assert!(help.contains(text), "{text}: {help}");
    }
    let short = String::from_utf8(run(&["-h"], &[]).stdout).unwrap();
    assert!(short.contains("--host-network <include|exclude>") && !short.contains("Allowed:"), "{short}");
    assert!(2 * short.lines().count() < help.lines().count(), "{short}");
    for wrong in [&["--prot=53"][..], &["stray"], &["--ttl"], &["--ttl=1", "--ttl=2"]] {
        let output = run(wrong, &[]);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("error: "), "{wrong:?}");
    }
}

#[test]
fn unusable_kubeconfig_is_configuration_error() {
    let output = run(&["--kubeconfig=/nonexistent/kubeconfig", "--listen=127.0.0.1:0", "--admin=off"], &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("/nonexistent/kubeconfig"), "{told}");
}

#[test]
fn address_in_use_is_run_time_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, admin, over) in [(address.as_str(), "off", "TCP"), ("127.0.0.1:0", &address, "HTTP")] {
        let output = run(&["--pods=insecure", "--listen", listen, "--admin", admin], &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains(&format!("cannot listen on {address} over {over}: Address already in use")),
            "{told}"
        );
    }
}

#[test]
fn insecure_without_a_guard_is_warned_of() {
    let warning = "mode insecure without a guard";
    let daemon = insecure(&[]);
    assert!(daemon.log().contains(warning), "{}", daemon.log());
    for guard in ["--block-special", "--pod-cidr=10.0.0.0/8", "--namespace=default"] {
        let daemon = insecure(&[guard]);
        assert!(!daemon.log().contains(warning), "{guard}: {}", daemon.log());
    }
}

#[test]
fn snapshot_needs_cluster_and_folder() {
    assert_refused(
        &["--snapshot=/snapshot"],
        &[],
        &[
            "--snapshot \"/snapshot\": is in the root folder; allowed: the path of a file in a folder that can be written, other than /",
        ],
    );
    assert_refused(
        &["--snapshot-interval=500ms"],
        &[],
        &["--snapshot-interval \"500ms\": is out of range; allowed: a time from 1s to 1d such as 30s or 5m"],
    );
    assert_refused(
        &["--snapshot-interval=30s"],
        &[],
        &["--snapshot-interval \"30s\": has no effect without snapshot; leave it out, or set that, too"],
    );
    assert_refused(
        &["--snapshot=/tmp/snapshot"],
        &[("PODDNS_PODS_FILE", "pods.json")],
        &[
            "--snapshot \"/tmp/snapshot\": has no effect with PODDNS_PODS_FILE=\"pods.json\", which is there at every \
           start; leave it out",
        ],
    );
    assert_refused(
        &["--pods=insecure"],
        &[("PODDNS_SNAPSHOT", "/tmp/snapshot")],
        &[
            "PODDNS_SNAPSHOT=\"/tmp/snapshot\": has no effect, because nothing is read from a cluster in this mode; \
           leave it out, or use --pods verified, or --pods insecure with --check-namespaces or --audit",
        ],
    );
}

#[test]
fn unknown_variable_is_warned_of() {
    let mut daemon = command();
    daemon.envs([
        ("PODDNS_BOGUS", "1"),
        ("PODDNS_POD_CIDRS", "10.0.0.0/8"),
        ("PODDNS_SERVICE_HOST", "10.96.0.9"),
    ]);
    let daemon = Daemon::launch(daemon, &["--pods=insecure", "--listen=127.0.0.1:0"]);
    assert!(daemon.log().contains("PODDNS_BOGUS\\\" is ignored"), "{}", daemon.log());
    assert!(daemon.log().contains("did you mean PODDNS_POD_CIDR?"), "{}", daemon.log());
    assert!(!daemon.log().contains("PODDNS_SERVICE_HOST"), "{}", daemon.log());
}

#[test]
fn start_is_logged_with_version_and_mode() {
    let daemon = insecure(&[]);
    daemon.wait_for_log("\"ready\"");
    let start =
        daemon.log().lines().find(|line| line.contains("\"starting\"")).unwrap_or_default().to_owned();
    assert!(start.contains(env!("CARGO_PKG_VERSION")) && start.contains("\"mode\":\"insecure\""), "{start}");
}

#[test]
fn name_server_of_the_zone_is_configurable() {
    let daemon = insecure(&["--ns-name=dns.example.com"]);
    let mut query = query(1, "pod.cluster.local");
    let kind = query.len() - 3;
    query[kind] = 2;
    let response = ask(daemon.address(), &query);
    let message = hickory_proto::op::Message::from_vec(&response).unwrap();
    assert_eq!(message.answers[0].data.to_string(), "dns.example.com.");
}
