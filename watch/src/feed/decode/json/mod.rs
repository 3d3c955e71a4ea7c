//! JSON, as `serde_json` reads it, of the parts that are found by scanning.

mod list;
mod scanner;
mod watch;

use std::fmt::Display;

use super::error::{BodyPart, DecodeError};
use super::format::Format;
use super::status::{self, Status};

pub(super) use list::JsonList;
pub(super) use watch::JsonWatch;

fn syntax(part: BodyPart, cause: impl Display) -> DecodeError {
    DecodeError::Syntax { format: Format::Json, part, cause: cause.to_string() }
}

/// Decodes a `Status`.
pub(super) fn status(body: &[u8]) -> serde_json::Result<Status> {
    serde_json::from_slice::<status::JsonStatus>(body).map(Status::from)
}
