//! The metadata of an object that is kept: its identity.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

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
    /// Whether it has a `metadata.deletionTimestamp`: it is being deleted but still exists.
    pub terminating: bool,
}

impl Metadata {
    /// The form in which kube's watcher reads it.
    pub(crate) fn to_object_meta(&self) -> ObjectMeta {
        let field = |text: &String| (!text.is_empty()).then(|| text.clone());
        ObjectMeta {
            name: field(&self.name),
            namespace: field(&self.namespace),
            uid: field(&self.uid),
            resource_version: field(&self.resource_version),
            ..ObjectMeta::default()
        }
    }
}
