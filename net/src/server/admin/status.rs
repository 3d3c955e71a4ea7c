//! `/status`: everything at a glance, as JSON.

use std::time::UNIX_EPOCH;

use poddns_core::Freshness;
use serde_json::{Value, json};

use crate::server::answer::Current;
use crate::server::pods::{FeedReport, SnapshotReport, WatchReport};
use crate::server::state::{LogLosses, State};
use crate::version::{COMMIT, VERSION};

/// The document, with a line feed at its end.
pub(super) fn document(state: &State) -> String {
    let Current { settings, pods, .. } = state.current();
    let report = pods.0.report();
    let pending = state.pending();
    let listeners: Vec<Value> = state
        .listeners()
        .open
        .iter()
        .map(|listener| json!({ "configured": listener.configured, "address": listener.address }))
        .collect();
    let index = report.index.map(|size| {
        json!({
            "pods": size.pods,
            "addresses": size.addresses,
            "namespaces": size.namespaces,
            "bytes": size.bytes,
            "serial": pods.0.serial(),
            "freshness": freshness(pods.0.freshness()),
        })
    });
    let LogLosses { queue_full, write_failed, .. } = (state.log_losses)();
    let document = json!({
        "version": VERSION,
        "commit": COMMIT,
        "uptime_seconds": state.started.elapsed().as_secs(),
        "state": if state.draining() { "draining" } else if pending.is_empty() { "ready" } else { "pending" },
        "pending": pending,
        "mode": settings.mode.as_str(),
        "zones": settings.zones.iter().map(|zone| zone.apex().to_string()).collect::<Vec<_>>(),
        "ttl": settings.ttl.as_secs(),
        "listen": listeners,
        "admin": state.admin,
        "threads": settings.threads,
        "index": index,
        "rate_limited_pod": state.limited(),
        "watches": report.watches.iter().map(watch).collect::<Vec<_>>(),
        "feeds": report.feeds.iter().map(feed).collect::<Vec<_>>(),
        "snapshot": report.snapshot.as_ref().map(snapshot),
        "log": { "dropped_lines": queue_full + write_failed },
    });
    format!("{document:#}\n")
}

/// The state of the index, or of a watch.
pub(super) fn freshness(freshness: Freshness) -> Value {
    let state = match freshness {
        Freshness::Unsynced => "unsynced",
        Freshness::Fresh => "fresh",
        Freshness::Stale { .. } => "stale",
        Freshness::Resyncing { .. } => "resyncing",
    };
    json!({ "state": state, "age_seconds": freshness.age().map(|age| age.as_secs()) })
}

fn watch(watch: &WatchReport) -> Value {
    json!({
        "resource": watch.resource,
        "namespace": watch.namespace.as_ref().map(ToString::to_string),
        "freshness": freshness(watch.freshness),
        "error": watch.error,
    })
}

fn snapshot(snapshot: &SnapshotReport) -> Value {
    let in_step = snapshot.in_step.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    json!({
        "path": snapshot.path,
        "restored": snapshot.restored,
        "in_step_unix_seconds": in_step.map(|since| since.as_secs()),
        "bytes": snapshot.bytes,
        "written": snapshot.written,
        "failed": snapshot.failed,
        "error": snapshot.error,
    })
}

fn feed(feed: &FeedReport) -> Value {
    json!({
        "resource": feed.resource,
        "events": feed.events,
        "lists": feed.lists,
        "errors": feed.errors,
        "malformed": feed.malformed,
        "panics": feed.panics,
    })
}
