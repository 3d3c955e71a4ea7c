//! Decoders of the API server's responses, which return objects as their bytes arrive.
//!
//! A decoder does no I/O. Its caller pushes the chunks of a body as they arrive, and takes the complete objects:
//!
//! ```
//! use poddns_watch::Pod;
//! use poddns_watch::decode::{Format, ListDecoder, ListItem};
//!
//! let format = Format::of_content_type("application/json").unwrap_or(Format::Json);
//! let mut decoder = ListDecoder::<Pod>::new(format);
//! let mut names = Vec::new();
//! let body = br#"{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]}"#;
//! for chunk in body.chunks(10) {
//!     decoder.push(chunk.into());
//!     while let Some(item) = decoder.next()? {
//!         if let ListItem::Object(pod) = item {
//!             names.push(pod.metadata().name.clone());
//!         }
//!     }
//! }
//! assert_eq!(decoder.finish()?.resource_version, "7");
//! assert_eq!(names, ["a"]);
//! # Ok::<(), poddns_watch::decode::DecodeError>(())
//! ```
//!
//! The result does not depend on how the body is split into chunks. An object within one chunk is decoded in place;
//! other objects are assembled in a buffer. Nothing else is kept, so memory does not grow with the body. An item, an
//! event or the metadata of a list above [`DEFAULT_LIMIT`] is an error.
//!
//! After an error a decoder must not be used any more: the caller drops it with the rest of the body.

mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod check;
mod error;
mod format;
mod frame;
mod input;
mod json;
mod object;
mod protobuf;
mod status;
mod whole;

use std::marker::PhantomData;

use bytes::Bytes;

pub use error::{BodyPart, DecodeError, SyntaxCause};
pub use format::Format;
pub use frame::{EventKind, ListEnd, ListItem, MalformedObject, WatchFrame};
pub use object::Object;
pub use status::Status;
pub use whole::{decode_list, decode_watch};

/// Maximum size of an item, an event or the metadata of a list, in bytes. Objects in etcd have at most 1.5 MiB.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// Decoder of a list, or of a page of it, item by item.
#[derive(Debug)]
pub struct ListDecoder<K>(EitherDecoder<json::JsonList, protobuf::ProtobufList>, PhantomData<fn() -> K>);

/// Decoder of a watch, event by event.
#[derive(Debug)]
pub struct WatchDecoder<K>(EitherDecoder<json::JsonWatch, protobuf::ProtobufWatch>, PhantomData<fn() -> K>);

/// A decoder of either encoding.
#[derive(Debug)]
enum EitherDecoder<J, P> {
    Json(J),
    Protobuf(P),
}

/// Calls a method of the decoder in either encoding.
macro_rules! either {
    ($decoder:expr, $inner:ident => $call:expr) => {
        match $decoder {
            EitherDecoder::Json($inner) => $call,
            EitherDecoder::Protobuf($inner) => $call,
        }
    };
}

/// Shared parts of the decoders of lists and of watches.
macro_rules! common {
    ($decoder:ident, $json:ident, $protobuf:ident, $of:literal, $returns:literal, $item:ident) => {
        impl<K: Object> $decoder<K> {
            /// Returns a decoder with [`DEFAULT_LIMIT`].
            #[must_use]
            pub fn new(format: Format) -> Self {
                Self::with_limit(format, DEFAULT_LIMIT)
            }

            #[doc = $of]
            #[must_use]
            pub fn with_limit(format: Format, limit: usize) -> Self {
                let decoder = match format {
                    Format::Json => EitherDecoder::Json(json::$json::new(limit)),
                    Format::Protobuf => EitherDecoder::Protobuf(protobuf::$protobuf::new(limit)),
                };
                Self(decoder, PhantomData)
            }

            /// Adds the next chunk of the body. Most efficient after [`next`](Self::next) has returned `None`.
            pub fn push(&mut self, chunk: Bytes) {
                either!(&mut self.0, decoder => decoder.push(chunk));
            }

            #[doc = $returns]
            #[expect(clippy::should_implement_trait, reason = "an iterator that ends has no items later")]
            pub fn next(&mut self) -> Result<Option<$item<K>>, DecodeError> {
                either!(&mut self.0, decoder => decoder.next())
            }
        }
    };
}

common!(
    ListDecoder,
    JsonList,
    ProtobufList,
    "Returns a decoder of items of at most `limit` bytes.",
    "Returns the next item; `None` if another chunk is needed for it.",
    ListItem
);
common!(
    WatchDecoder,
    JsonWatch,
    ProtobufWatch,
    "Returns a decoder of events of at most `limit` bytes.",
    "Returns the next event; `None` if another chunk is needed for it.",
    WatchFrame
);

impl<K: Object> ListDecoder<K> {
    /// Ends the list after the end of its body. Fails if the list is incomplete.
    ///
    /// [`next`](Self::next) must have returned `None`.
    pub fn finish(self) -> Result<ListEnd, DecodeError> {
        let end = either!(self.0, decoder => decoder.finish())?;
        if end.resource_version.is_empty() { Err(DecodeError::NoResourceVersion) } else { Ok(end) }
    }
}

impl<K: Object> WatchDecoder<K> {
    /// Ends the watch after the end of its body. Fails if the last event is incomplete; all events before it are valid.
    ///
    /// [`next`](Self::next) must have returned `None`.
    pub fn finish(self) -> Result<(), DecodeError> {
        either!(self.0, decoder => decoder.finish())
    }
}
