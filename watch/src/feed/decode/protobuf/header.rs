//! The header of a field: its number, its wire type and its length.

use prost::encoding::WireType;

use super::syntax;
use crate::feed::decode::error::{BodyPart, DecodeError};
use crate::feed::decode::input::Input;

/// A field whose payload follows in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldHeader {
    pub(super) number: u32,
    /// True if the payload is a message, a string or bytes.
    pub(super) has_bytes: bool,
    /// Length of the payload in bytes.
    pub(super) length: u64,
}

/// Reader of headers, however they are split into chunks.
#[derive(Debug, Default)]
pub(super) struct HeaderReader {
    varint: Varint,
    /// The field whose length or value is being read.
    number: Option<(u32, WireType)>,
}

impl HeaderReader {
    /// Returns whether the input is between two fields.
    pub(super) fn is_between_fields(&self) -> bool {
        self.number.is_none() && self.varint.shift == 0
    }

    /// Continues to read a header; `None` if the chunk ends within it.
    pub(super) fn read(
        &mut self,
        input: &mut Input,
        part: BodyPart,
    ) -> Result<Option<FieldHeader>, DecodeError> {
        loop {
            let Some(value) = self.varint.read(input, part)? else { return Ok(None) };
            if let Some((number, wire_type)) = self.number.take() {
                // The value of a varint field has just been read.
                let has_bytes = wire_type == WireType::LengthDelimited;
                return Ok(Some(FieldHeader {
                    number,
                    has_bytes,
                    length: if has_bytes { value } else { 0 },
                }));
            }
            let (number, wire_type) = key(value).ok_or_else(|| syntax(part, "a field has an invalid key"))?;
            let length = match wire_type {
                WireType::SixtyFourBit => 8,
                WireType::ThirtyTwoBit => 4,
                WireType::Varint | WireType::LengthDelimited => {
                    self.number = Some((number, wire_type));
                    continue;
                }
                WireType::StartGroup | WireType::EndGroup => {
                    return Err(syntax(part, "a field is a group, which Kubernetes does not use"));
                }
            };
            return Ok(Some(FieldHeader { number, has_bytes: false, length }));
        }
    }
}

fn key(value: u64) -> Option<(u32, WireType)> {
    let value = u32::try_from(value).ok()?;
    let wire_type = WireType::try_from(u64::from(value & 7)).ok()?;
    (value >> 3 > 0).then_some((value >> 3, wire_type))
}

/// An unsigned integer in groups of seven bits, the least significant group first.
#[derive(Debug, Default)]
struct Varint {
    value: u64,
    shift: u32,
}

impl Varint {
    fn read(&mut self, input: &mut Input, part: BodyPart) -> Result<Option<u64>, DecodeError> {
        while let Some(byte) = input.byte() {
            let bits = u64::from(byte & 0x7f);
            if self.shift == 63 && bits > 1 || self.shift > 63 {
                return Err(syntax(part, "an integer has more than 64 bits"));
            }
            self.value |= bits << self.shift;
            self.shift += 7;
            if byte & 0x80 == 0 {
                return Ok(Some(std::mem::take(self).value));
            }
        }
        Ok(None)
    }
}
