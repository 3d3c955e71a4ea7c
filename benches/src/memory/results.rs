//! Results and their file format.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use thiserror::Error;

use super::MeasuredProgram;

/// The figures of one run. Memory is in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFigures {
    /// Time from the start of the process until its first list is complete and it is ready.
    pub ready: Duration,
    /// CPU time until then.
    pub ready_cpu: Duration,
    /// Peak of resident memory until then.
    pub first_peak: u64,
    /// Resident memory after a time without changes.
    pub steady: u64,
    /// CPU time per change; `None` if there are no pods.
    pub change_cpu: Option<Duration>,
    /// Peak of resident memory during a second list.
    pub relist_peak: u64,
    /// Resident memory after the second list and a time without changes.
    pub relisted: u64,
}

/// A run and its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The measured program.
    pub subject: MeasuredProgram,
    /// Number of pods.
    pub pods: u32,
    /// Number of the run among those of the same program and size, from 1.
    pub number: u32,
    /// The figures.
    pub figures: MemoryFigures,
}

/// All runs, and their conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Machine, time and conditions, as keys and values.
    pub context: Vec<(String, String)>,
    /// The runs, in the order in which they were made.
    pub runs: Vec<Run>,
}

/// Reason why a file does not contain results.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct ResultsParseError {
    line: usize,
    what: String,
}

const HEADER: &str = "subject,pods,run,ready_us,ready_cpu_us,first_peak_kib,steady_kib,change_cpu_ns,relist_peak_kib,\
                      relisted_kib";

impl Results {
    /// Returns the figures of the runs with one program and one size.
    pub fn of(&self, subject: MeasuredProgram, pods: u32) -> impl Iterator<Item = &MemoryFigures> {
        let runs = self.runs.iter().filter(move |run| run.subject == subject && run.pods == pods);
        runs.map(|run| &run.figures)
    }

    /// Returns the sizes with which a program was measured, in ascending order.
    #[must_use]
    pub fn sizes(&self, subject: MeasuredProgram) -> Vec<u32> {
        let runs = self.runs.iter().filter(|run| run.subject == subject);
        let sizes: std::collections::BTreeSet<u32> = runs.map(|run| run.pods).collect();
        sizes.into_iter().collect()
    }

    /// Returns the median, the minimum and the maximum of a figure; `None` if it was not measured.
    pub fn spread<T: Ord + Copy>(
        &self,
        subject: MeasuredProgram,
        pods: u32,
        figure: impl Fn(&MemoryFigures) -> Option<T>,
    ) -> Option<Spread<T>> {
        let mut all: Vec<T> = self.of(subject, pods).filter_map(figure).collect();
        all.sort_unstable();
        let median = *all.get(all.len() / 2)?;
        Some(Spread { median, least: *all.first()?, most: *all.last()? })
    }
}

/// Spread of a figure over runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread<T> {
    /// The median; if the number of values is even, the greater of the two middle values.
    pub median: T,
    /// The minimum.
    pub least: T,
    /// The maximum.
    pub most: T,
}

impl Display for Results {
    /// Formats the results as CSV, with the conditions as comments at the beginning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.context {
            writeln!(f, "# {key}: {value}")?;
        }
        writeln!(f, "{HEADER}")?;
        for Run { subject, pods, number, figures } in &self.runs {
            let MemoryFigures { ready, ready_cpu, first_peak, steady, change_cpu, relist_peak, relisted } =
                figures;
            let change_cpu = change_cpu.map(|time| time.as_nanos().to_string()).unwrap_or_default();
            writeln!(
                f,
                "{},{pods},{number},{},{},{first_peak},{steady},{change_cpu},{relist_peak},{relisted}",
                subject.name(),
                ready.as_micros(),
                ready_cpu.as_micros(),
            )?;
        }
        Ok(())
    }
}

impl FromStr for Results {
    type Err = ResultsParseError;

    fn from_str(text: &str) -> Result<Self, ResultsParseError> {
        let mut results = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let fault = |what: &str| ResultsParseError { line, what: what.to_owned() };
            if let Some(comment) = text.strip_prefix("# ") {
                let (key, value) =
                    comment.split_once(": ").ok_or_else(|| fault("a comment without a key"))?;
                results.context.push((key.to_owned(), value.to_owned()));
            } else if text != HEADER {
                results.runs.push(run(text).ok_or_else(|| fault("this is no run"))?);
            }
        }
        Ok(results)
    }
}

fn run(line: &str) -> Option<Run> {
    let mut fields = line.split(',');
    let subject = MeasuredProgram::from_str(fields.next()?, false).ok()?;
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (pods, run) = (number()?.try_into().ok()?, number()?.try_into().ok()?);
    let (ready, ready_cpu) = (Duration::from_micros(number()?), Duration::from_micros(number()?));
    let (first_peak, steady) = (number()?, number()?);
    let change_cpu = match fields.next()? {
        "" => None,
        nanoseconds => Some(Duration::from_nanos(nanoseconds.parse().ok()?)),
    };
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (relist_peak, relisted) = (number()?, number()?);
    let figures = MemoryFigures { ready, ready_cpu, first_peak, steady, change_cpu, relist_peak, relisted };
    fields.next().is_none().then_some(Run { subject, pods, number: run, figures })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(steady: u64) -> MemoryFigures {
        MemoryFigures {
            ready: Duration::from_micros(1_234_567),
            ready_cpu: Duration::from_micros(89),
            first_peak: steady + 1,
            steady,
            change_cpu: steady.is_multiple_of(2).then_some(Duration::from_nanos(12_345)),
            relist_peak: steady + 2,
            relisted: steady + 3,
        }
    }

    fn results(steady: &[u64]) -> Results {
        let subject = MeasuredProgram::PoddnsdPaged;
        let run =
            |(number, steady): (u32, &u64)| Run { subject, pods: 10, number, figures: figures(*steady) };
        let context = vec![("machine".to_owned(), "two cores: small".to_owned())];
        Results { context, runs: (1..).zip(steady).map(run).collect() }
    }

    #[test]
    fn a_file_holds_what_was_measured() {
        let results = results(&[7, 8]);
        assert_eq!(results.to_string().parse(), Ok(results));
        let error = format!("{HEADER}\npoddnsd-paged,1,2\n").parse::<Results>().expect_err("too short");
        assert_eq!(error.to_string(), "line 2: this is no run");
    }

    #[test]
    fn spread_is_of_all_runs() {
        let results = results(&[9, 1, 4]);
        let spread =
            |pods| results.spread(MeasuredProgram::PoddnsdPaged, pods, |figures| Some(figures.steady));
        assert_eq!(spread(10), Some(Spread { median: 4, least: 1, most: 9 }));
        assert_eq!(spread(11), None);
        assert_eq!(results.sizes(MeasuredProgram::PoddnsdPaged), [10]);
        assert!(results.sizes(MeasuredProgram::ReflectorPods).is_empty());
    }

    #[test]
    fn subjects_go_by_their_names() {
        for subject in MeasuredProgram::ALL {
            assert_eq!(MeasuredProgram::from_str(subject.name(), false), Ok(subject));
        }
    }
}
