//! The audit of mode insecure: answers that mode verified would have refused.

use core::net::IpAddr;

use crate::config::Config;
use crate::lookup::{Freshness, Owner, PodLookup, Unknown};
use crate::reason::Reason;
use crate::wire::name::QuestionName;
use crate::words::worded;
use crate::zone::{self, Place};
use crate::{Label, podip};

worded! {
    /// Cause for which mode verified would have refused an answer of mode insecure.
    // Features added to mode verified may have their own causes.
    #[non_exhaustive]
    AuditFinding {
        /// The cluster does not have the namespace.
        NoSuchNamespace = "no-such-namespace",
        /// The namespace exists, and no pod of the cluster has the address.
        NoSuchPod = "no-such-pod",
        /// The namespace exists, and the address belongs only to pods of other namespaces.
        OtherNamespace = "other-namespace",
        /// Unknown: no complete list yet, or the index could not be read.
        NotReady = "not-ready",
    }
}

/// Returns the finding on a response with this reason. `None` if mode verified would have answered as well, or if
/// mode insecure refused the name: the guards are the same in both modes.
// Out of line, to keep the code for responses without audit small.
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
    // Only names of pods in a zone are answered for these reasons.
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
        Owner::None => Some(AuditFinding::NoSuchPod),
        // The pod was added between the look-ups; mode verified would answer now.
        Owner::Pod { namespace: owner, .. } if owner == *namespace => None,
        Owner::Pod { .. } | Owner::Shared => Some(AuditFinding::OtherNamespace),
    })
}
