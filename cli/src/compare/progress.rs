//! The progress of a comparison, on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Interval between two states.
const INTERVAL: Duration = Duration::from_millis(250);

/// Cells of the bar.
const CELLS: u64 = 20;

/// A line on standard error that is written over.
pub(super) struct ProgressBar {
    total: Option<u64>,
    begin: Instant,
    shown: Instant,
}

impl ProgressBar {
    /// Returns the progress towards a number of questions, or `None` if standard error is no terminal; the questions are
    /// counted only if it is one.
    pub(super) fn new(count: impl FnOnce() -> Option<u64>) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (total, now) = (count(), Instant::now());
        Some(Self { total, begin: now, shown: now })
    }

    /// Shows the state, unless the last one is too recent.
    pub(super) fn show(&mut self, asked: u64, different: u64) {
        if self.shown.elapsed() >= INTERVAL {
            let line = line(asked, different, self.total, self.begin.elapsed());
            // There is nowhere to report that standard error is gone.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            self.shown = Instant::now();
        }
    }

    /// Removes the line from the terminal.
    pub(super) fn erase() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// A bar, counts, and the time left, in less than 80 columns; without a total the counts alone.
fn line(asked: u64, different: u64, total: Option<u64>, elapsed: Duration) -> String {
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{asked} asked, {different} differ");
    };
    // There are more than were counted if pods were created meanwhile.
    let done = asked.min(total);
    let full = done * CELLS / total;
    let mut line = String::from("[");
    line.extend((0..CELLS).map(|cell| if cell < full { '#' } else { '-' }));
    // Writing to a String cannot fail.
    let _ = write!(line, "] {:>3} %, {asked} of {total}, {different} differ", done * 100 / total);
    if let Some(left) = elapsed.as_secs().saturating_mul(total - done).checked_div(done) {
        let _ = write!(line, ", {left} s left");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_bar_counts_and_time_left() {
        let seconds = Duration::from_secs;
        for (asked, total, elapsed, wanted) in [
            (0, Some(400), 0, "[--------------------]   0 %, 0 of 400, 3 differ"),
            (100, Some(400), 5, "[#####---------------]  25 %, 100 of 400, 3 differ, 15 s left"),
            (400, Some(400), 20, "[####################] 100 %, 400 of 400, 3 differ, 0 s left"),
            (500, Some(400), 20, "[####################] 100 %, 500 of 400, 3 differ, 0 s left"),
            (100, None, 5, "100 asked, 3 differ"),
            (100, Some(0), 5, "100 asked, 3 differ"),
        ] {
            assert_eq!(line(asked, 3, total, seconds(elapsed)), wanted, "{asked} of {total:?}");
        }
        assert!(line(500_000, 100_000, Some(1_000_000), seconds(5_000)).len() < 80);
    }
}
