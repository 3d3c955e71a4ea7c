//! `/metrics`: sums of what the threads count, made when they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{CookieStatus, Freshness, Mode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::status::mode;
use crate::server::answer::Current;
use crate::server::counters::{Counters, Dropped};
use crate::server::pods::SnapshotReport;
use crate::server::state::{LogLosses, State};

/// A registry whose only collector reads the state.
pub(super) fn registry(state: Arc<State>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(state)));
    registry
}

/// The metrics in the text format of `OpenMetrics`.
pub(super) fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(Arc<State>);

/// Names of cookie statuses in the metric.
const COOKIES: [(CookieStatus, &str); 3] =
    [(CookieStatus::New, "new"), (CookieStatus::Valid, "valid"), (CookieStatus::Invalid, "invalid")];

/// Labels of one sample.
type Labels = Vec<(&'static str, String)>;

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = Families(encoder);
        queries(&self.0, &mut to)?;
        clients(&self.0, &mut to)?;
        sockets(&self.0, &mut to)?;
        connections(&self.0, &mut to)?;
        index(&self.0, &mut to)?;
        server(&self.0, &mut to)?;
        process(&mut to)
    }
}

/// Writes families of samples.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        samples
            .into_iter()
            .try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels)?))
    }

    fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples
            .into_iter()
            .try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels)?))
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

fn label(name: &'static str, value: impl fmt::Display) -> (&'static str, String) {
    (name, value.to_string())
}

/// The counters of each transport: many over UDP, one over TCP.
fn transports(state: &State) -> [(&'static str, Vec<&Counters>); 2] {
    [("udp", state.udp.iter().map(|counters| &**counters).collect()), ("tcp", vec![&*state.tcp])]
}

/// Sums a counter of all threads of a transport.
fn sums(state: &State, of: impl Fn(&Counters) -> u64) -> Vec<(Labels, u64)> {
    let sum = |(transport, counters): (&str, Vec<&Counters>)| {
        (vec![label("transport", transport)], counters.into_iter().map(&of).sum())
    };
    transports(state).map(sum).into()
}

/// Response codes that there are samples of before the first such response, so that its rate is seen.
const RCODES: [Rcode; 7] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::BADVERS,
];

/// Extended errors that this server gives.
const EXTENDED_ERRORS: [Ede; 6] = [
    Ede::OTHER,
    Ede::STALE_ANSWER,
    Ede::NOT_READY,
    Ede::BLOCKED,
    Ede::STALE_NXDOMAIN,
    Ede::NO_REACHABLE_AUTHORITY,
];

