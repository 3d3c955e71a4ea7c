//! The fuzzer's corpus and checks without the fuzzer: seeds, and every case that it has found.

use std::fs;
use std::path::Path;

/// Runs `check` over the files of a target's corpus.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("a folder entry").path();
        let octets = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Shown only if the check fails: the output of passing tests is captured.
        println!("{}", path.display());
        check(&octets);
        count += 1;
    }
    assert!(count >= 20, "only {count} cases in {}", folder.display());
}

#[test]
fn parse() {
    replay("parse", poddns_core_checks::parse);
}

#[test]
fn podip() {
    replay("podip", poddns_core_checks::podip);
}

#[test]
fn respond() {
    replay("respond", poddns_core_checks::respond);
}
