//! An index that a test fills.

use std::sync::Arc;

use poddns_core::{Freshness, LookupWrapper};
use poddns_net::{PodsReport, ServedPods};
use poddns_watch::Index;

/// The daemon's index, written by a test in place of a feed.
#[derive(Debug)]
pub(crate) struct Indexed(pub(crate) Arc<Index>);

impl LookupWrapper for Indexed {
    type Inner = Index;

    fn inner(&self) -> &Index {
        &self.0
    }

    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    fn namespace_freshness(&self) -> Freshness {
        Freshness::Fresh
    }
}

impl ServedPods for Indexed {
    fn report(&self) -> PodsReport {
        PodsReport::default()
    }
}
