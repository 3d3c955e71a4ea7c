//! Log lines, on standard error. A separate thread writes them, since a full pipe that is not read blocks its writer.
//!
//! The usual crate for this, `tracing-appender`, does not suit: it starts its thread with the first writer, before
//! privileges are dropped, and privileges are a property of each thread; if its queue is full at the end, it prints to
//! standard output, which may be the same full pipe; and it limits the number of lines, not their length.
//!
//! Lines contain the fields of their spans, in both formats: `watch{resource=pods}: ` as text, members in JSON (see
//! [`json`]).

mod json;
mod query;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use self::json::{JsonLines, SpanObjects};
use self::queue::LineQueue;
use crate::daemon::config::LogFormat;
use crate::server::query_log::QueryRecord;
use crate::server::state::LogLosses;

/// Filter of the log unless `RUST_LOG` is set. It excludes the Kubernetes client, which logs every failure as an error,
/// since the feeds report each failure once, with a remedy.
const DEFAULT_FILTER: &str = "info,kube_client=off,hyper=off,hyper_util=off,h2=off,rustls=off,tower=off";

/// Maximum time that the process waits for the last lines to be written before it ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes in the queue after a line of the query log is added.
const QUERY_CAPACITY: usize = queue::CAPACITY / 2;

/// Queue of the log, of which a process has one, like its subscriber.
static QUEUE: LineQueue = LineQueue::new();

/// Writer that appends to the queue. tracing-subscriber makes one call of `write` for each event.
struct QueueWriter;

impl Write for QueueWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Guard of the log, to be kept until the process ends. Dropping it waits until the last lines are written, for
/// [`FLUSH_TIMEOUT`] at most.
#[derive(Debug)]
#[must_use]
pub(crate) struct LogGuard {
    writing: bool,
}

/// Starts logging in this format: `info` and above, or as the variable `RUST_LOG` selects.
///
/// Lines stay in the queue until [`LogGuard::write`] is called or the guard is dropped.
pub(crate) fn start(format: LogFormat) -> LogGuard {
    let (filter, wrong) = filter(env::var_os("RUST_LOG"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| QueueWriter)
        .with_ansi(is_colored())
        // tracing-subscriber would print such an error to the same closed pipe.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.fmt_fields(SpanObjects).event_format(JsonLines).try_init(),
    };
    // Fails only if this process has a subscriber already, which then stays in use.
    if started.is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    if let Some(wrong) = wrong {
        tracing::warn!("RUST_LOG is ignored: {wrong}; the filter is {DEFAULT_FILTER:?}");
    }
    LogGuard { writing: false }
}

/// Returns true if the log has colors: standard error is a terminal, and `NO_COLOR` is unset or empty
/// (<https://no-color.org>).
#[must_use]
pub fn is_colored() -> bool {
    has_colors(io::stderr().is_terminal(), env::var_os("NO_COLOR"))
}

fn has_colors(is_terminal: bool, no_color: Option<OsString>) -> bool {
    is_terminal && no_color.is_none_or(|value| value.is_empty())
}

/// Returns the filter of the variable, or the default one and, if the variable is not valid, the reason.
fn filter(variable: Option<OsString>) -> (EnvFilter, Option<String>) {
    let Some(text) = variable.filter(|text| !text.is_empty()) else {
        return (EnvFilter::new(DEFAULT_FILTER), None);
    };
    let parsed = match text.to_str() {
        Some(text) => EnvFilter::try_new(text).map_err(|error| format!("{text:?}: {error}")),
        None => Err(format!("{:?} is not UTF-8", text.to_string_lossy())),
    };
    match parsed {
        Ok(filter) => (filter, None),
        Err(wrong) => (EnvFilter::new(DEFAULT_FILTER), Some(wrong)),
    }
}

impl LogGuard {
    /// Starts the thread that writes, which inherits the privileges of the calling thread.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if !self.writing {
            let write = || QUEUE.write_to(io::stderr());
            thread::Builder::new().name("poddns-log".to_owned()).spawn(write)?;
            self.writing = true;
        }
        Ok(())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // If the daemon failed to start, the thread has not been started yet, and the queued lines have the reason.
        if self.write().is_err() {
            QUEUE.write_waiting(io::stderr());
        }
        QUEUE.flush(FLUSH_TIMEOUT);
    }
}

/// Logs a query. If the log is not read, lines of queries are dropped before other lines.
pub(crate) fn query(record: &QueryRecord<'_>) {
    QUEUE.push_within(&query::line(record), QUERY_CAPACITY);
}

/// Returns the numbers of lines lost since the start of the process.
pub(crate) fn losses() -> LogLosses {
    LogLosses { queue_full: QUEUE.overflowed(), write_failed: QUEUE.failed(), panics: QUEUE.panics() }
}

