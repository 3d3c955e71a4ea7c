//! Encodings of answers.

/// The encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`; a watch is one event a line.
    Json,
    /// `application/vnd.kubernetes.protobuf`; each event of a watch follows its length in four bytes.
    Protobuf,
}

impl Format {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// Returns the encoding that a `Content-Type` names, whatever its parameters; `None` for any other.
    #[must_use]
    pub fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|format| essence.eq_ignore_ascii_case(format.media_type()))
    }
}
