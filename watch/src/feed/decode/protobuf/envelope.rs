//! The envelope of a complete object.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::messages::TypeMetaMessage;
use super::syntax;
use crate::feed::decode::error::{BodyPart, DecodeError};

/// The first bytes of an envelope.
pub(super) const MAGIC: [u8; 4] = *b"k8s\0";

/// Field of `runtime.Unknown`: the type.
pub(super) const TYPE_META: u32 = 1;
/// Field of `runtime.Unknown`: the object.
pub(super) const RAW: u32 = 2;

/// An object in its envelope.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    /// Empty if there is no envelope.
    pub(super) kind: String,
    pub(super) raw: &'a [u8],
}

/// Returns the contents of an envelope. Bytes without one are the object itself: some servers send the `Status` of an
/// ERROR event in a watch without an envelope (kubernetes#108071).
pub(super) fn open(bytes: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let Some(message) = bytes.strip_prefix(&MAGIC) else {
        return Ok(Envelope { raw: bytes, ..Envelope::default() });
    };
    let mut opened = Envelope::default();
    for_each_field(message, |number, value| {
        match number {
            TYPE_META => opened.kind = TypeMetaMessage::decode(value)?.kind,
            RAW => opened.raw = value,
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| syntax(BodyPart::Event, error))?;
    Ok(opened)
}

/// Calls `each` with the number and content of each length-delimited field (messages, strings, bytes).
pub(super) fn for_each_field<'a>(
    mut message: &'a [u8],
    mut each: impl FnMut(u32, &'a [u8]) -> Result<(), prost::DecodeError>,
) -> Result<(), prost::DecodeError> {
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message)?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, number, &mut message, DecodeContext::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
        // Returns prost's own error for a field that is longer than its message.
        let Some((value, rest)) = message.split_at_checked(length) else {
            return skip_field(wire_type, number, &mut [0xff, 0x01].as_slice(), DecodeContext::default());
        };
        message = rest;
        each(number, value)?;
    }
    Ok(())
}
