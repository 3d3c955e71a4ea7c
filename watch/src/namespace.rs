//! The namespace object, reduced to its metadata.

use serde::de::{Deserialize, Deserializer};

use crate::metadata::Metadata;
use crate::pod::RawPod;
use crate::pod::lenient::{Faults, Lenient, LenientObject};

/// A namespace of `v1`: its metadata, which is all that is requested from the API server.
///
/// As with [`Pod`](crate::Pod), no field can fail to decode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    metadata: Metadata,
    fault: Option<Box<str>>,
}

impl Namespace {
    /// Converts decoded fields to a namespace.
    pub(crate) fn from_raw(raw: RawPod, mut faults: Faults) -> Self {
        let metadata = raw.metadata.into_metadata(&mut faults);
        Self::new(metadata, faults)
    }

    /// Returns a namespace from fields decoded from any format.
    pub(crate) fn new(metadata: Metadata, faults: Faults) -> Self {
        Self { metadata, fault: faults.into_text() }
    }

    /// Returns the namespace's metadata.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the fault of the object, for a log line; `None` if there is none.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut faults = Faults::default();
        let raw = Lenient::<LenientObject<RawPod>>::deserialize(deserializer)?;
        let fields = raw.take("the item", &mut faults).unwrap_or_default().0;
        Ok(Self::from_raw(fields, faults))
    }
}
