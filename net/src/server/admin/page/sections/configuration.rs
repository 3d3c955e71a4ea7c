//! Addresses of the server, and the options in force with the source of each.

use serde_json::Value;

use super::{ROWS, TEXT, count, joined, list, more, text};
use crate::server::admin::page::PageView;
use crate::server::admin::page::html::Html;

/// Maximum number of options: more than there are.
const OPTIONS: usize = 200;

/// Adds the addresses.
pub(super) fn listeners(html: &mut Html, view: &PageView<'_>) {
    let status = view.status;
    html.raw("<section class=\"card short\" aria-labelledby=\"h-listen\"><h2 id=\"h-listen\">Listeners</h2>");
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-listen\"><table><thead><tr>");
    html.raw(
        "<th scope=\"col\">Address</th><th scope=\"col\">As configured</th><th scope=\"col\">Protocol</th>",
    );
    html.raw("</tr></thead><tbody>");
    let listeners = list(status, "listen");
    for listener in listeners.iter().take(ROWS) {
        row(html, text(listener, "address"), text(listener, "configured"), "DNS over UDP, TCP");
    }
    row(html, text(status, "admin"), "", "HTTP, this page");
    html.raw("</tbody></table></div>");
    if listeners.len() > ROWS {
        html.raw("<p>");
        more(html, listeners.len() - ROWS);
        html.raw("</p>");
    }
    html.raw("<dl class=\"facts\"><div><dt>UDP threads</dt><dd>").text(count(status, "threads"));
    html.raw("</dd></div></dl></section>");
}

fn row(html: &mut Html, address: &str, configured: &str, protocol: &'static str) {
    if address.is_empty() {
        return;
    }
    html.raw("<tr><th scope=\"row\"><code>").bounded(address, TEXT).raw("</code></th><td><code>");
    html.bounded(configured, TEXT).raw("</code></td><td>").raw(protocol).raw("</td></tr>");
}

/// Adds the options that are set, followed by those at their default.
pub(super) fn options(html: &mut Html, view: &PageView<'_>) {
    let status = view.status;
    let options = list(status, "configuration");
    if options.is_empty() {
        return;
    }
    let (default, set): (Vec<&Value>, Vec<&Value>) =
        options.iter().take(OPTIONS).partition(|option| text(option, "source") == "default");
    html.raw("<section class=\"card\" aria-labelledby=\"h-options\"><h2 id=\"h-options\">Configuration</h2>");
    if set.is_empty() {
        html.raw("<p class=\"none\">Every option is at its default.</p>");
    } else {
        table(html, &set, true);
    }
    html.raw("<details id=\"defaults\"><summary>At their default: ").text(default.len()).raw("</summary>");
    table(html, &default, false);
    html.raw("</details></section>");
}

fn table(html: &mut Html, options: &[&Value], has_source: bool) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-options\"><table><thead><tr>");
    html.raw("<th scope=\"col\">Option</th><th scope=\"col\">Value</th>");
    html.raw(if has_source { "<th scope=\"col\">Source</th>" } else { "" }).raw("</tr></thead><tbody>");
    for option in options {
        html.raw("<tr><th scope=\"row\">").bounded(text(option, "name"), TEXT).raw("</th><td>");
        let (values, note) = (list(option, "values"), text(option, "note"));
        if values.is_empty() && !note.is_empty() {
            html.raw("<span class=\"none\">").bounded(note, TEXT).raw("</span>");
        } else {
            joined(html, values, "none");
        }
        html.raw("</td>");
        if has_source {
            html.raw("<td>").bounded(text(option, "source"), TEXT).raw(" <code>");
            html.bounded(text(option, "place"), TEXT).raw("</code></td>");
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div>");
}
