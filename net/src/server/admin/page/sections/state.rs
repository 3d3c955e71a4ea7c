//! The overall state: readiness, and the rules for answers.

use poddns_core::Visibility;
use serde_json::Value;

use super::{ROWS, TEXT, count, field, flag, joined, list, more, text};
use crate::server::admin::page::PageView;
use crate::server::admin::page::format::{duration, time};
use crate::server::admin::page::html::Html;

/// Number of digits of a commit that are shown.
const COMMIT: usize = 12;

/// Overall state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PageState {
    Ready,
    Stale,
    Pending,
    Draining,
}

impl PageState {
    pub(in super::super) fn of(status: &Value) -> Self {
        let is_fresh =
            field(field(status, "index"), "freshness").get("age_seconds").is_none_or(Value::is_null);
        match text(status, "state") {
            "ready" if is_fresh => Self::Ready,
            "ready" => Self::Stale,
            "draining" => Self::Draining,
            _ => Self::Pending,
        }
    }

    pub(in super::super) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Stale => "Ready, stale",
            Self::Pending => "Not ready",
            Self::Draining => "Draining",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Ready => "good",
            Self::Stale => "warn",
            Self::Pending | Self::Draining => "bad",
        }
    }
}

/// Adds name, state and time.
pub(in super::super) fn header(html: &mut Html, status: &Value) {
    let state = PageState::of(status);
    html.raw("<header><h1>poddns</h1><span class=\"state ").text(state.class()).raw("\" id=\"state\">");
    html.text(state.word()).raw("</span><dl><div><dt>Version</dt><dd id=\"server_version\">");
    html.bounded(text(status, "server_version"), TEXT).raw("</dd></div>");
    let commit = text(status, "commit");
    if !commit.is_empty() {
        html.raw("<div><dt>Commit</dt><dd><code>").bounded(commit, COMMIT).raw("</code></dd></div>");
    }
    html.raw("<div><dt>Up</dt><dd>");
    html.text(duration(count(status, "uptime_seconds"))).raw("</dd></div><div><dt>As of</dt><dd><time>");
    html.text(time(count(status, "time_unix_seconds"))).raw(" UTC</time></dd></div></dl>");
    html.raw("<p id=\"live\">Snapshot: reload the page for a newer one.</p></header>");
}

/// Adds the reasons why the server is not ready, the mode and its guards.
pub(super) fn state(html: &mut Html, view: &PageView<'_>) {
    let status = view.status;
    pending(html, list(status, "pending"));
    let guards = field(status, "guards");
    html.raw("<section class=\"card\" aria-labelledby=\"h-answers\"><h2 id=\"h-answers\">Answers</h2>");
    html.raw("<dl class=\"facts\"><div><dt>Mode</dt><dd id=\"mode\">").bounded(text(status, "mode"), TEXT);
    if flag(guards, "unguarded") {
        html.raw(" <span class=\"badge bad\">no guard: any address is answered</span>");
    }
    html.raw("</dd></div><div><dt>Zones</dt><dd>");
    joined(html, list(status, "zones"), "none");
    clients(html, status);
    html.raw("</dd></div><div><dt>Pod networks</dt><dd>");
    joined(html, list(guards, "pod_cidrs"), "any address");
    html.raw("</dd></div><div><dt>Namespaces</dt><dd>");
    let checked = flag(guards, "check_namespaces") || text(status, "mode") == "verified";
    joined(html, list(guards, "namespaces"), if checked { "those of the cluster" } else { "any" });
    html.raw("</dd></div><div><dt>Special addresses</dt><dd>");
    html.raw(if flag(guards, "block_special") { "blocked" } else { "not blocked" });
    html.raw("</dd></div><div><dt>Maximum age of the index</dt><dd>");
    match guards.get("max_staleness_seconds").and_then(Value::as_u64) {
        Some(seconds) => html.text(duration(seconds)),
        None => html.raw("<span class=\"none\">no limit</span>"),
    };
    html.raw("</dd></div><div><dt>TTL</dt><dd>").text(count(status, "ttl_seconds")).raw(" s</dd></div></dl>");
    limited(html, status);
    html.raw("</section>");
}

/// Adds the networks of reverse zones, and the clients that see pods, where these are set.
fn clients(html: &mut Html, status: &Value) {
    let reverse = list(status, "reverse_zones");
    if !reverse.is_empty() {
        html.raw("</dd></div><div><dt>Reverse zones of</dt><dd>");
        joined(html, reverse, "none");
    }
    let visibility = field(status, "visibility");
    if text(visibility, "clients") == Visibility::Namespace.as_str() {
        html.raw("</dd></div><div><dt>Visible to</dt><dd>pods of the namespace, and ");
        joined(html, list(visibility, "visible_to"), "nobody else");
    }
    let forwarders = list(visibility, "trust_ecs");
    if !forwarders.is_empty() {
        html.raw("</dd></div><div><dt>Clients are named by</dt><dd>");
        joined(html, forwarders, "nobody");
    }
}

/// Adds warnings about pods that the rate limit applies to, and about lost log lines.
fn limited(html: &mut Html, status: &Value) {
    let pod = text(status, "rate_limited_pod");
    if !pod.is_empty() {
        html.raw("<p class=\"note warn\">The rate limit applies to pods, such as ").bounded(pod, TEXT);
        html.raw(": set <code>pod-cidr</code> or <code>rate-limit-exempt</code>.</p>");
    }
    let lost = count(field(status, "log"), "dropped_lines");
    if lost > 0 {
        html.raw("<p class=\"note warn\">Lines of the log that are lost: ").text(lost).raw("</p>");
    }
}

fn pending(html: &mut Html, reasons: &[Value]) {
    if reasons.is_empty() {
        return;
    }
    html.raw(
        "<section class=\"card alert\" aria-labelledby=\"h-pending\"><h2 id=\"h-pending\">Not ready</h2><ul>",
    );
    for reason in reasons.iter().take(ROWS) {
        html.raw("<li>").bounded(reason.as_str().unwrap_or_default(), TEXT).raw("</li>");
    }
    if reasons.len() > ROWS {
        html.raw("<li>");
        more(html, reasons.len() - ROWS);
        html.raw("</li>");
    }
    html.raw("</ul></section>");
}
