//! A list in protobuf. Its items are fields of a message in a field of the envelope, so each has its length
//! before it.

use bytes::Bytes;
use prost::Message;

use super::envelope::{MAGIC, RAW, TYPE_META};
use super::header::{Field, HeaderReader};
use super::messages::{ListMeta, TypeMeta};
use super::syntax;
use crate::feed::decode::error::{DecodeError, Part, check_list_kind};
use crate::feed::decode::frame::{ListEnd, ListItem};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;

/// Fields of a list.
const LIST_META: u32 = 1;
const ITEMS: u32 = 2;

/// A list on its way.
#[derive(Debug)]
pub(in crate::feed::decode) struct List {
    input: Input,
    header: HeaderReader,
    state: State,
    /// End of the list, while it is being read.
    ends_at: Option<u64>,
    /// True if there was a list.
    is_there: bool,
    end: ListEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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

impl List {
    pub(in crate::feed::decode) fn new(limit: usize) -> Self {
        Self {
            input: Input::new(limit),
            header: HeaderReader::default(),
            state: State::Magic,
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
                State::Magic => self.magic()?,
                State::Header => self.header()?,
                State::Skip(left) => self.skip(left),
                State::Payload(Payload::Item, length) => {
                    let Some(object) = self.input.part(length, Part::Item, K::from_protobuf)? else {
                        return Ok(None);
                    };
                    self.state = State::Header;
                    return Ok(Some(
                        object.map_or_else(|object| ListItem::Malformed(*object), ListItem::Object),
                    ));
                }
                State::Payload(payload, length) => self.payload(payload, length)?,
            };
            if !is_whole {
                return Ok(None);
            }
        }
    }

    pub(in crate::feed::decode) fn finish(self) -> Result<ListEnd, DecodeError> {
        let is_at_end = self.state == State::Header && self.header.is_between_fields();
        let is_whole = is_at_end && self.is_there && self.ends_at.is_none();
        if is_whole { Ok(self.end) } else { Err(DecodeError::CutOff) }
    }

    fn magic(&mut self) -> Result<bool, DecodeError> {
        let magic = self.input.part(MAGIC.len(), Part::List, |bytes| bytes == MAGIC)?;
        match magic {
            None => return Ok(false),
            Some(true) => self.state = State::Header,
            Some(false) => return Err(syntax(Part::List, "it does not begin with k8s and a zero byte")),
        }
        Ok(true)
    }

    fn header(&mut self) -> Result<bool, DecodeError> {
        if self.header.is_between_fields() {
            self.ends_at = self.ends_at.filter(|end| *end > self.input.position());
        }
        let Some(field) = self.header.read(&mut self.input, Part::List)? else { return Ok(false) };
        let field_end = self.input.position().checked_add(field.length);
        if field_end.is_none_or(|field_end| self.ends_at.is_some_and(|end| field_end > end)) {
            return Err(syntax(Part::List, "a field is longer than the message around it"));
        }
        self.enter(field)?;
        Ok(true)
    }

    fn enter(&mut self, field: Field) -> Result<(), DecodeError> {
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
            None => State::Skip(field.length),
            Some(payload) => {
                let part = if payload == Payload::Item { Part::Item } else { Part::Metadata };
                let limit = self.input.limit();
                let length = usize::try_from(field.length).ok().filter(|length| *length <= limit);
                State::Payload(payload, length.ok_or(DecodeError::TooLarge { part, limit })?)
            }
        };
        Ok(())
    }

    fn skip(&mut self, left: u64) -> bool {
        let there = self.input.unread().len();
        let now = usize::try_from(left).map_or(there, |left| left.min(there));
        self.input.skip(now);
        let left = left - now as u64;
        self.state = if left == 0 { State::Header } else { State::Skip(left) };
        left == 0
    }

    /// Reads what is not an item.
    fn payload(&mut self, payload: Payload, length: usize) -> Result<bool, DecodeError> {
        let Self { input, end, .. } = self;
        let read = input.part(length, Part::Metadata, |bytes| {
            if payload == Payload::TypeMeta {
                return Ok(Some(TypeMeta::decode(bytes)?.kind));
            }
            *end = ListMeta::decode(bytes)?.into();
            Ok(None)
        })?;
        let Some(read) = read else { return Ok(false) };
        self.state = State::Header;
        let kind = read.map_err(|error: prost::DecodeError| syntax(Part::Metadata, error))?;
        kind.map_or(Ok(()), |kind| check_list_kind(&kind))?;
        Ok(true)
    }
}
