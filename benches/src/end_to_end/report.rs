//! Results, as a Markdown table and as CSV for the plot.

use std::fmt::Write;
use std::io;
use std::path::Path;

use super::dnsperf::Answers;
use super::median;

/// The figures of one server over all rounds.
#[derive(Clone, Debug, Default)]
pub struct EndToEndFigures {
    /// The server, and its number of pods if it is measured with several.
    pub name: String,
    /// Saturated, without and with EDNS: the client shares the server's processor, so queries always wait.
    pub full: [Runs; 2],
    /// At the rate of a client on its own processor.
    pub apart: Runs,
    /// At half load: the same rate for all servers.
    pub half: Runs,
    /// At 80 % of the rate that it reaches with a client on its own processor.
    pub most: Runs,
}

/// Figures of the runs of one kind.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// CPU time per answered query, in microseconds.
    pub cpu: Vec<f64>,
    /// Responses per second.
    pub rate: Vec<f64>,
    /// Median latency, in microseconds.
    pub p50: Vec<f64>,
    /// 99th percentile of the latency, in microseconds.
    pub p99: Vec<f64>,
    /// Number of queries sent in all runs.
    pub sent: u64,
    /// Number of these queries without a response.
    pub lost: u64,
}

impl Runs {
    /// Adds a run in which the server used `cpu` seconds of CPU time.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn add(&mut self, cpu: f64, answers: &Answers) {
        self.cpu.push(cpu * 1e6 / answers.completed.max(1) as f64);
        self.rate.push(answers.rate);
        self.p50.extend(answers.quantile(0.5).map(|time| time * 1e6));
        self.p99.extend(answers.quantile(0.99).map(|time| time * 1e6));
        self.sent += answers.completed + answers.lost;
        self.lost += answers.lost;
    }
}

impl EndToEndFigures {
    /// Returns the median CPU time per query at saturation, in microseconds, without and with EDNS.
    #[must_use]
    pub fn cpu(&self) -> [f64; 2] {
        self.full.each_ref().map(|runs| median(&runs.cpu))
    }

    /// Returns the median rate with a client on its own processor, in responses per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        median(&self.apart.rate)
    }
}

/// Returns a table in Markdown. The first row is the floor with which the others are compared.
#[must_use]
pub fn table(all: &[EndToEndFigures], half: u32) -> String {
    let mut text = format!(
        "| server | CPU per query, us | with EDNS, us | ratio to the null responder, without / with EDNS | queries/s | \
         CPU at that rate, us | CPU at {half}/s, us | p50 / p99 at {half}/s, us | lost at 80 % load |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    let floor = all.first().map(EndToEndFigures::cpu).unwrap_or_default();
    for figures in all {
        let [plain, edns] = figures.cpu();
        let (half, most) = (&figures.half, &figures.most);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {plain:.2} ({}) | {edns:.2} | {:.2} / {:.2} | {:.0} | {:.2} | {:.2} | {:.0} / {:.0} | {} of {} |",
            figures.name,
            range(&figures.full[0].cpu),
            plain / floor[0],
            edns / floor[1],
            figures.rate(),
            median(&figures.apart.cpu),
            median(&half.cpu),
            median(&half.p50),
            median(&half.p99),
            most.lost,
            most.sent,
        );
    }
    text
}

/// Formats the minimum and the maximum.
fn range(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(0.0, f64::max);
    format!("{least:.2}-{greatest:.2}")
}

/// Writes the medians as comma-separated values, from which the plot is made.
pub fn write_csv(path: &Path, all: &[EndToEndFigures]) -> io::Result<()> {
    let mut text = String::from(
        "server,cpu_us,cpu_edns_us,queries_per_second,apart_cpu_us,half_cpu_us,half_p50_us,half_p99_us\n",
    );
    for figures in all {
        let [plain, edns] = figures.cpu();
        let half = &figures.half;
        let _ = writeln!(
            text,
            "\"{}\",{plain:.3},{edns:.3},{:.0},{:.3},{:.3},{:.0},{:.0}",
            figures.name,
            figures.rate(),
            median(&figures.apart.cpu),
            median(&half.cpu),
            median(&half.p50),
            median(&half.p99)
        );
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &str, cpu: f64) -> EndToEndFigures {
        let latencies = vec![0.000_1; 100];
        let answers = Answers { completed: 1_000_000, rate: 5e4, latencies, ..Answers::default() };
        let mut figures = EndToEndFigures { name: name.to_owned(), ..EndToEndFigures::default() };
        for runs in figures.full.iter_mut().chain([&mut figures.apart, &mut figures.half, &mut figures.most])
        {
            runs.add(cpu, &answers);
            runs.add(cpu * 1.5, &answers);
            runs.add(cpu * 0.5, &answers);
        }
        figures
    }

    #[test]
    fn table_compares_medians_with_first_row() {
        let table = table(&[figures("floor", 4.0), figures("other", 5.0)], 25_000);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(
            rows[2],
            "| floor | 4.00 (2.00-6.00) | 4.00 | 1.00 / 1.00 | 50000 | 4.00 | 4.00 | 100 / 100 | 0 of 3000000 |"
        );
        assert!(rows[3].starts_with("| other | 5.00 (2.50-7.50) | 5.00 | 1.25 / 1.25 |"), "{}", rows[3]);
    }
}
