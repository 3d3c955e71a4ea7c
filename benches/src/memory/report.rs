//! The chart and the tables of docs/memory.md.

use super::results::{MemoryFigures, Results};
use super::{MeasuredProgram, table};
use crate::plot::{Axis, Chart, ChartLine, Scale, colours};

/// Figures of `CoreDNS`, measured separately, with the method.
const COREDNS: &str = include_str!("../../data/coredns-memory.csv");

const BEGIN: &str = "<!-- made by `memory report`: begin -->\n";
const END: &str = "<!-- made by `memory report`: end -->\n";

/// Returns the page with the tables of these results in place of its present ones; `None` if the page has no marks for
/// them.
#[must_use]
pub fn page(page: &str, results: &Results) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let context = results.context.iter().map(|(key, value)| format!("{key}: {value}"));
    let context: Vec<String> = context.collect();
    Some(format!("{before}{BEGIN}{}.\n\n{}{END}{after}", context.join("; "), table(results)))
}

/// Returns the chart of first-list peaks against the number of pods, as an SVG document.
#[must_use]
pub fn plot(results: &Results) -> String {
    let [x, y] = axes();
    let title = "Memory at the peak of the first list".to_owned();
    Chart { title, x, y, lines: lines(results), margin: 150 }.svg()
}

/// Returns the curves of the programs.
fn lines(results: &Results) -> Vec<ChartLine> {
    let peaks = |subject| points(results, subject, |figures| figures.first_peak);
    let line = |label: &[&str], label_offset, colour, dashed, points| {
        let label = label.iter().map(|&text| text.to_owned()).collect();
        ChartLine { label, label_offset, colour, dashed, points }
    };
    vec![
        line(
            &["kube's store of", "k8s-openapi pods"],
            (12, -9),
            colours::ORANGE,
            false,
            peaks(MeasuredProgram::ReflectorPods),
        ),
        line(&["CoreDNS 1.14.7,", "not from this run"], (12, 0), colours::RED, true, coredns()),
        line(
            &["kube's store", "of slim pods"],
            (12, -9),
            colours::GREEN,
            false,
            peaks(MeasuredProgram::ReflectorSlim),
        ),
        line(
            &["poddnsd,", "lists in pages"],
            (12, -26),
            colours::BLUE,
            true,
            peaks(MeasuredProgram::PoddnsdPaged),
        ),
        line(
            &["poddnsd,", "streaming lists"],
            (12, 12),
            colours::BLUE,
            false,
            peaks(MeasuredProgram::PoddnsdStreamed),
        ),
    ]
}

/// Returns the axes of pods and of memory.
fn axes() -> [Axis; 2] {
    let tick = |value: u32, label: &str| (f64::from(value), label.to_owned());
    let x = Axis {
        label: "pods of 9.2 KB each".to_owned(),
        scale: Scale::LogarithmicWithZero(1000.0),
        ticks: vec![
            tick(0, "0"),
            tick(10_000, "10,000"),
            tick(100_000, "100,000"),
            tick(1_000_000, "1,000,000"),
        ],
    };
    let y = Axis {
        label: "resident, whole process".to_owned(),
        scale: Scale::Logarithmic,
        ticks: vec![
            tick(4, "4 MiB"),
            tick(16, "16 MiB"),
            tick(64, "64 MiB"),
            tick(256, "256 MiB"),
            tick(1024, "1 GiB"),
            tick(4096, "4 GiB"),
            tick(16_384, "16 GiB"),
        ],
    };
    [x, y]
}

/// Returns the medians of a figure in MiB, against the number of pods.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn points(results: &Results, subject: MeasuredProgram, figure: fn(&MemoryFigures) -> u64) -> Vec<(f64, f64)> {
    let point = |pods| {
        let spread = results.spread(subject, pods, |figures| Some(figure(figures)))?;
        Some((f64::from(pods), spread.median as f64 / 1024.0))
    };
    results.sizes(subject).into_iter().filter_map(point).collect()
}

/// Returns the same points for `CoreDNS`.
fn coredns() -> Vec<(f64, f64)> {
    let lines = COREDNS.lines().filter_map(|line| line.split_once(','));
    let numbers = lines.filter_map(|(pods, megabytes)| {
        Some((pods.parse().ok()?, megabytes.parse::<f64>().ok()? * 1e6 / f64::from(1 << 20)))
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_between_the_marks() {
        let results = Results { context: vec![("kernel".to_owned(), "Linux".to_owned())], runs: Vec::new() };
        let made = page(&format!("before\n{BEGIN}old\n{END}after\n"), &results).expect("there is a place");
        assert!(made.starts_with(&format!("before\n{BEGIN}kernel: Linux.\n\n| |")), "{made}");
        assert!(made.ends_with(&format!("|\n{END}after\n")) && !made.contains("old"), "{made}");
        assert_eq!(page(&made, &results), Some(made));
        assert_eq!(page("no place", &results), None);
    }

    #[test]
    fn figures_of_coredns_are_read() {
        let all = coredns();
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], (0.0, 39e6 / 1_048_576.0));
    }
}
