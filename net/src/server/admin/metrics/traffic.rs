//! Metrics of queries, responses, clients and sockets.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use poddns_core::wire::{Ede, Rcode};
use poddns_core::{CookieStatus, Reason};

use super::{MetricFamily, MetricLabel, MetricSamples, MetricsView};
use crate::server::counters::{ByEde, ByRcode, Counters, DropCause};
use crate::server::latency;

const TRANSPORT: MetricLabel = MetricLabel { name: "transport", most: 2, values: "`udp`, `tcp`" };

const RCODE: MetricLabel = MetricLabel {
    name: "rcode",
    most: ByRcode::LEN,
    values: "mnemonics: `NOERROR`, `FORMERR`, `SERVFAIL`, `NXDOMAIN`, `NOTIMP`, `REFUSED`, `BADVERS`, `BADCOOKIE`",
};

const INFO_CODE: MetricLabel = MetricLabel {
    name: "info_code",
    most: ByEde::LEN,
    values: "numbers of RFC 8914: `0` Other, `3` Stale Answer, `14` Not Ready, `15` Blocked, `18` Prohibited, \
             `19` Stale NXDOMAIN Answer, `20` Not Authoritative, `21` Not Supported, `22` No Reachable Authority",
};

const REASON: MetricLabel = MetricLabel {
    name: "reason",
    most: Reason::ALL.len(),
    values: "those of [`poddns explain`](tool.md#explain), and `opcode-not-served`, `malformed`, `edns-version-not-served`, \
             `without-question`, `server-identity`, `class-not-served`",
};

const DROP_REASON: MetricLabel = MetricLabel {
    name: "reason",
    most: DropCause::ALL.len(),
    values: "`short`, `response`, `no_room`, `source_port_zero`, `rate_limited`, `not_unicast`",
};

const ACTION: MetricLabel = MetricLabel { name: "action", most: 2, values: "`truncate`, `drop`" };

const COOKIE: MetricLabel =
    MetricLabel { name: "status", most: COOKIES.len(), values: "`new`, `valid`, `invalid`" };

const CLOSE_REASON: MetricLabel =
    MetricLabel { name: "reason", most: 3, values: "`idle`, `lifetime`, `evicted`" };

const TASK: MetricLabel =
    MetricLabel { name: "task", most: 6, values: "`udp`, `tcp`, `admin`, `control`, `log`, `main`" };

/// Names of cookie statuses.
const COOKIES: [(CookieStatus, &str); 3] =
    [(CookieStatus::New, "new"), (CookieStatus::Valid, "valid"), (CookieStatus::Invalid, "invalid")];

/// Response codes that have a sample before the first such response, so that rates include it.
const RCODES: [Rcode; 7] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::BADVERS,
];

/// Extended errors of this server's responses, which also have a sample before the first such response.
const EXTENDED_ERRORS: [Ede; 9] = [
    Ede::OTHER,
    Ede::STALE_ANSWER,
    Ede::NOT_READY,
    Ede::BLOCKED,
    Ede::PROHIBITED,
    Ede::STALE_NXDOMAIN,
    Ede::NOT_AUTHORITATIVE,
    Ede::NOT_SUPPORTED,
    Ede::NO_REACHABLE_AUTHORITY,
];

/// Adds the sum of a counter for each transport.
fn by_transport(view: &MetricsView<'_>, to: &mut MetricSamples, of: impl Fn(&Counters) -> u64) {
    for (transport, counters) in view.transports() {
        to.number(&[transport], counters.into_iter().map(&of).sum());
    }
}

/// Adds sums of counters by number: a sample for each number in `always`, and for each other number in use.
fn by_number<'a>(
    view: &MetricsView<'a>,
    to: &mut MetricSamples,
    always: &[u16],
    of: impl Fn(&'a Counters) -> Vec<(u16, u64)>,
    name: impl Fn(u16) -> String,
) {
    for (transport, counters) in view.transports() {
        let mut counts: BTreeMap<u16, u64> = always.iter().map(|&number| (number, 0)).collect();
        for (number, count) in counters.into_iter().flat_map(&of) {
            *counts.entry(number).or_insert(0) += count;
        }
        for (number, count) in counts {
            to.number(&[transport, &name(number)], count);
        }
    }
}

