//! The reference page of `/status`, which a test compares with real documents.

/// Returns `docs/status.md`, the reference of the fields of `/status`, as Markdown.
#[must_use]
pub fn status_reference() -> &'static str {
    include_str!("status.md")
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
    fn status_document_is_the_reference() {
        check("docs/status.md", status_reference());
    }

    /// A row of the page.
    struct StatusField {
        /// The path of the field: `a.b`, `a[].b` in each item of a list, `a.*` for any name.
        path: &'static str,
        /// Its type, with the unit of a number.
        kind: &'static str,
        /// The condition under which it is null; empty if it never is.
        null: &'static str,
    }

    fn fields() -> impl Iterator<Item = StatusField> {
        let rows = status_reference().lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| {
            let mut cells = row.trim_end_matches('|').split(" | ").map(str::trim);
            let (Some(path), Some(kind), Some(meaning), null, None) =
                (cells.next(), cells.next(), cells.next(), cells.next().unwrap_or_default(), cells.next())
            else {
                panic!("{row} has other columns than path, type, meaning and null")
            };
            assert!(!meaning.is_empty(), "{row}");
            StatusField { path: path.trim_end_matches('`'), kind, null }
        })
    }

    fn known(path: &str) -> StatusField {
        let wild = path.rsplit_once('.').map(|(parent, _)| format!("{parent}.*"));
        fields()
            .find(|field| field.path == path || wild.as_deref() == Some(field.path))
            .unwrap_or_else(|| panic!("{path} is not documented"))
    }

    /// Compares a value with the table, and records each field and each null.
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
            .for_each(|snapshot| (snapshot.synced_at, snapshot.bytes, snapshot.error) = (None, None, None));
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
        for field in fields() {
            // `commit` depends on the build, and `admin` is never null where a document can be requested.
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
