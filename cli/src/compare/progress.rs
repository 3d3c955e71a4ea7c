//! The progress of a comparison, on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Minimum time between two updates.
const INTERVAL: Duration = Duration::from_millis(250);

/// Width of the bar in characters.
const CELLS: u64 = 20;

/// A line on standard error that is overwritten by each update.
pub(super) struct ProgressBar {
    total: Option<u64>,
    begin: Instant,
    shown: Instant,
}

impl ProgressBar {
    /// Returns a progress bar, or `None` if standard error is not a terminal. Calls `count` for the total number of
    /// questions only if it is.
    pub(super) fn new(count: impl FnOnce() -> Option<u64>) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (total, now) = (count(), Instant::now());
        Some(Self { total, begin: now, shown: now })
    }

    /// Updates the line, unless the last update was too recent.
    pub(super) fn show(&mut self, asked: u64, different: u64) {
        if self.shown.elapsed() >= INTERVAL {
            let line = line(asked, different, self.total, self.begin.elapsed());
            // A failure of standard error cannot be reported anywhere.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            self.shown = Instant::now();
        }
    }

    /// Removes the line from the terminal.
    pub(super) fn erase() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// Returns the bar, the counts, and the time left, in less than 80 columns; without a total only the counts.
fn line(asked: u64, different: u64, total: Option<u64>, elapsed: Duration) -> String {
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{asked} asked, {different} differ");
    };
    // More than the total if pods were created since the count.
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
