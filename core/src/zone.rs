//! The zones served, and the places in them that a question's name can stand for.

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
    /// Front of the mailbox in the SOA: `hostmaster`.
    pub(crate) const MAILBOX: &[u8] = b"\x0ahostmaster";

    /// The zone of a cluster domain such as `cluster.local`, a trailing dot allowed. The name server is
    /// `ns.dns.<domain>`.
    ///
    /// The domain must leave room for `hostmaster.` in front of it, within the 255 octets of a name.
    pub fn new(domain: &str) -> Result<Self, NameError> {
        let domain: Name = domain.parse()?;
        // The longest of the names below the domain, so that it fits every question.
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

/// A name, seen from the apex of its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'q> {
    /// The apex itself.
    Apex,
    /// `<namespace>`
    Namespace(&'q [u8]),
    /// `<label>.<namespace>`
    Pod { label: &'q [u8], namespace: &'q [u8] },
    /// More labels than any name that exists has.
    Deeper,
}

impl<'q> Place<'q> {
    /// From what the name has in front of the apex: labels without the root. `None` if the last of them does not end
    /// there.
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

/// The zone that holds the name, and where in it. Of nested zones the innermost one, as delegation would have
/// it.
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

/// The same, for callers that seldom need it.
#[cold]
#[inline(never)]
pub(crate) fn locate_out_of_line<'z, 'q>(
    zones: &'z [Zone],
    name: QuestionName<'q>,
) -> Option<(&'z Zone, Place<'q>)> {
    locate(zones, name)
}

/// Returns true if a zone begins below the name, so that the name exists, whether or not the zone around it has it.
pub(crate) fn is_above_a_zone(zones: &[Zone], name: QuestionName<'_>) -> bool {
    zones.iter().any(|zone| strip_suffix(zone.apex.as_wire(), name.as_wire()).is_some())
}