/// Sums counters that go by number: a sample for each of these, and for each other in use.
fn by_number<'a>(
    state: &'a State,
    always: &[u16],
    of: impl Fn(&'a Counters) -> Vec<(u16, u64)>,
    name: impl Fn(u16) -> (&'static str, String),
) -> Vec<(Labels, u64)> {
    let mut samples = Vec::new();
    for (transport, counters) in transports(state) {
        let mut counts: BTreeMap<u16, u64> = always.iter().map(|&number| (number, 0)).collect();
        for (number, count) in counters.into_iter().flat_map(&of) {
            *counts.entry(number).or_insert(0) += count;
        }
        let sample = |(number, count)| (vec![label("transport", transport), name(number)], count);
        samples.extend(counts.into_iter().map(sample));
    }
    samples
}

fn queries(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let samples = sums(state, |counters| counters.queries.get());
    to.counters("poddns_queries", "Packets and messages received", samples)?;

    let rcodes = |counters: &Counters| counters.responses.counts().collect();
    let samples =
        by_number(state, &RCODES.map(|Rcode(number)| number), rcodes, |number| label("rcode", Rcode(number)));
    to.counters("poddns_responses", "Responses by response code", samples)?;

    let codes = |counters: &Counters| counters.extended_errors.counts().collect();
    let samples = by_number(state, &EXTENDED_ERRORS.map(|Ede(number)| number), codes, |number| {
        label("info_code", number)
    });
    to.counters("poddns_extended_errors", "Responses with an extended error (RFC 8914), by code", samples)?;

    let samples = sums(state, |counters| counters.unknown.get());
    let help = "Responses SERVFAIL because the index changed in every attempt to read it: please report";
    to.counters("poddns_unknown_lookups", help, samples)?;

    let mut samples = Vec::new();
    for reason in Dropped::ALL {
        let counts = sums(state, |counters| counters.drops(reason));
        samples.extend(counts.into_iter().map(|(mut labels, count)| {
            labels.push(label("reason", reason.name()));
            (labels, count)
        }));
    }
    to.counters("poddns_dropped_queries", "Packets and messages without a response, by reason", samples)?;

    let samples = sums(state, |counters| counters.truncated.get());
    let help = "Responses without records, for want of room or because of the rate limit";
    to.counters("poddns_truncated_responses", help, samples)?;

    let mut samples = sums(state, |counters| counters.panics.get());
    samples.push((vec![label("transport", "admin")], state.admin_panics.get()));
    to.counters("poddns_panics", "Panics, each a bug: please report", samples)
}

/// Rate limit and cookies.
fn clients(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let sum = |of: fn(&Counters) -> u64| state.udp.iter().map(|counters| of(counters)).sum();
    let limited = [
        ("truncate", sum(|counters| counters.slipped.get())),
        ("drop", sum(|counters| counters.drops(Dropped::RateLimited))),
    ];
    let samples = limited.map(|(action, count)| (vec![label("action", action)], count));
    let help = "Responses over UDP beyond the rate limit, by what was done instead of sending them whole";
    to.counters("poddns_rate_limited_responses", help, samples)?;

    let mut samples = Vec::new();
    for (status, name) in COOKIES {
        let counts = sums(state, |counters| counters.cookies(status));
        samples.extend(counts.into_iter().map(|(mut labels, count)| {
            labels.push(label("status", name));
            (labels, count)
        }));
    }
    to.counters("poddns_cookies", "Responses to queries with a DNS cookie, by what it told", samples)
}

fn sockets(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let sum = |of: fn(&Counters) -> u64| -> u64 { state.udp.iter().map(|counters| of(counters)).sum() };
    let help = "Receptions that failed over UDP";
    to.counter("poddns_udp_receive_errors", help, sum(|counters| counters.receive_errors.get()))?;
    let help = "Responses that the system would not take over UDP";
    to.counter("poddns_udp_send_errors", help, sum(|counters| counters.send_errors.get()))?;
    let help = "Datagrams that the kernel dropped because a receive buffer was full";
    to.counter("poddns_udp_buffer_drops", help, state.listeners().dropped_by_kernel())
}

fn connections(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let counters = &state.connections;
    // Read in this order, so that a connection that closes meanwhile does not make the difference negative.
    let closed = counters.closed.get();
    let accepted = counters.accepted.get();
    to.gauge("poddns_tcp_connections", "Open connections", accepted.saturating_sub(closed))?;
    let help = "Open connections with part of a query or of a reply under way";
    to.gauge("poddns_tcp_busy_connections", help, counters.busy.get())?;
    to.gauge("poddns_tcp_buffered_bytes", "Memory that these parts take", counters.buffered.get())?;
    to.counter("poddns_tcp_accepted_connections", "Connections accepted", accepted)?;
    let by_server = [
        ("idle", counters.expired.get()),
        ("lifetime", counters.retired.get()),
        ("evicted", counters.evicted.get()),
    ];
    let samples = by_server.map(|(reason, count)| (vec![label("reason", reason)], count));
    let help = "Connections closed by the server: idle or open for too long, or to make room for others";
    to.counters("poddns_tcp_closed_connections", help, samples)?;
    let help = "Connections that could not be accepted";
    to.counter("poddns_tcp_accept_errors", help, counters.accept_errors.get())
}

fn index(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let pods = state.current().pods;
    let report = pods.0.report();
    if let Some(size) = report.index {
        to.gauge("poddns_index_pods", "Pods in the index", size.pods as u64)?;
        to.gauge("poddns_index_addresses", "Addresses in the index", size.addresses as u64)?;
        to.gauge("poddns_index_namespaces", "Namespaces in the index", size.namespaces as u64)?;
        to.gauge("poddns_index_bytes", "Memory of the index", size.bytes as u64)?;
        let freshness = pods.0.freshness();
        let synced = u64::from(freshness != Freshness::Unsynced);
        to.gauge(
            "poddns_index_synced",
            "Whether the index is complete, by lists of everything or by a snapshot",
            synced,
        )?;
        // Never in sync is no age, and not 0: `absent()` finds it.
        if freshness != Freshness::Unsynced {
            let age = freshness.age().unwrap_or_default().as_secs_f64();
            let help =
                "Time since the index was in sync with the cluster; 0 while it is, absent if it never was";
            to.gauge("poddns_index_age_seconds", help, age)?;
        }
        let found = report.resync;
        let results = [("complete", found.complete), ("failed", found.failed)];
        let samples = results.map(|(result, count)| (vec![label("result", result)], count));
        to.counters("poddns_resync_comparisons", "Comparisons of the index with the cluster", samples)?;
        let kinds = [("missing", found.missing), ("changed", found.changed), ("gone", found.gone)];
        let samples = kinds.map(|(kind, count)| (vec![label("kind", kind)], count));
        let help = "Objects that a comparison with the cluster found different, and mended";
        to.counters("poddns_resync_differences", help, samples)?;
    }
    report.snapshot.as_ref().map_or(Ok(()), |report| snapshot(report, to))?;
    let feeds = |of: fn(&crate::server::pods::FeedReport) -> u64| {
        let sample = move |feed| (vec![label("resource", feed_name(feed))], of(feed));
        report.feeds.iter().map(sample).collect::<Vec<_>>()
    };
    to.counters("poddns_feed_events", "Changes seen", feeds(|feed| feed.events))?;
    to.counters("poddns_feed_lists", "Complete lists, the first ones included", feeds(|feed| feed.lists))?;
    to.counters("poddns_feed_errors", "Lists and watches that failed", feeds(|feed| feed.errors))?;
    to.counters("poddns_feed_panics", "Panics after which a watch began anew", feeds(|feed| feed.panics))?;
    to.counters("poddns_feed_malformed", "Objects that made no sense", feeds(|feed| feed.malformed))
}

fn snapshot(snapshot: &SnapshotReport, to: &mut Families<'_>) -> fmt::Result {
    let writes = [("success", snapshot.written), ("failure", snapshot.failed)];
    let samples = writes.map(|(result, count)| (vec![label("result", result)], count));
    to.counters("poddns_snapshot_writes", "Snapshots that were to be written", samples)?;
    let restored = u64::from(snapshot.restored);
    to.gauge("poddns_snapshot_restored", "Whether the index began with a snapshot", restored)?;
    if let Some(bytes) = snapshot.bytes {
        to.gauge("poddns_snapshot_bytes", "Size of the snapshot last written", bytes)?;
    }
    let in_step = snapshot.in_step.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    if let Some(since) = in_step {
        let help = "When the index was in step that the snapshot on disk is of, in Unix time";
        to.gauge("poddns_snapshot_timestamp_seconds", help, since.as_secs_f64())?;
    }
    Ok(())
}

fn feed_name(feed: &crate::server::pods::FeedReport) -> &'static str {
    feed.resource
}

