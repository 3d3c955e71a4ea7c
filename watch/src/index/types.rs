//! Records to be stored in the index, and the results of changes.

use std::net::IpAddr;

use poddns_core::Label;

use super::uid::Uid;

/// Maximum number of addresses per pod; further ones are ignored. Kubernetes allows one address of each family.
pub const MAX_ADDRESSES: usize = 16;

/// Maximum number of pods in an index, and of namespaces: up to this limit no number in the index can overflow.
pub const MAX_PODS: usize = (1 << 26) - 1;

/// Optional contents of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Keep pod names: `addresses_of` finds pods by name, and `owner_of` returns the name.
    pub pod_names: bool,
}

/// A pod to be stored in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRecord<'a> {
    /// The pod's identity: an update finds the stored pod by it, whatever else has changed.
    pub uid: Uid,
    /// The pod's namespace.
    pub namespace: Label,
    /// The pod's name. Not kept if it is not a single DNS label (Kubernetes allows dots and 253 characters), or if
    /// [`IndexOptions::pod_names`] is off.
    pub name: &'a str,
    /// All addresses of the pod, `status.podIPs`. Duplicates and those after the first [`MAX_ADDRESSES`] are ignored. A
    /// pod without addresses is removed.
    pub addresses: &'a [IpAddr],
}

/// The effect of a change on the contents of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// None: a duplicate event, or the removal of an unknown pod or namespace.
    Unchanged,
    /// A pod or namespace is new.
    Added,
    /// A known pod has changed.
    Updated,
    /// A known pod or namespace is gone.
    Removed,
    /// None: the index is full; it has [`MAX_PODS`] pods.
    Refused,
}

/// The scope of a list of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListScope {
    /// The pods of all namespaces.
    All,
    /// The pods of this namespace. Lists of several namespaces can be under way at once.
    Namespace(Label),
}

impl ListScope {
    /// Returns whether the list includes the pods of a namespace.
    #[must_use]
    pub fn covers(&self, namespace: &Label) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(only) => only == namespace,
        }
    }
}

/// Size of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Pods with at least one address.
    pub pods: usize,
    /// Distinct addresses of these pods.
    pub addresses: usize,
    /// Namespaces that exist, with or without pods.
    pub namespaces: usize,
    /// Bytes of memory that the index has allocated.
    pub bytes: usize,
}

/// Result of comparing a pod with the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodComparison {
    /// Both are equal, or the pod has no addresses and is not stored.
    Same,
    /// The pod is not stored.
    Missing,
    /// The stored pod differs.
    Different,
}
