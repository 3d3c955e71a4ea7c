//! Errors of decoding a body.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::Format;

/// A body that is not the answer of an API server, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body ended within an item, an event or the list.
    #[error("the body was cut off")]
    CutOff,
    /// One part is larger than the decoder takes.
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
        /// The encoding that the answer named.
        format: Format,
        /// The part.
        part: BodyPart,
        /// The error of the parser.
        #[source]
        cause: SyntaxCause,
    },
    /// The body has no list.
    #[error("the answer is of kind {kind:?}, not a list of objects")]
    NotAList {
        /// `kind` as it was sent, cut after 64 characters; empty if there was none.
        kind: String,
    },
    /// A list without `metadata.resourceVersion`: nothing can be watched from there.
    #[error("the list has no metadata.resourceVersion")]
    NoResourceVersion,
    /// An event of a type that Kubernetes does not have.
    #[error("an event has the unknown type {kind:?}")]
    UnknownEvent {
        /// `type` as it was sent, cut after 64 characters.
        kind: String,
    },
}

/// The error of a parser. Two are equal if they have the same text.
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
    /// A key of that object, its kind or its metadata.
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

/// Cuts untrusted text after so many characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Characters of a word (a kind, a type) that are kept for messages.
pub(super) const WORD: usize = 64;

/// Refuses a kind that is no list's: those are `PodList`, `PartialObjectMetadataList` and the like.
pub(super) fn check_list_kind(kind: &str) -> Result<(), DecodeError> {
    if kind.is_empty() || kind.ends_with("List") {
        return Ok(());
    }
    Err(DecodeError::NotAList { kind: cut(kind, WORD) })
}
