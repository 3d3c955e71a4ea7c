//! JSON, as `serde_json` reads it, of the parts that are found by scanning.

mod list;
mod scanner;
mod watch;

use std::fmt::Display;

use super::error::{DecodeError, Part};
use super::format::Format;
use super::status::{self, Status};

pub(super) use list::List;
pub(super) use watch::Watch;

fn syntax(part: Part, cause: impl Display) -> DecodeError {
    DecodeError::Syntax { format: Format::Json, part, cause: cause.to_string() }
}

/// Decodes a `Status`.
pub(super) fn status(body: &[u8]) -> serde_json::Result<Status> {
    serde_json::from_slice::<status::Raw>(body).map(Status::from)
}
