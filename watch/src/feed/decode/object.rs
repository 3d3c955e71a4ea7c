//! Objects that the decoders make.

use std::fmt;

use serde::de::DeserializeOwned;

use super::frame::MalformedObject;
use crate::Metadata;

/// An object of the API server, cut down to what is kept of it while it is decoded.
pub trait Object: DeserializeOwned + fmt::Debug + Sealed {
    /// `kind`, as in `Pod`.
    const KIND: &'static str;

    /// Returns its identity.
    fn metadata(&self) -> &Metadata;

    /// Returns the fault of an object that could be decoded.
    fn fault(&self) -> Option<&str>;

    /// Decodes the message of the object, without an envelope.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, Box<MalformedObject>>;
}

/// Keeps other crates from implementing [`Object`]: what decoders need of it may grow.
pub trait Sealed {}
