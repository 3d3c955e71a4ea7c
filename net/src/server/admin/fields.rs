//! The fields of `/status`, from which docs/status.md is made; a test compares them with real documents.

use std::fmt::Write as _;

/// A field of the document.
struct StatusField {
    /// Its place: `a.b`, `a[].b` in each item of a list, `a.*` for any name.
    path: &'static str,
    /// Its type, with the unit of a number.
    kind: &'static str,
    /// Its meaning.
    meaning: &'static str,
    /// The condition under which it is null; empty if it never is.
    null: &'static str,
}

const fn field(path: &'static str, kind: &'static str, meaning: &'static str) -> StatusField {
    StatusField { path, kind, meaning, null: "" }
}

const fn or_null(
    path: &'static str,
    kind: &'static str,
    meaning: &'static str,
    null: &'static str,
) -> StatusField {
    StatusField { path, kind, meaning, null }
}

const INDEX: &str = "the mode needs no index";
const NEVER_FRESH: &str = "in sync, or never listed";

static FIELDS: &[StatusField] = &[
    field("version", "number", "version of this shape: 1; fields can be added in a version, not changed"),
    field("server_version", "text", "version of the program"),
    or_null("commit", "text", "the commit that it was built from", "the build was not told"),
    field("time_unix_seconds", "number, seconds", "time of the document"),
    field("uptime_seconds", "number, seconds", "time since the start"),
    field("state", "text", "`ready`, `pending` or `draining` (about to end), as `/readyz`"),
    field("pending", "list of texts", "reasons why the server is not ready; empty if it is"),
    field("mode", "text", "`disabled`, `insecure` or `verified`"),
    field("guards", "object", "what is answered in no mode, or not in this one"),
    field(
        "guards.pod_cidrs",
        "list of texts",
        "networks outside of which no address is answered; empty: no such limit",
    ),
    field("guards.namespaces", "list of texts", "namespaces that exist; empty: no such limit"),
    field("guards.check_namespaces", "boolean", "in mode insecure: namespaces must be the cluster's"),
    field("guards.block_special", "boolean", "special addresses are never answered"),
    or_null(
        "guards.max_staleness_seconds",
        "number, seconds",
        "age of the index beyond which all is SERVFAIL",
        "no such limit",
    ),
    field("guards.unguarded", "boolean", "mode insecure without any guard: any address is answered"),
    field("zones", "list of texts", "zones served"),
    field("reverse_zones", "list of texts", "networks whose reverse zones are served"),
    field("visibility", "object", "the clients that see a namespace and its pods"),
    field("visibility.clients", "text", "`all`, or `namespace`: those at the address of a pod of it"),
    field("visibility.visible_to", "list of texts", "networks of clients that see everything"),
    field("visibility.trust_ecs", "list of texts", "networks of forwarders that name their clients"),
    field("ttl_seconds", "number, seconds", "time to live of addresses"),
    field("listen", "list of objects", "addresses of DNS, over UDP and TCP"),
    field("listen[].configured", "text", "as configured, perhaps with port 0"),
    field("listen[].address", "text", "as bound"),
    or_null("admin", "text", "address of the admin endpoints", "not known"),
    field("threads", "number", "threads that answer over UDP"),
    or_null("index", "object", "the index of pods", INDEX),
    field("index.pods", "number", "pods"),
    field("index.addresses", "number", "distinct addresses of these pods"),
    field("index.namespaces", "number", "namespaces"),
    field("index.bytes", "number, bytes", "memory"),
    field("index.serial", "number", "serial of the SOA records: Unix time of the last change"),
    field("index.freshness", "object", "how fresh it is: as fresh as its oldest watch"),
    field(
        "index.freshness.state",
        "text",
        "`fresh`, `stale`, `resyncing` (stale, being listed) or `unsynced` (never listed)",
    ),
    or_null("index.freshness.age_seconds", "number, seconds", "time since it was in sync", NEVER_FRESH),
    or_null(
        "rate_limited_pod",
        "text",
        "address of a pod to which the rate limit applies, against its purpose",
        "none was found",
    ),
    field("watches", "list of objects", "everything that is watched"),
    field("watches[].resource", "text", "`pods` or `namespaces`"),
    or_null("watches[].namespace", "text", "the only namespace that is watched", "all are"),
    field("watches[].freshness", "object", "as `index.freshness`"),
    field("watches[].freshness.state", "text", "as `index.freshness.state`"),
    or_null("watches[].freshness.age_seconds", "number, seconds", "time since it was in sync", NEVER_FRESH),
    or_null("watches[].error", "text", "why it is not in sync", "it is, or the reason is not known"),
    field("feeds", "list of objects", "what was received of each resource since the start of its watch"),
    field("feeds[].resource", "text", "`pods` or `namespaces`"),
    field("feeds[].events", "number", "objects added, changed or deleted, those of lists included"),
    field("feeds[].lists", "number", "complete lists"),
    field("feeds[].errors", "number", "lists and watches that failed"),
    field("feeds[].malformed", "number", "objects that could not be read, or only in part"),
    field("feeds[].panics", "number", "panics after which the watch began anew"),
    or_null("resync", "object", "comparisons of the index with the cluster", INDEX),
    field("resync.complete", "number", "comparisons that were completed"),
    field("resync.failed", "number", "comparisons that were given up"),
    field("resync.missing", "number", "objects that the index did not have"),
    field("resync.changed", "number", "objects that the index had otherwise"),
    field("resync.gone", "number", "objects that the cluster did not have"),
    or_null("snapshot", "object", "the file that keeps the index for the next start", "there is none"),
    field("snapshot.path", "text", "the file"),
    field("snapshot.restored", "boolean", "the index began with it"),
    or_null(
        "snapshot.in_step_unix_seconds",
        "number, seconds",
        "time at which the index in the file was in sync",
        "none has been read or written",
    ),
    or_null("snapshot.bytes", "number, bytes", "size of the file last written", "none has been written"),
    field("snapshot.written", "number", "files written"),
    field("snapshot.failed", "number", "files that could not be written"),
    or_null(
        "snapshot.error",
        "text",
        "why the last could not be written, or the first not be read",
        "no error",
    ),
    or_null("transfers", "object", "zone transfers", "they are not configured"),
    or_null(
        "transfers.serial",
        "number",
        "serial of the version of the zones that was published last",
        "there is none yet",
    ),
    field("transfers.journal_versions", "number", "versions that the journal reaches back"),
    field("transfers.journal_bytes", "number, bytes", "memory of the journal"),
    field("transfers.secondaries", "list of objects", "the secondaries of `transfer-to`"),
    field("transfers.secondaries[].address", "text", "its address"),
    or_null(
        "transfers.secondaries[].serial",
        "number",
        "serial of the version that it was last seen to have",
        "it was never seen",
    ),
    or_null("transfers.secondaries[].age_seconds", "number, seconds", "time since then", "it was never seen"),
    field("transfers.secondaries[].notified", "number", "NOTIFY messages sent to it"),
    field("transfers.secondaries[].acknowledged", "number", "NOTIFY messages that it accepted"),
    field("traffic", "object", "what was asked and answered lately"),
    field(
        "traffic.seconds",
        "number, seconds",
        "the time that it covers: the last 15 minutes, or since the start",
    ),
    or_null(
        "traffic.queries_per_second",
        "number, per second",
        "queries of the last 5 seconds",
        "the server has just started",
    ),
    field("traffic.queries", "object", "queries received"),
    field("traffic.queries.udp", "number", "over UDP"),
    field("traffic.queries.tcp", "number", "over TCP"),
    field("traffic.dropped", "number", "queries without a response"),
    field("traffic.responses", "object", "responses by rcode; `others` for those without a place"),
    field("traffic.responses.*", "number", "responses"),
    field("traffic.reasons", "object", "responses by [reason](tool.md#explain), those with any"),
    field("traffic.reasons.*", "number", "responses"),
    field("log", "object", "the log"),
    field("log.dropped_lines", "number", "lines that are lost"),
    field(
        "configuration",
        "list of objects",
        "every option, as last read; those that only a restart changes, as at the start. Empty where no poddnsd is around the server",
    ),
    field("configuration[].name", "text", "the [option](options.md)"),
    field("configuration[].values", "list of texts", "its values; empty if there is none"),
    or_null(
        "configuration[].note",
        "text",
        "what it means that there is no value",
        "there is one, or nothing to say",
    ),
    field(
        "configuration[].source",
        "text",
        "`flag`, `environment`, `file`, `systemd` (a passed socket) or `default`",
    ),
    or_null(
        "configuration[].place",
        "text",
        "where it is written: `--ttl`, `PODDNS_TTL`, `FILE:LINE`",
        "nowhere",
    ),
];

