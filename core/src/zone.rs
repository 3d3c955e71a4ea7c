//! From a question's name to what it asks for.

use crate::config::Zone;
use crate::wire::name::QuestionName;

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
pub(crate) fn locate<'z, 'q>(zones: &'z [Zone], name: &QuestionName<'q>) -> Option<(&'z Zone, Place<'q>)> {
    let (zone, depth) = zones
        .iter()
        .filter_map(|zone| name.below(&zone.apex).map(|depth| (zone, depth)))
        .min_by_key(|&(_, depth)| depth)?;
    let place = match depth {
        0 => Place::Apex,
        1 => Place::Namespace(name.label(0)?),
        2 => Place::Pod { label: name.label(0)?, namespace: name.label(1)? },
        _ => Place::Deeper,
    };
    Some((zone, place))
}

/// Whether one of the zones begins below the name, so that the name exists, whatever the zone around it says.
pub(crate) fn is_above_a_zone(zones: &[Zone], name: &QuestionName<'_>) -> bool {
    zones.iter().any(|zone| zone.apex.strip_suffix(name.as_wire(), name.label_count()).is_some())
}
