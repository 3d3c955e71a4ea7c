//! `poddns compare` between two running servers.

use std::io::Write;

use poddns_net::Server;
use tempfile::NamedTempFile;

use crate::running::{pods_file, start};
use crate::support::{Run, poddns, poddns_with_input};

/// A new server, and an old one with other pods.
struct Pair {
    new: Server,
    old: Server,
    file: NamedTempFile,
}

impl Pair {
    fn new() -> Self {
        let file = pods_file(&[
            ("web", "web-0", &["10.42.2.46", "fd00::2e"]),
            ("web", "web-1", &["10.42.2.47"]),
            ("db", "db-0", &["10.42.3.1"]),
        ]);
        let old =
            pods_file(&[("web", "web-0", &["10.42.2.46"]), ("web", "web-1", &["10.42.2.47", "10.42.9.9"])]);
        Self {
            new: start(&file, |settings| settings.pod_names = true),
            old: start(&old, |settings| settings.pod_names = true),
            file,
        }
    }

    /// Returns the options for the servers.
    fn servers(&self) -> [String; 6] {
        let of = |server: &Server| server.addresses()[0].to_string();
        let admin = self.new.admin().expect("it is served").to_string();
        ["--server", &of(&self.new), "--against", &of(&self.old), "--admin", &admin].map(str::to_owned)
    }

    fn run(&self, args: &[&str]) -> Run {
        let servers = self.servers();
        let servers = servers.iter().map(String::as_str);
        // A higher rate than the default is fine over loopback.
        poddns(["compare", "--rate", "10000"].into_iter().chain(servers).chain(args.iter().copied()))
    }
}

#[test]
fn differences_of_all_pods_are_shown() {
    let pair = Pair::new();
    let run = pair.run(&[]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    for text in [
        "gained     fd00--2e.web.pod.cluster.local. AAAA\n  server:  fd00::2e\n  against: NXDOMAIN\n",
        "gained     10-42-3-1.db.pod.cluster.local. A\n  server:  10.42.3.1\n  against: NXDOMAIN\n",
        "4 questions, 2 with the same answer\n         2 would be answered, and are not today\n",
    ] {
        assert!(run.stdout.contains(text), "{text}\n{}", run.stdout);
    }
    let run = pair.run(&["--namespace", "db"]);
    assert!(
        run.stdout.starts_with("gained     10-42-3-1.db") && run.stdout.contains("\n1 questions, 0 "),
        "{}",
        run.stdout
    );
}

#[test]
fn pods_are_read_from_file() {
    let pair = Pair::new();
    let file = pair.file.path().to_str().expect("UTF-8");
    let (listed, read) = (pair.run(&[]), pair.run(&["--pods-file", file]));
    let sorted = |run: &Run| {
        let mut lines: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((read.code, sorted(&read)), (listed.code, sorted(&listed)), "{}", read.stderr);
}

#[test]
fn names_and_query_logs_are_compared() {
    let pair = Pair::new();
    let names = "10-42-2-46.web.pod.cluster.local\n\
                 [INFO] 10.0.0.9:1 - 7 \"A IN 10-42-9-9.web.pod.cluster.local. udp 60 false 512\" NOERROR qr,aa 80 0.0001s\n\
                 {\"name\":\"web.pod.cluster.local.\",\"type\":\"A\"}\na..b\n";
    let servers = pair.servers();
    let args = ["compare", "--rate", "10000", "--json", "--names", "-"].into_iter();
    let run = poddns_with_input(args.chain(servers.iter().map(String::as_str)), names);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("poddns: standard input, line 4 is left out: "), "{}", run.stderr);
    let objects: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let [lost, summary] = objects.as_slice() else { panic!("{}", run.stdout) };
    let expected = serde_json::json!({
        "version": 1, "difference": "lost", "name": "10-42-9-9.web.pod.cluster.local.", "type": "A",
        "server": { "status": "NXDOMAIN", "data": [] },
        "against": { "status": "NOERROR", "data": ["10.42.9.9"] },
    });
    assert_eq!(lost, &expected);
    assert_eq!((&summary["summary"]["asked"], &summary["summary"]["same"]), (&3.into(), &2.into()));
    assert_eq!(summary["summary"]["differences"]["lost"], 1);
}

#[test]
fn equal_answers_are_a_success() {
    let pair = Pair::new();
    let address = pair.new.addresses()[0].to_string();
    let run = pair.run(&["--namespace", "web"]);
    assert_eq!(run.code, Some(1));
    let admin = pair.new.admin().expect("it is served").to_string();
    let run = poddns(["compare", "--against", &address, "--server", &address, "--admin", &admin]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "4 questions, 4 with the same answer\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn nothing_to_compare_is_a_failure() {
    let pair = Pair::new();
    let mut empty = NamedTempFile::new().expect("a temporary file");
    writeln!(empty, "# no name").expect("room on the disk");
    let run = pair.run(&["--names", empty.path().to_str().expect("UTF-8")]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("no name to compare"), "{}", run.stderr);
    assert_eq!(poddns(["compare"]).code, Some(64));
    assert_eq!(poddns(["compare", "--against", "127.0.0.1", "--rate", "0"]).code, Some(64));
}
