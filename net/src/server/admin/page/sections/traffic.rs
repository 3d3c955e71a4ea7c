//! Queries and responses of the last 15 minutes.

use poddns_core::Reason;
use poddns_core::wire::Rcode;

use crate::server::admin::page::PageView;
use crate::server::admin::page::html::Html;
use crate::server::admin::page::plot::{PlotLine, figure};
use crate::server::history::{Recent, Series};

/// Maximum number of reasons with their own line.
const REASONS: usize = 6;

/// Classes of colours of the reasons, the most frequent first.
const COLOURS: [&str; REASONS] = ["c1", "c2", "c4", "c5", "c3", "c7"];

/// Adds plots of queries, responses and reasons.
pub(super) fn traffic(html: &mut Html, view: &PageView<'_>) {
    let recent = view.recent;
    html.raw(
        "<section class=\"wide\" aria-labelledby=\"h-traffic\"><h2 id=\"h-traffic\">Last 15 minutes</h2>",
    );
    html.raw("<div class=\"figures\">");
    let queries = [
        PlotLine::new("UDP", "c1", Series::Udp),
        PlotLine::new("TCP", "c4", Series::Tcp),
        PlotLine::new("without a response", "c3", Series::Dropped),
    ];
    figure(html, "Queries", &queries, recent);
    let rcodes = [
        PlotLine::new("NOERROR", "c1", Series::Rcode(Rcode::NOERROR)),
        PlotLine::new("NXDOMAIN", "c2", Series::Rcode(Rcode::NXDOMAIN)),
        PlotLine::new("SERVFAIL", "c3", Series::Rcode(Rcode::SERVFAIL)),
        PlotLine::new("REFUSED", "c4", Series::Rcode(Rcode::REFUSED)),
        PlotLine::new("FORMERR", "c5", Series::Rcode(Rcode::FORMERR)),
        PlotLine {
            name: "others",
            class: "c6",
            series: vec![Series::Rcode(Rcode::NOTIMP), Series::OtherRcode],
        },
    ];
    figure(html, "Responses", &rcodes, recent);
    figure(html, "Reasons", &reasons(recent), recent);
    html.raw("</div></section>");
}

/// Returns the most frequent reasons, and the others together.
fn reasons(recent: &Recent<'_>) -> Vec<PlotLine> {
    let mut all: Vec<(u64, Reason)> =
        Reason::ALL.iter().map(|&reason| (recent.sum(Series::Reason(reason)), reason)).collect();
    all.retain(|&(count, _)| count > 0);
    // The sort is stable, so that equally frequent reasons keep their order from page to page.
    all.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
    let others = all.split_off(all.len().min(REASONS));
    let line = |((_, reason), class): (&(u64, Reason), &'static str)| {
        PlotLine::new(reason.as_str(), class, Series::Reason(*reason))
    };
    let mut lines: Vec<PlotLine> = all.iter().zip(COLOURS).map(line).collect();
    if !others.is_empty() {
        let series = others.iter().map(|&(_, reason)| Series::Reason(reason)).collect();
        lines.push(PlotLine { name: "others", class: "c6", series });
    }
    lines
}
