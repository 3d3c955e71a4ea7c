//! Comparison with recorded answers of CoreDNS (`data/coredns.tsv`): the answers agree, or differ in a way that
//! `data/coredns-differences.txt` lists with its reason.

use std::collections::{BTreeMap, BTreeSet};

use poddns_core::{Mode, Request, Transport};

use crate::support::response::{Record, Response, WireName};
use crate::support::{CLIENT, NOW, Server};

const MODES: [(&str, Mode); 3] =
    [("disabled", Mode::Disabled), ("insecure", Mode::Insecure), ("verified", Mode::Verified)];

/// One recorded query.
struct Case {
    id: &'static str,
    transport: Transport,
    query: Vec<u8>,
    /// In the order of [`MODES`]; `None` for no response.
    answers: [Option<Response>; 3],
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).expect("a hexadecimal digit");
    (text != "-").then(|| {
        let pairs = text.as_bytes().chunks_exact(2);
        pairs.map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("an octet")).collect()
    })
}

fn recorded() -> Vec<Case> {
    let lines = include_str!("../data/coredns.tsv").lines().filter(|line| !line.starts_with('#'));
    let cases = lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, transport, query, disabled, insecure, verified] = columns[..] else { panic!("{line}") };

        let decode = |octets: Vec<u8>| Response::decode(&octets).unwrap_or_else(|why| panic!("{id}: {why}"));
        Case {
            id,
            transport: if transport == "tcp" { Transport::Tcp } else { Transport::Udp },
            query: hex(query).unwrap_or_default(),
            answers: [disabled, insecure, verified].map(|answer| hex(answer).map(decode)),
        }
    });
    cases.collect()
}

/// The recorded queries, with their transports.
pub(crate) fn queries() -> impl Iterator<Item = (Transport, Vec<u8>)> {
    recorded().into_iter().map(|case| (case.transport, case.query))
}

/// Parts in which two answers can differ.
type Aspect = &'static str;

/// Returns the aspects in which two answers differ.
fn differences(ours: Option<&Response>, theirs: Option<&Response>) -> BTreeSet<Aspect> {
    let (ours, theirs) = match (ours, theirs) {
        (None, None) => return BTreeSet::new(),
        (None, Some(_)) | (Some(_), None) => return BTreeSet::from(["silence"]),
        (Some(ours), Some(theirs)) => (ours, theirs),
    };
    let aspects = [
        ("rcode", ours.rcode == theirs.rcode),
        ("flags", ours.flags == theirs.flags),
        ("question", ours.question == theirs.question),
        ("answer", records(&ours.answer) == records(&theirs.answer)),
        ("authority", ownerless(&ours.authority) == ownerless(&theirs.authority)),
        (
            "owner",
            owners(&ours.authority).zip(owners(&theirs.authority)).all(|(ours, theirs)| ours == theirs),
        ),
        ("additional", records(&ours.additional) == records(&theirs.additional)),
        ("opt", ours.opt == theirs.opt),
    ];
    assert_eq!(ours.id, theirs.id);
    aspects.into_iter().filter(|(_, same)| !same).map(|(aspect, _)| aspect).collect()
}

/// Returns records for comparison: sorted, and without the serial of a SOA, which is a time.
fn records(section: &[Record]) -> Vec<Record> {
    let mut records = section.to_vec();
    for record in records.iter_mut().filter(|record| record.rtype == 6) {
        let serial = record.data.len() - 20;
        record.data[serial..serial + 4].fill(0);
    }
    records.sort();
    records
}

/// Returns records of the authority section without their owner, which is compared separately.
fn ownerless(section: &[Record]) -> Vec<Record> {
    let mut records = records(section);
    for record in &mut records {
        record.owner = WireName::new("");
    }
    records
}

fn owners(section: &[Record]) -> impl Iterator<Item = &WireName> {
    section.iter().map(|record| &record.owner)
}

/// The intended differences: by case and mode, the aspects, each with the key of its reason.
struct Deliberate {
    reasons: BTreeMap<&'static str, &'static str>,
    cases: BTreeMap<(&'static str, &'static str), BTreeMap<&'static str, &'static str>>,
}

fn deliberate() -> Deliberate {
    let mut deliberate = Deliberate { reasons: BTreeMap::new(), cases: BTreeMap::new() };
    let lines = include_str!("../data/coredns-differences.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some((key, text)) = line.strip_prefix("reason ").and_then(|rest| rest.split_once(' ')) {
            assert!(deliberate.reasons.insert(key, text.trim()).is_none(), "{key} is there twice");
            continue;
        }
        let mut words = line.split_whitespace();
        let (id, modes) = (words.next().expect(line), words.next().expect(line));
        let aspects: BTreeMap<_, _> =
            words.map(|word| word.split_once(':').unwrap_or_else(|| panic!("{line}"))).collect();
        for mode in modes.split(',') {
            let known = deliberate.cases.insert((id, mode), aspects.clone());
            assert!(known.is_none(), "{id} {mode} is there twice");
        }
    }
    deliberate
}

#[test]
fn answers_equal_coredns_except_stated_differences() {
    let cases = recorded();
    let Deliberate { reasons, cases: mut listed } = deliberate();
    let (mut same, mut different) = (0, 0);
    let mut uses = Vec::new();
    let mut faults = Vec::new();
    for case in &cases {
        for ((name, mode), theirs) in MODES.into_iter().zip(&case.answers) {
            // CoreDNS looks the namespace up in mode insecure as well.
            let server = Server::new(mode).with(|config| config.check_namespaces = true);
            let (_, ours) = server.outcome(&case.query, &Request::new(case.transport, CLIENT, NOW));
            let differ = differences(ours.as_ref(), theirs.as_ref());
            let reasoned = listed.remove(&(case.id, name)).unwrap_or_default();
            uses.extend(reasoned.values().copied().collect::<BTreeSet<_>>());
            if differ == reasoned.keys().copied().collect() {
                *if differ.is_empty() { &mut same } else { &mut different } += 1;
            } else {
                faults.push(format!(
                    "{} {name}: differ in {differ:?}, listed {:?}\n  ours {ours:?}\n  CoreDNS {theirs:?}",
                    case.id,
                    reasoned.keys(),
                ));
            }
        }
    }
    faults.extend(listed.keys().map(|(id, mode)| format!("{id} {mode}: listed, but there is no such case")));
    let (stated, given): (BTreeSet<_>, BTreeSet<_>) =
        (reasons.keys().copied().collect(), uses.iter().copied().collect());
    faults.extend(
        given.symmetric_difference(&stated).map(|key| format!("reason {key}: not used, or not stated")),
    );
    assert!(faults.is_empty(), "{}\n{} faults", faults.join("\n"), faults.len());
    println!(
        "{} queries in {} modes: {same} answers agree, {different} differ as listed",
        cases.len(),
        MODES.len()
    );
    for (key, text) in reasons {
        println!("{:>4} {text}", uses.iter().filter(|used| **used == key).count());
    }
    assert_eq!((cases.len(), same + different), (248, 248 * MODES.len()), "none is skipped");
}
