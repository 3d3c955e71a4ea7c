//! Formats of `/metrics`: `OpenMetrics`, and the older text format of Prometheus.

/// Content type of `OpenMetrics`.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Content type of the text format of Prometheus.
pub(super) const TEXT_0_0_4: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposition {
    OpenMetrics,
    Text,
}

impl Exposition {
    /// Returns the format with the highest weight in `Accept` headers (RFC 9110 12.5.1): the text format, unless
    /// `OpenMetrics` is named with at least the same weight.
    pub(super) fn preferred<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let (mut open, mut text) = (0.0_f32, 0.0_f32);
        for item in accept.flat_map(|header| header.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if kind.eq_ignore_ascii_case("application/openmetrics-text") {
                open = open.max(weight);
            } else if kind.eq_ignore_ascii_case("text/plain") {
                text = text.max(weight);
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// Converts metrics from `OpenMetrics`: a counter has the name of its samples, `info` is a gauge, and there is no end
/// marker.
pub(super) fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // HELP precedes TYPE, which determines the suffix of both.
    let mut help = None;
    for line in open_metrics.lines() {
        if line == "# EOF" {
            break;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, words)) = help.take().and_then(|help| help.split_once(' ')) {
                text.extend(["# HELP ", name, suffix, " ", words, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# UNIT ") {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_of_the_highest_weight_is_preferred() {
        let preferred = |accept: &str| Exposition::preferred(std::iter::once(accept));
        for text in [
            "",
            "*/*",
            "text/plain",
            "text/plain;version=0.0.4",
            "text/html, */*;q=0.1",
            "application/openmetrics-text;q=0, */*",
            "application/openmetrics-text;q=0.5,text/plain;version=0.0.4",
            "application/openmetrics-text;q=junk",
        ] {
            assert_eq!(preferred(text), Exposition::Text, "{text}");
        }
        for open in [
            "application/openmetrics-text",
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; q=0.5, */*;q=0.1",
            // Prometheus 3.
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
             version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             /;q=0.2",
        ] {
            assert_eq!(preferred(open), Exposition::OpenMetrics, "{open}");
        }
    }

    #[test]
    fn counters_and_info_are_renamed() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"# EOF\"} 1\n# HELP b Build.\n# TYPE b info\n\
                    b_info{v=\"1\"} 1\n# HELP c Level.\n# TYPE c gauge\n# UNIT c s\nc 2\n# EOF\n";
        let text = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n# HELP b_info Build.\n\
                    # TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c Level.\n# TYPE c gauge\nc 2\n";
        assert_eq!(to_text(open), text);
    }
}
