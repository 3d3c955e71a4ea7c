//! The state of the server that metrics are read from.

use crate::server::admin::proc::ProcessUsage;
use crate::server::answer::ResponseInputs;
use crate::server::counters::Counters;
use crate::server::pods::PodsReport;
use crate::server::state::ServerState;

/// The state of the server at a scrape.
pub(super) struct MetricsView<'a> {
    pub(super) state: &'a ServerState,
    pub(super) current: ResponseInputs,
    pub(super) report: PodsReport,
    pub(super) process: ProcessUsage,
}

impl<'a> MetricsView<'a> {
    pub(super) fn new(state: &'a ServerState) -> Self {
        let current = state.current();
        let report = current.pods.0.report();
        Self { state, current, report, process: ProcessUsage::read() }
    }

    /// Returns the counters of each transport: many over UDP, one over TCP.
    pub(super) fn transports(&self) -> [(&'static str, Vec<&'a Counters>); 2] {
        let udp = self.state.udp.iter().map(|counters| &**counters).collect();
        [("udp", udp), ("tcp", vec![&*self.state.tcp])]
    }

    /// Sums a counter of all threads.
    pub(super) fn all(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.udp(&of) + of(&self.state.tcp)
    }

    /// Sums a counter of all UDP threads.
    pub(super) fn udp(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.state.udp.iter().map(|counters| of(counters)).sum()
    }
}
