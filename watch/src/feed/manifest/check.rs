//! Properties of the reader of pods files for any bytes, for property tests and fuzz targets.

use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::list::{ListKind, ManifestPart};

/// Reads pods files that contain these bytes. The first byte chooses their place: the whole file, or one value of one
/// of three pods.
///
/// # Panics
///
/// If a value affects other pods than its own, or a value that is not read affects anything, or if the result depends
/// on how the file is split into reads.
pub fn check(bytes: &[u8]) {
    let [kind, bytes @ ..] = bytes else { return };
    let value = String::from_utf8_lossy(bytes);
    let line = value.split(['\n', '\r']).next().unwrap_or_default();
    match kind % 4 {
        0 => {
            assert_eq!(read(bytes), read(ByteByByte(bytes)));
        }
        1 => check_yaml("label", line, 3),
        2 => check_yaml("name", line, 2),
        _ => check_json(&value),
    }
}

/// Checks a value on one line of YAML. If the file is valid YAML, `same` of the three pods must be as in a file without
/// the value.
fn check_yaml(field: &str, line: &str, same: usize) {
    let file = |line: &str| {
        let pod = |number: u8, line: &str| {
            let (label, name) = if field == "label" { (line, "web") } else { ("blue", line) };
            format!(
                "- kind: Pod\n  metadata:\n    labels:\n      label: {label}\n    name: {name}\n    namespace: default\n  \
                 status:\n    podIP: 10.0.0.{number}\n"
            )
        };
        format!("items:\n{}{}{}kind: List\n", pod(1, "a"), pod(2, line), pod(3, "c"))
    };
    let (expected, _) = read(file("b").as_bytes());
    let (entries, result) = read(file(line).as_bytes());
    if result.is_err() {
        return;
    }
    assert_eq!(entries.len(), expected.len());
    assert_eq!((entries.first(), entries.last()), (expected.first(), expected.last()));
    assert_eq!(entries.get(2), expected.get(2));
    assert!(same < 3 || entries == expected);
}

/// Checks a value in JSON, in a field that is not read and in one that is.
fn check_json(value: &str) {
    if serde_json::from_str::<IgnoredAny>(value).is_err() {
        return;
    }
    let file = |label: &str, name: &str| {
        let pod = r#"{"metadata": {"name": "web"}}"#;
        format!(
            r#"{{"items": [{pod}, {{"label": {label}, "metadata": {{"name": {name}}}}}, {pod}], "kind": "List"}}"#
        )
    };
    let expected = read(file("1", "\"web\"").as_bytes());
    assert_eq!(read(file(value, "\"web\"").as_bytes()), expected);
    let (entries, result) = read(file("1", value).as_bytes());
    assert_eq!(result, Ok(()));
    assert_eq!(entries.len(), expected.0.len());
    assert_eq!((entries.first(), entries.get(2)), (expected.0.first(), expected.0.get(2)));
}

/// A reader that returns one byte at a time.
struct ByteByByte<'a>(&'a [u8]);

impl Read for ByteByByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(buffer.get_mut(..count).unwrap_or_default())
    }
}

/// Returns the parts of a file as text.
fn read(input: impl Read) -> (Vec<String>, Result<(), String>) {
    let mut entries = Vec::new();
    let result = super::read(input, &mut |entry| {
        entries.push(match entry {
            ManifestPart::Item(item) => format!("{item:?}"),
            ManifestPart::Unreadable(fault) => fault,
            ManifestPart::End(ListKind::List) => "end of a List".to_owned(),
            ManifestPart::End(ListKind::PodList) => "end of a PodList".to_owned(),
        });
    });
    (entries, result.map_err(|error| error.to_string()))
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fuzzers_corpus() {
        let corpus = crate::corpus("pods_file");
        assert!(corpus.len() > 30);
        for bytes in corpus {
            // Each input in each position.
            let rest = bytes.get(1..).unwrap_or_default();
            for kind in 0..4 {
                check(&[&[kind], rest].concat());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bad_value_affects_only_its_pod(kind: u8, value in "[-~!&*\\[\\]{}:,#|>?%@`'\"<.0-9a-fxinulo \\\\\\PC]{0,24}") {
            check(&[&[kind], value.as_bytes()].concat());
        }
    }
}
