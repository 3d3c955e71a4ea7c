//! The reference page of metrics, docs/metrics.md, generated from the table of families.
//!
//! `PODDNS_WRITE_DOCUMENTS=1 cargo test --workspace --lib document` writes it; without the variable the test compares it.

use std::fmt::Write as _;

use super::{MetricFamily, MetricLabel, SECTIONS};

const HEAD: &str = "\
# Metrics of poddnsd

`/metrics` of the [admin address](options.md#admin) has these metrics, in OpenMetrics or in the text format of Prometheus, as
the scraper requests. Counters begin at 0 when the process starts; units are seconds and bytes. Each thread has its own counters,
which a scrape adds up, so that responses need no locked instructions for them.

The [dashboard](../deploy/grafana/poddns.json) and the [alerts](runbook.md) use them.

This page is generated from the table of the metrics in the code.
";

/// Returns every family.
fn families() -> impl Iterator<Item = &'static MetricFamily> {
    SECTIONS.iter().flat_map(|section| section.families)
}

/// Returns `docs/metrics.md`, the reference of all metrics, as Markdown.
#[must_use]
pub fn metrics_reference() -> String {
    let mut text = HEAD.to_owned();
    for section in &SECTIONS {
        let _ = write!(
            text,
            "\n## {}\n| metric | type | labels | meaning |\n|---|---|---|---|\n",
            section.heading
        );
        for family in section.families {
            let names: Vec<String> = family.labels.iter().map(|label| format!("`{}`", label.name)).collect();
            let more = if family.more.is_empty() { String::new() } else { format!(" {}", family.more) };
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {}.{more} |",
                family.name,
                family.kind.name(),
                names.join(", "),
                family.help
            );
        }
    }
    labels(&mut text);
    text
}

/// Adds the labels and their bounds.
fn labels(text: &mut String) {
    text.push_str("\n## Labels\n| label | of | at most | values |\n|---|---|---|---|\n");
    let mut seen: Vec<(MetricLabel, Vec<String>)> = Vec::new();
    for family in families() {
        for &label in family.labels {
            let name = format!("`{}`", family.name);
            match seen.iter_mut().find(|(known, _)| *known == label) {
                Some((_, of)) => of.push(name),
                None => seen.push((label, vec![name])),
            }
        }
    }
    for (label, of) in seen {
        let _ =
            writeln!(text, "| `{}` | {} | {} | {} |", label.name, of.join(", "), label.most, label.values);
    }
    let most: usize = families().map(MetricFamily::most).sum();
    let _ = write!(
        text,
        "\nNo label has anything in it that a query or a pod brings: a server has at most {most} series, whatever it is asked.\n"
    );
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use poddns_core::Freshness;

    use super::super::family::MetricKind;
    use super::super::{registry, text};
    use super::*;
    use crate::server::admin::document::check;
    use crate::server::admin::exposition::to_text;
    use crate::server::admin::samples;

    #[test]
    fn metrics_document_is_that_of_the_table() {
        check("docs/metrics.md", &metrics_reference());
    }

    #[test]
    fn every_family_is_complete_and_well_named() {
        let mut names = BTreeSet::new();
        for family in families() {
            let name = family.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("poddns_") || name.starts_with("process_"), "{name}");
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{name}");
            assert!(family.more.is_empty() || family.more.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == MetricKind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), family.kind == MetricKind::Info, "{name}");
            for other in ["milliseconds", "_ms", "octets", "kilobytes", "count_"] {
                assert!(!name.contains(other), "{name}: seconds and bytes");
            }
        }
    }

    /// Returns the families of an exposition, and the values of each label.
    fn exposed(text: &str) -> BTreeMap<&str, BTreeMap<&str, Vec<&str>>> {
        let mut families: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let name =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let family = families.entry(name).or_default();
            for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
                let (key, value) = label.split_once('=').unwrap();
                let values = family.entry(key).or_default();
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        families
    }

    #[test]
    fn exposition_has_the_families_of_the_table() {
        // With all optional parts that a family can depend on.
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let text = text(&registry(Arc::clone(&state))).unwrap();
        let text = to_text(&text);
        let exposed = exposed(&text);
        for family in families() {
            let labels = exposed.get(family.name).unwrap_or_else(|| panic!("{} is not exposed", family.name));
            for label in family.labels {
                let values =
                    labels.get(label.name).unwrap_or_else(|| panic!("{} {}", family.name, label.name));
                assert!(values.len() <= label.most, "{} {}: {values:?}", family.name, label.name);
            }
            let others = labels.keys().filter(|&&key| key != "le").count();
            assert_eq!(others, family.labels.len(), "{}", family.name);
            let kind = format!("# TYPE {} {}\n", family.name, family.kind.name());
            assert!(text.contains(&kind), "{kind}");
        }
        assert_eq!(exposed.len(), families().count(), "all of them are in the table");
    }
}
