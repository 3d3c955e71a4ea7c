//! From a question's name to what it asks for.

use crate::config::Zone;
use crate::wire::name::{QuestionName, labels, strip_suffix};

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

/// The zone that holds the name, and where in it. Of nested zones the innermost one, as delegation would have
/// it.
#[inline]
pub(crate) fn locate<'z, 'q>(zones: &'z [Zone], name: &QuestionName<'q>) -> Option<(&'z Zone, Place<'q>)> {
    let (zone, front) = zones
        .iter()
        .filter_map(|zone| Some((zone, strip_suffix(name.as_wire(), zone.apex.as_wire())?)))
        .min_by_key(|(_, front)| front.len())?;
    let mut labels = labels(front);
    let place = match (labels.next(), labels.next(), labels.next()) {
        (None, _, _) => Place::Apex,
        (Some(namespace), None, _) => Place::Namespace(namespace),
        (Some(label), Some(namespace), None) => Place::Pod { label, namespace },
        (Some(_), Some(_), Some(_)) => Place::Deeper,
    };
    Some((zone, place))
}

/// Whether one of the zones begins below the name, so that the name exists, whatever the zone around it says.
pub(crate) fn is_above_a_zone(zones: &[Zone], name: &QuestionName<'_>) -> bool {
    zones.iter().any(|zone| strip_suffix(zone.apex.as_wire(), name.as_wire()).is_some())
}
