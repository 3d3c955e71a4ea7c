//! A list in protobuf. Its items are fields of a message that is in a field of the envelope, so each is preceded by its
//! length.

use bytes::Bytes;
use prost::Message;

use super::envelope::{MAGIC, RAW, TYPE_META};
use super::header::{FieldHeader, HeaderReader};
use super::messages::{ListMetaMessage, TypeMetaMessage};
use super::syntax;
use crate::feed::decode::error::{BodyPart, DecodeError, check_list_kind};
use crate::feed::decode::frame::{ListEnd, ListItem};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;

/// Fields of a list.
const LIST_META: u32 = 1;
const ITEMS: u32 = 2;

/// Decoder of a list.
#[derive(Debug)]
pub(in crate::feed::decode) struct ProtobufList {
    input: Input,
    header: HeaderReader,
    state: ProtobufListState,
    /// Position of the end of the list, while it is being read.
    ends_at: Option<u64>,
    /// True once the list has begun.
    is_there: bool,
    end: ListEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProtobufListState {
    Magic,
    Header,
    Payload(Payload, usize),
    Skip(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    TypeMeta,
    ListMeta,
    Item,
}

impl ProtobufList {
    pub(in crate::feed::decode) fn new(limit: usize) -> Self {
        Self {
            input: Input::new(limit),
            header: HeaderReader::default(),
            state: ProtobufListState::Magic,
            ends_at: None,
            is_there: false,
            end: ListEnd::default(),
        }
    }

    pub(in crate::feed::decode) fn push(&mut self, chunk: Bytes) {
        self.input.push(chunk);
    }

    pub(in crate::feed::decode) fn next<K: Object>(&mut self) -> Result<Option<ListItem<K>>, DecodeError> {
        loop {
            let is_whole = match self.state {
                ProtobufListState::Magic => self.magic()?,
                ProtobufListState::Header => self.header()?,
                ProtobufListState::Skip(left) => self.skip(left),
                ProtobufListState::Payload(Payload::Item, length) => {
                    let Some(object) = self.input.part(length, BodyPart::Item, K::from_protobuf)? else {
                        return Ok(None);
                    };
                    self.state = ProtobufListState::Header;
                    return Ok(Some(
                        object.map_or_else(|object| ListItem::Malformed(*object), ListItem::Object),
                    ));
                }
                ProtobufListState::Payload(payload, length) => self.payload(payload, length)?,
            };
            if !is_whole {
                return Ok(None);
            }
        }
    }

    pub(in crate::feed::decode) fn finish(self) -> Result<ListEnd, DecodeError> {
        let is_at_end = self.state == ProtobufListState::Header && self.header.is_between_fields();
        let is_whole = is_at_end && self.is_there && self.ends_at.is_none();
        if is_whole { Ok(self.end) } else { Err(DecodeError::CutOff) }
    }

    fn magic(&mut self) -> Result<bool, DecodeError> {
        let magic = self.input.part(MAGIC.len(), BodyPart::List, |bytes| bytes == MAGIC)?;
        match magic {
            None => return Ok(false),
            Some(true) => self.state = ProtobufListState::Header,
            Some(false) => return Err(syntax(BodyPart::List, "it does not begin with k8s and a zero byte")),
        }
        Ok(true)
    }

    fn header(&mut self) -> Result<bool, DecodeError> {
        if self.header.is_between_fields() {
            self.ends_at = self.ends_at.filter(|end| *end > self.input.position());
        }
        let Some(field) = self.header.read(&mut self.input, BodyPart::List)? else { return Ok(false) };
        let field_end = self.input.position().checked_add(field.length);
        if field_end.is_none_or(|field_end| self.ends_at.is_some_and(|end| field_end > end)) {
            return Err(syntax(BodyPart::List, "a field is longer than the message around it"));
        }
        self.enter(field)?;
        Ok(true)
    }

    fn enter(&mut self, field: FieldHeader) -> Result<(), DecodeError> {
        let payload = match (self.ends_at.is_some(), field.number) {
            _ if !field.has_bytes => None,
            (false, TYPE_META) => Some(Payload::TypeMeta),
            (false, RAW) => {
                self.is_there = true;
                self.ends_at = Some(self.input.position() + field.length);
                return Ok(());
            }
            (true, LIST_META) => Some(Payload::ListMeta),
            (true, ITEMS) => Some(Payload::Item),
            _ => None,
        };
        self.state = match payload {
            None => ProtobufListState::Skip(field.length),
            Some(payload) => {
                let part = if payload == Payload::Item { BodyPart::Item } else { BodyPart::Metadata };
                let limit = self.input.limit();
                let length = usize::try_from(field.length).ok().filter(|length| *length <= limit);
                ProtobufListState::Payload(payload, length.ok_or(DecodeError::TooLarge { part, limit })?)
            }
        };
        Ok(())
    }

    fn skip(&mut self, left: u64) -> bool {
        let there = self.input.unread().len();
        let now = usize::try_from(left).map_or(there, |left| left.min(there));
        self.input.skip(now);
        let left = left - now as u64;
        self.state = if left == 0 { ProtobufListState::Header } else { ProtobufListState::Skip(left) };
        left == 0
    }

    /// Reads a payload other than an item.
    fn payload(&mut self, payload: Payload, length: usize) -> Result<bool, DecodeError> {
        let Self { input, end, .. } = self;
        let read = input.part(length, BodyPart::Metadata, |bytes| {
            if payload == Payload::TypeMeta {
                return Ok(Some(TypeMetaMessage::decode(bytes)?.kind));
            }
            *end = ListMetaMessage::decode(bytes)?.into();
            Ok(None)
        })?;
        let Some(read) = read else { return Ok(false) };
        self.state = ProtobufListState::Header;
        let kind = read.map_err(|error: prost::DecodeError| syntax(BodyPart::Metadata, error))?;
        kind.map_or(Ok(()), |kind| check_list_kind(&kind))?;
        Ok(true)
    }
}
