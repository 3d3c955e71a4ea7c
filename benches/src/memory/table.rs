//! The results as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::MeasuredProgram;
use super::results::{MemoryFigures, Results, Spread};

/// Returns the limit of the daemon's steady memory with this number of pods, in KiB: 12 MiB and 64 bytes per pod.
fn steady_limit(pods: u32) -> f64 {
    f64::from(12 << 10) + f64::from(pods) * 64.0 / 1024.0
}

/// Returns the limit of the daemon's memory at any time, in KiB: 120 % of the steady limit and 8 MiB.
fn peak_limit(pods: u32) -> f64 {
    steady_limit(pods).mul_add(1.2, f64::from(8 << 10))
}

/// Returns two tables: the figures of each program, and the daemon's figures compared with its limits. The values are
/// medians, with minimum and maximum if these differ by more than a tenth of the median.
#[must_use]
pub fn table(results: &Results) -> String {
    let mut out = String::new();
    figures(results, &mut out).and_then(|()| limits(results, &mut out)).expect("a String takes anything");
    out
}

fn figures(results: &Results, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "| | pods | start to ready | CPU until then | peak, first list | steady | bytes per pod | peak, relist | steady \
         after it | CPU per change |\n|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for subject in MeasuredProgram::ALL {
        for pods in results.sizes(subject) {
            let memory = |figure: fn(&MemoryFigures) -> u64| {
                text(results.spread(subject, pods, |figures| Some(figure(figures))), mebibytes)
            };
            let time = |figure: fn(&MemoryFigures) -> Option<Duration>| {
                text(results.spread(subject, pods, figure), duration)
            };
            let row = [
                subject.title().to_owned(),
                grouped(pods),
                time(|figures| Some(figures.ready)),
                time(|figures| Some(figures.ready_cpu)),
                memory(|figures| figures.first_peak),
                memory(|figures| figures.steady),
                per_pod(results, subject, pods).unwrap_or_default(),
                memory(|figures| figures.relist_peak),
                memory(|figures| figures.relisted),
                time(|figures| figures.change_cpu),
            ];
            writeln!(out, "| {} |", row.join(" | "))?;
        }
    }
    Ok(())
}

/// Returns the bytes of steady memory that each pod adds.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_pod(results: &Results, subject: MeasuredProgram, pods: u32) -> Option<String> {
    let steady = |pods| results.spread(subject, pods, |figures| Some(figures.steady));
    let more = steady(pods)?.median as f64 - steady(0)?.median as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tens of thousands")]
    (pods > 0).then(|| grouped((more * 1024.0 / f64::from(pods)).round() as u32))
}

fn limits(results: &Results, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n| the most of all runs | pods | steady | limit | | peak | limit | |\n|---|---|---|---|---|---|---|---|"
    )?;
    for subject in MeasuredProgram::ALL.into_iter().filter(|subject| subject.is_poddnsd()) {
        for pods in results.sizes(subject) {
            let most = |figure: fn(&MemoryFigures) -> u64| results.of(subject, pods).map(figure).max();
            let steady = most(|figures| figures.steady.max(figures.relisted)).unwrap_or_default();
            let peak = most(|figures| figures.first_peak.max(figures.relist_peak)).unwrap_or_default();
            write!(out, "| {} | {} |", subject.title(), grouped(pods))?;
            for (size, limit) in [(steady, steady_limit(pods)), (peak, peak_limit(pods))] {
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let kept = if size as f64 <= limit { "kept" } else { "**missed**" };
                write!(out, " {} | {:.1} MiB | {kept} |", mebibytes(size), limit / 1024.0)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn text<T: Copy + Into<Amount>>(spread: Option<Spread<T>>, write: impl Fn(T) -> String) -> String {
    let Some(Spread { median, least, most }) = spread else { return String::new() };
    let [Amount(middle), Amount(low), Amount(high)] = [median, least, most].map(Into::into);
    if high - low > middle / 10.0 {
        format!("{} ({} to {})", write(median), write(least), write(most))
    } else {
        write(median)
    }
}

/// A figure of any unit, for comparison with others of the same unit.
struct Amount(f64);

impl From<u64> for Amount {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<Duration> for Amount {
    fn from(value: Duration) -> Self {
        Self(value.as_secs_f64())
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(kibibytes: u64) -> String {
    let mebibytes = kibibytes as f64 / 1024.0;
    match mebibytes {
        ..100.0 => format!("{mebibytes:.1} MiB"),
        ..1024.0 => format!("{mebibytes:.0} MiB"),
        _ => format!("{:.1} GiB", mebibytes / 1024.0),
    }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 1e-3 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} us", seconds * 1e6)
    }
}

/// Formats a number with a comma before each group of three digits.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;

    fn run(pods: u32, number: u32, steady: u64, peak: u64) -> Run {
        let change_cpu = (pods > 0).then_some(Duration::from_micros(12));
        let ready = Duration::from_millis(1500);
        let (ready_cpu, relisted) = (ready, steady);
        let figures = MemoryFigures {
            ready,
            ready_cpu,
            first_peak: peak,
            steady,
            change_cpu,
            relist_peak: peak,
            relisted,
        };
        Run { subject: MeasuredProgram::PoddnsdStreamed, pods, number, figures }
    }

    #[test]
    fn memory_is_told_with_its_limits() {
        let mebibyte = 1 << 10;
        let runs = vec![
            run(0, 1, 8 * mebibyte, 9 * mebibyte),
            run(1 << 20, 1, 76 * mebibyte, 99 * mebibyte),
            run(1 << 20, 2, 77 * mebibyte, 120 * mebibyte),
        ];
        let table = table(&Results { context: Vec::new(), runs });
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(
            rows[3],
            "| poddnsd, streaming lists | 1,048,576 | 1.5 s | 1.5 s | 120 MiB (99.0 MiB to 120 MiB) | 77.0 MiB | 69 | \
             120 MiB (99.0 MiB to 120 MiB) | 77.0 MiB | 12.0 us |"
        );
        assert_eq!(
            rows[8],
            "| poddnsd, streaming lists | 1,048,576 | 77.0 MiB | 76.0 MiB | **missed** | 120 MiB | 99.2 MiB | \
             **missed** |"
        );
        assert!(rows[7].contains("| 8.0 MiB | 12.0 MiB | kept | 9.0 MiB | 22.4 MiB | kept |"), "{}", rows[7]);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (10_000, "10,000"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
