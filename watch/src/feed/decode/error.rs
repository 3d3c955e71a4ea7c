//! Errors of decoding a body.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::Format;

/// A body that is not a complete response of an API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body ended within an item, an event or the list.
    #[error("the body was cut off")]
    CutOff,
    /// A part is larger than the decoder's limit.
    #[error("{part} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The part.
        part: BodyPart,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body does not follow the syntax of its encoding.
    #[error("{part} is not valid {}: {cause}", format.media_type())]
    Syntax {
        /// The encoding that the response declared.
        format: Format,
        /// The part.
        part: BodyPart,
        /// The error of the parser.
        #[source]
        cause: SyntaxCause,
    },
    /// The body is not a list.
    #[error("the answer is of kind {kind:?}, not a list of objects")]
    NotAList {
        /// The received `kind`, truncated to 64 characters; empty if there was none.
        kind: String,
    },
    /// The list has no `metadata.resourceVersion` from which a watch could continue.
    #[error("the list has no metadata.resourceVersion")]
    NoResourceVersion,
    /// An event has a type that Kubernetes does not define.
    #[error("an event has the unknown type {kind:?}")]
    UnknownEvent {
        /// The received `type`, truncated to 64 characters.
        kind: String,
    },
}

/// The error of a parser. Two errors are equal if their texts are.
#[derive(Clone, Debug)]
pub struct SyntaxCause(Arc<dyn Error + Send + Sync>);

impl SyntaxCause {
    pub(super) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into().into())
    }
}

impl fmt::Display for SyntaxCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SyntaxCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for SyntaxCause {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for SyntaxCause {}

/// A part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// The object around the items of a list.
    List,
    /// A key of the list's object, its kind or its metadata.
    Metadata,
    /// An item of a list.
    Item,
    /// An event of a watch.
    Event,
}

impl fmt::Display for BodyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "the list",
            Self::Metadata => "the metadata of the list",
            Self::Item => "an item of the list",
            Self::Event => "an event of the watch",
        })
    }
}

/// Truncates untrusted text to this number of characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Maximum number of characters of a word (a kind, a type) in messages.
pub(super) const MAX_WORD_CHARACTERS: usize = 64;

/// Refuses a kind that is not a list kind such as `PodList` or `PartialObjectMetadataList`.
pub(super) fn check_list_kind(kind: &str) -> Result<(), DecodeError> {
    if kind.is_empty() || kind.ends_with("List") {
        return Ok(());
    }
    Err(DecodeError::NotAList { kind: cut(kind, MAX_WORD_CHARACTERS) })
}
