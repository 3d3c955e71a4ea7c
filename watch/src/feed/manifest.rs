//! Reads what `kubectl get pods -A -o json` or `-o yaml` prints, item by item: the memory it takes does not
//! grow with the file.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Seek};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::pod::RawPod;
use crate::pod::lenient::{Lenient, Object};

/// An item of the list, as far as it can be read.
pub(crate) type Item = Lenient<Object<RawPod>>;

/// What kind of list a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Of items of any kind, each of which says its own.
    List,
    /// Of pods.
    PodList,
}

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ManifestError {
    /// Line and column, both from 1, where they are known.
    at: Option<(u64, u64)>,
    message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line} column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl ManifestError {
    fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into() }
    }
}

impl From<io::Error> for ManifestError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<serde_json::Error> for ManifestError {
    fn from(error: serde_json::Error) -> Self {
        let at = (error.line() as u64, error.column() as u64);
        let text = error.to_string();
        // The place is told once.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
        Self { at: (at.0 > 0).then_some(at), message }
    }
}

impl From<serde_saphyr::Error> for ManifestError {
    fn from(error: serde_saphyr::Error) -> Self {
        let at = error.location().map(|location| (location.line(), location.column()));
        let text = error.without_snippet().to_string();
        let message = text.lines().next().unwrap_or_default().to_owned();
        Self { at, message }
    }
}

/// Reads the whole file, calls `each` for every item, and says what kind of list it is: known at the end only,
/// for kubectl writes `items` before `kind`. Nothing may be believed of a file before it is read to its end.
pub(crate) fn read(file: impl Read + Seek, mut each: impl FnMut(Item)) -> Result<ListKind, ManifestError> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.rewind()?;
    let seed = Root { each: &mut each };
    match first_octet(&mut reader)? {
        None => Err(ManifestError::new("the file is empty")),
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_reader(reader);
            let kind = seed.deserialize(&mut json)?;
            json.end()?;
            Ok(kind)
        }
        Some(_) => {
            // The file is the operator's own and is not kept in memory, so it may be of any size. What stays
            // limited are aliases, which are a few octets that stand for any number of objects.
            let options = serde_saphyr::options! { budget: None, emit_comments: false, with_snippet: false };
            let parse = |yaml: serde_saphyr::Deserializer<'_, '_>| seed.deserialize(yaml);
            Ok(serde_saphyr::with_deserializer_from_reader_with_options(reader, options, parse)?)
        }
    }
}

/// The first octet that is not white space: `{` begins JSON, anything else YAML.
fn first_octet(reader: &mut (impl BufRead + Seek)) -> io::Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf()?;
        let found = buffer.iter().copied().find(|octet| !octet.is_ascii_whitespace());
        let length = buffer.len();
        if found.is_some() || length == 0 {
            reader.rewind()?;
            return Ok(found);
        }
        reader.consume(length);
    }
}

/// The object at the root.
struct Root<'a, F> {
    each: &'a mut F,
}

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Root<'_, F> {
    type Value = ListKind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ListKind, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RootField {
    Kind,
    Items,
    #[serde(other)]
    Other,
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Root<'_, F> {
    type Value = ListKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a List or PodList, as `kubectl get pods -A -o json` or `-o yaml` prints")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ListKind, A::Error> {
        let (mut kind, mut has_items) = (None, false);
        while let Some(field) = map.next_key()? {
            match field {
                RootField::Kind => kind = Some(map.next_value::<String>()?),
                RootField::Items => {
                    map.next_value_seed(Items { each: &mut *self.each })?;
                    has_items = true;
                }
                RootField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let kind = match kind.as_deref() {
            Some("List") => ListKind::List,
            Some("PodList") => ListKind::PodList,
            Some(other) => {
                return Err(A::Error::custom(format_args!(
                    "kind is {other:?}; a List or PodList is needed, as `kubectl get pods -A -o json` prints"
                )));
            }
            None => return Err(A::Error::missing_field("kind")),
        };
        if has_items { Ok(kind) } else { Err(A::Error::missing_field("items")) }
    }
}

/// The list of items, each handed on when it is read.
struct Items<'a, F> {
    each: &'a mut F,
}

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Items<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element()? {
            (self.each)(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn count(text: &str) -> Result<(ListKind, usize), String> {
        let mut items = 0;
        let kind = read(Cursor::new(text), |_| items += 1);
        kind.map(|kind| (kind, items)).map_err(|error| error.to_string())
    }

    #[test]
    fn json_and_yaml_in_any_order_of_keys() {
        assert_eq!(count(r#"{"items": [{}, {}], "kind": "List"}"#), Ok((ListKind::List, 2)));
        assert_eq!(
            count("\n\n {\"kind\": \"PodList\", \"x\": [1], \"items\": []}\n"),
            Ok((ListKind::PodList, 0))
        );
        assert_eq!(count("apiVersion: v1\nitems:\n- {}\n- a: b\nkind: List\n"), Ok((ListKind::List, 2)));
        assert_eq!(count("---\nkind: PodList\nitems: []\n"), Ok((ListKind::PodList, 0)));
        assert_eq!(count("# from kubectl\nkind: PodList\nitems: []\n"), Ok((ListKind::PodList, 0)));
    }

    #[test]
    fn malformed_items_are_items() {
        assert_eq!(count(r#"{"kind": "List", "items": [null, 1, "x", []]}"#), Ok((ListKind::List, 4)));
        assert_eq!(count("kind: List\nitems: [null, 1, x, []]\n"), Ok((ListKind::List, 4)));
    }

    #[test]
    fn errors_say_what_and_where() {
        let cases = [
            ("", "the file is empty"),
            ("  \n", "the file is empty"),
            ("{\"kind\": \"List\",\n \"items\": [}", "line 2 column 12: expected value"),
            ("{\"kind\": \"List\", \"items\": []} x", "line 1 column 31: trailing characters"),
            (
                "{\"kind\": \"DeploymentList\", \"items\": []}",
                "kind is \"DeploymentList\"; a List or PodList",
            ),
            ("{\"items\": []}", "missing field `kind`"),
            ("kind: List\n", "missing field"),
            ("kind: List\nitems: 7\n", "line 2 column 8: "),
            ("kind: List\nitems:\n- a: [\n", "line "),
            ("hello\n", "line 1 column 1: "),
        ];
        for (text, expected) in cases {
            let error = count(text).expect_err(text);
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_large_yaml_file_is_no_attack() {
        let item = "- metadata: {name: n, namespace: ns}\n  spec: {containers: [{name: c}]}\n";
        let text = format!("kind: List\nitems:\n{}", item.repeat(23_000));
        assert_eq!(count(&text), Ok((ListKind::List, 23_000)));
    }
}