pub(super) static QUERIES: &[MetricFamily] = &[
    MetricFamily::counter("poddns_queries_total", "Packets and messages received")
        .labels(&[TRANSPORT])
        .read(|view, to| by_transport(view, to, |counters| counters.queries.get())),
    MetricFamily::counter("poddns_responses_total", "Responses by response code")
        .more("The usual codes are there from the start, others from their first response.")
        .labels(&[TRANSPORT, RCODE])
        .read(|view, to| {
            let rcodes = |counters: &Counters| counters.responses.counts().collect();
            by_number(view, to, &RCODES.map(|Rcode(number)| number), rcodes, |number| {
                Rcode(number).to_string()
            });
        }),
    MetricFamily::counter(
        "poddns_extended_errors_total",
        "Responses with an extended error (RFC 8914), by code",
    )
    .more("Responses to clients without EDNS, which cannot contain it, count, too.")
    .labels(&[TRANSPORT, INFO_CODE])
    .read(|view, to| {
        let codes = |counters: &Counters| counters.extended_errors.counts().collect();
        by_number(view, to, &EXTENDED_ERRORS.map(|Ede(number)| number), codes, |number| number.to_string());
    }),
    MetricFamily::counter("poddns_decisions_total", "Responses by the rule that decided on them")
        .labels(&[REASON])
        .read(|view, to| {
            for &reason in Reason::ALL {
                to.number(&[reason.as_str()], view.all(|counters| counters.reason(reason)));
            }
        }),
    MetricFamily::histogram(
        "poddns_query_duration_seconds",
        "Time from the reception of a query to the sending of its response, of one query in \
             1,024 for each thread",
    )
    .more(
        "The first query of each thread is a sample. It includes the other queries that \
             the same system call received, and waiting for room in the send buffer; not the time \
             in the kernel's receive buffer.",
    )
    .labels(&[TRANSPORT])
    .read(|view, to| {
        for (transport, counters) in view.transports() {
            let (sum, buckets) = latency::sum(counters.into_iter().map(|each| &each.latency));
            to.histogram(&[transport], sum, buckets);
        }
    }),
    MetricFamily::counter(
        "poddns_dropped_queries_total",
        "Packets and messages without a response, by reason",
    )
    .more(
        "`no_room` is a bug; `rate_limited` is in `poddns_rate_limited_responses_total`, \
             too.",
    )
    .labels(&[TRANSPORT, DROP_REASON])
    .read(|view, to| {
        for reason in DropCause::ALL {
            for (transport, counters) in view.transports() {
                let sum = counters.into_iter().map(|counters| counters.drops(reason)).sum();
                to.number(&[transport, reason.name()], sum);
            }
        }
    }),
    MetricFamily::counter(
        "poddns_truncated_responses_total",
        "Responses without records, because they did not fit or because of the rate limit",
    )
    .labels(&[TRANSPORT])
    .read(|view, to| by_transport(view, to, |counters| counters.truncated.get())),
    MetricFamily::counter(
        "poddns_rate_limited_responses_total",
        "Responses over UDP beyond the rate limit, by what was done instead of sending them \
             whole",
    )
    .labels(&[ACTION])
    .read(|view, to| {
        to.number(&["truncate"], view.udp(|counters| counters.slipped.get()));
        to.number(&["drop"], view.udp(|counters| counters.drops(DropCause::RateLimited)));
    }),
    MetricFamily::counter(
        "poddns_nxdomain_limited_responses_total",
        "Responses REFUSED because of the limit of negative answers",
    )
    .labels(&[TRANSPORT])
    .read(|view, to| by_transport(view, to, |counters| counters.nxdomain_limited.get())),
    MetricFamily::counter("poddns_cookies_total", "Responses to queries with a DNS cookie, by its state")
        .more("`new`: without a server's part; `invalid`: not ours, or too old.")
        .labels(&[TRANSPORT, COOKIE])
        .read(|view, to| {
            for (status, name) in COOKIES {
                for (transport, counters) in view.transports() {
                    let sum = counters.into_iter().map(|counters| counters.cookies(status)).sum();
                    to.number(&[transport, name], sum);
                }
            }
        }),
    MetricFamily::counter(
        "poddns_unknown_lookups_total",
        "Responses SERVFAIL because the index changed in every attempt to read it",
    )
    .more("Any is a bug: please report it.")
    .labels(&[TRANSPORT])
    .read(|view, to| by_transport(view, to, |counters| counters.unknown.get())),
    MetricFamily::counter("poddns_panics_total", "Panics, each a bug")
        .more(
            "Please report it, with the log. Over UDP a panic loses the rest of its batch, \
             over TCP its connection; other tasks are restarted.",
        )
        .labels(&[TASK])
        .read(|view, to| {
            by_transport(view, to, |counters| counters.panics.get());
            to.number(&["admin"], view.state.admin_panics.get());
            to.number(&["control"], view.state.control_panics.get());
            to.number(&["log"], (view.state.log_losses)().panics);
            to.number(&["main"], view.state.main_panics.load(Ordering::Relaxed));
        }),
];

