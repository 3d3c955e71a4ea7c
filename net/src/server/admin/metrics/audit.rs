//! Metrics of the audit; absent if it is disabled.

use poddns_core::AuditFinding;

use super::{MetricFamily, MetricLabel, MetricsView};
use crate::server::audit::AuditReport;
use crate::server::audit::counts::{FINDINGS, PAIRS};

const REASON: MetricLabel = MetricLabel {
    name: "reason",
    most: FINDINGS,
    values: "`no-such-namespace`, `no-such-pod`, `other-namespace`, `not-ready`",
};

fn report(view: &MetricsView<'_>) -> Option<AuditReport> {
    view.current.audit.as_ref().map(|audit| audit.report())
}

pub(super) static FAMILIES: &[MetricFamily] = &[
    MetricFamily::counter(
        "poddns_audit_queries_total",
        "Queries for an address that mode insecure answered while an audit was made",
    )
    .more("Of this process; the audit's file has those before it, too.")
    .read(|view, to| {
        if let Some(audit) = &view.current.audit {
            to.number(&[], audit.counts_of_process().queries);
        }
    }),
    MetricFamily::counter(
        "poddns_audit_refused_total",
        "Those of them that mode verified would not have answered so, by reason",
    )
    .more("`not-ready`: the pods were not known.")
    .labels(&[REASON])
    .read(|view, to| {
        if let Some(audit) = &view.current.audit {
            let counts = audit.counts_of_process();
            for &finding in AuditFinding::ALL {
                to.number(&[finding.as_str()], counts.of(finding));
            }
        }
    }),
    MetricFamily::counter(
        "poddns_audit_clientless_queries_total",
        "Those of them that a trusted forwarder sent without the address of its client",
    )
    .read(|view, to| {
        if let Some(audit) = &view.current.audit {
            to.number(&[], audit.counts_of_process().without_client);
        }
    }),
    MetricFamily::gauge(
        "poddns_audit_pairs",
        "Pairs of name and client that mode verified would have refused",
    )
    .more("At most 1024: the most frequent ones.")
    .read(|view, to| {
        if let Some(report) = report(view) {
            to.number(&[], report.record.entries.len().min(PAIRS) as u64);
        }
    }),
    MetricFamily::gauge(
        "poddns_audit_observed_seconds",
        "Time of observation, including that of earlier processes if the audit is kept in a file",
    )
    .read(|view, to| {
        if let Some(report) = report(view) {
            to.real(&[], report.record.observed.as_secs_f64());
        }
    }),
    MetricFamily::counter("poddns_audit_file_failures_total", "Failures to read or write the audit's file")
        .read(|view, to| {
            if let Some((_, file)) = report(view).and_then(|report| report.file) {
                to.number(&[], file.failed);
            }
        }),
];
