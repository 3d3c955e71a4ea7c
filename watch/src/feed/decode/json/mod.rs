//! JSON: parts are delimited by scanning, and decoded by `serde_json`.

mod list;
mod scanner;
mod watch;

use std::error::Error;

use super::error::{BodyPart, DecodeError, SyntaxCause};
use super::format::Format;
use super::status::{self, Status};

pub(super) use list::JsonList;
pub(super) use watch::JsonWatch;

fn syntax(part: BodyPart, cause: impl Into<Box<dyn Error + Send + Sync>>) -> DecodeError {
    DecodeError::Syntax { format: Format::Json, part, cause: SyntaxCause::new(cause) }
}

/// Decodes a `Status`.
pub(super) fn status(body: &[u8]) -> serde_json::Result<Status> {
    serde_json::from_slice::<status::JsonStatus>(body).map(Status::from)
}
