//! A watch in protobuf: messages `WatchEvent` of `meta/v1`, each preceded by its length in four bytes.

use bytes::Bytes;
use prost::Message;

use super::envelope::{self, Envelope, for_each_field};
use super::{messages, status, syntax};
use crate::feed::decode::error::{BodyPart, DecodeError};
use crate::feed::decode::frame::{FrameType, WatchFrame};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;

/// Number of bytes of a length, which is big-endian.
const LENGTH: usize = 4;

/// Fields of `WatchEvent`.
const TYPE: u32 = 1;
const OBJECT: u32 = 2;
/// Field of `runtime.RawExtension`.
const RAW: u32 = 1;

/// Decoder of a watch.
#[derive(Debug)]
pub(in crate::feed::decode) struct ProtobufWatch {
    input: Input,
    /// The length of the event that is being read.
    length: Option<usize>,
}

impl ProtobufWatch {
    pub(in crate::feed::decode) const fn new(limit: usize) -> Self {
        Self { input: Input::new(limit), length: None }
    }

    pub(in crate::feed::decode) fn push(&mut self, chunk: Bytes) {
        self.input.push(chunk);
    }

    pub(in crate::feed::decode) fn next<K: Object>(&mut self) -> Result<Option<WatchFrame<K>>, DecodeError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.input.part(LENGTH, BodyPart::Event, length)? {
                None => return Ok(None),
                Some(length) if length > self.input.limit() => {
                    return Err(DecodeError::TooLarge { part: BodyPart::Event, limit: self.input.limit() });
                }
                Some(length) => *self.length.insert(length),
            },
        };
        let Some(frame) = self.input.part(length, BodyPart::Event, event)? else { return Ok(None) };
        self.length = None;
        frame.map(Some)
    }

    pub(in crate::feed::decode) fn finish(self) -> Result<(), DecodeError> {
        if self.input.is_empty() && self.length.is_none() { Ok(()) } else { Err(DecodeError::CutOff) }
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
}

fn event<K: Object>(bytes: &[u8]) -> Result<WatchFrame<K>, DecodeError> {
    let (mut kind, mut object) = (&[][..], None);
    let fields = for_each_field(bytes, |number, value| match number {
        TYPE => {
            kind = value;
            Ok(())
        }
        OBJECT => for_each_field(value, |number, value| {
            object = if number == RAW { Some(value) } else { object };
            Ok(())
        }),
        _ => Ok(()),
    });
    fields.map_err(|error| syntax(BodyPart::Event, error))?;
    let kind = FrameType::parse(&String::from_utf8_lossy(kind))?;
    let object = object.ok_or_else(|| syntax(BodyPart::Event, "it has no object"))?;
    let Envelope { raw, .. } = match kind {
        FrameType::Error => return status(object).map(WatchFrame::Error),
        _ => envelope::open(object)?,
    };
    match kind {
        FrameType::Event(kind) => Ok(match K::from_protobuf(raw) {
            Ok(object) => WatchFrame::Event { kind, object },
            Err(object) => WatchFrame::Malformed { kind, object: *object },
        }),
        FrameType::Bookmark | FrameType::Error => {
            let bookmark =
                messages::BookmarkMessage::decode(raw).map_err(|error| syntax(BodyPart::Event, error))?;
            Ok(bookmark.into())
        }
    }
}
