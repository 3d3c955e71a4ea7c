//! `/status`: the state of the server as JSON. docs/status.md describes each field, which tests in [`super::fields`]
//! check.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use poddns_core::{Freshness, IpCidr, Reason};
use poddns_watch::{ResyncCounts, WatchCounts, WatchStatus};
use serde_json::{Map, Value, json};

use crate::server::answer::ResponseInputs;
use crate::server::history::{RCODES, Recent, Series};
use crate::server::pods::{PodsReport, SnapshotReport};
use crate::server::settings::Settings;
use crate::server::state::{LogLosses, OptionInForce, ServerState};
use crate::server::transfer::{Secondary, TransferService};
use crate::version::{COMMIT, VERSION};

/// Version of the document's shape.
const SHAPE: u32 = 1;

/// Returns the document.
pub(super) fn document(state: &ServerState, recent: &Recent<'_>) -> Value {
    let ResponseInputs { settings, pods, transfers, .. } = state.current();
    let report = pods.0.report();
    let pending = state.pending();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let LogLosses { queue_full, write_failed, .. } = (state.log_losses)();
    json!({
        "version": SHAPE,
        "server_version": VERSION,
        "commit": COMMIT,
        "time_unix_seconds": now.as_secs(),
        "uptime_seconds": state.started.elapsed().as_secs(),
        "state": if state.draining() { "draining" } else if pending.is_empty() { "ready" } else { "pending" },
        "pending": pending,
        "mode": settings.mode.as_str(),
        "guards": guards(&settings),
        "zones": settings.zones.iter().map(|zone| zone.apex().to_string()).collect::<Vec<_>>(),
        "reverse_zones": settings.reverse_zones.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "visibility": visibility(&settings),
        "ttl_seconds": settings.ttl.as_secs(),
        "listen": listeners(state),
        "admin": state.admin.first(),
        "threads": settings.threads,
        "index": index(&report, pods.0.serial(), pods.0.freshness()),
        "rate_limited_pod": state.rate_limited_pod(),
        "watches": report.watches.iter().map(watch).collect::<Vec<_>>(),
        "feeds": report.feeds.iter().map(feed).collect::<Vec<_>>(),
        "resync": report.index.map(|_| resync(report.resync)),
        "snapshot": report.snapshot.as_ref().map(snapshot),
        "transfers": transfers.as_ref().map(|service| zone_transfers(state, service)),
        "traffic": traffic(recent),
        "log": { "dropped_lines": queue_full + write_failed },
        "configuration": state.options().iter().map(option).collect::<Vec<_>>(),
    })
}

/// Returns the text of the document.
pub(super) fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

fn guards(settings: &Settings) -> Value {
    json!({
        "pod_cidrs": settings.pod_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "namespaces": settings.namespaces().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "check_namespaces": settings.check_namespaces,
        "block_special": settings.block_special,
        "max_staleness_seconds": settings.max_staleness.map(|most| most.as_secs()),
        "unguarded": settings.unguarded(),
    })
}

/// Returns the clients that see pods.
fn visibility(settings: &Settings) -> Value {
    let texts = |networks: &[IpCidr]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "clients": settings.visibility.as_str(),
        "visible_to": texts(&settings.visible_to),
        "trust_ecs": texts(&settings.trust_ecs),
    })
}

fn listeners(state: &ServerState) -> Vec<Value> {
    let listeners = state.listeners();
    let shown = |listener: &crate::server::state::DnsListener| json!({ "configured": listener.configured, "address": listener.address });
    listeners.open.iter().map(shown).collect()
}

fn index(report: &PodsReport, serial: u32, state: Freshness) -> Option<Value> {
    report.index.map(|size| {
        json!({
            "pods": size.pods,
            "addresses": size.addresses,
            "namespaces": size.namespaces,
            "bytes": size.bytes,
            "serial": serial,
            "freshness": freshness(state),
        })
    })
}

/// Returns the state of the index, or of a watch.
pub(super) fn freshness(freshness: Freshness) -> Value {
    let state = match freshness {
        Freshness::Unsynced => "unsynced",
        Freshness::Fresh => "fresh",
        Freshness::Stale { .. } => "stale",
        Freshness::Resyncing { .. } => "resyncing",
    };
    json!({ "state": state, "age_seconds": freshness.age().map(|age| age.as_secs()) })
}

fn watch(watch: &WatchStatus) -> Value {
    json!({
        "resource": watch.resource.as_str(),
        "namespace": watch.namespace.as_ref().map(ToString::to_string),
        "freshness": freshness(watch.freshness),
        "error": watch.error,
    })
}

fn feed(feed: &WatchCounts) -> Value {
    json!({
        "resource": feed.resource.as_str(),
        "events": feed.events,
        "lists": feed.lists,
        "errors": feed.errors,
        "malformed": feed.malformed,
        "panics": feed.panics,
    })
}

fn resync(found: ResyncCounts) -> Value {
    json!({
        "complete": found.complete,
        "failed": found.failed,
        "missing": found.missing,
        "changed": found.changed,
        "gone": found.gone,
    })
}

fn snapshot(snapshot: &SnapshotReport) -> Value {
    let synced_at = snapshot.synced_at.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    json!({
        "path": snapshot.path,
        "restored": snapshot.restored,
        "in_sync_unix_seconds": synced_at.map(|since| since.as_secs()),
        "bytes": snapshot.bytes,
        "written": snapshot.written,
        "failed": snapshot.failed,
        "error": snapshot.error,
    })
}

fn zone_transfers(state: &ServerState, service: &TransferService) -> Value {
    let versions = service.versions.as_ref().map(poddns_watch::Transfers::stats).unwrap_or_default();
    let secondary = |(address, secondary): (SocketAddr, Secondary)| {
        json!({
            "address": address,
            "serial": secondary.serial,
            "age_seconds": secondary.seen.map(|seen| seen.elapsed().as_secs()),
            "notified": secondary.notified,
            "acknowledged": secondary.acknowledged,
        })
    };
    json!({
        "serial": versions.serial,
        "journal_versions": versions.journal_versions,
        "journal_bytes": versions.journal_bytes,
        "secondaries": state.transfers.secondaries().into_iter().map(secondary).collect::<Vec<_>>(),
    })
}

/// Returns the numbers of queries and responses of the last minutes.
fn traffic(recent: &Recent<'_>) -> Value {
    let mut responses = Map::new();
    for rcode in RCODES {
        responses.insert(rcode.to_string(), recent.sum(Series::Rcode(rcode)).into());
    }
    responses.insert("others".to_owned(), recent.sum(Series::OtherRcode).into());
    let mut reasons = Map::new();
    for &reason in Reason::ALL {
        let count = recent.sum(Series::Reason(reason));
        if count > 0 {
            reasons.insert(reason.as_str().to_owned(), count.into());
        }
    }
    json!({
        "seconds": recent.span().as_secs(),
        "queries_per_second": recent.last_rate(&[Series::Udp, Series::Tcp]),
        "queries": { "udp": recent.sum(Series::Udp), "tcp": recent.sum(Series::Tcp) },
        "dropped": recent.sum(Series::Dropped),
        "responses": responses,
        "reasons": reasons,
    })
}

fn option(option: &OptionInForce) -> Value {
    json!({
        "name": option.name,
        "values": option.values,
        "note": option.note,
        "source": option.source,
        "place": option.place,
    })
}
