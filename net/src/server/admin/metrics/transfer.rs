//! Metrics of zone transfers.

use std::net::SocketAddr;

use poddns_watch::TransferStats;

use super::family::{MetricFamily, MetricLabel, MetricSamples};
use super::view::MetricsView;
use crate::server::settings::TransferSettings;
use crate::server::transfer::{Secondary, TransferKind, TransferRefusal};

const KIND: MetricLabel = MetricLabel {
    name: "kind",
    most: TransferKind::ALL.len(),
    values: "`axfr` (all of the zone), `ixfr` (differences), `soa` (nothing has changed, or over UDP)",
};

const REASON: MetricLabel = MetricLabel {
    name: "reason",
    most: TransferRefusal::ALL.len(),
    values: "`address` (not one of `transfer-to`), `unsigned`, `signature` (wrong, or of another key or time), `transport` \
             (AXFR over UDP), `not_ready` (no version yet)",
};

const SECONDARY: MetricLabel = MetricLabel {
    name: "secondary",
    most: TransferSettings::MAX_SECONDARIES,
    values: "the addresses of `transfer-to`",
};

/// Returns the state of the versions, if zones are transferred.
fn stats(view: &MetricsView<'_>) -> Option<TransferStats> {
    Some(view.current.transfers.as_ref()?.versions.as_ref()?.stats())
}

/// Adds a number of the versions, if zones are transferred.
fn size(view: &MetricsView<'_>, to: &mut MetricSamples, of: impl Fn(TransferStats) -> usize) {
    if let Some(stats) = stats(view) {
        to.number(&[], of(stats) as u64);
    }
}

/// Adds a number for each secondary.
fn secondaries(view: &MetricsView<'_>, mut add: impl FnMut(SocketAddr, Secondary)) {
    if view.current.transfers.is_some() {
        let counters = &view.state.transfers;
        for (address, secondary) in counters.secondaries() {
            add(address, secondary);
        }
    }
}

/// Adds a number for each kind of answer.
fn answers(view: &MetricsView<'_>, to: &mut MetricSamples, of: impl Fn(TransferKind) -> u64) {
    if view.current.transfers.is_some() {
        for kind in TransferKind::ALL {
            to.number(&[kind.name()], of(kind));
        }
    }
}

pub(super) static FAMILIES: &[MetricFamily] = &[
    MetricFamily::counter(
        "poddns_transfer_completed_total",
        "Queries for zone transfers that were answered to the end",
    )
    .more("Absent, as the other metrics of zone transfers, without `transfer-to`.")
    .labels(&[KIND])
    .read(|view, to| answers(view, to, |kind| view.state.transfers.completed(kind).get())),
    MetricFamily::counter("poddns_transfer_failed_total", "Zone transfers that were cut off")
        .more("The client closed the connection or did not read for too long, or too much changed meanwhile.")
        .labels(&[KIND])
        .read(|view, to| answers(view, to, |kind| view.state.transfers.failed(kind).get())),
    MetricFamily::counter(
        "poddns_transfer_refused_total",
        "Queries for zone transfers, and signed queries, that were refused",
    )
    .labels(&[REASON])
    .read(|view, to| {
        if view.current.transfers.is_some() {
            for refusal in TransferRefusal::ALL {
                to.number(&[refusal.name()], view.state.transfers.refused(refusal).get());
            }
        }
    }),
    MetricFamily::counter(
        "poddns_transfer_stale_total",
        "Zone transfers that were completed while the index was out of sync with the cluster",
    )
    .read(|view, to| {
        if view.current.transfers.is_some() {
            to.number(&[], view.state.transfers.stale.get());
        }
    }),
    MetricFamily::counter(
        "poddns_transfer_sent_bytes_total",
        "Length of the messages of zone transfers over TCP",
    )
    .read(|view, to| {
        if view.current.transfers.is_some() {
            to.number(&[], view.state.transfers.bytes.get());
        }
    }),
    MetricFamily::gauge(
        "poddns_transfer_serial",
        "Serial of the version of the zones that was published last",
    )
    .more("Absent until there is one.")
    .read(|view, to| {
        if let Some(serial) = stats(view).and_then(|stats| stats.serial) {
            to.number(&[], serial.into());
        }
    }),
    MetricFamily::gauge("poddns_transfer_journal_versions", "Versions that the journal reaches back")
        .read(|view, to| size(view, to, |stats| stats.journal_versions)),
    MetricFamily::gauge("poddns_transfer_journal_bytes", "Memory of the journal")
        .read(|view, to| size(view, to, |stats| stats.journal_bytes)),
    MetricFamily::gauge(
        "poddns_transfer_secondary_serial",
        "Serial of the version that a secondary was last seen to have, 0 if it never was",
    )
    .more("It has transferred that version, or sent its serial in a query.")
    .labels(&[SECONDARY])
    .read(|view, to| {
        secondaries(view, |address, secondary| {
            to.number(&[&address.to_string()], secondary.serial.unwrap_or_default().into());
        });
    }),
    MetricFamily::gauge(
        "poddns_transfer_secondary_age_seconds",
        "Time since a secondary was last seen to have a version",
    )
    .more("Absent if it never was.")
    .labels(&[SECONDARY])
    .read(|view, to| {
        secondaries(view, |address, secondary| {
            if let Some(seen) = secondary.seen {
                to.real(&[&address.to_string()], seen.elapsed().as_secs_f64());
            }
        });
    }),
    MetricFamily::counter("poddns_transfer_notify_sent_total", "NOTIFY messages sent to a secondary")
        .labels(&[SECONDARY])
        .read(|view, to| {
            secondaries(view, |address, secondary| to.number(&[&address.to_string()], secondary.notified));
        }),
    MetricFamily::counter(
        "poddns_transfer_notify_answered_total",
        "NOTIFY messages that a secondary accepted",
    )
    .labels(&[SECONDARY])
    .read(|view, to| {
        secondaries(view, |address, secondary| {
            to.number(&[&address.to_string()], secondary.acknowledged);
        });
    }),
];
