//! The questions in `demo/README.md` get the answers stated there, from `demo/pods.json`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::support::{Run, poddns};
use poddns_core::{Config, Mode, Outcome, Request, Transport, Zone, respond};
use poddns_watch::{Feed, Index, Scope, Source};

fn demo(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "demo", file].iter().collect()
}

/// Answers over UDP from the index, in mode verified, with this loop as driver.
fn serve(index: Arc<Index>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let zones = [Zone::new("cluster.local").expect("a domain")];
        let config = Config::new(Mode::Verified, &zones);
        let request = Request::new(Transport::Udp, Ipv4Addr::LOCALHOST.into(), 0);
        let (mut query, mut reply) = ([0; 4096], [0; 1232]);
        while let Ok((len, client)) = socket.recv_from(&mut query) {
            if let Outcome::Reply(found) = respond(&config, &*index, &query[..len], &request, &mut reply) {
                let _ = socket.send_to(&reply[..found.len], client);
            }
        }
    });
    address
}

/// Returns the rows of the table: name, type, expected answer.
fn rows(readme: &str) -> Vec<(String, String, String)> {
    let rows = readme.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, ask, expected, _] = cells[..] else { return None };
        let question = ask.strip_prefix("`dig @127.0.0.1 -p 1053 ")?.strip_suffix('`')?;
        let (name, rtype) = question.split_once(' ').unwrap_or((question, "A"));
        Some((name.to_owned(), rtype.to_owned(), expected.to_owned()))
    });
    rows.collect()
}

fn check(name: &str, expected: &str, run: &Run) {
    assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
    let header = run.stdout.lines().find(|line| line.starts_with(";; ->>HEADER<<-")).unwrap_or_default();
    let answers: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with(name)).collect();
    let status = |status: &str| {
        assert!(header.contains(&format!("status: {status},")), "{name}: {}", run.stdout);
    };
    match expected.split([' ', ',']).next().unwrap_or_default() {
        refusal @ ("NXDOMAIN" | "REFUSED") => status(refusal),
        "NOERROR" => {
            status("NOERROR");
            assert!(run.stdout.contains("ANSWER: 0,"), "{name}: {}", run.stdout);
        }
        address => {
            status("NOERROR");
            assert_eq!(answers.len(), 1, "{name}: {}", run.stdout);
            assert!(answers[0].ends_with(&format!("\t{address}")), "{name}: {}", run.stdout);
        }
    }
}

#[tokio::test]
async fn questions_of_readme_get_stated_answers() {
    let feed =
        Feed::open(Source::File(demo("pods.json")), Scope::default()).await.expect("the sample is sound");
    let server = serve(feed.index()).to_string();
    let rows = rows(&fs::read_to_string(demo("README.md")).expect("the demo's README"));
    assert_eq!(rows.len(), 14, "a row that is not read is not tested");
    for (name, rtype, expected) in rows {
        let run = poddns(["query", &name, &rtype, "--server", &server]);
        check(&name, &expected, &run);
    }
}
