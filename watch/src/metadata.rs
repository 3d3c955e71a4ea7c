//! The part of an object's metadata that is kept.

/// The part of an object's `metadata` that is kept.
///
/// A field that the object lacks is empty, as in Kubernetes' own types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`; empty for cluster-scoped objects.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, an opaque text.
    pub resource_version: String,
    /// True if there is a `metadata.deletionTimestamp`: the object is being deleted but still exists.
    pub terminating: bool,
}
