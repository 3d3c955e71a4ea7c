//! The zones served, and the position of a name in its zone.

use crate::wire::name::{QuestionName, is_labels, split_label, strip_octets, strip_suffix};
use crate::{Name, NameError};

/// One cluster domain; its zone is `pod.<domain>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub(crate) domain: Name,
    pub(crate) apex: Name,
    pub(crate) ns: Name,
}

impl Zone {
    /// The first label of the mailbox in the SOA, in wire form: `hostmaster`.
    pub(crate) const MAILBOX: &[u8] = b"\x0ahostmaster";

    /// The zone of a cluster domain such as `cluster.local`; a trailing dot is allowed. The name server is
    /// `ns.dns.<domain>`.
    ///
    /// The domain must be short enough that `hostmaster.<domain>` has at most 255 octets.
    pub fn new(domain: &str) -> Result<Self, NameError> {
        let domain: Name = domain.parse()?;
        // The longest of the names below the domain; if it fits, all do.
        domain.below(b"hostmaster")?;
        Ok(Self { apex: domain.below(b"pod")?, ns: domain.below(b"dns")?.below(b"ns")?, domain })
    }

    /// The same zone with another name server in its NS and SOA records.
    #[must_use]
    pub fn with_ns(self, ns: Name) -> Self {
        Self { ns, ..self }
    }

    /// The cluster domain, such as `cluster.local`.
    #[must_use]
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// The zone's apex, such as `pod.cluster.local`.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }
}

/// The position of a name relative to the apex of its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'q> {
    /// The apex itself.
    Apex,
    /// `<namespace>`
    Namespace(&'q [u8]),
    /// `<label>.<namespace>`
    Pod { label: &'q [u8], namespace: &'q [u8] },
    /// More labels than any existing name.
    Deeper,
}

impl<'q> Place<'q> {
    /// Reads the labels in front of the apex. `None` if they do not end exactly at the apex.
    #[expect(
        clippy::inline_always,
        reason = "on the path of every query, and no longer inlined since it has a second caller"
    )]
    #[inline(always)]
    fn read(front: &'q [u8]) -> Option<Self> {
        if front.is_empty() {
            return Some(Self::Apex);
        }
        let (first, rest) = split_label(front)?;
        if rest.is_empty() {
            return Some(Self::Namespace(first));
        }
        let (second, rest) = split_label(rest)?;
        if rest.is_empty() {
            return Some(Self::Pod { label: first, namespace: second });
        }
        is_labels(rest).then_some(Self::Deeper)
    }
}

/// Returns the zone that contains the name, and the position of the name in it. Of nested zones it is the innermost,
/// as with delegation.
#[expect(
    clippy::inline_always,
    reason = "on the path of every query, and no longer inlined since it has a second caller"
)]
#[inline(always)]
pub(crate) fn locate<'z, 'q>(zones: &'z [Zone], name: QuestionName<'q>) -> Option<(&'z Zone, Place<'q>)> {
    let (mut innermost, mut longest) = (None, 0);
    for zone in zones {
        let apex = zone.apex.as_wire();
        if apex.len() <= longest {
            continue;
        }
        if let Some(place) = strip_octets(name.as_wire(), apex).and_then(Place::read) {
            (innermost, longest) = (Some((zone, place)), apex.len());
        }
    }
    innermost
}

/// [`locate`], not inlined, for callers outside the path of every query.
#[cold]
#[inline(never)]
pub(crate) fn locate_out_of_line<'z, 'q>(
    zones: &'z [Zone],
    name: QuestionName<'q>,
) -> Option<(&'z Zone, Place<'q>)> {
    locate(zones, name)
}

/// Returns true if the name is above the apex of a zone: it exists even if the zone that contains it has no records
/// for it.
pub(crate) fn is_above_a_zone(zones: &[Zone], name: QuestionName<'_>) -> bool {
    zones.iter().any(|zone| strip_suffix(zone.apex.as_wire(), name.as_wire()).is_some())
}
