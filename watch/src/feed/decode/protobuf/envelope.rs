//! The envelope of an object that is there as a whole.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::messages::TypeMetaMessage;
use super::syntax;
use crate::feed::decode::error::{BodyPart, DecodeError};

/// First bytes of an envelope.
pub(super) const MAGIC: [u8; 4] = *b"k8s\0";

/// Fields of `runtime.Unknown`.
pub(super) const TYPE_META: u32 = 1;
/// The object.
pub(super) const RAW: u32 = 2;

/// An object in its envelope.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    /// Empty if there is no envelope.
    pub(super) kind: String,
    pub(super) raw: &'a [u8],
}

/// Opens the envelope. Bytes without one are the object itself: in a watch, some servers send the `Status` of an
/// ERROR event like that (kubernetes#108071).
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

/// Calls `each` for the fields that are messages, strings or bytes, with what is in them.
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
        // Prost's own error for a field that is longer than its message.
        let Some((value, rest)) = message.split_at_checked(length) else {
            return skip_field(wire_type, number, &mut [0xff, 0x01].as_slice(), DecodeContext::default());
        };
        message = rest;
        each(number, value)?;
    }
    Ok(())
}
