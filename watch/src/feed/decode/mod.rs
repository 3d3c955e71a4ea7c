//! Decoders of the API server's answers: bytes in, objects out, as they arrive.
//!
//! A decoder does no I/O. Its caller pushes the chunks of a body as they come and takes out what they complete:
//!
//! ```
//! use poddns_watch::Pod;
//! use poddns_watch::feed::decode::{Format, ListDecoder, ListItem};
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
//! # Ok::<(), poddns_watch::feed::decode::DecodeError>(())
//! ```
//!
//! The frames are the same however the body is cut into chunks. An object that lies within one chunk is decoded
//! in place; one that does not is put together in a buffer. Nothing else is kept, so memory does not grow with
//! the body, and an item, an event or the metadata of a list above [`DEFAULT_LIMIT`] is an error.
//!
//! After an error a decoder is of no more use: the caller drops it with the rest of the body.

mod answer;
pub mod check;
mod error;
mod format;
mod frame;
mod input;
mod json;
mod object;
mod protobuf;
mod status;

use bytes::Bytes;

pub use error::{DecodeError, Part};
pub use format::Format;
pub use frame::{EventKind, ListEnd, ListItem, Malformed, WatchFrame};
pub use object::Object;
pub use status::Status;

/// Maximum size of one item, event or list metadata, in bytes. Objects in etcd are at most 1.5 MiB.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// Decodes a list, whole or a page of it, item by item.
#[derive(Debug)]
pub struct ListDecoder<K>(ListFormat, std::marker::PhantomData<fn() -> K>);

#[derive(Debug)]
enum ListFormat {
    Json(json::List),
    Protobuf(protobuf::List),
}

impl<K: Object> ListDecoder<K> {
    /// A decoder with [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self::with_limit(format, DEFAULT_LIMIT)
    }

    /// A decoder of items of at most `limit` bytes.
    #[must_use]
    pub fn with_limit(format: Format, limit: usize) -> Self {
        let format = match format {
            Format::Json => ListFormat::Json(json::List::new(limit)),
            Format::Protobuf => ListFormat::Protobuf(protobuf::List::new(limit)),
        };
        Self(format, std::marker::PhantomData)
    }

    /// Adds the next chunk of the body. Cheapest after [`next`](Self::next) has returned `None`.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.0 {
            ListFormat::Json(list) => list.push(chunk),
            ListFormat::Protobuf(list) => list.push(chunk),
        }
    }

    /// Returns the next item; `None` if another chunk is needed for it.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends does not go on later")]
    pub fn next(&mut self) -> Result<Option<ListItem<K>>, DecodeError> {
        match &mut self.0 {
            ListFormat::Json(list) => list.next(),
            ListFormat::Protobuf(list) => list.next(),
        }
    }

    /// Ends the list with its body. A list that was cut off is an error.
    ///
    /// [`next`](Self::next) must have returned `None`.
    pub fn finish(self) -> Result<ListEnd, DecodeError> {
        let end = match self.0 {
            ListFormat::Json(list) => list.finish(),
            ListFormat::Protobuf(list) => list.finish(),
        }?;
        if end.resource_version.is_empty() { Err(DecodeError::NoResourceVersion) } else { Ok(end) }
    }
}

/// Decodes a watch, event by event.
#[derive(Debug)]
pub struct WatchDecoder<K>(WatchFormat, std::marker::PhantomData<fn() -> K>);

#[derive(Debug)]
enum WatchFormat {
    Json(json::Watch),
    Protobuf(protobuf::Watch),
}

impl<K: Object> WatchDecoder<K> {
    /// A decoder with [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self::with_limit(format, DEFAULT_LIMIT)
    }

    /// A decoder of events of at most `limit` bytes.
    #[must_use]
    pub fn with_limit(format: Format, limit: usize) -> Self {
        let format = match format {
            Format::Json => WatchFormat::Json(json::Watch::new(limit)),
            Format::Protobuf => WatchFormat::Protobuf(protobuf::Watch::new(limit)),
        };
        Self(format, std::marker::PhantomData)
    }

    /// Adds the next chunk of the body. Cheapest after [`next`](Self::next) has returned `None`.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.0 {
            WatchFormat::Json(watch) => watch.push(chunk),
            WatchFormat::Protobuf(watch) => watch.push(chunk),
        }
    }

    /// Returns the next event; `None` if another chunk is needed for it.
    #[expect(clippy::should_implement_trait, reason = "an iterator that ends does not go on later")]
    pub fn next(&mut self) -> Result<Option<WatchFrame<K>>, DecodeError> {
        match &mut self.0 {
            WatchFormat::Json(watch) => watch.next(),
            WatchFormat::Protobuf(watch) => watch.next(),
        }
    }

    /// Ends the watch with its body. An event that was cut off is an error; all events before it hold.
    ///
    /// [`next`](Self::next) must have returned `None`.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.0 {
            WatchFormat::Json(watch) => watch.finish(),
            WatchFormat::Protobuf(watch) => watch.finish(),
        }
    }
}
