//! Log lines, on standard error: written by a thread of its own, since a pipe that nobody reads would block others.
//!
//! The usual crate for that is `tracing-appender`. It starts its thread as soon as there is a writer, when nothing has
//! been given up yet, and privileges are a thread's own; at its end, with a full queue, it prints to standard output,
//! which may be the same full pipe; and its bound is a number of lines, of any length.

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
use tracing_subscriber::fmt::format::JsonFields;

use self::json::Json;
use self::queue::Queue;
use crate::daemon::config::LogFormat;
use crate::server::query_log::QueryRecord;
use crate::server::state::LogLosses;

/// The filter unless `RUST_LOG` has one. The Kubernetes client logs every failure as an error, which
/// the feeds report once, and with what to do.
const FILTER: &str = "info,kube_client=off,hyper=off,hyper_util=off,h2=off,rustls=off,tower=off";

/// Maximum time that the process waits, at its end, for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Bytes up to which queries may fill the queue.
const QUERY_CAPACITY: usize = queue::CAPACITY / 2;

/// The lines of this process: as with the subscriber, there can be but one log.
static QUEUE: Queue = Queue::new();

/// Puts what is written into the queue; tracing-subscriber writes an event at a time.
struct ToQueue;

impl Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log. To be kept until the process ends: dropping it waits for the last lines, though not for a reader that
/// does not come.
#[derive(Debug)]
#[must_use]
pub(crate) struct Log {
    writing: bool,
}

/// Starts logging in this format. What is logged is `info` and above, or what the variable `RUST_LOG` says.
///
/// Lines wait until [`Log::write`] is called, or the log is dropped.
pub(crate) fn start(format: LogFormat) -> Log {
    let (filter, wrong) = filter(env::var_os("RUST_LOG"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| ToQueue)
        .with_ansi(is_colored())
        // A closed pipe is no reason to write about it to the same place.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(Json).try_init(),
    };
    // Fails only if somebody else logs in this process already, and then they decide.
    if started.is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    if let Some(wrong) = wrong {
        tracing::warn!("RUST_LOG is ignored: {wrong}; the filter is {FILTER:?}");
    }
    Log { writing: false }
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

/// Returns the filter that the variable sets, or the default one and what is wrong with the variable.
fn filter(variable: Option<OsString>) -> (EnvFilter, Option<String>) {
    let Some(text) = variable.filter(|text| !text.is_empty()) else { return (EnvFilter::new(FILTER), None) };
    let parsed = match text.to_str() {
        Some(text) => EnvFilter::try_new(text).map_err(|error| format!("{text:?}: {error}")),
        None => Err(format!("{:?} is not UTF-8", text.to_string_lossy())),
    };
    match parsed {
        Ok(filter) => (filter, None),
        Err(wrong) => (EnvFilter::new(FILTER), Some(wrong)),
    }
}

impl Log {
    /// Starts the thread that writes. It has the privileges of the calling one.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if !self.writing {
            let write = || QUEUE.write_to(io::stderr());
            thread::Builder::new().name("poddns-log".to_owned()).spawn(write)?;
            self.writing = true;
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Not started yet if the daemon could not start either, which is what the lines tell.
        if self.write().is_err() {
            QUEUE.write_waiting(io::stderr());
        }
        QUEUE.flush(LAST_LINES);
    }
}

/// Logs a query, in a line of its own. If the log is not read, queries are lost before other lines are.
pub(crate) fn query(record: &QueryRecord<'_>) {
    QUEUE.push_within(&query::line(record), QUERY_CAPACITY);
}

/// Returns the lines lost since the start of the process.
pub(crate) fn losses() -> LogLosses {
    LogLosses { queue_full: QUEUE.overflowed(), write_failed: QUEUE.failed(), panics: QUEUE.panics() }
}

/// Logs a panic: the standard hook writes to standard error itself, which may block a thread
/// that is to go on.
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

    /// Set in the process that logs, for there is one log a process.
    const INSIDE: &str = "PODDNS_TEST_LOG";

    fn inside(test: &str) -> Option<Output> {
        if env::var_os(INSIDE).is_some() {
            return None;
        }
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &format!("daemon::log::tests::{test}")]).env_remove("RUST_LOG");
        Some(command.env(INSIDE, "1").env_remove("RUST_BACKTRACE").output().unwrap())
    }

    fn only_line(output: &Output) -> serde_json::Value {
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stderr).expect("one line of JSON")
    }

    #[test]
    fn a_panic_is_a_line_of_the_log() {
        let Some(output) = inside("a_panic_is_a_line_of_the_log") else {
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
    fn lists_are_arrays_and_spans_have_fields() {
        let Some(output) = inside("lists_are_arrays_and_spans_have_fields") else {
            let mut log = start(LogFormat::Json);
            log.write().unwrap();
            let _span = tracing::info_span!("watch", resource = "pods").entered();
            let paths = vec![std::path::PathBuf::from("/a b"), "/c\"d".into()];
            tracing::info!(read = ?paths, count = 2, ratio = 0.5, on = true, odd = ?Some("x"), "told");
            return;
        };
        let line = only_line(&output);
        assert_eq!(line["read"], serde_json::json!(["/a b", "/c\"d"]));
        assert_eq!((&line["count"], &line["ratio"], &line["on"]), (&2.into(), &0.5.into(), &true.into()));
        assert_eq!((&line["odd"], &line["message"]), (&"Some(\"x\")".into(), &"told".into()));
        assert_eq!(line["spans"], serde_json::json!([{ "name": "watch", "resource": "pods" }]));
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
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
    fn who_ends_before_it_could_start_is_heard() {
        let Some(output) = inside("who_ends_before_it_could_start_is_heard") else {
            let _log = start(LogFormat::Json);
            tracing::error!("cannot serve");
            return;
        };
        assert_eq!(only_line(&output)["message"], "cannot serve");
    }
}