/// Logs a panic. The standard hook writes to standard error directly, which may block a thread that continues after the
/// panic.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    tracing::error!(
        thread = thread::current().name(),
        location = panic.location().map(tracing::field::display),
        backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace)),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("(no message)")
    );
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// Variable that is set in the child process that logs, since a process has one log only.
    const INSIDE: &str = "PODDNS_TEST_LOG";

    /// Runs the test again in a child process and returns its output; returns `None` in that process.
    fn output_of(test: &str) -> Option<Output> {
        if env::var_os(INSIDE).is_some() {
            return None;
        }
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &format!("daemon::log::tests::{test}")]).env_remove("RUST_LOG");
        let output = command.env(INSIDE, "1").env_remove("RUST_BACKTRACE").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Some(output)
    }

    fn only_line(output: &Output) -> serde_json::Value {
        serde_json::from_slice(&output.stderr).expect("one line of JSON")
    }

    #[test]
    fn panics_are_log_lines() {
        let Some(output) = output_of("panics_are_log_lines") else {
            let mut log = start(LogFormat::Json);
            log.write().unwrap();
            let panics = || panic!("{} and no more", "so far");
            thread::Builder::new().name("worker".to_owned()).spawn(panics).unwrap().join().unwrap_err();
            return;
        };
        let line = only_line(&output);
        assert_eq!((&line["level"], &line["thread"]), (&"ERROR".into(), &"worker".into()));
        assert_eq!(line["message"], "panicked: so far and no more");
        assert!(line["location"].as_str().unwrap().contains("log.rs:"), "{line}");
        assert_eq!(line.get("backtrace"), None);
    }

    #[test]
    fn json_members_have_types() {
        let Some(output) = output_of("json_members_have_types") else {
            let mut log = start(LogFormat::Json);
            log.write().unwrap();
            let paths = vec![std::path::PathBuf::from("/a b"), "/c\"d".into()];
            tracing::info!(read = ?paths, count = 2, ratio = 0.5, on = true, odd = ?Some("x"), "told");
            return;
        };
        let line = only_line(&output);
        assert_eq!(line["read"], serde_json::json!(["/a b", "/c\"d"]));
        assert_eq!((&line["count"], &line["ratio"], &line["on"]), (&2.into(), &0.5.into(), &true.into()));
        assert_eq!((&line["odd"], &line["message"]), (&"Some(\"x\")".into(), &"told".into()));
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    }

    #[test]
    fn json_members_include_span_fields() {
        let Some(output) = output_of("json_members_include_span_fields") else {
            let mut log = start(LogFormat::Json);
            log.write().unwrap();
            let _listener = tracing::info_span!("listener", address = "[::]:53").entered();
            let _watch = tracing::info_span!("watch", resource = %"namespaces").entered();
            let _inner = tracing::info_span!("watch", resource = %"pods\n\u{1b}").entered();
            let exchange =
                tracing::info_span!("exchange", tries = 2, hosts = ?["a"], status = tracing::field::Empty);
            exchange.record("status", 410);
            let _exchange = exchange.entered();
            tracing::info!(listener = "own", "told");
            return;
        };
        let mut line = only_line(&output);
        for head in ["timestamp", "level", "target", "message"] {
            assert!(line.as_object_mut().unwrap().remove(head).is_some(), "{head}");
        }
        let expected = serde_json::json!({
            "listener": "own", "watch": "pods\n\u{1b}",
            "exchange_tries": 2, "exchange_hosts": ["a"], "exchange_status": 410,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn head_of_json_line_is_kept() {
        let Some(output) = output_of("head_of_json_line_is_kept") else {
            let mut log = start(LogFormat::Json);
            log.write().unwrap();
            let _span = tracing::info_span!("level", forged = "ERROR").entered();
            tracing::info!(target = "forged", timestamp = 0, "told");
            return;
        };
        let line = only_line(&output);
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"INFO".into(), &"poddns_net::daemon::log::tests".into())
        );
        assert!(line["timestamp"].is_string(), "{line}");
    }

    #[test]
    fn text_lines_begin_with_spans() {
        let Some(output) = output_of("text_lines_begin_with_spans") else {
            let mut log = start(LogFormat::Text);
            log.write().unwrap();
            let _watch = tracing::info_span!("watch", resource = %"pods").entered();
            let _connection = tracing::info_span!("connection", peer = "a\nb\u{1b}").entered();
            tracing::info!(count = 2, "told");
            return;
        };
        let text = String::from_utf8(output.stderr).unwrap();
        let (_, line) = text.split_once(" INFO ").expect("a level");
        let expected = "watch{resource=pods}:connection{peer=\"a\\nb\\u{1b}\"}: \
                        poddns_net::daemon::log::tests: told count=2\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn colors_are_for_terminals_without_no_color() {
        assert!(has_colors(true, None) && has_colors(true, Some("".into())));
        assert!(!has_colors(false, None) && !has_colors(true, Some("1".into())));
    }

    #[test]
    fn wrong_filter_is_reported() {
        assert!(filter(None).1.is_none());
        assert!(filter(Some("debug,kube=off".into())).1.is_none());
        let wrong = filter(Some("poddns_net=loud".into())).1.unwrap();
        assert!(wrong.starts_with("\"poddns_net=loud\": "), "{wrong}");
    }

    #[test]
    fn lines_before_writer_starts_are_written() {
        let Some(output) = output_of("lines_before_writer_starts_are_written") else {
            let _log = start(LogFormat::Json);
            tracing::error!("cannot serve");
            return;
        };
        assert_eq!(only_line(&output)["message"], "cannot serve");
    }
}
