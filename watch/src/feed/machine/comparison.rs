//! The state of the comparison of the index with a list.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::resource_version::ResourceVersion;
use super::target::ObjectKey;

/// The schedule of comparisons, and the comparison under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Resync {
    pub(super) interval: Option<Duration>,
    pub(super) due: Option<Instant>,
    pub(super) comparison: Option<ListComparison>,
}

/// A comparison of the index with a list.
#[derive(Clone, Debug)]
pub(super) struct ListComparison {
    /// Version of the index when the list was requested.
    pub(super) from: ResourceVersion,
    /// Objects that have changed since then.
    pub(super) touched: HashSet<ObjectKey>,
    /// Version of the list, once it is complete.
    pub(super) to: Option<ResourceVersion>,
    /// Time at which bytes of the list last arrived.
    pub(super) heard: Instant,
}

impl Resync {
    /// Returns the state in which a comparison is due once per `interval`.
    pub(super) const fn every(interval: Option<Duration>) -> Self {
        Self { interval, due: None, comparison: None }
    }

    /// Records that an object has changed.
    pub(super) fn touch(&mut self, key: impl FnOnce() -> ObjectKey) {
        if let Some(comparison) = &mut self.comparison {
            comparison.touched.insert(key());
        }
    }
}
