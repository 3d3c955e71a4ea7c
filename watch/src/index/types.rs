//! What goes into the index, and what it says about a change.

use std::net::IpAddr;

use poddns_core::Label;

use super::Uid;

/// How many addresses of one pod count, the first ones of the list. Kubernetes itself allows one for each
/// address family.
pub const MAX_ADDRESSES: usize = 16;

/// The most pods that an index takes. Up to here no number in it can overflow.
pub const MAX_PODS: usize = (1 << 26) - 1;

/// What an index keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexOptions {
    /// Keep the pods' names, so that `addresses_of` finds pods by name and `owner_of` gives it.
    pub pod_names: bool,
}

/// A pod as the index wants to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRecord<'a> {
    /// Which pod this is. An update is matched by it, whatever else has changed.
    pub uid: Uid,
    /// The pod's namespace.
    pub namespace: Label,
    /// The pod's name. Not kept if it is not a single DNS label (Kubernetes allows dots and 253 characters),
    /// or if the [`IndexOptions`] do not ask for names.
    pub name: &'a str,
    /// All addresses of the pod, `status.podIPs`. Duplicates count once, and only the first
    /// [`MAX_ADDRESSES`] count at all. Without any the pod is removed: it has nothing to answer with.
    pub addresses: &'a [IpAddr],
}

/// What came of telling the index something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The index knew that already: a duplicate event, or the removal of something unknown.
    Unchanged,
    /// Something new.
    Added,
    /// Something known, with other contents.
    Updated,
    /// Something known is gone.
    Removed,
    /// The index is full and has not taken it. That takes [`MAX_PODS`] pods.
    Refused,
}

/// What a list is about to tell all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListScope {
    /// The pods of all namespaces.
    All,
    /// The pods of this namespace alone. Lists of several namespaces may be under way at once.
    Namespace(Label),
}

impl ListScope {
    /// Whether a pod of this namespace is in the list if it exists.
    #[must_use]
    pub fn covers(&self, namespace: &Label) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(only) => only == namespace,
        }
    }
}

/// How much there is in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// Pods with at least one address.
    pub pods: usize,
    /// Distinct addresses of these pods.
    pub addresses: usize,
    /// Namespaces that exist, with or without pods.
    pub namespaces: usize,
    /// Octets of memory allocated by the index.
    pub bytes: usize,
}

/// How a pod compares with what an index knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The index has it so, or has it not if it has no addresses.
    Same,
    /// The index does not have it.
    Missing,
    /// The index has it otherwise.
    Different,
}
