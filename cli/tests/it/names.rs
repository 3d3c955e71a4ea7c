//! `poddns name` and `poddns ip`.

use crate::support::poddns;

#[test]
fn name_prints_the_canonical_name() {
    let cases: [(&[&str], &str); 8] = [
        (&["10.42.2.46"], "10-42-2-46.default.pod.cluster.local\n"),
        (&["FD00:10:244::0007", "-n", "web"], "fd00-10-244--7.web.pod.cluster.local\n"),
        (&["::1", "--label"], "0--1\n"),
        (&["fd00::", "--label"], "fd00--0\n"),
        (&["10.0.0.1", "--domain", "example.org."], "10-0-0-1.default.pod.example.org\n"),
        (&["10.0.0.1", "fd00::1", "--label"], "10-0-0-1\nfd00--1\n"),
        (&["10.0.0.1", "-n", "a", "-n", "b"], "10-0-0-1.a.pod.cluster.local\n10-0-0-1.b.pod.cluster.local\n"),
        (&["10.0.0.1", "--domain", "a", "--domain", "b"], "10-0-0-1.default.pod.a\n10-0-0-1.default.pod.b\n"),
    ];
    for (args, stdout) in cases {
        let run = poddns(["name"].iter().chain(args));
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), stdout, ""), "{args:?}");
    }
}

#[test]
fn name_refuses_invalid_arguments() {
    let cases: [(&[&str], &str); 8] = [
        (&["10.42.2"], "not an IP address"),
        (&["10.42.2.0/24"], "a range, not an address"),
        (&["fe80::1%eth0"], "'%eth0' is a zone"),
        (&["10-42-2-46"], "`poddns ip` gives its address"),
        (&["::ffff:10.1.2.3"], "give 10.1.2.3"),
        (&["10.0.0.1", "-n", "Web"], "character other than a-z, 0-9 and '-' at offset 0"),
        (&["10.0.0.1", "--domain", "a..b"], "a..b"),
        (&[], "<IP>..."),
    ];
    for (args, why) in cases {
        let run = poddns(["name"].iter().chain(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{args:?}");
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn ip_reads_every_spelling() {
    let cases = [
        ("10-42-2-46.default.pod.cluster.local", "10.42.2.46\n"),
        ("10-42-2-46.default.pod.cluster.local.", "10.42.2.46\n"),
        ("10-42-2-46", "10.42.2.46\n"),
        ("fd00-10-244--7", "fd00:10:244::7\n"),
        ("FD00-0010-0244-0000-0000-0000-0000-0007.web", "fd00:10:244::7\n"),
        ("fd00-10-244-0-0-0-0-7", "fd00:10:244::7\n"),
        ("--1", "::1\n"),
        ("0--1", "::1\n"),
        ("fd00--", "fd00::\n"),
        ("fd00--0", "fd00::\n"),
    ];
    for (name, stdout) in cases {
        let run = poddns(["ip", name]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), stdout, ""), "{name}");
    }
}

#[test]
fn ip_explains_name_without_address() {
    let cases = [
        (1, "web-0.default.pod.cluster.local", "the character 'w'"),
        (1, "1-2-3-256", "the number 256, above the 255"),
        (1, "010-1-1-1.default", "the number 010 with a leading zero"),
        (1, "1-2-3", "has 3 groups"),
        (1, "fd00--1--2", "'--' more than once"),
        (1, "fd00:1", "has 2 groups"),
        (1, ".", "is the root"),
        (64, "10.42.2.46", "'10.42.2.46' is an address already"),
        (64, "fd00::7", "'fd00::7' is an address already"),
        (64, "a..b", "has an empty label"),
        (64, "", "is empty"),
    ];
    for (code, name, why) in cases {
        let run = poddns(["ip", name]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{name:?}");
        assert!(run.stderr.starts_with("poddns: ") && run.stderr.contains(why), "{name:?}: {}", run.stderr);
    }
}

#[test]
fn ip_continues_after_name_without_address() {
    let run = poddns(["ip", "10-0-0-1", "web-0", "10-0-0-2"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "10.0.0.1\n10.0.0.2\n"));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn ip_warns_of_mapped_addresses() {
    let run = poddns(["ip", "0--ffff-a2a-22e"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "::ffff:10.42.2.46\n"));
    assert!(run.stderr.contains("no server answers this name"), "{}", run.stderr);
}

#[test]
fn ip_reads_output_of_name() {
    for address in
        ["10.42.2.46", "::", "::1", "fd00::", "1:2:3:4:5:6:7:8", "fe80::1:0:0:1", "255.255.255.255"]
    {
        let name = poddns(["name", address]).stdout;
        assert_eq!(poddns(["ip", name.trim_end()]).stdout, format!("{address}\n"));
    }
}

#[test]
fn completions_contain_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let run = poddns(["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(run.stdout.contains("query") && run.stdout.contains("norecurse"), "{shell}: {}", run.stdout);
    }
    let daemon = poddns(["completions", "bash", "--daemon"]).stdout;
    assert!(daemon.contains("_poddnsd()") && daemon.contains("--snapshot-interval"), "{daemon}");
    assert_eq!(poddns(["completions", "cmd"]).code, Some(64));
}

#[test]
fn help_and_version_exit_with_0() {
    let version = poddns(["-V"]);
    assert_eq!(
        (version.code, version.stdout),
        (Some(0), concat!("poddns ", env!("CARGO_PKG_VERSION"), "\n").into())
    );
    let details = poddns(["--version"]);
    assert_eq!(details.code, Some(0), "{details:?}");
    assert!(
        details.stdout.contains("\ncommit: ") && details.stdout.contains("\nfeatures: daemon"),
        "{details:?}"
    );
    for args in [["--help"].as_slice(), &["query", "--help"], &["name", "--help"], &["ip", "--help"]] {
        let help = poddns(args);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(help.stdout.contains("Examples:"), "{args:?}");
        assert!(help.stdout.contains("Exit status:") || args[0] == "name", "{args:?}");
    }
    assert_eq!(poddns([] as [&str; 0]).code, Some(64));
    assert_eq!(poddns(["quarrel"]).code, Some(64));
}

#[test]
fn man_pages_cover_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages = folder.path().join("man1");
    let run = poddns(["man", pages.to_str().expect("UTF-8")]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    let help = poddns(["--help"]).stdout;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_ascii_whitespace().next()).collect();
    assert!(names.contains(&"query") && names.contains(&"compare"), "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = pages.join(format!("poddns-{name}.1"));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH OPTIONS"), "{name}");
    }
    assert!(pages.join("poddns.1").exists());
    let daemon = std::fs::read_to_string(pages.join("poddnsd.8")).expect("the daemon's page");
    assert!(daemon.contains(".TH poddnsd 8") && daemon.contains(r"\-\-snapshot\-interval"), "{daemon}");
    let file = pages.join("poddns.1");
    let run = poddns(["man", file.to_str().expect("UTF-8")]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("poddns: cannot write man pages to "), "{}", run.stderr);
}
