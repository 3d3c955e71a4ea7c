//! Metrics of the server as a whole and of its process.

use std::sync::atomic::Ordering;

use poddns_core::Mode;

use super::{MetricFamily, MetricLabel};
use crate::server::state::LogLosses;
use crate::version;

const MODE: MetricLabel = MetricLabel { name: "mode", most: 3, values: "`disabled`, `insecure`, `verified`" };

const RESULT: MetricLabel = MetricLabel { name: "result", most: 2, values: "`success`, `failure`" };

const LOSS: MetricLabel = MetricLabel { name: "reason", most: 2, values: "`queue_full`, `write_failed`" };

const QUERY_LOG: MetricLabel = MetricLabel { name: "result", most: 2, values: "`written`, `suppressed`" };

const VERSION: MetricLabel = MetricLabel { name: "version", most: 1, values: "a version" };

const REVISION: MetricLabel = MetricLabel { name: "revision", most: 1, values: "a commit, or `unknown`" };

pub(super) static FAMILIES: &[MetricFamily] = &[
    MetricFamily::gauge("poddns_ready", "1 if the server is ready, else 0")
        .more("`/readyz` has the reasons.")
        .read(|view, to| to.number(&[], u64::from(view.state.pending().is_empty()))),
    MetricFamily::gauge("poddns_mode", "1 for the mode in force, 0 for the others").labels(&[MODE]).read(
        |view, to| {
            for &name in Mode::ALL {
                to.number(&[name.as_str()], u64::from(name == view.current.settings.mode));
            }
        },
    ),
    MetricFamily::counter("poddns_config_reloads_total", "Reloads of the configuration")
        .more("A failed one changes nothing.")
        .labels(&[RESULT])
        .read(|view, to| {
            to.number(&["success"], view.state.reloads.succeeded.load(Ordering::Relaxed));
            to.number(&["failure"], view.state.reloads.failed.load(Ordering::Relaxed));
        }),
    MetricFamily::gauge(
        "poddns_config_last_reload_successful",
        "1 unless the last reload of the configuration failed, else 0",
    )
    .more("While it is 0, settings are in effect that are older than those in the file.")
    .read(|view, to| to.number(&[], u64::from(view.state.reloads.last_succeeded()))),
    MetricFamily::counter("poddns_dropped_log_lines_total", "Log lines that are lost")
        .more("`queue_full`: the lines before were not read; `write_failed`: they could not be written.")
        .labels(&[LOSS])
        .read(|view, to| {
            let LogLosses { queue_full, write_failed, .. } = (view.state.log_losses)();
            to.number(&["queue_full"], queue_full);
            to.number(&["write_failed"], write_failed);
        }),
    MetricFamily::counter("poddns_query_log_lines_total", "Queries that the query log selected")
        .more("`written`: given to the log, which may lose them; `suppressed`: beyond `query-log-rate`.")
        .labels(&[QUERY_LOG])
        .read(|view, to| {
            to.number(&["written"], view.state.query_log.written());
            to.number(&["suppressed"], view.state.query_log.suppressed());
        }),
    MetricFamily::info("poddns_build_info", "1, with version and commit as labels")
        .labels(&[VERSION, REVISION])
        .read(|_, to| to.number(&[version::VERSION, version::COMMIT.unwrap_or("unknown")], 1)),
    MetricFamily::counter("process_cpu_seconds_total", "User and system time of the process")
        .more("The metrics of the process are absent where the system has no `/proc`.")
        .read(|view, to| view.process.cpu_seconds.iter().for_each(|&seconds| to.real(&[], seconds))),
    MetricFamily::gauge("process_resident_memory_bytes", "Resident memory of the process")
        .read(|view, to| view.process.resident_bytes.iter().for_each(|&bytes| to.number(&[], bytes))),
    MetricFamily::gauge("process_open_fds", "Open file descriptors")
        .read(|view, to| view.process.open_files.iter().for_each(|&files| to.number(&[], files))),
];
