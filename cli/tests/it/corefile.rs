//! `poddns corefile` for Corefiles like those that installers ship.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::poddns;

/// Returns the folder of the Corefiles and their expected outputs.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corefiles")
}

fn corefiles() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "Corefile")).collect();
    files.sort();
    files
}

/// Returns the options that a Corefile needs.
fn options(path: &Path) -> Vec<&'static str> {
    match path.file_stem().unwrap().to_str().unwrap() {
        "environment" => {
            vec!["--env=DNS_PORT=53", "--env=CLUSTER_DOMAIN=cluster.local", "--env=UPSTREAM=10.0.0.2"]
        }
        _ => Vec::new(),
    }
}

fn run(path: &Path, arguments: &[&str]) -> String {
    let path_text = path.to_str().unwrap();
    let run = poddns([&["corefile", path_text], options(path).as_slice(), arguments].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{path_text}: {run:?}");
    run.stdout
}

#[test]
fn there_are_at_least_forty_corefiles() {
    assert!(corefiles().len() >= 40, "{}", corefiles().len());
}

/// `UPDATE_GOLDEN=1` rewrites the golden files.
#[test]
fn reports_equal_golden_files() {
    for path in corefiles() {
        let golden = PathBuf::from(path.to_str().unwrap().replace(".Corefile", ".report"));
        let report = run(&path, &[]);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &report).unwrap();
        }
        assert_eq!(report, fs::read_to_string(&golden).unwrap(), "{}", golden.display());
    }
}

/// One whole object per platform.
#[test]
fn objects_equal_golden_files() {
    for platform in ["kubeadm", "k3s", "rke2", "eks", "aks", "openshift", "gke", "talos"] {
        let file = match platform {
            "kubeadm" => "kubeadm-1.31",
            "gke" => "gke-coredns",
            other => other,
        };
        let path = folder().join(format!("{file}.Corefile"));
        let golden = folder().join(format!("{platform}.object"));
        let object = run(&path, &["--platform", platform, "--coredns-version=1.13.1"]);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &object).unwrap();
        }
        assert_eq!(object, fs::read_to_string(&golden).unwrap(), "{}", golden.display());
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let work = tempfile::tempdir().unwrap();
    for path in corefiles() {
        let first = run(&path, &["--print=corefile"]);
        let changed = work.path().join(path.file_name().unwrap());
        fs::write(&changed, &first).unwrap();
        assert_eq!(run(&changed, &["--print=corefile"]), first, "{}", path.display());
        let report = run(&changed, &[]);
        assert!(report.contains("serves the zone of pods already"), "{}: {report}", path.display());
    }
}

#[test]
fn imported_configuration_is_valid() {
    let work = tempfile::tempdir().unwrap();
    for path in corefiles() {
        let config = work.path().join("poddnsd.toml");
        fs::write(&config, run(&path, &["--print=config"])).unwrap();
        let read = poddns(["check", "--config", config.to_str().unwrap()]);
        assert!(
            [read.stdout.as_str(), &read.stderr].concat().starts_with("ok      configuration"),
            "{}: {read:?}",
            path.display()
        );
    }
}

#[test]
fn values_of_the_chart_follow_the_corefile() {
    let path = folder().join("kubeadm-1.31.Corefile");
    let upstreams = ["--upstream=10.43.0.53", "--upstream=10.43.0.54"];
    assert_eq!(
        run(&path, &[&["--print=values"], &upstreams[..]].concat()),
        "pods: \"insecure\"\nclusterDomains: [\"cluster.local\"]\ncheckNamespaces: true\nttl: 30\nservices:\n  clusterIPs: \
         [\"10.43.0.53\", \"10.43.0.54\"]\n"
    );
}

