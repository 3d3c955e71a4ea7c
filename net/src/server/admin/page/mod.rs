//! `/`: the status page, which needs no other resource.
//!
//! It is rendered from the documents of `/status` and `/audit` and from the history, and has no other values. Its
//! script reloads it periodically; without scripts, it shows the state at the time of the request.

mod format;
mod html;
mod plot;
mod sections;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use self::html::Html;
use crate::server::history::Recent;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The icon: the letter P on a square.
const ICON: &str = "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%231f5fa8'/%3E%3Cpath d='M5 13V4h4a3 3 0 0 1 0 \
    6H5' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E\">";

/// The `Content-Security-Policy` of the page: its own style and script by their hashes, requests to this server, and
/// nothing else.
pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// Data of a page.
pub(super) struct PageView<'a> {
    /// The document of `/status`.
    pub(super) status: &'a Value,
    /// The document of `/audit`, if the audit is enabled.
    pub(super) audit: Option<&'a Value>,
    pub(super) recent: &'a Recent<'a>,
}

/// Returns the page.
pub(super) fn page(view: &PageView<'_>) -> String {
    let (mut html, status) = (Html::default(), view.status);
    html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" ");
    html.raw(
        "content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">",
    );
    html.raw("<title>").text(sections::PageState::of(status).word()).raw(" · poddns</title>").raw(ICON);
    html.raw("<style>").raw(STYLE).raw("</style></head><body>");
    sections::header(&mut html, status);
    html.raw("<main>");
    for section in sections::ALL {
        section(&mut html, view);
    }
    html.raw("</main><footer><nav aria-label=\"Endpoints\">");
    html.raw(
        "<a href=\"status\">/status</a> <a href=\"metrics\">/metrics</a> <a href=\"readyz\">/readyz</a> ",
    );
    html.raw("<a href=\"pods?limit=100\">/pods</a></nav></footer>");
    html.raw("<script>").raw(SCRIPT).raw("</script></body></html>\n");
    html.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use poddns_core::Freshness;
    use serde_json::json;

    use super::*;
    use crate::server::admin::{samples, status};
    use crate::server::history::History;
    use crate::server::state::ServerState;

    /// Returns the page of a server, and its status document.
    fn of(state: &Arc<ServerState>) -> (String, Value) {
        let start = Instant::now();
        let mut history = History::new(state, start);
        samples::count_answer(state);
        history.sample(state, start + Duration::from_secs(5));
        let recent = history.recent(state, start + Duration::from_secs(6));
        let document = status::document(state, &recent);
        (page(&PageView { status: &document, audit: None, recent: &recent }), document)
    }

    /// Returns an audit with one name more than a page shows.
    fn audit() -> Value {
        let pair = |count: u64| {
            json!({
                "name": format!("10-9-9-{count}.web.pod.cluster.local."), "client": "10.42.0.7", "reason": "other-namespace",
                "owner": { "namespace": "db", "name": "db-0" }, "count": count, "last_unix_seconds": 60,
            })
        };
        json!({
            "now_unix_seconds": 125, "observed_seconds": 3600, "freshness": { "state": "fresh", "age_seconds": null },
            "queries": 5000, "not_ready": 3, "refused": { "no-such-pod": 1200, "other-namespace": 34 },
            "pairs": (1..=21).map(pair).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn audits_show_the_most_frequent_names() {
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let (start, audit) = (Instant::now(), audit());
        let history = History::new(&state, start);
        let recent = history.recent(&state, start);
        let status = status::document(&state, &recent);
        let page = page(&PageView { status: &status, audit: Some(&audit), recent: &recent });
        for text in [
            "<b>5,000</b> queries in 1 h 0 min",
            "<b>1,234</b>: no-such-pod 1,200, other-namespace 34",
            "db/db-0",
            "1 min 5 s ago",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
        let place = |name: &str| page.find(&format!("{name}.web.pod.cluster.local."));
        assert!(place("10-9-9-21").unwrap() < place("10-9-9-2").unwrap(), "the most frequent is first");
        assert!(place("10-9-9-1").is_none() && page.contains("1 more in <a href=\"audit\">/audit</a>"));
    }

    /// Replaces every text of a document.
    fn poison(value: &mut Value, text: &str) {
        match value {
            Value::String(old) => text.clone_into(old),
            Value::Array(items) => items.iter_mut().for_each(|item| poison(item, text)),
            Value::Object(fields) => fields.values_mut().for_each(|field| poison(field, text)),
            _ => {}
        }
    }

    #[test]
    fn pages_show_the_values_of_the_status() {
        let age = Duration::from_secs(75);
        let state = samples::state(samples::full_report(Freshness::Stale { age }));
        let (page, _) = of(&state);
        for text in [
            ">Ready, stale<",
            "stale for 1 min 15 s",
            "connection refused",
            "1.1 MiB",
            "/var/lib/poddns/snapshot",
            "no space left",
            "10.42.0.0/16, fd00:10:42::/48",
            "random, a new one every hour",
            "REFUSED",
            "outside-zones",
            ">web<",
            "Serial <b>1700000001</b>",
            "192.0.2.53:53",
            ">current<",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }

    #[test]
    fn hostile_texts_stay_texts() {
        let state = samples::state(samples::full_report(Freshness::Unsynced));
        let start = Instant::now();
        let history = History::new(&state, start);
        let recent = history.recent(&state, start);
        let mut document = status::document(&state, &recent);
        let mut audit = audit();
        let tags = |page: &str| page.matches('<').count();
        let plain = {
            let mut document = document.clone();
            let mut audit = audit.clone();
            poison(&mut document, "plain");
            poison(&mut audit, "plain");
            page(&PageView { status: &document, audit: Some(&audit), recent: &recent })
        };
        for text in [
            "</style><script>alert(1)</script>",
            "\" onload=\"alert(1)",
            "' onload='alert(1)",
            "<img src=x onerror=alert(1)>",
            "\u{202e}<b>",
            "]]><!--",
        ] {
            poison(&mut document, text);
            poison(&mut audit, text);
            let page = page(&PageView { status: &document, audit: Some(&audit), recent: &recent });
            assert_eq!(tags(&page), tags(&plain), "{text}");
            assert_eq!(page.matches('"').count(), plain.matches('"').count(), "{text}");
            assert!(!page.contains(text) && !page.contains('\u{202e}'), "{text}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        let (_, mut report) = samples::full_report(Freshness::Unsynced);
        let watch = report.watches[0].clone();
        report.watches = vec![watch; 2000];
        let state = samples::state((Freshness::Unsynced, report));
        let (_, mut document) = of(&state);
        poison(&mut document, &"<".repeat(10_000));
        let start = Instant::now();
        let history = History::new(&state, start);
        let recent = history.recent(&state, start);
        let page = page(&PageView { status: &document, audit: Some(&audit()), recent: &recent });
        assert!(page.len() < 512 * 1024, "{} bytes", page.len());
        assert!(page.contains("1,960 more in <a href=\"status\">/status</a>"), "the rest is named");
    }

    #[test]
    fn policy_has_hashes_of_style_and_script() {
        let policy = POLICY.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        // The page must contain them unchanged, so that the hashes match.
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let (page, document) = of(&state);
        assert!(
            page.contains(&format!("<style>{STYLE}</style>"))
                && page.contains(&format!("<script>{SCRIPT}</script>"))
        );
        assert!(!page.contains(" style="), "the policy forbids such attributes");
        assert_eq!(document["version"], json!(1));
    }
}
