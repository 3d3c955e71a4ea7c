//! Servers as separate processes, queried over loopback: the cost of a query in a whole server, including sockets and
//! kernel.
//!
//! All servers receive queries for the same names from the same client, dnsperf. The client and the servers are each
//! pinned to one processor. The program `end_to_end` documents the methodology.

pub mod dnsperf;
pub mod names;
pub mod peers;
pub mod plot;
pub mod process;
pub mod report;

use std::error::Error;

/// Reason why a measurement cannot be made. It is printed, and ends the program.
pub type EndToEndError = Box<dyn Error + Send + Sync>;

/// Returns the median: the middle value, or the mean of the two middle values; 0 without values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(high), 1) => *high,
        (Some(high), _) => f64::midpoint(sorted[middle - 1], *high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "exact in binary")]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), 3.0);
    }
}