#[test]
fn malformed_corefile_is_refused_with_reason() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("Corefile");
    for (text, code, expected) in [
        (". {\n errors\n", 64, "the block that begins on line 1 is not closed"),
        ("", 64, "no server block"),
        (". {\n forward . 8.8.8.8\n}\n", 1, "no server block has a 'kubernetes' directive"),
        (". {\n kubernetes in-addr.arpa\n}\n", 1, "no server block has a 'kubernetes' directive"),
    ] {
        fs::write(&file, text).unwrap();
        let run = poddns(["corefile", file.to_str().unwrap()]);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
    }
    let run = poddns(["corefile"]);
    assert!(run.stderr.starts_with("poddns: standard input: no server block"), "{run:?}");
    fs::write(&file, b"\xff\xfe.").unwrap();
    let run = poddns(["corefile", file.to_str().unwrap()]);
    assert!(run.code == Some(64) && run.stderr.contains("not UTF-8"), "{run:?}");
    let run = poddns(["corefile", "--coredns-version=latest", file.to_str().unwrap()]);
    assert!(run.code == Some(64) && run.stderr.contains("such as 1.13.1"), "{run:?}");
}

#[test]
fn versions_decide_which_directives_are_used() {
    let path = folder().join("kubeadm-1.31.Corefile");
    let old = run(&path, &["--print=block", "--coredns-version=1.8.6", "--cache=5"]);
    assert!(!old.contains("failover") && !old.contains("servfail"), "{old}");
    let new = run(&path, &["--print=block", "--coredns-version=1.13.0", "--cache=5"]);
    assert!(new.contains("failover SERVFAIL REFUSED") && new.contains("servfail 0"), "{new}");
    let one = run(&path, &["--print=block", "--coredns-version=1.13.0", "--upstream=10.0.0.1"]);
    assert!(!one.contains("failover"), "nowhere to fail over to: {one}");
}

#[test]
fn requested_reverse_zones_are_forwarded() {
    let path = folder().join("kubeadm-1.31.Corefile");
    let zones = ["--reverse-zone=10.244.0.0/15", "--reverse-zone=fd00:10:244::/48"];
    let lines = run(&path, &[&zones[..], &["--print=reverse"]].concat());
    let forward = |zone: &str| {
        format!("    forward {zone} 10.96.0.53 10.96.0.54 {{\n        policy sequential\n    }}\n")
    };
    let expected = ["244.10.in-addr.arpa", "245.10.in-addr.arpa", "4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa"]
        .map(forward)
        .concat();
    assert_eq!(lines, expected);
    let report = run(&path, &zones);
    assert!(report.contains(&lines) && report.contains("--print reverse"), "{report}");
    // Before 1.9.4 a server block can have only one `forward`.
    let old = run(&path, &["--reverse-zone=10.244.0.0/16", "--print=reverse", "--coredns-version=1.8.6"]);
    assert!(old.starts_with("244.10.in-addr.arpa:53 {\n    errors\n    forward . 10.96.0.53"), "{old}");
    assert!(!run(&path, &[]).contains("--print reverse"), "only where asked for");
    let many = poddns([
        "corefile",
        "--reverse-zone=10.0.0.0/9",
        "--reverse-zone=11.0.0.0/9",
        "--reverse-zone=12.0.0.0/8",
    ]);
    assert_eq!(many.code, Some(64), "{many:?}");
}

#[test]
fn visibility_has_warnings_and_names_clients() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Corefile");
    let corefile =
        ".:53 {\n    kubernetes cluster.local in-addr.arpa ip6.arpa {\n        pods verified\n    }\n}\n";
    fs::write(&path, corefile).unwrap();
    let report = run(&path, &["--visibility", "--reverse-zone=10.244.0.0/16"]);
    for part in [
        "a cache defeats visibility namespace",
        "    rewrite edns0 subnet set 32 128\n    forward . ",
        "set trust-ecs",
        "add 'fallthrough in-addr.arpa ip6.arpa'",
        "visibility = \"namespace\"",
        "reverse-zone = [\"10.244.0.0/16\"]",
    ] {
        assert!(report.contains(part), "{part} is missing: {report}");
    }
    let values = run(&path, &["--visibility", "--reverse-zone=10.244.0.0/16", "--print=values"]);
    assert!(
        values.contains("reverseZones: [\"10.244.0.0/16\"]\nvisibility: { clients: \"namespace\" }\n"),
        "{values}"
    );
    let cached = poddns(["corefile", "--visibility", "--cache=30"]);
    assert_eq!(cached.code, Some(64), "{cached:?}");
}
