//! Objects that the decoders return.

use std::fmt;

use serde::de::DeserializeOwned;

use super::frame::MalformedObject;
use crate::Metadata;

/// An object of the API server, reduced to the fields that are kept.
pub trait Object: DeserializeOwned + fmt::Debug + Sealed {
    /// `kind`, such as `Pod`.
    const KIND: &'static str;

    /// Returns the object's metadata.
    fn metadata(&self) -> &Metadata;

    /// Returns the fault of an object that could be decoded in part.
    fn fault(&self) -> Option<&str>;

    /// Decodes the object's message, without an envelope.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<MalformedObject>>;
}

/// Prevents other crates from implementing [`Object`], so that it can get more methods.
pub trait Sealed {}
