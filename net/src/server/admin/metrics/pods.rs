//! Metrics of the index and of what feeds it.

use std::time::UNIX_EPOCH;

use poddns_core::Freshness;
use poddns_watch::{IndexStats, WatchCounts};

use super::{MetricFamily, MetricKind, MetricLabel, MetricSamples, MetricsView, ROW};

const RESOURCE: MetricLabel = MetricLabel { name: "resource", most: 2, values: "`pods`, `namespaces`" };

const RESULT: MetricLabel = MetricLabel { name: "result", most: 2, values: "`complete`, `failed`" };

const WRITE_RESULT: MetricLabel = MetricLabel { name: "result", most: 2, values: "`success`, `failure`" };

const DIFFERENCE: MetricLabel = MetricLabel {
    name: "kind",
    most: 3,
    values: "`missing` (the index did not have it), `changed`, `gone` (the cluster did not have it)",
};

/// Adds a number of the index, if there is one.
fn size(view: &MetricsView<'_>, to: &mut MetricSamples, of: impl Fn(IndexStats) -> usize) {
    if let Some(size) = view.report.index {
        to.number(&[], of(size) as u64);
    }
}

/// Adds a number for each resource.
fn feeds(view: &MetricsView<'_>, to: &mut MetricSamples, of: impl Fn(&WatchCounts) -> u64) {
    for feed in &view.report.feeds {
        to.number(&[feed.resource.as_str()], of(feed));
    }
}

pub(super) static INDEX: &[MetricFamily] = &[
    MetricFamily {
        name: "poddns_index_pods",
        kind: MetricKind::Gauge,
        help: "Pods in the index",
        more: "Absent, as the other metrics of the index, in a mode that needs none.",
        read: |view, to| size(view, to, |size| size.pods),
        ..ROW
    },
    MetricFamily {
        name: "poddns_index_addresses",
        kind: MetricKind::Gauge,
        help: "Distinct addresses of the pods in the index",
        read: |view, to| size(view, to, |size| size.addresses),
        ..ROW
    },
    MetricFamily {
        name: "poddns_index_namespaces",
        kind: MetricKind::Gauge,
        help: "Namespaces in the index",
        read: |view, to| size(view, to, |size| size.namespaces),
        ..ROW
    },
    MetricFamily {
        name: "poddns_index_bytes",
        kind: MetricKind::Gauge,
        help: "Memory of the index",
        read: |view, to| size(view, to, |size| size.bytes),
        ..ROW
    },
    MetricFamily {
        name: "poddns_index_synced",
        kind: MetricKind::Gauge,
        help: "1 if the index is complete, by lists of everything or by a snapshot, else 0",
        read: |view, to| size(view, to, |_| usize::from(view.freshness() != Freshness::Unsynced)),
        ..ROW
    },
    MetricFamily {
        name: "poddns_index_age_seconds",
        kind: MetricKind::Gauge,
        help: "Time since the index was in sync with the cluster; 0 while it is, absent if it never was",
        more: "Alert on `absent()` as well.",
        read: |view, to| {
            // Never in sync is no age, and not 0: `absent()` finds it.
            if view.report.index.is_some() && view.freshness() != Freshness::Unsynced {
                to.real(&[], view.freshness().age().unwrap_or_default().as_secs_f64());
            }
        },
        ..ROW
    },
    MetricFamily {
        name: "poddns_resync_comparisons_total",
        help: "Comparisons of the index with the cluster",
        more: "See `resync-interval`.",
        labels: &[RESULT],
        read: |view, to| {
            if view.report.index.is_some() {
                to.number(&["complete"], view.report.resync.complete);
                to.number(&["failed"], view.report.resync.failed);
            }
        },
        ..ROW
    },
    MetricFamily {
        name: "poddns_resync_differences_total",
        help: "Objects that a comparison with the cluster found different, and corrected",
        more: "Any is a bug, here or in the API server.",
        labels: &[DIFFERENCE],
        read: |view, to| {
            if view.report.index.is_some() {
                let found = view.report.resync;
                for (kind, count) in
                    [("missing", found.missing), ("changed", found.changed), ("gone", found.gone)]
                {
                    to.number(&[kind], count);
                }
            }
        },
        ..ROW
    },
];

pub(super) static FEEDS: &[MetricFamily] = &[
    MetricFamily {
        name: "poddns_feed_events_total",
        help: "Objects added, changed or deleted",
        more: "Those of lists count too. Absent, as the other metrics of watches, in a mode that watches nothing.",
        labels: &[RESOURCE],
        read: |view, to| feeds(view, to, |feed| feed.events),
        ..ROW
    },
    MetricFamily {
        name: "poddns_feed_lists_total",
        help: "Complete lists, the first ones included",
        labels: &[RESOURCE],
        read: |view, to| feeds(view, to, |feed| feed.lists),
        ..ROW
    },
    MetricFamily {
        name: "poddns_feed_errors_total",
        help: "Lists and watches that failed",
        labels: &[RESOURCE],
        read: |view, to| feeds(view, to, |feed| feed.errors),
        ..ROW
    },
    MetricFamily {
        name: "poddns_feed_malformed_total",
        help: "Objects that could not be read, or only in part",
        more: "The log names each once.",
        labels: &[RESOURCE],
        read: |view, to| feeds(view, to, |feed| feed.malformed),
        ..ROW
    },
    MetricFamily {
        name: "poddns_feed_panics_total",
        help: "Panics after which a watch began anew",
        more: "Each is a bug: please report it, with the log.",
        labels: &[RESOURCE],
        read: |view, to| feeds(view, to, |feed| feed.panics),
        ..ROW
    },
    MetricFamily {
        name: "poddns_snapshot_writes_total",
        help: "Attempts to write the snapshot",
        more: "Absent, as the other metrics of snapshots, without `snapshot`.",
        labels: &[WRITE_RESULT],
        read: |view, to| {
            if let Some(snapshot) = &view.report.snapshot {
                to.number(&["success"], snapshot.written);
                to.number(&["failure"], snapshot.failed);
            }
        },
        ..ROW
    },
    MetricFamily {
        name: "poddns_snapshot_restored",
        kind: MetricKind::Gauge,
        help: "1 if the index began with a snapshot, else 0",
        read: |view, to| {
            if let Some(snapshot) = &view.report.snapshot {
                to.number(&[], u64::from(snapshot.restored));
            }
        },
        ..ROW
    },
    MetricFamily {
        name: "poddns_snapshot_bytes",
        kind: MetricKind::Gauge,
        help: "Size of the snapshot last written",
        more: "Absent until one has been written.",
        read: |view, to| {
            if let Some(bytes) = view.report.snapshot.as_ref().and_then(|snapshot| snapshot.bytes) {
                to.number(&[], bytes);
            }
        },
        ..ROW
    },
    MetricFamily {
        name: "poddns_snapshot_timestamp_seconds",
        kind: MetricKind::Gauge,
        help: "Time at which the index of the snapshot on disk was in sync, in Unix seconds",
        more: "Absent until a snapshot has been read or written.",
        read: |view, to| {
            let in_step = view.report.snapshot.as_ref().and_then(|snapshot| snapshot.in_step);
            if let Some(since) = in_step.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
                to.real(&[], since.as_secs_f64());
            }
        },
        ..ROW
    },
];

impl MetricsView<'_> {
    fn freshness(&self) -> Freshness {
        self.current.pods.0.freshness()
    }
}
