//! The index, its snapshot, and its watches and feeds.

use serde_json::Value;

use super::{ROWS, TEXT, count, field, flag, freshness, list, more, text};
use crate::server::admin::page::PageView;
use crate::server::admin::page::format::{bytes, number, time};
use crate::server::admin::page::html::Html;

/// Adds the size of the index.
pub(super) fn index(html: &mut Html, view: &PageView<'_>) {
    let status = view.status;
    html.raw("<section class=\"card\" aria-labelledby=\"h-index\"><h2 id=\"h-index\">Index");
    let index = field(status, "index");
    if index.is_null() {
        html.raw("</h2><p class=\"none\">This mode needs no index of pods.</p></section>");
        return;
    }
    html.raw(" ");
    freshness(html, field(index, "freshness"));
    html.raw("</h2><dl class=\"numbers\">");
    for (name, id) in [("Pods", "pods"), ("Addresses", "addresses"), ("Namespaces", "namespaces")] {
        html.raw("<div><dt>").text(name).raw("</dt><dd id=\"").text(id).raw("\">");
        html.text(number(count(index, id))).raw("</dd></div>");
    }
    html.raw("<div><dt>Memory</dt><dd id=\"bytes\">").text(bytes(count(index, "bytes")));
    html.raw("</dd></div></dl><dl class=\"facts\"><div><dt>SOA serial</dt><dd>").text(count(index, "serial"));
    html.raw("</dd></div>");
    resync(html, field(status, "resync"));
    snapshot(html, field(status, "snapshot"));
    html.raw("</dl></section>");
}

fn resync(html: &mut Html, resync: &Value) {
    if resync.is_null() {
        return;
    }
    let differences: u64 = ["missing", "changed", "gone"].iter().map(|kind| count(resync, kind)).sum();
    html.raw("<div><dt>Comparisons with the cluster</dt><dd>").text(number(count(resync, "complete")));
    html.raw(" complete, ").text(number(count(resync, "failed"))).raw(" failed");
    if differences > 0 {
        html.raw(" <span class=\"badge bad\">").text(number(differences)).raw(" differences</span>");
    }
    html.raw("</dd></div>");
}

fn snapshot(html: &mut Html, snapshot: &Value) {
    if snapshot.is_null() {
        return;
    }
    html.raw("<div><dt>Snapshot</dt><dd><code>").bounded(text(snapshot, "path"), TEXT).raw("</code>");
    if let Some(since) = snapshot.get("in_sync_unix_seconds").and_then(Value::as_u64) {
        html.raw(", of ").text(time(since)).raw(" UTC");
    }
    if let Some(size) = snapshot.get("bytes").and_then(Value::as_u64) {
        html.raw(", ").text(bytes(size));
    }
    if flag(snapshot, "restored") {
        html.raw(", restored at the start");
    }
    let error = text(snapshot, "error");
    if !error.is_empty() {
        html.raw(" <span class=\"badge warn\">failed</span> <span class=\"error\">")
            .bounded(error, TEXT)
            .raw("</span>");
    }
    html.raw("</dd></div>");
}

/// Adds a row for each watch, those out of sync first, and one for each feed.
pub(super) fn watches(html: &mut Html, view: &PageView<'_>) {
    let status = view.status;
    let mut watches: Vec<&Value> = list(status, "watches").iter().collect();
    if watches.is_empty() {
        return;
    }
    watches.sort_by_key(|watch| text(field(watch, "freshness"), "state") == "fresh");
    html.raw("<section class=\"card wide\" aria-labelledby=\"h-watches\"><h2 id=\"h-watches\">Watches</h2>");
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-watches\"><table><thead><tr>");
    html.raw("<th scope=\"col\">Resource</th><th scope=\"col\">Namespace</th><th scope=\"col\">State</th>");
    html.raw("<th scope=\"col\">Last error</th></tr></thead><tbody>");
    for watch in watches.iter().take(ROWS) {
        html.raw("<tr><th scope=\"row\">").bounded(text(watch, "resource"), TEXT).raw("</th><td>");
        match watch.get("namespace").and_then(Value::as_str) {
            Some(namespace) => html.bounded(namespace, TEXT),
            None => html.raw("<span class=\"none\">all</span>"),
        };
        html.raw("</td><td>");
        freshness(html, field(watch, "freshness"));
        html.raw("</td><td class=\"error\">").bounded(text(watch, "error"), TEXT).raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    if watches.len() > ROWS {
        html.raw("<p>");
        more(html, watches.len() - ROWS);
        html.raw("</p>");
    }
    feeds(html, list(status, "feeds"));
    html.raw("</section>");
}

fn feeds(html: &mut Html, feeds: &[Value]) {
    let columns = ["events", "lists", "errors", "malformed", "panics"];
    if feeds.is_empty() {
        return;
    }
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Feeds\"><table><thead><tr>");
    html.raw("<th scope=\"col\">Since the start</th>");
    for column in columns {
        html.raw("<th scope=\"col\" class=\"n\">").text(column).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for feed in feeds.iter().take(ROWS) {
        html.raw("<tr><th scope=\"row\">").bounded(text(feed, "resource"), TEXT).raw("</th>");
        for column in columns {
            html.raw("<td class=\"n\">").text(number(count(feed, column))).raw("</td>");
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div>");
}
