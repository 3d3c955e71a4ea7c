//! Durations of sampled queries, from their reception to the sending of their responses.
//!
//! Every 1,024th query of a thread and transport is a sample, so the clock is read twice per 1,024 queries, and a batch
//! without a sample costs one comparison. The selection depends only on the number of the query.

use std::time::Duration;

use super::counter::Counter;

/// Number of queries of a thread and transport from one sample to the next.
const INTERVAL: u64 = 1024;

/// Upper bounds of the buckets, in microseconds; one more bucket has no bound.
const BOUNDS: [u32; 15] =
    [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];

/// Number of buckets.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram of one thread and transport.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// Number of the query that is the next sample.
    next: Counter,
    nanoseconds: Counter,
    buckets: [Counter; BUCKETS],
}

impl Latency {
    /// Returns true if the next sample is among the `new` queries that follow the first `before` ones of this thread.
    pub(crate) fn is_due(&self, before: u64, new: usize) -> bool {
        before.wrapping_add(new as u64) > self.next.get()
    }

    /// Adds a sample with this duration, and selects the next one.
    pub(crate) fn add(&self, took: Duration) {
        self.next.add(INTERVAL);
        let microseconds = took.as_nanos().div_ceil(1000);
        let bucket =
            BOUNDS.iter().position(|&bound| microseconds <= u128::from(bound)).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.increment();
        }
        self.nanoseconds.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Returns the sum of all samples in seconds, and the buckets: their upper bounds in seconds and their counts.
pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Latency>) -> (f64, Vec<(f64, u64)>) {
    let bounds = BOUNDS.iter().map(|&bound| f64::from(bound) / 1e6).chain([f64::INFINITY]);
    let mut buckets: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
    let mut seconds = 0.0;
    for latency in all {
        seconds += Duration::from_nanos(latency.nanoseconds.get()).as_secs_f64();
        for ((_, count), bucket) in buckets.iter_mut().zip(&latency.buckets) {
            *count += bucket.get();
        }
    }
    (seconds, buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_query_and_every_1024th_are_due() {
        let latency = Latency::default();
        let mut samples = Vec::new();
        for before in 0..5000 {
            if latency.is_due(before, 1) {
                samples.push(before);
                latency.add(Duration::ZERO);
            }
        }
        assert_eq!(samples, [0, 1024, 2048, 3072, 4096]);
        assert!(!latency.is_due(5056, 64));
        assert!(latency.is_due(5057, 64), "in the middle of a batch");
        assert!(!Latency::default().is_due(0, 0), "an empty batch has no sample");
    }

    #[test]
    fn durations_are_counted_below_their_bound() {
        let (one, other) = (Latency::default(), Latency::default());
        for nanoseconds in [0, 5_000, 5_001] {
            one.add(Duration::from_nanos(nanoseconds));
        }
        other.add(Duration::from_secs(2));
        let (seconds, buckets) = sum([&one, &other]);
        assert!((seconds - 2.000_010_001).abs() < 1e-12, "{seconds}");
        let counts: Vec<u64> = buckets.iter().map(|&(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((buckets[0].0, buckets[15].0), (0.000_005, f64::INFINITY));
    }
}
