//! The metadata of an object that is kept: its identity.

/// The identity of an object: the part of `metadata` that is kept.
///
/// A field that the object does not have is empty, as in Kubernetes' own types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`; empty for objects that belong to none.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, an opaque text.
    pub resource_version: String,
    /// True if it has a `metadata.deletionTimestamp`: it is being deleted but still exists.
    pub terminating: bool,
}
