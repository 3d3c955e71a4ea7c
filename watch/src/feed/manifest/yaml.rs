//! Lists in YAML.

use std::io::Read;

use granit_parser::{Event, ScalarStyle};
use serde::de::value::StringDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::PodsFileError;
use super::events::YamlEvents;
use super::list::{EXPECTED, ListKind, ListRoot, ManifestItem, ManifestPart};
use super::text::TextReader;
use super::yaml_error::YamlError;
use crate::pod::lenient::Lenient;

/// Reads the lists of all documents, to the end of the text.
pub(super) fn read(
    text: TextReader<impl Read>,
    each: &mut dyn FnMut(ManifestPart),
) -> Result<(), PodsFileError> {
    let mut yaml = YamlDecoder { events: YamlEvents::new(text) };
    let mut lists = 0;
    loop {
        match yaml
            .events
            .next()
            .map_err(|error| if lists == 0 { error.or_not_yaml(no_list) } else { error })?
        {
            Event::StreamEnd if lists > 0 => return Ok(()),
            Event::StreamEnd => return Err(PodsFileError::new("it holds no list")),
            Event::MappingStart(..) => {
                let kind = yaml.list(each)?;
                each(ManifestPart::End(kind));
                lists += 1;
            }
            Event::Scalar(text, style, _, tag) if Scalar::of(&text, style, tag.is_some()) == Scalar::Null => {
            }
            Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                return Err(yaml.wrong(no_list()));
            }
            _ => {}
        }
    }
}

fn no_list() -> String {
    format!("it is neither JSON nor YAML of {EXPECTED}")
}

/// The type of a scalar, as far as it is relevant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    /// Empty, `~` or `null`.
    Null,
    /// Written without quotes: its meaning depends on the type of the field.
    Plain,
    /// Text.
    Text,
}

impl Scalar {
    fn of(text: &str, style: ScalarStyle, is_tagged: bool) -> Self {
        match (style, text) {
            (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") if !is_tagged => Self::Null,
            (ScalarStyle::Plain, _) => Self::Plain,
            _ => Self::Text,
        }
    }
}

/// Decoder of nodes.
///
/// Scalars are not interpreted here: the type of a field that is read determines the meaning of its text
/// ([`Shape::of_plain`](crate::pod::lenient::Shape::of_plain)), and other fields are skipped. No value can therefore
/// fail to decode.
struct YamlDecoder<R: Read> {
    events: YamlEvents<R>,
}

impl<R: Read> YamlDecoder<R> {
    /// Reads the mapping at the root of a document, after its start event.
    fn list(&mut self, each: &mut dyn FnMut(ManifestPart)) -> Result<ListKind, PodsFileError> {
        let mut root = ListRoot::default();
        while let Some(key) = self.key()? {
            match key.as_str() {
                "kind" => {
                    let kind = Lenient::deserialize(&mut *self)?;
                    root.set_kind(kind).map_err(|wrong| self.wrong(wrong))?;
                }
                "items" => {
                    root.begin_items().map_err(|wrong| self.wrong(wrong))?;
                    self.items(each)?;
                }
                _ => self.events.skip()?,
            }
        }
        root.kind().map_err(|error| self.wrong(error.into_message()))
    }

    fn items(&mut self, each: &mut dyn FnMut(ManifestPart)) -> Result<(), PodsFileError> {
        match self.events.resolve()? {
            Event::SequenceStart(..) => {}
            Event::Scalar(text, style, _, tag) if Scalar::of(&text, style, tag.is_some()) == Scalar::Null => {
                return Ok(());
            }
            _ => return Err(self.wrong("items is not a list".to_owned())),
        }
        while !self.events.ends()? {
            let depth = self.events.depth();
            each(match ManifestItem::deserialize(&mut *self) {
                Ok(item) => ManifestPart::Item(item),
                Err(YamlError::Syntax(error)) => return Err(error),
                Err(YamlError::Node(message)) => {
                    self.events.leave(depth)?;
                    ManifestPart::Unreadable(message)
                }
            });
        }
        Ok(())
    }

    /// Returns the next key of a mapping as text; if it is not a scalar, an empty text, which is not the name of any
    /// field. `None` at the end of the mapping.
    fn key(&mut self) -> Result<Option<String>, YamlError> {
        if self.events.ends()? {
            return Ok(None);
        }
        let depth = self.events.depth();
        if let Event::Scalar(text, ..) = self.events.resolve()? {
            return Ok(Some(text.into_owned()));
        }
        self.events.leave(depth)?;
        Ok(Some(String::new()))
    }

    fn wrong(&self, message: String) -> PodsFileError {
        PodsFileError::at(Some(self.events.place()), message)
    }
}

impl<'de, R: Read> Deserializer<'de> for &mut YamlDecoder<R> {
    type Error = YamlError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.events.resolve()? {
            Event::Scalar(text, style, _, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                match Scalar::of(&text, style, tag.is_some()) {
                    Scalar::Null => visitor.visit_unit(),
                    Scalar::Plain if !is_text => visitor.visit_bytes(text.as_bytes()),
                    Scalar::Plain | Scalar::Text => visitor.visit_str(&text),
                }
            }
            Event::SequenceStart(..) => visitor.visit_seq(CollectionAccess(self)),
            Event::MappingStart(..) => visitor.visit_map(CollectionAccess(self)),
            _ => Err(YamlError::Node("it has a part that is missing".to_owned())),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.events.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The entries of a sequence or mapping, after its start event.
struct CollectionAccess<'a, R: Read>(&'a mut YamlDecoder<R>);

impl<'de, R: Read> SeqAccess<'de> for CollectionAccess<'_, R> {
    type Error = YamlError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, YamlError> {
        if self.0.events.ends()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.0).map(Some)
    }
}

impl<'de, R: Read> MapAccess<'de> for CollectionAccess<'_, R> {
    type Error = YamlError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, YamlError> {
        let Some(key) = self.0.key()? else { return Ok(None) };
        if key == "<<" {
            return Err(YamlError::Node("it has a merge key (`<<`), which is not supported".to_owned()));
        }
        let key: StringDeserializer<YamlError> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, YamlError> {
        seed.deserialize(&mut *self.0)
    }
}
