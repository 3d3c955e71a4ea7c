//! `poddns status`: the state of a running server.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use poddns_core::Visibility;
use serde_json::Value;

use crate::admin::{Admin, freshness, text};
use crate::duration::duration;
use crate::outcome::{CommandError, note, print, print_part};
use crate::query::{ServerArg, seconds};
use crate::text::show_text;

/// Escape sequences that move the cursor to the top, and clear the rest of a line and of the screen (ECMA-48 CUP, EL
/// and ED). Overwriting the screen, rather than clearing it first, avoids flicker.
const TOP: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\n";
const END_OF_SCREEN: &str = "\x1b[J";

/// The command line of `poddns status`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  poddns status
  poddns status --watch
  poddns status --server 10.42.0.9:8053 --json | jq .index

Exit status: 0 if the server answered, whatever its state; 1 if it did not; 64 for bad usage.")]
pub(crate) struct StatusArgs {
    /// The server's admin endpoints
    #[arg(long, short, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:8053")]
    server: ServerArg,
    /// Repeat every 2 s, or at this interval, until interrupted
    #[arg(long, short, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
          value_parser = seconds)]
    watch: Option<Duration>,
    /// Print the server's /status as JSON, on a line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &StatusArgs) -> Result<ExitCode, CommandError> {
    let admin = Admin::new(&args.server)?;
    let show = |document: &Value| if args.json { format!("{document}\n") } else { screen(document) };
    let Some(interval) = args.watch else {
        print(&show(&admin.document("/status")?))?;
        return Ok(ExitCode::SUCCESS);
    };
    let terminal = io::stdout().is_terminal() && !args.json;
    loop {
        // While it is restarted, a server does not answer.
        match admin.document("/status") {
            Ok(document) => {
                let shown = show(&document);
                print_part(&match (terminal, args.json) {
                    (true, _) => format!("{TOP}{}{END_OF_SCREEN}", shown.replace('\n', END_OF_LINE)),
                    (false, true) => shown,
                    (false, false) => format!("{shown}\n"),
                })?;
            }
            Err(error) => note(&error.to_string()),
        }
        thread::sleep(interval);
    }
}

/// Returns the screen: one line per subject, without fields that are null.
fn screen(document: &Value) -> String {
    let mut screen = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(screen, "{name:<11}{}", show_text(&value));
        }
    };
    let uptime = document.get("uptime_seconds").and_then(Value::as_u64).unwrap_or_default();
    line("server", format!("poddnsd {}, up {}", text(document, "server_version"), duration(uptime)));
    line("state", text(document, "state").to_owned());
    for reason in list(document, "pending") {
        line("pending", value(reason));
    }
    line("mode", text(document, "mode").to_owned());
    line("guards", document.get("guards").map(guards).unwrap_or_default());
    line("zones", join(list(document, "zones").map(value)));
    line("reverse", join(list(document, "reverse_zones").map(value)));
    line("visibility", document.get("visibility").map(visibility).unwrap_or_default());
    line("listen", join(list(document, "listen").map(|listener| text(listener, "address").to_owned())));
    line("index", document.get("index").map(index).unwrap_or_default());
    line("resync", document.get("resync").map(resync).unwrap_or_default());
    for watch in list(document, "watches") {
        // The error may be the reason of a pending start, which is printed already.
        let error = text(watch, "error");
        let is_shown = list(document, "pending").any(|reason| value(reason).contains(error));
        line("watch", show_watch(watch, if is_shown { "" } else { error }));
    }
    for feed in list(document, "feeds") {
        line("feed", show_feed(feed));
    }
    line("queries", document.get("traffic").map(traffic).unwrap_or_default());
    line("responses", document.pointer("/traffic/responses").map(counts).unwrap_or_default());
    line("reasons", document.pointer("/traffic/reasons").map(counts).unwrap_or_default());
    line("snapshot", document.get("snapshot").map(snapshot).unwrap_or_default());
    let dropped = document.pointer("/log/dropped_lines").and_then(Value::as_u64).unwrap_or_default();
    line("log", if dropped == 0 { String::new() } else { format!("{dropped} lines dropped") });
    screen
}

fn list<'a>(document: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    document.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn join(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(", ")
}

/// Returns a scalar without quotes.
fn value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(document: &Value, field: &str) -> String {
    document.get(field).map(value).unwrap_or_default()
}

fn index(index: &Value) -> String {
    if index.is_null() {
        return String::new();
    }
    let kib = index.get("bytes").and_then(Value::as_u64).unwrap_or_default() / 1024;
    let state = freshness(index.get("freshness").unwrap_or(&Value::Null));
    format!(
        "{} pods, {} addresses, {} namespaces, {kib} KiB; {state}",
        number(index, "pods"),
        number(index, "addresses"),
        number(index, "namespaces"),
    )
}

/// Returns the clients that see pods; empty if all do.
fn visibility(visibility: &Value) -> String {
    let mut shown = Vec::new();
    if text(visibility, "clients") == Visibility::Namespace.as_str() {
        shown.push("pods of the namespace".to_owned());
    }
    for (field, name) in [("visible_to", "visible-to"), ("trust_ecs", "trust-ecs")] {
        let values = join(list(visibility, field).map(value));
        if !values.is_empty() {
            shown.push(format!("{name} {values}"));
        }
    }
    shown.join("; ")
}

