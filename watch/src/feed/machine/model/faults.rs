//! Faults of the index that comparisons must find.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use super::world::World;
use crate::feed::machine::Notice;
use crate::feed::machine::target::IndexDifference;

/// An address that no object of the cluster has.
pub(super) const WRONG: u32 = 1_000_000;

/// Injected faults of the index, not caused by the machine.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) open: BTreeMap<u32, IndexDifference>,
    /// Objects that have since been deleted from the cluster, with the version of the deletion: an older list still
    /// contains them.
    pub(super) moot: BTreeMap<u32, u64>,
    /// The version of the list of the current comparison.
    pub(super) compared: u64,
    /// Objects of which an old event was repeated during the current comparison, which therefore skips them.
    pub(super) repeated: BTreeSet<u32>,
}

impl Faults {
    /// Processes a notice of the machine. Fails if it reports a difference that does not exist.
    pub(super) fn notice(&mut self, notice: &Notice) -> Result<(), String> {
        match notice {
            Notice::Differs { difference, object } => {
                let name: u32 = object.parse().map_err(|_| format!("a name of ours, not {object}"))?;
                let expected = self.open.remove(&name);
                let is_older = self.moot.get(&name).is_some_and(|gone| self.compared < *gone);
                let is_moot = *difference == IndexDifference::Missing && is_older;
                if expected != Some(*difference) && !is_moot {
                    return Err(format!("{name} was found {difference:?} and is {expected:?}"));
                }
            }
            Notice::Listed { .. } => self.open.clear(),
            _ => {}
        }
        Ok(())
    }

    /// Returns whether a complete comparison has missed a fault.
    pub(super) fn were_missed(&self) -> bool {
        self.open.keys().any(|name| !self.repeated.contains(name))
    }

    /// Records that the cluster was replaced or restored: objects that exist in it again are missing from the index.
    pub(super) fn reopen(&mut self, world: &World) {
        let back = std::mem::take(&mut self.moot).into_keys().filter(|name| world.state().contains_key(name));
        self.open.extend(back.map(|name| (name, IndexDifference::Missing)));
    }

    /// Removes faults that the watch has corrected.
    pub(super) fn settle(&mut self, index: &Index, world: &World) {
        let moot = &mut self.moot;
        self.open.retain(|name, difference| {
            let known = index.objects.get(name);
            match difference {
                IndexDifference::Missing if !world.state().contains_key(name) => {
                    moot.insert(*name, world.version());
                    false
                }
                IndexDifference::Missing => known.is_none(),
                IndexDifference::Changed => known.is_some_and(|(object, _)| object.address == WRONG),
                IndexDifference::Gone => known.is_some(),
            }
        });
    }
}
