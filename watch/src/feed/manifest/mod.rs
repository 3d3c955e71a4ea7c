//! Reader of the output of `kubectl get pods -A -o json` or `-o yaml`, item by item.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod check;
mod error;
mod events;
mod json;
mod list;
mod text;
mod yaml;
mod yaml_error;

use std::io::Read;

use text::TextReader;

pub use error::PodsFileError;
pub(crate) use list::{ListKind, ManifestItem, ManifestPart};

/// Calls `each` with every part of a file, in order. A file contains one or more lists, each a YAML document or a JSON
/// value.
///
/// Fails if the file is invalid: its contents must not be used before it has been read to its end. One item at a time
/// is in memory.
pub(crate) fn read(input: impl Read, each: &mut dyn FnMut(ManifestPart)) -> Result<(), PodsFileError> {
    let mut text = TextReader::new(input)?;
    match text.first()? {
        None if text.is_blank()? => Err(PodsFileError::new("the file is empty")),
        Some('{') => json::read(text, each),
        _ => yaml::read(text, each),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::pod::lenient::Faults;

    /// Returns the kinds of the lists, and the numbers of items that can and cannot be read.
    fn count(text: &[u8]) -> Result<(Vec<ListKind>, usize, usize), String> {
        let (mut kinds, mut items, mut unreadable) = (Vec::new(), 0, 0);
        let read = read(text, &mut |entry| match entry {
            ManifestPart::Item(_) => items += 1,
            ManifestPart::Unreadable(_) => unreadable += 1,
            ManifestPart::End(kind) => kinds.push(kind),
        });
        read.map(|()| (kinds, items, unreadable)).map_err(|error| error.to_string())
    }

    fn assert_items(text: &str, kind: ListKind, items: usize) {
        assert_eq!(count(text.as_bytes()), Ok((vec![kind], items, 0)), "{text}");
    }

    #[test]
    fn keys_may_have_any_order() {
        use ListKind::{List, PodList};
        assert_items(r#"{"items": [{}, {}], "kind": "List"}"#, List, 2);
        assert_items("\n\n {\"kind\": \"PodList\", \"x\": [1], \"items\": []}\n", PodList, 0);
        assert_items("apiVersion: v1\nitems:\n- {}\n- a: b\nkind: List\n", List, 2);
        assert_items("---\nkind: PodList\nitems: []\n", PodList, 0);
        assert_items("# from kubectl\nkind: PodList\nitems: []\n", PodList, 0);
        assert_items("\u{feff}{\"kind\": \"PodList\", \"items\": []}", PodList, 0);
        assert_items("\u{feff}kind: PodList\nitems: []\n", PodList, 0);
    }

    #[test]
    fn list_without_items_is_empty() {
        for text in [
            r#"{"kind":"PodList","apiVersion":"v1","items":null}"#,
            r#"{"kind":"PodList","apiVersion":"v1"}"#,
            "kind: PodList\n",
            "kind: PodList\nitems:\n",
            "kind: PodList\nitems: ~\n",
        ] {
            assert_items(text, ListKind::PodList, 0);
        }
    }

    #[test]
    fn every_document_is_read() {
        let twice = Ok((vec![ListKind::List, ListKind::PodList], 3, 0));
        let json = r#"{"kind": "List", "items": [{}, {}]} {"kind": "PodList", "items": [{}]}"#;
        assert_eq!(count(json.as_bytes()), twice);
        let yaml = "---\nkind: List\nitems: [{}, {}]\n---\n# nothing\n---\nkind: PodList\nitems: [{}]\n---\n";
        assert_eq!(count(yaml.as_bytes()), twice);
        assert_items("kind: List\nitems: [{}]\n---\n", ListKind::List, 1);
        assert_items("kind: List\nitems: [{}]\n...\n", ListKind::List, 1);
    }

    #[test]
    fn malformed_items_are_items() {
        assert_items(r#"{"kind": "List", "items": [null, 1, "x", []]}"#, ListKind::List, 4);
        assert_items("kind: List\nitems: [null, 1, x, []]\n", ListKind::List, 4);
    }

    #[test]
    fn unreadable_item_costs_no_other() {
        let one = Ok((vec![ListKind::List], 1, 1));
        for text in [
            r#"{"kind": "List", "items": [{"metadata": {}, "metadata": {}}, {}]}"#,
            r#"{"kind": "List", "items": [{"metadata": {"name": 1e999}}, {}]}"#,
            r#"{"kind": "List", "items": [{"metadata": {"name": "\ud800"}}, {}]}"#,
            "kind: List\nitems:\n- metadata: {name: a, name: b}\n- {}\n",
            "kind: List\nitems:\n- metadata: {name: a, name: {x: [y]}, z: [a]}\n  spec: {}\n- {}\n",
            "kind: List\nitems:\n- metadata: {<<: {name: a}}\n- {}\n",
            "kind: List\nitems:\n- metadata: *nowhere\n- {}\n",
            "kind: List\nitems:\n- *nowhere\n- {}\n",
            "kind: List\nitems:\n- &a {metadata: *a}\n- {}\n",
        ] {
            assert_eq!(count(text.as_bytes()), one, "{text}");
        }
    }

    #[test]
    fn values_of_unread_fields_are_ignored() {
        for value in [
            "42e7891",
            "1e999",
            ".inf",
            ".nan",
            "0x1f",
            "99999999999999999999999999",
            "2026-11-27",
            "~",
            "{a: 1, a: 2}",
            "{? [a] : b, ? {c: d} : e, ~: f, : g}",
            "{<<: 7}",
            "!!binary x",
            "!!int x",
            "!other {a: b}",
            "*nowhere",
            "[*nowhere, {*nowhere : a}]",
            "&a [*a]",
            "\"\\0\\x7f\"",
            "a\u{0}b",
            "\u{feff}x",
        ] {
            let text = format!("kind: List\nitems:\n- labels: {value}\n- {{}}\n");
            assert_items(&text, ListKind::List, 2);
        }
        let deep = format!("kind: List\nitems: [{{x: {}{}}}, {{}}]\n", "[".repeat(1000), "]".repeat(1000));
        assert_items(&deep, ListKind::List, 2);
        for value in ["1e999", "\"\\ud800\"", "{\"a\": 1, \"a\": 2}", "123456789012345678901234567890"] {
            let text = format!(r#"{{"kind": "List", "items": [{{"labels": {value}}}, {{}}]}}"#);
            assert_items(&text, ListKind::List, 2);
        }
        let latin = b"{\"kind\": \"List\", \"items\": [{\"labels\": \"caf\xe9\"}, {\"metadata\": {\"name\": \"\xe9\"}}]}";
        assert_eq!(count(latin), Ok((vec![ListKind::List], 2, 0)));
    }

    #[test]
    fn aliases_stand_for_anchored_nodes() {
        let mut names = Vec::new();
        let text = "kind: List\nitems:\n- metadata: &m {name: &n web, namespace: default}\n- metadata: *m\n\
                    - metadata: {name: *n, *n : x}\n- &p {metadata: *m}\n- *p\n";
        read(text.as_bytes(), &mut |entry| {
            let ManifestPart::Item(item) = entry else { return };
            let raw = item.take("the item", &mut Faults::default()).unwrap_or_default().0;
            names.push(raw.metadata.into_metadata(&mut Faults::default()).name);
        })
        .unwrap();
        assert_eq!(names, ["web"; 5]);
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = "kind: List\nitems:\n- &a0 {x: y}\n".to_owned();
        let many = |n: usize| format!("*a{n}, ").repeat(100);
        for level in 0..8 {
            writeln!(text, "- &a{} {{status: {{podIPs: [{}]}}}}", level + 1, many(level)).unwrap();
        }
        text.push_str(&"- *a8\n".repeat(1000));
        let (_, items, unreadable) = count(text.as_bytes()).unwrap();
        assert_eq!(items + unreadable, 1009);
        assert!(unreadable > 0);
    }

    #[test]
    fn errors_name_fault_and_place() {
        let cases = [
            ("", "the file is empty"),
            ("  \n", "the file is empty"),
            ("---\n---\n", "it holds no list"),
            ("{\"kind\": \"List\",\n \"items\": [}", "line 2 column 12: not JSON: expected value"),
            ("{\"kind\": \"List\", \"items\": []} x", "line 1 column 31: not JSON: expected value"),
            ("{\"kind\": \"List\", \"items\": [{}", "it was cut off"),
            ("{\"kind\": \"DeploymentList\", \"items\": []}", "kind is \"DeploymentList\"; expected a List"),
            ("{\"items\": []}", "kind is missing"),
            ("{\"a\": []}", "it is not a list of Kubernetes objects"),
            ("apiVersion: v1\nkind: Config\nclusters: []\n", "kubeconfig"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "a single object, not a list"),
            ("kind: List\nitems: 7\n", "line 2 column 8: items is not a list"),
            ("{\"kind\": \"List\", \"items\": 7}", "invalid type: integer `7`, expected a list of items"),
            ("{\"kind\": 7, \"items\": []}", "kind is a number, not a string"),
            ("{\"kind\": \"List\", \"items\": [], \"items\": []}", "items is given twice"),
            ("kind: List\nkind: List\n", "kind is given twice"),
            ("kind: List\nitems:\n- a: [\n", "not YAML: "),
            ("kind: List\nitems: []\n---\nhello\n", "line 4 column 1: it is neither JSON nor YAML of a List"),
            ("root:x:0:0:root:/root:/bin/bash\n", "line 1 column 1: it is neither JSON nor YAML of a List"),
            ("\u{0}\u{1}\u{2}", "it is neither JSON nor YAML"),
        ];
        for (text, expected) in cases {
            let error = count(text.as_bytes()).expect_err(text);
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn large_yaml_file_is_no_attack() {
        let item = "- metadata: {name: n, namespace: ns}\n  spec: {containers: [{name: c}]}\n";
        let text = format!("kind: List\nitems:\n{}", item.repeat(23_000));
        assert_items(&text, ListKind::List, 23_000);
    }
}
