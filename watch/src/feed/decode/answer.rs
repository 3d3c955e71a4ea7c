//! Error responses.

use super::error::cut;
use super::format::Format;
use super::status::Status;
use super::{json, protobuf};

impl Status {
    /// Decodes the body of an error response: a `Status` in either encoding, or any text. `code` is the HTTP status of
    /// the response.
    #[must_use]
    pub fn of_answer(code: u16, content_type: Option<&str>, body: &[u8]) -> Self {
        let status = match content_type.and_then(Format::of_content_type) {
            Some(Format::Json) => json::status(body).ok(),
            Some(Format::Protobuf) => protobuf::status(body).ok(),
            None => None,
        };
        let status = status.unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            Self { message: cut(text.trim(), Self::MAX_MESSAGE), ..Self::default() }
        });
        Self { code, ..status }
    }
}
