//! A list in JSON: the object around the items is read by a scanner, each item by `serde_json`.

use bytes::Bytes;
use serde::Deserialize;

use super::scanner::ValueScanner;
use super::syntax;
use crate::Metadata;
use crate::feed::decode::error::{DecodeError, Part, check_list_kind};
use crate::feed::decode::frame::{ListEnd, ListItem, Malformed};
use crate::feed::decode::input::Input;
use crate::feed::decode::object::Object;

/// A list on its way.
#[derive(Debug)]
pub(in crate::feed::decode) struct List {
    input: Input,
    state: State,
    /// `None` until there was a member `items`.
    items: Option<()>,
    end: ListEnd,
}

/// The next token, as far as it is the list's own.
#[derive(Debug)]
enum State {
    Begin,
    /// The first key, or the end of the object.
    FirstKey,
    Key,
    Colon(Member),
    Value(Member),
    AfterValue,
    /// The first item, or the end of the items.
    FirstItem,
    Item,
    AfterItem,
    /// Nothing but white space.
    End,
    /// Within a value.
    Text(ValueScanner, Text),
}

/// A member of the list's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Kind,
    Metadata,
    Items,
    Other,
}

/// A value that is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Key,
    Item,
    Value(Member),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    token: Option<String>,
    remaining_item_count: Option<i64>,
}

impl List {
    pub(in crate::feed::decode) fn new(limit: usize) -> Self {
        Self { input: Input::new(limit), state: State::Begin, items: None, end: ListEnd::default() }
    }

    pub(in crate::feed::decode) fn push(&mut self, chunk: Bytes) {
        self.input.push(chunk);
    }

    pub(in crate::feed::decode) fn next<K: Object>(&mut self) -> Result<Option<ListItem<K>>, DecodeError> {
        loop {
            if let State::Text(scanner, text) = &mut self.state {
                let (end, text) = (scanner.scan(self.input.unread()), *text);
                match end {
                    Some(end) if text == Text::Item => return self.item(end).map(Some),
                    Some(end) => self.value(text, end)?,
                    None => {
                        self.go_on(text)?;
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
            (State::End, Some(())) => Ok(self.end),
            (State::End, None) => Err(DecodeError::NotAList { kind: String::new() }),
            _ => Err(DecodeError::CutOff),
        }
    }

    /// The next byte that is not white space, unread.
    fn token(&mut self) -> Option<u8> {
        let unread = self.input.unread();
        let white = unread.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.input.skip(white);
        self.input.unread().first().copied()
    }

    /// Reads one token, or begins to read a value.
    fn step(&mut self, byte: u8) -> Result<(), DecodeError> {
        let text = |text| State::Text(ValueScanner::default(), text);
        let next = match (&self.state, byte) {
            (State::Begin, b'{') => State::FirstKey,
            (State::FirstKey | State::AfterValue, b'}') => State::End,
            (State::FirstKey | State::Key, b'"') => {
                self.state = text(Text::Key);
                return Ok(());
            }
            (State::Colon(member), b':') => State::Value(*member),
            (State::Value(Member::Items), b'[') => {
                self.items = Some(());
                State::FirstItem
            }
            (State::Value(member), _) => {
                self.state = text(Text::Value(*member));
                return Ok(());
            }
            (State::AfterValue, b',') => State::Key,
            (State::FirstItem | State::AfterItem, b']') => State::AfterValue,
            (State::AfterItem, b',') => State::Item,
            (State::FirstItem | State::Item, _) => {
                self.state = text(Text::Item);
                return Ok(());
            }
            _ => {
                let (found, at) = (char::from(byte), self.input.position());
                return Err(syntax(Part::List, format_args!("{found:?} at byte {at} is out of place")));
            }
        };
        self.input.skip(1);
        self.state = next;
        Ok(())
    }

    /// The chunk ends within the value.
    fn go_on(&mut self, text: Text) -> Result<(), DecodeError> {
        match text {
            Text::Item => self.input.keep(Part::Item),
            Text::Value(Member::Other) => {
                self.input.skip(self.input.unread().len());
                Ok(())
            }
            Text::Key | Text::Value(_) => self.input.keep(Part::Metadata),
        }
    }

    fn item<K: Object>(&mut self, end: usize) -> Result<ListItem<K>, DecodeError> {
        self.state = State::AfterItem;
        let object = self.input.take(end, Part::Item, |text| serde_json::from_slice::<K>(text))?;
        Ok(object.map_or_else(
            |error| {
                let cause = error.to_string();
                ListItem::Malformed(Malformed { metadata: Metadata::default(), cause })
            },
            ListItem::Object,
        ))
    }

    /// Reads a value of the list's own object.
    fn value(&mut self, text: Text, end: usize) -> Result<(), DecodeError> {
        self.state = match text {
            Text::Key => State::Colon(self.read(end, member)?),
            _ => State::AfterValue,
        };
        match text {
            Text::Value(Member::Kind) => {
                let kind: Option<String> = self.read(end, |text| serde_json::from_slice(text))?;
                check_list_kind(&kind.unwrap_or_default())
            }
            Text::Value(Member::Metadata) => {
                let raw: Option<RawListMeta> = self.read(end, |text| serde_json::from_slice(text))?;
                let raw = raw.unwrap_or_default();
                self.end = ListEnd {
                    resource_version: raw.resource_version.unwrap_or_default(),
                    continue_token: raw.token.filter(|token| !token.is_empty()),
                    remaining: raw.remaining_item_count.and_then(|count| u64::try_from(count).ok()),
                };
                Ok(())
            }
            // An empty list of Go is written as `null`.
            Text::Value(Member::Items) => {
                self.read(end, |text| serde_json::from_slice::<()>(text))?;
                self.items = Some(());
                Ok(())
            }
            Text::Value(Member::Other) => {
                self.input.skip(end);
                Ok(())
            }
            Text::Key | Text::Item => Ok(()),
        }
    }

    fn read<T>(
        &mut self,
        end: usize,
        read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, DecodeError> {
        self.input.take(end, Part::Metadata, read)?.map_err(|error| syntax(Part::Metadata, error))
    }
}

fn member(text: &[u8]) -> serde_json::Result<Member> {
    let key: String = serde_json::from_slice(text)?;
    Ok(match key.as_str() {
        "kind" => Member::Kind,
        "metadata" => Member::Metadata,
        "items" => Member::Items,
        _ => Member::Other,
    })
}
