//! Protobuf, as defined in `generated.proto` of `k8s.io/api` and `k8s.io/apimachinery`.
//!
//! Complete responses and objects of events are in an envelope: the magic number, then a message `runtime.Unknown` with
//! the type and, in its field `raw`, the object.

mod envelope;
mod header;
mod list;
mod messages;
mod watch;

use std::error::Error;

use prost::Message;

use super::error::{BodyPart, DecodeError, SyntaxCause};
use super::format::Format;
use super::status::Status;

pub(super) use list::ProtobufList;
pub(super) use watch::ProtobufWatch;

fn syntax(part: BodyPart, cause: impl Into<Box<dyn Error + Send + Sync>>) -> DecodeError {
    DecodeError::Syntax { format: Format::Protobuf, part, cause: SyntaxCause::new(cause) }
}

/// Decodes a `Status`, with or without envelope.
pub(super) fn status(bytes: &[u8]) -> Result<Status, DecodeError> {
    let raw = envelope::open(bytes)?.raw;
    messages::StatusMessage::decode(raw).map(Status::from).map_err(|error| syntax(BodyPart::Event, error))
}
