//! Servers as processes of their own, asked over loopback: what a query costs a whole server, sockets and kernel
//! included.
//!
//! All are asked the same names by the same client, dnsperf, which is pinned to one processor and the servers to
//! another. The binary `end_to_end` documents what is measured and how.

pub mod dnsperf;
pub mod names;
pub mod peers;
pub mod plot;
pub mod process;
pub mod report;

use std::error::Error;

/// Reason why a measurement cannot be made; it is shown and ends the program.
pub type EndToEndError = Box<dyn Error + Send + Sync>;

/// The middle one, or the mean of the two in the middle; 0 of none.
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