const HEAD: &str = "\
# The status document

`/status` of the [admin address](options.md#admin) is one JSON object with everything at a glance; `poddns status` prints it, and
the page at `/` shows it. A field that is null is there.

This page is generated from the table that a test compares with real documents.

| field | type | meaning | null if |
|---|---|---|---|
";

/// Returns the page of the fields of `/status`, `docs/status.md`: Markdown.
#[must_use]
pub fn status_reference() -> String {
    let mut text = HEAD.to_owned();
    for StatusField { path, kind, meaning, null } in FIELDS {
        let _ = writeln!(text, "| `{path}` | {kind} | {meaning} | {null} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use poddns_core::{Freshness, Mode};
    use serde_json::Value;

    use super::*;
    use crate::server::admin::document::check;
    use crate::server::admin::{samples, status};
    use crate::server::history::History;
    use crate::server::state::ServerState;

    #[test]
    fn status_document_is_that_of_the_table() {
        check("docs/status.md", &status_reference());
    }

    fn known(path: &str) -> &'static StatusField {
        let wild = path.rsplit_once('.').map(|(parent, _)| format!("{parent}.*"));
        let mut fields = FIELDS.iter();
        fields
            .find(|field| field.path == path || wild.as_deref() == Some(field.path))
            .unwrap_or_else(|| panic!("{path} is not documented"))
    }

    /// Compares a value with the table, and notes each field and each null that was seen.
    fn compare(path: &str, value: &Value, seen: &mut BTreeSet<(&'static str, bool)>) {
        let field = known(path);
        seen.insert((field.path, value.is_null()));
        let kind = match value {
            Value::Null => {
                assert!(!field.null.is_empty(), "{path} is null");
                return;
            }
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(items) if items.iter().all(Value::is_object) && field.kind != "list of texts" => {
                "list of objects"
            }
            Value::Array(items) if items.iter().all(Value::is_string) => "list of texts",
            Value::Array(_) => panic!("{path} is a list of {value}"),
            Value::Object(_) => "object",
        };
        assert_eq!(field.kind.split(',').next(), Some(kind), "{path}");
        walk(path, value, seen);
    }

    fn walk(path: &str, value: &Value, seen: &mut BTreeSet<(&'static str, bool)>) {
        let join =
            |path: &str, name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    compare(&join(path, name), value, seen);
                }
            }
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for item in items {
                    walk(&format!("{path}[]"), item, seen);
                }
            }
            _ => {}
        }
    }

    fn documents() -> Vec<Value> {
        let document = |state: &Arc<ServerState>| {
            let start = Instant::now();
            let mut history = History::new(state, start);
            samples::count_answer(state);
            let first = status::document(state, &history.recent(state, start));
            history.sample(state, start + Duration::from_secs(5));
            [first, status::document(state, &history.recent(state, start + Duration::from_secs(6)))]
        };
        let age = Duration::from_secs(7);
        let full = samples::state(samples::full_report(Freshness::Fresh));
        full.set_rate_limited_pod(Some([203, 0, 113, 7].into()));
        let stale = samples::state(samples::full_report(Freshness::Stale { age }));
        stale.current.send_modify(|current| {
            let settings = Arc::make_mut(&mut current.settings);
            settings.mode = Mode::Insecure;
            settings.max_staleness = Some(age);
        });
        let (_, mut few) = samples::full_report(Freshness::Unsynced);
        few.snapshot
            .iter_mut()
            .for_each(|snapshot| (snapshot.in_step, snapshot.bytes, snapshot.error) = (None, None, None));
        let few = samples::state((Freshness::Unsynced, few));
        let none = samples::state((Freshness::Fresh, crate::server::pods::PodsReport::default()));
        none.current.send_modify(|current| current.transfers = None);
        [full, stale, few, none].iter().flat_map(document).collect()
    }

    #[test]
    fn documented_fields_are_those_of_documents() {
        let mut seen = BTreeSet::new();
        for document in documents() {
            assert_eq!(document["version"], 1);
            walk("", &document, &mut seen);
        }
        for field in FIELDS {
            // The build decides on the one, and the admin address is known wherever there is a document.
            if ["commit", "admin"].contains(&field.path) {
                continue;
            }
            assert!(seen.contains(&(field.path, false)), "{} is in no document", field.path);
            assert!(
                field.null.is_empty() || seen.contains(&(field.path, true)),
                "{} is never null",
                field.path
            );
        }
    }
}
