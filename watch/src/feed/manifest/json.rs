//! Lists in JSON.

use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::PodsFileError;
use super::list::{EXPECTED, ListRoot, ManifestItem, ManifestPart};
use super::text::TextReader;
use crate::pod::lenient::Lenient;

/// Reads consecutive lists to the end of the text.
pub(super) fn read(
    text: TextReader<impl Read>,
    each: &mut dyn FnMut(ManifestPart),
) -> Result<(), PodsFileError> {
    let mut json = serde_json::Deserializer::from_reader(text);
    loop {
        let mut root = ListRoot::default();
        ListSeed { root: &mut root, each }.deserialize(&mut json)?;
        each(ManifestPart::End(root.kind()?));
        match json.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(error.into()),
            // Another list follows.
            Err(_) => {}
        }
    }
}

impl From<serde_json::Error> for PodsFileError {
    fn from(error: serde_json::Error) -> Self {
        let at = (error.line() as u64, error.column() as u64);
        let category = error.classify();
        let text = error.to_string();
        // The message already has the place.
        let cause = text.rsplit_once(" at line ").map_or(text.as_str(), |(cause, _)| cause);
        let message = match category {
            Category::Io => return std::io::Error::from(error).into(),
            Category::Eof => "it ends in the middle of a list in JSON: it was cut off".to_owned(),
            Category::Syntax => format!("not JSON: {cause}"),
            Category::Data => cause.to_owned(),
        };
        Self::at((at.0 > 0).then_some(at), message).caused_by(error)
    }
}

/// Deserializer of the object at the root.
struct ListSeed<'a> {
    root: &'a mut ListRoot,
    each: &'a mut dyn FnMut(ManifestPart),
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ListField {
    Kind,
    Items,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for ListSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key()? {
            match field {
                ListField::Kind => {
                    let kind: Lenient<String> = map.next_value()?;
                    self.root.set_kind(kind).map_err(A::Error::custom)?;
                }
                ListField::Items => {
                    self.root.begin_items().map_err(A::Error::custom)?;
                    map.next_value_seed(ItemsSeed(&mut *self.each))?;
                }
                ListField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Deserializer of the items. Each item is passed on when it is complete.
struct ItemsSeed<'a>(&'a mut dyn FnMut(ManifestPart));

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        // First the extent of an item, which fails only for invalid syntax, then its fields.
        while let Some(raw) = seq.next_element::<Box<RawValue>>()? {
            (self.0)(match serde_json::from_str::<ManifestItem>(raw.get()) {
                Ok(item) => ManifestPart::Item(item),
                Err(error) => ManifestPart::Unreadable(PodsFileError::from(error).into_message()),
            });
        }
        Ok(())
    }
}
