//! A watch in JSON: one event per line.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::syntax;
use crate::feed::decode::error::{BodyPart, DecodeError};
use crate::feed::decode::frame::{FrameType, INITIAL_EVENTS_END_VALUE, WatchFrame};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;
use crate::feed::decode::status;

/// Decoder of a watch.
#[derive(Debug)]
pub(in crate::feed::decode) struct JsonWatch {
    input: Input,
}

impl JsonWatch {
    pub(in crate::feed::decode) const fn new(limit: usize) -> Self {
        Self { input: Input::new(limit) }
    }

    pub(in crate::feed::decode) fn push(&mut self, chunk: Bytes) {
        self.input.push(chunk);
    }

    pub(in crate::feed::decode) fn next<K: Object>(&mut self) -> Result<Option<WatchFrame<K>>, DecodeError> {
        loop {
            let Some(end) = memchr(b'\n', self.input.unread()) else {
                self.input.keep(BodyPart::Event)?;
                return Ok(None);
            };
            let frame = self.input.take(end, BodyPart::Event, event)??;
            self.input.skip(1);
            if let Some(frame) = frame {
                return Ok(Some(frame));
            }
        }
    }

    pub(in crate::feed::decode) fn finish(self) -> Result<(), DecodeError> {
        if self.input.is_empty() { Ok(()) } else { Err(DecodeError::CutOff) }
    }
}

/// Decodes a line; `None` if it is blank.
fn event<K: Object>(line: &[u8]) -> Result<Option<WatchFrame<K>>, DecodeError> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    match parse(line, None)? {
        ParsedEvent::Frame(frame) => Ok(Some(frame)),
        // The object preceded its type, which no server sends. The line is parsed again with the type known.
        ParsedEvent::Type(kind) => match parse(line, Some(FrameType::parse(&kind)?))? {
            ParsedEvent::Frame(frame) => Ok(Some(frame)),
            ParsedEvent::Type(_) => Err(syntax(BodyPart::Event, "it has no object")),
        },
    }
}

fn parse<K: Object>(line: &[u8], known: Option<FrameType>) -> Result<ParsedEvent<K>, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let parsed = EventSeed { known, object: PhantomData }.deserialize(&mut json);
    let parsed = parsed.and_then(|parsed| json.end().map(|()| parsed));
    parsed.map_err(|error| syntax(BodyPart::Event, error))
}

/// A line, as far as it was decoded.
enum ParsedEvent<K> {
    Frame(WatchFrame<K>),
    /// `type` only: there is no object, or the object preceded it.
    Type(String),
}

struct EventSeed<K> {
    /// The type, if an earlier pass has read it.
    known: Option<FrameType>,
    object: PhantomData<K>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EventField {
    Type,
    Object,
    #[serde(other)]
    Other,
}

impl<'de, K: Object> DeserializeSeed<'de> for EventSeed<K> {
    type Value = ParsedEvent<K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, K: Object> Visitor<'de> for EventSeed<K> {
    type Value = ParsedEvent<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event with type and object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut text, mut frame) = (self.known, None, None);
        while let Some(field) = map.next_key()? {
            match (field, kind) {
                (EventField::Type, _) => {
                    let value: String = map.next_value()?;
                    kind = kind.or_else(|| FrameType::parse(&value).ok());
                    text = Some(value);
                }
                (EventField::Object, Some(kind)) => frame = Some(object(kind, &mut map)?),
                (EventField::Object | EventField::Other, _) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (frame, text) {
            (Some(frame), _) => Ok(ParsedEvent::Frame(frame)),
            (None, Some(text)) => Ok(ParsedEvent::Type(text)),
            (None, None) => Err(A::Error::missing_field("type")),
        }
    }
}

fn object<'de, K: Object, A: MapAccess<'de>>(
    kind: FrameType,
    map: &mut A,
) -> Result<WatchFrame<K>, A::Error> {
    Ok(match kind {
        FrameType::Event(kind) => WatchFrame::Event { kind, object: map.next_value()? },
        FrameType::Bookmark => map.next_value::<JsonBookmark>()?.metadata.into(),
        FrameType::Error => WatchFrame::Error(map.next_value::<status::JsonStatus>()?.into()),
    })
}

/// The object of a bookmark.
#[derive(Deserialize)]
struct JsonBookmark {
    metadata: JsonBookmarkMeta,
}

#[derive(Deserialize)]
struct JsonBookmarkMeta {
    #[serde(rename = "resourceVersion")]
    resource_version: String,
    annotations: Option<JsonAnnotations>,
}

#[derive(Deserialize)]
struct JsonAnnotations {
    #[serde(rename = "k8s.io/initial-events-end")]
    initial_events_end: Option<String>,
}

impl<K> From<JsonBookmarkMeta> for WatchFrame<K> {
    fn from(raw: JsonBookmarkMeta) -> Self {
        let end = raw.annotations.and_then(|annotations| annotations.initial_events_end);
        let initial_events_end = end.as_deref() == Some(INITIAL_EVENTS_END_VALUE);
        Self::Bookmark { resource_version: raw.resource_version, initial_events_end }
    }
}
