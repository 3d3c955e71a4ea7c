//! The sections of the page, each from its part of the status document.

mod audit;
mod configuration;
mod pods;
mod state;
mod traffic;
mod transfers;

use serde_json::Value;

use super::PageView;
use super::html::Html;

pub(super) use self::state::{PageState, header};

/// Function that adds a section, or nothing if there is nothing to show.
type PageSection = fn(&mut Html, &PageView<'_>);

/// All sections, in their order.
pub(super) const ALL: [PageSection; 8] = [
    state::state,
    pods::index,
    pods::watches,
    traffic::traffic,
    transfers::transfers,
    audit::audit,
    configuration::listeners,
    configuration::options,
];

/// Maximum number of characters of a text from outside.
const TEXT: usize = 200;

/// Maximum number of characters of a list of such texts.
const LIST: usize = 500;

/// Maximum number of rows of a table, and of items of a list.
const ROWS: usize = 40;

/// Returns a text field, empty if there is none.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a number field, 0 if there is none.
fn count(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn flag(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn field<'a>(value: &'a Value, field: &str) -> &'a Value {
    value.get(field).unwrap_or(&Value::Null)
}

/// Adds the texts of a list with commas between them, or `none` if it is empty.
fn joined(html: &mut Html, values: &[Value], none: &'static str) {
    if values.is_empty() {
        html.raw("<span class=\"none\">").text(none).raw("</span>");
    }
    let texts: Vec<&str> = values.iter().take(ROWS).map(|value| value.as_str().unwrap_or_default()).collect();
    html.bounded(&texts.join(", "), LIST);
    if values.len() > ROWS {
        html.raw(", ");
        more(html, values.len() - ROWS);
    }
}

/// Adds the number of omitted items, and a link to them.
fn more(html: &mut Html, number: usize) {
    html.text(super::format::number(number as u64)).raw(" more in <a href=\"status\">/status</a>");
}

/// Adds a badge with a freshness.
fn freshness(html: &mut Html, freshness: &Value) {
    let age = super::format::duration(count(freshness, "age_seconds"));
    match text(freshness, "state") {
        "fresh" => html.raw("<span class=\"badge good\">in sync</span>"),
        "unsynced" => html.raw("<span class=\"badge bad\">not listed yet</span>"),
        "resyncing" => {
            html.raw("<span class=\"badge warn\">stale for ").text(age).raw(", being listed</span>")
        }
        "stale" => html.raw("<span class=\"badge warn\">stale for ").text(age).raw("</span>"),
        other => html.raw("<span class=\"badge\">").bounded(other, TEXT).raw("</span>"),
    };
}
