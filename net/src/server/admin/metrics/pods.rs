//! Metrics of the index and of its feeds.

use std::time::UNIX_EPOCH;

use poddns_core::Freshness;
use poddns_watch::{IndexStats, WatchCounts};

use super::{MetricFamily, MetricLabel, MetricSamples, MetricsView};

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
    MetricFamily::gauge("poddns_index_pods", "Pods in the index")
        .more("Absent, as the other metrics of the index, in a mode that needs none.")
        .read(|view, to| size(view, to, |size| size.pods)),
    MetricFamily::gauge("poddns_index_addresses", "Distinct addresses of the pods in the index")
        .read(|view, to| size(view, to, |size| size.addresses)),
    MetricFamily::gauge("poddns_index_namespaces", "Namespaces in the index")
        .read(|view, to| size(view, to, |size| size.namespaces)),
    MetricFamily::gauge("poddns_index_bytes", "Memory of the index")
        .read(|view, to| size(view, to, |size| size.bytes)),
    MetricFamily::gauge(
        "poddns_index_synced",
        "1 if the index is complete, by lists of everything or by a snapshot, else 0",
    )
    .read(|view, to| size(view, to, |_| usize::from(view.freshness() != Freshness::Unsynced))),
    MetricFamily::gauge(
        "poddns_index_age_seconds",
        "Time since the index was in sync with the cluster; 0 while it is, absent if it never was",
    )
    .more("Alert on `absent()` as well.")
    .read(|view, to| {
        // If it was never in sync, there is no sample rather than 0, for `absent()`.
        if view.report.index.is_some() && view.freshness() != Freshness::Unsynced {
            to.real(&[], view.freshness().age().unwrap_or_default().as_secs_f64());
        }
    }),
    MetricFamily::counter("poddns_resync_comparisons_total", "Comparisons of the index with the cluster")
        .more("See `resync-interval`.")
        .labels(&[RESULT])
        .read(|view, to| {
            if view.report.index.is_some() {
                to.number(&["complete"], view.report.resync.complete);
                to.number(&["failed"], view.report.resync.failed);
            }
        }),
    MetricFamily::counter(
        "poddns_resync_differences_total",
        "Objects that a comparison with the cluster found different, and corrected",
    )
    .more("Any is a bug, here or in the API server.")
    .labels(&[DIFFERENCE])
    .read(|view, to| {
        if view.report.index.is_some() {
            let found = view.report.resync;
            for (kind, count) in
                [("missing", found.missing), ("changed", found.changed), ("gone", found.gone)]
            {
                to.number(&[kind], count);
            }
        }
    }),
];

pub(super) static FEEDS: &[MetricFamily] = &[
    MetricFamily::counter("poddns_feed_events_total", "Objects added, changed or deleted")
        .more(
            "Those of lists count too. Absent, as the other metrics of watches, in a mode that \
             watches nothing.",
        )
        .labels(&[RESOURCE])
        .read(|view, to| feeds(view, to, |feed| feed.events)),
    MetricFamily::counter("poddns_feed_lists_total", "Complete lists, the first ones included")
        .labels(&[RESOURCE])
        .read(|view, to| feeds(view, to, |feed| feed.lists)),
    MetricFamily::counter("poddns_feed_errors_total", "Lists and watches that failed")
        .labels(&[RESOURCE])
        .read(|view, to| feeds(view, to, |feed| feed.errors)),
    MetricFamily::counter("poddns_feed_malformed_total", "Objects that could not be read, or only in part")
        .more("The log names each once.")
        .labels(&[RESOURCE])
        .read(|view, to| feeds(view, to, |feed| feed.malformed)),
    MetricFamily::counter("poddns_feed_panics_total", "Panics after which a watch was started again")
        .more("Each is a bug: please report it, with the log.")
        .labels(&[RESOURCE])
        .read(|view, to| feeds(view, to, |feed| feed.panics)),
    MetricFamily::counter("poddns_snapshot_writes_total", "Attempts to write the snapshot")
        .more("Absent, as the other metrics of snapshots, without `snapshot`.")
        .labels(&[WRITE_RESULT])
        .read(|view, to| {
            if let Some(snapshot) = &view.report.snapshot {
                to.number(&["success"], snapshot.written);
                to.number(&["failure"], snapshot.failed);
            }
        }),
    MetricFamily::gauge("poddns_snapshot_restored", "1 if the index began with a snapshot, else 0").read(
        |view, to| {
            if let Some(snapshot) = &view.report.snapshot {
                to.number(&[], u64::from(snapshot.restored));
            }
        },
    ),
    MetricFamily::gauge("poddns_snapshot_bytes", "Size of the snapshot last written")
        .more("Absent until one has been written.")
        .read(|view, to| {
            if let Some(bytes) = view.report.snapshot.as_ref().and_then(|snapshot| snapshot.bytes) {
                to.number(&[], bytes);
            }
        }),
    MetricFamily::gauge(
        "poddns_snapshot_timestamp_seconds",
        "Time at which the index of the snapshot on disk was in sync, in Unix seconds",
    )
    .more("Absent until a snapshot has been read or written.")
    .read(|view, to| {
        let synced_at = view.report.snapshot.as_ref().and_then(|snapshot| snapshot.synced_at);
        if let Some(since) = synced_at.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
            to.real(&[], since.as_secs_f64());
        }
    }),
];

impl MetricsView<'_> {
    fn freshness(&self) -> Freshness {
        self.current.pods.0.freshness()
    }
}
