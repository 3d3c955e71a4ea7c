//! Zone transfers: the version published last, and the secondaries.

use serde_json::Value;

use super::{ROWS, TEXT, count, field, list, more, text};
use crate::server::admin::page::PageView;
use crate::server::admin::page::format::{bytes, duration, number};
use crate::server::admin::page::html::Html;

/// Adds serial, journal and secondaries, if zones are transferred.
pub(super) fn transfers(html: &mut Html, view: &PageView<'_>) {
    let transfers = field(view.status, "transfers");
    if transfers.is_null() {
        return;
    }
    html.raw("<section class=\"card wide\" aria-labelledby=\"h-transfers\"><h2 id=\"h-transfers\">Zone transfers</h2><p>");
    match transfers.get("serial").and_then(Value::as_u64) {
        Some(serial) => html.raw("Serial <b>").text(serial.to_string()).raw("</b>"),
        None => html.raw("No version yet"),
    };
    html.raw("; the journal has ").text(number(count(transfers, "journal_versions"))).raw(" differences in ");
    html.text(bytes(count(transfers, "journal_bytes"))).raw(".</p>");
    secondaries(html, transfers);
    html.raw("</section>");
}

fn secondaries(html: &mut Html, transfers: &Value) {
    let secondaries = list(transfers, "secondaries");
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-transfers\"><table><thead><tr>",
    );
    html.raw("<th scope=\"col\">Secondary</th><th scope=\"col\">Serial</th><th scope=\"col\" class=\"n\">Seen</th>");
    html.raw("<th scope=\"col\" class=\"n\">NOTIFY sent</th><th scope=\"col\" class=\"n\">accepted</th>");
    html.raw("</tr></thead><tbody>");
    for secondary in secondaries.iter().take(ROWS) {
        html.raw("<tr><th scope=\"row\"><code>")
            .bounded(text(secondary, "address"), TEXT)
            .raw("</code></th><td>");
        match secondary.get("serial").and_then(Value::as_u64) {
            None => html.raw("<span class=\"badge warn\">never seen</span>"),
            serial if serial == transfers.get("serial").and_then(Value::as_u64) => {
                html.raw("<span class=\"badge good\">current</span>")
            }
            Some(serial) => html.text(serial.to_string()),
        };
        html.raw("</td><td class=\"n\">");
        if let Some(age) = secondary.get("age_seconds").and_then(Value::as_u64) {
            html.text(duration(age)).raw(" ago");
        }
        for field in ["notified", "acknowledged"] {
            html.raw("</td><td class=\"n\">").text(number(count(secondary, field)));
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    if secondaries.len() > ROWS {
        html.raw("<p>");
        more(html, secondaries.len() - ROWS);
        html.raw("</p>");
    }
}
