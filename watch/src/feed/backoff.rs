//! How long to wait after a failure.

use std::time::Duration;

use tokio::time::Instant;

/// Exponential backoff with full jitter: each delay is drawn evenly from nothing up to a ceiling that doubles,
/// so that a thousand replicas that lost the same API server come back spread over the whole ceiling.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    failures: u32,
    last: Option<Instant>,
}

/// Ceiling of the first delay after a failure.
const FIRST: Duration = Duration::from_millis(500);
/// Ceiling of the first delay before a list that a sound server asks for, of all replicas at once.
const FIRST_RELIST: Duration = Duration::from_secs(2);
/// Ceiling of the longest delay: the price in freshness after a long outage.
const LONGEST: Duration = Duration::from_secs(15);
/// A pause this long between two failures makes the second one a first. Success alone does not: a server that
/// accepts each watch and breaks it at once is as broken as one that refuses.
const FORGET: Duration = Duration::from_mins(1);
/// The most that a server's `Retry-After` is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(2);

impl Backoff {
    /// For failures.
    pub(crate) const fn new() -> Self {
        Self { first: FIRST, failures: 0, last: None }
    }

    /// For lists that a server asks for by 410. It is sound, so they do not wait as long as failures made us.
    pub(crate) const fn of_relists() -> Self {
        Self { first: FIRST_RELIST, failures: 0, last: None }
    }

    /// The delay after one more failure. What the server asked for in `Retry-After` is waited for in full,
    /// with the jitter on top.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) > FORGET) {
            self.failures = 0;
        }
        let ceiling = self.first.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let delay = asked + ceiling.mul_f64(fastrand::f64());
        self.last = Some(now + delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest_of_many(failures: u32) -> Duration {
        let draw = || {
            let mut backoff = Backoff { failures, ..Backoff::new() };
            backoff.next(None)
        };
        (0..2000).map(|_| draw()).max().unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn ceiling_doubles_up_to_the_longest() {
        for (failures, ceiling) in
            [(0, 500), (1, 1000), (2, 2000), (4, 8000), (5, 15_000), (4_000_000, 15_000)]
        {
            let ceiling = Duration::from_millis(ceiling);
            let longest = longest_of_many(failures);
            assert!(longest <= ceiling, "{longest:?} after {failures} failures");
            assert!(longest > ceiling * 9 / 10, "{longest:?} after {failures} failures");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_waited_for_in_full_but_not_for_ever() {
        let asked = Duration::from_secs(7);
        assert!(Backoff::new().next(Some(asked)) >= asked);
        assert!(Backoff::new().next(Some(Duration::MAX)) <= LONGEST_RETRY_AFTER + FIRST);
    }

    /// When the tries of many replicas come, whose API server went at once for all of them: in each second from
    /// the beginning of the longest waits on, hardly more than their share.
    #[tokio::test(start_paused = true)]
    async fn a_thousand_replicas_do_not_stampede() {
        const REPLICAS: u32 = 1000;
        const SECONDS: usize = 300;
        let mut tries = [0_u32; SECONDS];
        for _ in 0..REPLICAS {
            let mut backoff = Backoff::new();
            let mut at = Duration::ZERO;
            while at < Duration::from_secs(SECONDS as u64) {
                at += backoff.next(None);
                if let Some(second) = tries.get_mut(usize::try_from(at.as_secs()).unwrap()) {
                    *second += 1;
                }
            }
        }
        // The mean wait is half the longest. Six standard deviations above it comes once in a billion.
        let share = 2.0 * 1000.0 / LONGEST.as_secs_f64();
        let limit = share + 6.0 * share.sqrt();
        let most = tries.iter().skip(60).max().copied().unwrap_or_default();
        assert!(f64::from(most) < limit, "{most} in one second, and {share} are their share");
        // Even the first second, in which all of them notice, has no more than a few of each.
        assert!(tries[0] < 4 * REPLICAS, "{}", tries[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_minute_makes_it_forget() {
        let mut backoff = Backoff { failures: 9, last: Some(Instant::now()), ..Backoff::new() };
        tokio::time::advance(FORGET).await;
        backoff.next(None);
        assert_eq!(backoff.failures, 10, "a minute is not more than a minute");
        tokio::time::advance(LONGEST + FORGET + Duration::from_millis(1)).await;
        assert!(backoff.next(None) <= FIRST);
        assert_eq!(backoff.failures, 1);
    }
}