pub(super) static SOCKETS: &[MetricFamily] = &[
    MetricFamily::counter("poddns_udp_receive_errors_total", "Receptions that failed over UDP")
        .more("Most are ICMP errors about earlier responses.")
        .read(|view, to| to.number(&[], view.udp(|counters| counters.receive_errors.get()))),
    MetricFamily::counter(
        "poddns_udp_send_errors_total",
        "Responses that the system did not accept over UDP",
    )
    .read(|view, to| to.number(&[], view.udp(|counters| counters.send_errors.get()))),
    MetricFamily::counter(
        "poddns_udp_buffer_drops_total",
        "Datagrams that the kernel dropped because a receive buffer was full",
    )
    .more("0 outside of Linux.")
    .read(|view, to| to.number(&[], view.state.listeners().dropped_by_kernel())),
    MetricFamily::gauge("poddns_tcp_connections", "Open connections").read(|view, to| {
        // `closed` is read first, so that a connection that closes meanwhile does not make the difference negative.
        let closed = view.state.connections.closed.get();
        to.number(&[], view.state.connections.accepted.get().saturating_sub(closed));
    }),
    MetricFamily::gauge(
        "poddns_tcp_busy_connections",
        "Open connections with part of a query or of a response in progress",
    )
    .read(|view, to| to.number(&[], view.state.connections.busy.get())),
    MetricFamily::gauge("poddns_tcp_buffered_bytes", "Memory of these parts")
        .read(|view, to| to.number(&[], view.state.connections.buffered.get())),
    MetricFamily::counter("poddns_tcp_accepted_connections_total", "Connections accepted")
        .read(|view, to| to.number(&[], view.state.connections.accepted.get())),
    MetricFamily::counter(
        "poddns_tcp_closed_connections_total",
        "Connections closed by the server: idle or open for too long, or to make room for others",
    )
    .labels(&[CLOSE_REASON])
    .read(|view, to| {
        let counters = &view.state.connections;
        to.number(&["idle"], counters.expired.get());
        to.number(&["lifetime"], counters.retired.get());
        to.number(&["evicted"], counters.evicted.get());
    }),
    MetricFamily::counter("poddns_tcp_accept_errors_total", "Connections that could not be accepted")
        .more("Most often because the limit of open files is reached.")
        .read(|view, to| to.number(&[], view.state.connections.accept_errors.get())),
];
