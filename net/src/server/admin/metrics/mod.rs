//! `/metrics`: sums of the counters of all threads, computed at each scrape.
//!
//! Metrics are defined only in the table of families: the exposition and docs/metrics.md are generated from it.

mod audit;
mod document;
mod family;
mod pods;
mod process;
mod traffic;
mod transfer;
mod view;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

pub use self::document::metrics_reference;
use self::family::{MetricFamily, MetricLabel, MetricSamples, MetricSection};
use self::view::MetricsView;
use crate::server::state::ServerState;

/// All families, by section of the reference page.
static SECTIONS: [MetricSection; 7] = [
    MetricSection { heading: "Queries and responses", families: traffic::QUERIES },
    MetricSection { heading: "Sockets and connections", families: traffic::SOCKETS },
    MetricSection { heading: "Index", families: pods::INDEX },
    MetricSection { heading: "Watches and snapshots", families: pods::FEEDS },
    MetricSection { heading: "Audit of mode insecure", families: audit::FAMILIES },
    MetricSection { heading: "Zone transfers", families: transfer::FAMILIES },
    MetricSection { heading: "Server and process", families: process::FAMILIES },
];

/// Returns a registry whose only collector reads the state.
pub(super) fn registry(state: Arc<ServerState>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(StateCollector(state)));
    registry
}

/// Returns the metrics in the text format of `OpenMetrics`.
pub(super) fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[derive(Debug)]
struct StateCollector(Arc<ServerState>);

impl Collector for StateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = MetricsView::new(&self.0);
        let mut families = SECTIONS.iter().flat_map(|section| section.families);
        families.try_for_each(|family| family.encode(&view, &mut encoder))
    }
}
