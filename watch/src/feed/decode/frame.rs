//! Parts of lists and watches.

use super::error::{DecodeError, MAX_WORD_CHARACTERS, cut};
use super::status::Status;
use crate::Metadata;

/// A part of a list, besides its metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum ListItem<K> {
    /// An object.
    Object(K),
    /// An object that cannot be decoded. The list continues after it.
    Malformed(MalformedObject),
}

/// The end of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListEnd {
    /// `metadata.resourceVersion`, from which a watch continues. Never empty.
    pub resource_version: String,
    /// `metadata.continue`: the token of the next page, if there is one.
    pub continue_token: Option<String>,
    /// `metadata.remainingItemCount`: an estimate of the items on further pages.
    pub remaining: Option<u64>,
}

/// A part of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchFrame<K> {
    /// A change of an object.
    Event {
        /// The change.
        kind: EventKind,
        /// The object after the change; for a deletion, before it.
        object: K,
    },
    /// The watch has reached this version without a change of an object.
    Bookmark {
        /// Version from which another watch can continue.
        resource_version: String,
        /// True if all objects of a streaming list have been sent (annotation `k8s.io/initial-events-end`).
        initial_events_end: bool,
    },
    /// The watch failed. Nothing follows.
    Error(Status),
    /// A change of an object that cannot be decoded. The watch continues after it.
    Malformed {
        /// The change.
        kind: EventKind,
        /// The object's metadata, as far as it was read.
        object: MalformedObject,
    },
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// `ADDED`: the object is new, or now matches the selector.
    Added,
    /// `MODIFIED`.
    Modified,
    /// `DELETED`: the object was deleted, or no longer matches the selector.
    Deleted,
}

/// An object that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedObject {
    /// The object's metadata, as far as it was read. Other fields are empty.
    pub metadata: Metadata,
    /// The fault.
    pub cause: String,
}

/// `type` of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameType {
    Event(EventKind),
    Bookmark,
    Error,
}

impl FrameType {
    pub(super) fn parse(text: &str) -> Result<Self, DecodeError> {
        match text {
            "ADDED" => Ok(Self::Event(EventKind::Added)),
            "MODIFIED" => Ok(Self::Event(EventKind::Modified)),
            "DELETED" => Ok(Self::Event(EventKind::Deleted)),
            "BOOKMARK" => Ok(Self::Bookmark),
            "ERROR" => Ok(Self::Error),
            other => Err(DecodeError::UnknownEvent { kind: cut(other, MAX_WORD_CHARACTERS) }),
        }
    }
}

/// The annotation of the bookmark that ends the initial events of a streaming list (KEP-3157).
pub(super) const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
/// Value of that annotation.
pub(super) const INITIAL_EVENTS_END_VALUE: &str = "true";
