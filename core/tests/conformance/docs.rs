//! `docs/rfc.md` names functions and tests: all of them are there, and no test of an RFC is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether the source defines an item of this name, be it by the macro for open enumerations.
fn defines(source: &str, item: &str) -> bool {
    ["fn", "const", "struct", "enum"].iter().any(|keyword| {
        let definition = format!("{keyword} {item}");
        source.match_indices(&definition).any(|(at, _)| {
            let next = source[at + definition.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    }) || source.contains(&format!("\n    {item}(u"))
}

/// The tests of a source: functions after `#[test]`, as `module::name`.
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

/// All tests of this binary's modules, from their sources.
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

#[test]
fn the_table_of_rfcs_names_what_there_is() {
    let table = read(&root().join("../docs/rfc.md"));
    let tests = all_tests(&root().join("tests/conformance"), "");
    let mut named = BTreeSet::new();
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, _, functions, test] = cells[..] else { panic!("not four cells: {line}") };
        assert!(quoted(functions).next().is_some() && quoted(test).next().is_some(), "an empty cell: {line}");
        for function in quoted(functions) {
            let (file, item) = function.split_once("::").unwrap_or_else(|| panic!("{function}"));
            let source = read(&root().join("src").join(file));
            assert!(defines(&source, item), "src/{file} has no {item}: {line}");
        }
        for test in quoted(test) {
            assert!(tests.contains(test), "there is no test {test}: {line}");
            named.insert(test.to_owned());
        }
        rows += 1;
    }
    let of_an_rfc = tests.iter().filter(|test| test.starts_with("rfc"));
    let missing: Vec<_> = of_an_rfc.filter(|test| !named.contains(*test)).collect();
    assert!(missing.is_empty(), "not in docs/rfc.md: {missing:?}");
    assert!(rows > 100, "{rows} rows");
}
