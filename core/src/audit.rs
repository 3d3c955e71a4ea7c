//! The audit of mode insecure: which of its answers mode verified would refuse.

use core::net::IpAddr;

use crate::config::Config;
use crate::lookup::{Freshness, Owner, PodLookup, Unknown};
use crate::reason::Reason;
use crate::wire::name::QuestionName;
use crate::words::worded;
use crate::zone::{self, Place};
use crate::{Label, podip};

worded! {
    /// Cause for which mode verified would refuse what mode insecure answered.
    // A later feature of mode verified may have a cause of its own.
    #[non_exhaustive]
    AuditFinding {
        /// The cluster does not have the namespace.
        NoSuchNamespace = "no-such-namespace",
        /// The namespace exists, and no pod of the cluster has the address.
        NoSuchPod = "no-such-pod",
        /// The namespace exists, and pods of other namespaces only have the address.
        OtherNamespace = "other-namespace",
        /// Unknown: there was no complete list yet, or the index could not be read.
        NotReady = "not-ready",
    }
}

/// Returns the finding on a response that was decided for this reason; `None` if mode verified would have found the name
/// as well, or if insecure refused it, too, for the guards are the same.
// Out of line, so that responses without audit are not made larger by it.
#[cold]
#[inline(never)]
pub(crate) fn audit<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    name: QuestionName<'_>,
    reason: Reason,
) -> Option<AuditFinding> {
    if !matches!(reason, Reason::AddressUnchecked | Reason::AddressOfNamespace) {
        return None;
    }
    // An address was answered, so the name is that of a pod in a zone.
    let (_, Place::Pod { label, namespace }) = zone::locate_out_of_line(config.zones, name)? else {
        return None;
    };
    let (namespace, address) = (Label::from_wire(namespace)?, podip::parse(label)?);
    if pods.freshness() == Freshness::Unsynced {
        return Some(AuditFinding::NotReady);
    }
    compare(pods, &namespace, address).unwrap_or(Some(AuditFinding::NotReady))
}

fn compare<P: PodLookup + ?Sized>(
    pods: &P,
    namespace: &Label,
    address: IpAddr,
) -> Result<Option<AuditFinding>, Unknown> {
    if pods.contains(namespace, address)? {
        return Ok(None);
    }
    if !pods.namespace_exists(namespace)? {
        return Ok(Some(AuditFinding::NoSuchNamespace));
    }
    Ok(match pods.owner_of(address)? {
        Owner::Nobody => Some(AuditFinding::NoSuchPod),
        // It was added between the look-ups, and mode verified would answer now.
        Owner::Pod { namespace: owner, .. } if owner == *namespace => None,
        Owner::Pod { .. } | Owner::Shared => Some(AuditFinding::OtherNamespace),
    })
}
