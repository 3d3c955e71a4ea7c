//! The names that mode verified would refuse, most frequent first.

use serde_json::Value;

use super::{TEXT, count, field, freshness, list, text};
use crate::server::admin::page::PageView;
use crate::server::admin::page::format::{duration, number};
use crate::server::admin::page::html::Html;

/// Maximum number of names.
const NAMES: usize = 20;

/// Adds the counts of the audit, if there is one.
pub(super) fn audit(html: &mut Html, view: &PageView<'_>) {
    let Some(audit) = view.audit else { return };
    html.raw("<section class=\"card wide\" aria-labelledby=\"h-audit\"><h2 id=\"h-audit\">Audit ");
    freshness(html, field(audit, "freshness"));
    html.raw("</h2><p>Of <b>").text(number(count(audit, "queries"))).raw("</b> queries in ");
    html.text(duration(count(audit, "observed_seconds"))).raw(", mode verified would refuse ");
    let refused = field(audit, "refused").as_object();
    let refused: Vec<(&String, u64)> = refused
        .into_iter()
        .flatten()
        .map(|(reason, count)| (reason, count.as_u64().unwrap_or_default()))
        .collect();
    html.raw("<b>").text(number(refused.iter().map(|&(_, count)| count).sum())).raw("</b>");
    for (at, &(reason, count)) in refused.iter().enumerate() {
        html.raw(if at == 0 { ": " } else { ", " }).bounded(reason, TEXT).raw(" ").text(number(count));
    }
    html.raw(".");
    let unknown = count(audit, "not_ready");
    if unknown > 0 {
        html.raw(" Of ")
            .text(number(unknown))
            .raw(" the finding is unknown: the cluster had not been listed.");
    }
    html.raw("</p>");
    pairs(html, audit);
    html.raw("</section>");
}

fn pairs(html: &mut Html, audit: &Value) {
    let mut pairs: Vec<&Value> = list(audit, "pairs").iter().collect();
    if pairs.is_empty() {
        return;
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(count(pair, "count")));
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-audit\"><table><thead><tr>",
    );
    html.raw("<th scope=\"col\">Name</th><th scope=\"col\">Client</th><th scope=\"col\">Reason</th>");
    html.raw("<th scope=\"col\">Pod with the address</th><th scope=\"col\" class=\"n\">Queries</th>");
    html.raw("<th scope=\"col\" class=\"n\">Last</th></tr></thead><tbody>");
    let now = count(audit, "now_unix_seconds");
    for pair in pairs.iter().take(NAMES) {
        html.raw("<tr><th scope=\"row\"><code>")
            .bounded(text(pair, "name"), TEXT)
            .raw("</code></th><td><code>");
        html.bounded(text(pair, "client"), TEXT).raw("</code></td><td>").bounded(text(pair, "reason"), TEXT);
        html.raw("</td><td>");
        let owner = field(pair, "owner");
        html.bounded(text(owner, "namespace"), TEXT);
        if !text(owner, "name").is_empty() {
            html.raw("/").bounded(text(owner, "name"), TEXT);
        }
        html.raw("</td><td class=\"n\">").text(number(count(pair, "count"))).raw("</td><td class=\"n\">");
        html.text(duration(now.saturating_sub(count(pair, "last_unix_seconds")))).raw(" ago</td></tr>");
    }
    html.raw("</tbody></table></div>");
    if pairs.len() > NAMES {
        html.raw("<p>")
            .text(number((pairs.len() - NAMES) as u64))
            .raw(" more in <a href=\"audit\">/audit</a></p>");
    }
}