fn server(state: &State, to: &mut Families<'_>) -> fmt::Result {
    let reloads = [
        ("success", state.reloads.succeeded.load(Ordering::Relaxed)),
        ("failure", state.reloads.failed.load(Ordering::Relaxed)),
    ];
    let samples = reloads.map(|(result, count)| (vec![label("result", result)], count));
    to.counters("poddns_config_reloads", "Times that the configuration was read again", samples)?;
    let LogLosses { queue_full, write_failed } = (state.log_losses)();
    let samples = [("queue_full", queue_full), ("write_failed", write_failed)];
    let samples = samples.map(|(reason, count)| (vec![label("reason", reason)], count));
    let help = "Log lines that are lost: nobody read those before them, or they could not be written";
    to.counters("poddns_dropped_log_lines", help, samples)?;
    let ready = u64::from(state.pending().is_empty());
    to.gauge("poddns_ready", "Whether the server is ready", ready)?;
    let Current { settings, .. } = state.current();
    let in_force = |name: Mode| (vec![label("mode", mode(name))], u64::from(name == settings.mode));
    let samples = [Mode::Disabled, Mode::Insecure, Mode::Verified].map(in_force);
    to.gauges("poddns_mode", "Mode in force: 1 for it, 0 for the others", samples)?;
    let labels = vec![label("version", env!("CARGO_PKG_VERSION"))];
    let mut info = to.0.encode_descriptor("poddns_build", "Version, as a label", None, MetricType::Info)?;
    info.encode_info(&labels)
}

fn process(to: &mut Families<'_>) -> fmt::Result {
    let process = Process::read();
    if let Some(seconds) = process.cpu_seconds {
        to.counter("process_cpu_seconds", "User and system time of the process", seconds)?;
    }
    if let Some(bytes) = process.resident_bytes {
        to.gauge("process_resident_memory_bytes", "Memory of the process", bytes)?;
    }
    if let Some(files) = process.open_files {
        to.gauge("process_open_fds", "Open file descriptors", files)?;
    }
    Ok(())
}
