//! Retry delays.

use std::time::Duration;

/// Exponential backoff: each delay is drawn at random from a range whose upper end doubles.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// The lower end of the range, in percent of its upper end. 0 (full jitter) spreads many replicas evenly; retries
    /// that cost the server next to nothing need less spreading.
    floor: u32,
    failures: u32,
}

impl Backoff {
    /// Returns the backoff for a server that does not respond. A refused connection costs the server nothing, so the
    /// longest delay is short: it delays the detection of a server that is back.
    pub(crate) const fn of_connections() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(500),
            floor: 50,
            failures: 0,
        }
    }

    /// Returns the backoff for requests to which a server responds with an error.
    pub(crate) const fn of_answers() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(10), floor: 0, failures: 0 }
    }

    /// Returns the backoff for watches that end or expire soon after they began.
    pub(crate) const fn of_short_watches() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(15), floor: 50, failures: 0 }
    }

    /// Returns the delay before the next attempt, and counts one more failure.
    pub(crate) fn next(&mut self, random: &mut fastrand::Rng) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let floor = ceiling * self.floor / 100;
        floor + ceiling.saturating_sub(floor).mul_f64(random.f64())
    }

    /// Resets the delay to the shortest one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(backoff: &Backoff) -> Vec<Duration> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..2000).map(|_| backoff.clone().next(&mut random)).collect()
    }

    #[test]
    fn ceiling_doubles_up_to_the_longest() {
        for (failures, ceiling) in
            [(0, 500), (1, 1000), (2, 2000), (4, 8000), (5, 10_000), (4_000_000, 10_000)]
        {
            let ceiling = Duration::from_millis(ceiling);
            let draws = draws(&Backoff { failures, ..Backoff::of_answers() });
            let longest = draws.iter().max().copied().unwrap_or_default();
            assert!(longest <= ceiling && longest > ceiling * 9 / 10, "{longest:?} after {failures}");
        }
    }

    #[test]
    fn returned_server_is_noticed_within_half_second() {
        let draws = draws(&Backoff { failures: 1000, ..Backoff::of_connections() });
        assert!(draws.iter().all(|delay| *delay <= Duration::from_millis(500)));
        assert!(draws.iter().all(|delay| *delay >= Duration::from_millis(250)), "no busy loop");
    }

    #[test]
    fn reset_begins_with_the_shortest_delay() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff { failures: 9, ..Backoff::of_answers() };
        backoff.reset();
        assert!(backoff.next(&mut random) <= Duration::from_millis(500));
    }

    /// Retries of many replicas after an API server has refused all of them at once: no second has many more than the
    /// average.
    #[test]
    fn a_thousand_replicas_do_not_stampede() {
        const REPLICAS: u32 = 1000;
        const SECONDS: usize = 300;
        let mut random = fastrand::Rng::with_seed(7);
        let mut tries = [0_u32; SECONDS];
        for _ in 0..REPLICAS {
            let mut backoff = Backoff::of_answers();
            let mut at = Duration::ZERO;
            while at < Duration::from_secs(SECONDS as u64) {
                at += backoff.next(&mut random);
                if let Some(second) = tries.get_mut(usize::try_from(at.as_secs()).unwrap()) {
                    *second += 1;
                }
            }
        }
        // The mean delay is half the longest; six standard deviations above the mean are exceeded once in a billion.
        let share = 2.0 * f64::from(REPLICAS) / Backoff::of_answers().longest.as_secs_f64();
        let most = tries.iter().skip(60).max().copied().unwrap_or_default();
        assert!(
            f64::from(most) < share + 6.0 * share.sqrt(),
            "{most} in one second, and {share} are their share"
        );
    }
}
