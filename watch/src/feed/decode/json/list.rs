//! A list in JSON: the object around the items is parsed by a scanner, each item by `serde_json`.

use bytes::Bytes;
use serde::Deserialize;

use super::scanner::ValueScanner;
use super::syntax;
use crate::Metadata;
use crate::feed::decode::error::{BodyPart, DecodeError, check_list_kind};
use crate::feed::decode::frame::{ListEnd, ListItem, MalformedObject};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;

/// Decoder of a list.
#[derive(Debug)]
pub(in crate::feed::decode) struct JsonList {
    input: Input,
    state: JsonListState,
    /// `Some` once there was a member `items`.
    items: Option<()>,
    end: ListEnd,
}

/// The expected token of the list's own object.
#[derive(Debug)]
enum JsonListState {
    Begin,
    /// The first key, or the end of the object.
    FirstKey,
    Key,
    Colon(ListMember),
    Value(ListMember),
    AfterValue,
    /// The first item, or the end of the items.
    FirstItem,
    Item,
    AfterItem,
    /// White space only.
    End,
    /// Inside a value.
    Text(ValueScanner, ScannedValue),
}

/// A member of the list's own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListMember {
    Kind,
    Metadata,
    Items,
    Other,
}

/// A value that is being scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScannedValue {
    Key,
    Item,
    Value(ListMember),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    token: Option<String>,
    remaining_item_count: Option<i64>,
}

impl JsonList {
    pub(in crate::feed::decode) fn new(limit: usize) -> Self {
        Self { input: Input::new(limit), state: JsonListState::Begin, items: None, end: ListEnd::default() }
    }

    pub(in crate::feed::decode) fn push(&mut self, chunk: Bytes) {
        self.input.push(chunk);
    }

    pub(in crate::feed::decode) fn next<K: Object>(&mut self) -> Result<Option<ListItem<K>>, DecodeError> {
        loop {
            if let JsonListState::Text(scanner, text) = &mut self.state {
                let (end, text) = (scanner.scan(self.input.unread()), *text);
                match end {
                    Some(end) if text == ScannedValue::Item => return self.item(end).map(Some),
                    Some(end) => self.value(text, end)?,
                    None => {
                        self.advance(text)?;
                        return Ok(None);
                    }
                }
            } else {
                let Some(byte) = self.token() else { return Ok(None) };
                self.step(byte)?;
            }
        }
    }

    pub(in crate::feed::decode) fn finish(self) -> Result<ListEnd, DecodeError> {
        match (self.state, self.items) {
            (JsonListState::End, Some(())) => Ok(self.end),
            (JsonListState::End, None) => Err(DecodeError::NotAList { kind: String::new() }),
            _ => Err(DecodeError::CutOff),
        }
    }

    /// Returns the next byte that is not white space, without consuming it.
    fn token(&mut self) -> Option<u8> {
        let unread = self.input.unread();
        let white = unread.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.input.skip(white);
        self.input.unread().first().copied()
    }

    /// Processes one token, or begins a value.
    fn step(&mut self, byte: u8) -> Result<(), DecodeError> {
        let text = |text| JsonListState::Text(ValueScanner::default(), text);
        let next = match (&self.state, byte) {
            (JsonListState::Begin, b'{') => JsonListState::FirstKey,
            (JsonListState::FirstKey | JsonListState::AfterValue, b'}') => JsonListState::End,
            (JsonListState::FirstKey | JsonListState::Key, b'"') => {
                self.state = text(ScannedValue::Key);
                return Ok(());
            }
            (JsonListState::Colon(member), b':') => JsonListState::Value(*member),
            (JsonListState::Value(ListMember::Items), b'[') => {
                self.items = Some(());
                JsonListState::FirstItem
            }
            (JsonListState::Value(member), _) => {
                self.state = text(ScannedValue::Value(*member));
                return Ok(());
            }
            (JsonListState::AfterValue, b',') => JsonListState::Key,
            (JsonListState::FirstItem | JsonListState::AfterItem, b']') => JsonListState::AfterValue,
            (JsonListState::AfterItem, b',') => JsonListState::Item,
            (JsonListState::FirstItem | JsonListState::Item, _) => {
                self.state = text(ScannedValue::Item);
                return Ok(());
            }
            _ => {
                let (found, at) = (char::from(byte), self.input.position());
                return Err(syntax(BodyPart::List, format!("{found:?} at byte {at} is out of place")));
            }
        };
        self.input.skip(1);
        self.state = next;
        Ok(())
    }

    /// Keeps the beginning of a value that continues in the next chunk.
    fn advance(&mut self, text: ScannedValue) -> Result<(), DecodeError> {
        match text {
            ScannedValue::Item => self.input.keep(BodyPart::Item),
            ScannedValue::Value(ListMember::Other) => {
                self.input.skip(self.input.unread().len());
                Ok(())
            }
            ScannedValue::Key | ScannedValue::Value(_) => self.input.keep(BodyPart::Metadata),
        }
    }

    fn item<K: Object>(&mut self, end: usize) -> Result<ListItem<K>, DecodeError> {
        self.state = JsonListState::AfterItem;
        let object = self.input.take(end, BodyPart::Item, |text| serde_json::from_slice::<K>(text))?;
        Ok(object.map_or_else(
            |error| {
                let cause = error.to_string();
                ListItem::Malformed(MalformedObject { metadata: Metadata::default(), cause })
            },
            ListItem::Object,
        ))
    }

    /// Processes a value of the list's own object.
    fn value(&mut self, text: ScannedValue, end: usize) -> Result<(), DecodeError> {
        self.state = match text {
            ScannedValue::Key => JsonListState::Colon(self.read(end, member)?),
            _ => JsonListState::AfterValue,
        };
        match text {
            ScannedValue::Value(ListMember::Kind) => {
                let kind: Option<String> = self.read(end, |text| serde_json::from_slice(text))?;
                check_list_kind(&kind.unwrap_or_default())
            }
            ScannedValue::Value(ListMember::Metadata) => {
                let raw: Option<JsonListMeta> = self.read(end, |text| serde_json::from_slice(text))?;
                let raw = raw.unwrap_or_default();
                self.end = ListEnd {
                    resource_version: raw.resource_version.unwrap_or_default(),
                    continue_token: raw.token.filter(|token| !token.is_empty()),
                    remaining: raw.remaining_item_count.and_then(|count| u64::try_from(count).ok()),
                };
                Ok(())
            }
            // Go encodes an empty list as `null`.
            ScannedValue::Value(ListMember::Items) => {
                self.read(end, |text| serde_json::from_slice::<()>(text))?;
                self.items = Some(());
                Ok(())
            }
            ScannedValue::Value(ListMember::Other) => {
                self.input.skip(end);
                Ok(())
            }
            ScannedValue::Key | ScannedValue::Item => Ok(()),
        }
    }

    fn read<T>(
        &mut self,
        end: usize,
        read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, DecodeError> {
        self.input.take(end, BodyPart::Metadata, read)?.map_err(|error| syntax(BodyPart::Metadata, error))
    }
}

fn member(text: &[u8]) -> serde_json::Result<ListMember> {
    let key: String = serde_json::from_slice(text)?;
    Ok(match key.as_str() {
        "kind" => ListMember::Kind,
        "metadata" => ListMember::Metadata,
        "items" => ListMember::Items,
        _ => ListMember::Other,
    })
}