/// Returns the guards in force; empty in mode verified without guards.
fn guards(guards: &Value) -> String {
    let is_set = |field: &str| guards.get(field).and_then(Value::as_bool).unwrap_or_default();
    let mut shown = Vec::new();
    for (field, name) in [("pod_cidrs", "pod-cidr"), ("namespaces", "namespace")] {
        let values = join(list(guards, field).map(value));
        if !values.is_empty() {
            shown.push(format!("{name} {values}"));
        }
    }
    for (field, name) in [("check_namespaces", "check-namespaces"), ("block_special", "block-special")] {
        if is_set(field) {
            shown.push(name.to_owned());
        }
    }
    if let Some(most) = guards.get("max_staleness_seconds").and_then(Value::as_u64) {
        shown.push(format!("max-staleness {}", duration(most)));
    }
    if is_set("unguarded") {
        shown.push("none: any address is answered".to_owned());
    }
    shown.join("; ")
}

fn resync(resync: &Value) -> String {
    let count = |field: &str| resync.get(field).and_then(Value::as_u64).unwrap_or_default();
    let (failed, differences) = (count("failed"), count("missing") + count("changed") + count("gone"));
    match (count("complete"), failed) {
        (0, 0) => String::new(),
        (complete, _) => format!("{complete} comparisons, {failed} failed, {differences} differences"),
    }
}

/// Returns the queries of the last minutes.
fn traffic(traffic: &Value) -> String {
    let count = |path: &str| traffic.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let (udp, tcp, dropped) = (count("/queries/udp"), count("/queries/tcp"), count("/dropped"));
    let mut shown = format!("{} in {}", udp + tcp, duration(count("/seconds")));
    if let Some(rate) = traffic.get("queries_per_second").and_then(Value::as_f64) {
        let _ = write!(shown, ", {rate:.1} a second now");
    }
    let _ = write!(shown, "; {tcp} over TCP, {dropped} without a response");
    shown
}

/// Returns counts by name, the largest first, without zeros.
fn counts(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let mut counts: Vec<(&String, u64)> =
        counts.filter_map(|(name, count)| Some((name, count.as_u64().filter(|&count| count > 0)?))).collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    join(counts.into_iter().map(|(name, count)| format!("{name} {count}")))
}

fn show_watch(watch: &Value, error: &str) -> String {
    let mut shown = text(watch, "resource").to_owned();
    if let Some(namespace) = watch.get("namespace").and_then(Value::as_str) {
        let _ = write!(shown, " in namespace {namespace}");
    }
    let _ = write!(shown, ": {}", freshness(watch.get("freshness").unwrap_or(&Value::Null)));
    if !error.is_empty() {
        let _ = write!(shown, " ({error})");
    }
    shown
}

fn show_feed(feed: &Value) -> String {
    let count = |field| number(feed, field);
    format!(
        "{}: {} events, {} lists, {} errors, {} malformed",
        text(feed, "resource"),
        count("events"),
        count("lists"),
        count("errors"),
        count("malformed")
    )
}

fn snapshot(snapshot: &Value) -> String {
    if snapshot.is_null() {
        return String::new();
    }
    let mut shown = format!("{}: written {} times", text(snapshot, "path"), number(snapshot, "written"));
    if let Some(error) = snapshot.get("error").and_then(Value::as_str) {
        let _ = write!(shown, " ({error})");
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn screen_omits_absent_fields() {
        let document = json!({
            "version": 1, "server_version": "1.2.3", "uptime_seconds": 93_784, "state": "pending", "pending": ["pods: refused\u{1b}"],
            "mode": "verified", "guards": { "pod_cidrs": ["10.42.0.0/16"], "namespaces": [], "check_namespaces": false,
                                            "block_special": true, "max_staleness_seconds": 3600, "unguarded": false },
            "resync": { "complete": 2, "failed": 1, "missing": 0, "changed": 0, "gone": 3 },
            "traffic": { "seconds": 900, "queries": { "udp": 100, "tcp": 2 }, "dropped": 1, "queries_per_second": 1.25,
                         "responses": { "NOERROR": 7, "NXDOMAIN": 94, "SERVFAIL": 0 }, "reasons": {} },
            "zones": ["pod.cluster.local."], "reverse_zones": ["10.42.0.0/16"],
            "visibility": { "clients": "namespace", "visible_to": ["10.0.7.0/24"], "trust_ecs": [] }, "listen": [{ "address": "127.0.0.1:1053" }],
            "index": { "pods": 3, "addresses": 4, "namespaces": 2, "bytes": 2048,
                       "freshness": { "state": "stale", "age_seconds": 7 } },
            "watches": [{ "resource": "pods", "namespace": "a", "freshness": { "state": "unsynced" }, "error": "no" },
                        { "resource": "pods", "namespace": "b", "freshness": { "state": "unsynced" }, "error": "refused\u{1b}" }],
            "feeds": [{ "resource": "pods", "events": 1, "lists": 2, "errors": 3, "malformed": 4 }],
            "snapshot": null, "log": { "dropped_lines": 0 },
        });
        let expected = "\
server     poddnsd 1.2.3, up 1 d 2 h
state      pending
pending    pods: refused\\027
mode       verified
guards     pod-cidr 10.42.0.0/16; block-special; max-staleness 1 h
zones      pod.cluster.local.
reverse    10.42.0.0/16
visibility pods of the namespace; visible-to 10.0.7.0/24
listen     127.0.0.1:1053
index      3 pods, 4 addresses, 2 namespaces, 2 KiB; stale for 7 s
resync     2 comparisons, 1 failed, 3 differences
watch      pods in namespace a: not listed yet (no)
watch      pods in namespace b: not listed yet
feed       pods: 1 events, 2 lists, 3 errors, 4 malformed
queries    102 in 15 min, 1.2 a second now; 2 over TCP, 1 without a response
responses  NXDOMAIN 94, NOERROR 7
";
        assert_eq!(screen(&document), expected);
    }
}
