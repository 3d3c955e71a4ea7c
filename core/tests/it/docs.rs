//! The functions and tests in `docs/rfc.md` exist, and it contains every RFC, every rule and every test of an RFC.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Returns the texts between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns true if the source defines an item of this name, directly or by the macro for open enumerations.
fn defines(source: &str, item: &str) -> bool {
    ["fn", "const", "struct", "enum"].iter().any(|keyword| {
        let definition = format!("{keyword} {item}");
        source.match_indices(&definition).any(|(at, _)| {
            let next = source[at + definition.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    }) || source.contains(&format!("\n    {item}(u"))
}

/// RFCs that the responder implements: these have a heading and rows.
const RFCS: [u16; 35] = [
    1034, 1035, 1123, 1995, 1996, 2136, 2181, 2308, 3225, 3425, 3596, 3597, 4035, 4074, 4291, 4343, 4892,
    5001, 5936, 5952, 6890, 6891, 7766, 7828, 7871, 7873, 8020, 8482, 8490, 8906, 8914, 8945, 9018, 9619,
    5966,
];

/// Number of rules that small servers often violate.
const RULES: u8 = 25;

/// Returns true if `file::item` exists: relative to the root for other crates, else to `folder` of this one.
fn is_there(folder: &str, named: &str) -> bool {
    let (file, item) = named.split_once("::").unwrap_or_else(|| panic!("{named}"));
    let is_elsewhere = ["net/", "watch/"].iter().any(|folder| file.starts_with(folder));
    let path = if is_elsewhere { root().join("..").join(file) } else { root().join(folder).join(file) };
    defines(&read(&path), item)
}

/// Returns the tests in a source, that is functions after `#[test]`, as `module::name`.
fn tests(module: &str, source: &str) -> Vec<String> {
    let mut lines = source.lines().map(str::trim);
    let mut names = Vec::new();
    while lines.any(|line| line == "#[test]") {
        let name = lines.next().and_then(|line| line.strip_prefix("fn ")).expect("a function after #[test]");
        let end = name.find('(').expect("parameters");
        names.push(format!("{module}::{}", &name[..end]));
    }
    names
}

/// Returns all tests of this binary's modules, from their sources.
fn all_tests(folder: &Path, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder of the tests") {
        let path = entry.expect("a file").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(all_tests(&path, &format!("{prefix}{stem}::")));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(tests(&format!("{prefix}{stem}"), &read(&path)));
        }
    }
    found
}

/// Returns the rows of the tables under a heading, as four cells each.
fn rows(section: &str) -> impl Iterator<Item = [&str; 4]> {
    let of_tables = section.lines().filter(|line| line.starts_with("| "));
    of_tables.filter(|line| !line.ends_with(" | test |")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("not four cells: {line}"))
    })
}

#[test]
fn functions_and_tests_in_tables_exist() {
    let table = read(&root().join("../docs/rfc.md"));
    let tests = all_tests(&root().join("tests/it"), "");
    let mut named = BTreeSet::new();
    for [_, asked, functions, shown] in rows(&table) {
        assert!(
            quoted(functions).next().is_some() && quoted(shown).next().is_some(),
            "an empty cell: {asked}"
        );
        for function in quoted(functions) {
            assert!(is_there("src", function), "there is no {function}: {asked}");
        }
        for test in quoted(shown) {
            let known = if test.starts_with("net/") { is_there("", test) } else { tests.contains(test) };
            assert!(known, "there is no test {test}: {asked}");
            named.insert(test.to_owned());
        }
    }
    let of_a_document = tests.iter().filter(|test| test.starts_with("rfc") || test.starts_with("wire_rules"));
    let missing: Vec<_> = of_a_document.filter(|test| !named.contains(*test)).collect();
    assert!(missing.is_empty(), "not in docs/rfc.md: {missing:?}");
}

#[test]
fn every_rfc_and_rule_has_a_row() {
    let table = read(&root().join("../docs/rfc.md"));
    let (mut rfcs, mut rules) = (BTreeSet::<u16>::new(), BTreeSet::<u8>::new());
    for section in table.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap_or_default();
        if heading.starts_with("RFC ") && rows(section).next().is_some() {
            rfcs.extend(
                heading.split(|at: char| !at.is_ascii_digit()).filter_map(|word| word.parse::<u16>().ok()),
            );
        } else {
            rules.extend(rows(section).map(|[rule, ..]| rule.parse::<u8>().expect("a rule's number")));
        }
    }
    let missing: Vec<u16> = RFCS.into_iter().filter(|rfc| !rfcs.contains(rfc)).collect();
    assert!(missing.is_empty(), "RFCs without a row: {missing:?}");
    assert_eq!(rules, (1..=RULES).collect());
}
