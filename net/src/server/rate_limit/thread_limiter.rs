//! One limiter for all sockets of a thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use poddns_core::IpCidr;

use super::limiter::{LimitAction, RateLimit, RateLimiter};

/// Minimum time between two log lines of a limiter about clients beyond the limit, so that log lines do not fill the
/// disk.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// A limiter of a thread, for responses or for negative answers; off if no limit is configured.
pub(crate) struct ThreadLimiter {
    key: [u8; 16],
    inner: RefCell<Option<RateLimiter>>,
    /// Time of the last log line.
    logged: Cell<Option<Instant>>,
}

impl fmt::Debug for ThreadLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadLimiter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl ThreadLimiter {
    /// Returns a limiter that is off. `key` is secret and random.
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key, inner: RefCell::default(), logged: Cell::default() }
    }

    /// Replaces the limit; `None` is off. Budgets are kept, unless it was off or the size of the table changes.
    pub(crate) fn set(&self, limit: Option<&RateLimit>, exempt: &[IpCidr], now: Instant) {
        let mut inner = self.inner.borrow_mut();
        match (inner.as_mut(), limit) {
            (Some(limiter), Some(limit)) => limiter.set(limit, exempt, now),
            (None, Some(limit)) => *inner = Some(RateLimiter::new(limit.clone(), exempt, self.key, now)),
            (_, None) => *inner = None,
        }
    }

    /// Returns true if there is a limit.
    pub(crate) fn is_on(&self) -> bool {
        self.inner.borrow().is_some()
    }

    /// Counts a response against the rate limit, as [`RateLimiter::check`] does, and logs a response beyond the limit.
    pub(crate) fn check(&self, client: IpAddr, clock: impl Fn() -> Instant) -> LimitAction {
        let mut limiter = self.inner.borrow_mut();
        let Some(limiter) = limiter.as_mut() else { return LimitAction::Send };
        let action = limiter.check(client, &clock);
        if action != LimitAction::Send && self.log_is_due(clock()) {
            tracing::warn!(
                network = limiter.network_of(client).map(tracing::field::display),
                "more queries than rate-limit allows to answer, from this network and perhaps others; see \
                 poddns_rate_limited_responses"
            );
        }
        action
    }

    /// Applies the limit of negative answers, as [`RateLimiter::admits`] does, and logs a response beyond the limit.
    pub(crate) fn admits(&self, client: IpAddr, negative: bool, clock: impl Fn() -> Instant) -> bool {
        let mut limiter = self.inner.borrow_mut();
        let Some(limiter) = limiter.as_mut() else { return true };
        let admitted = limiter.admits(client, negative, &clock);
        if !admitted && self.log_is_due(clock()) {
            tracing::warn!(
                network = limiter.network_of(client).map(tracing::field::display),
                "more queries for names that do not exist than nxdomain-limit allows, from this network and perhaps \
                 others: it is refused everything for a while; see poddns_nxdomain_limited_responses"
            );
        }
        admitted
    }

    /// Returns true if another log line is due, and records it as written.
    fn log_is_due(&self, now: Instant) -> bool {
        let is_recent = |logged: Instant| now.saturating_duration_since(logged) < LOG_INTERVAL;
        let is_due = !self.logged.get().is_some_and(is_recent);
        if is_due {
            self.logged.set(Some(now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    fn limit(rate: u32) -> RateLimit {
        RateLimit { responses_per_second: NonZeroU32::new(rate).unwrap(), ..RateLimit::default() }
    }

    #[test]
    fn limit_follows_the_configuration() {
        let (limiter, now) = (ThreadLimiter::new([7; 16]), Instant::now());
        let beyond = || (0..9).filter(|_| limiter.check(CLIENT, || now) != LimitAction::Send).count();
        assert!(!limiter.is_on());
        assert_eq!(beyond(), 0);
        limiter.set(Some(&limit(4)), &[], now);
        assert!(limiter.is_on());
        assert_eq!(beyond(), 5);
        limiter.set(Some(&limit(4)), &[], now);
        assert_eq!(beyond(), 9, "budgets stay");
        limiter.set(None, &[], now);
        assert!(!limiter.is_on());
        assert_eq!(beyond(), 0);
        limiter.set(Some(&limit(4)), &[], now);
        assert_eq!(beyond(), 5, "a limiter that was off is empty");
    }

    #[test]
    fn excess_is_logged_once_a_minute() {
        let (limiter, now) = (ThreadLimiter::new([7; 16]), Instant::now());
        limiter.set(Some(&limit(1)), &[], now);
        limiter.check(CLIENT, || now);
        assert_eq!(limiter.logged.get(), None);
        for milliseconds in [0, 100, 900] {
            limiter.check(CLIENT, || now + Duration::from_millis(milliseconds));
            assert_eq!(limiter.logged.get(), Some(now));
        }
        let later = now + LOG_INTERVAL;
        limiter.check(CLIENT, || later);
        limiter.check(CLIENT, || later);
        assert_eq!(limiter.logged.get(), Some(later));
    }

    #[test]
    fn spent_budget_refuses_positive_answers_too() {
        let (limiter, now) = (ThreadLimiter::new([7; 16]), Instant::now());
        assert!(!limiter.is_on() && limiter.admits(CLIENT, true, || now));
        limiter.set(Some(&limit(4)), &[], now);
        assert!((0..100).all(|_| limiter.admits(CLIENT, false, || now)), "positive answers cost nothing");
        assert_eq!((0..9).filter(|_| limiter.admits(CLIENT, true, || now)).count(), 4);
        assert!(!limiter.admits(CLIENT, false, || now));
        assert!(limiter.admits(IpAddr::from([203, 0, 114, 7]), true, || now), "another network");
        let later = now + Duration::from_millis(250);
        assert!(limiter.admits(CLIENT, false, || later), "one is repaid");
        assert!(limiter.admits(CLIENT, true, || later));
        assert!(!limiter.admits(CLIENT, false, || later));
    }

    #[test]
    fn exempt_networks_have_no_limit() {
        let (limiter, now) = (ThreadLimiter::new([7; 16]), Instant::now());
        let exempt = ["203.0.113.0/24".parse().unwrap()];
        limiter.set(Some(&limit(1)), &exempt, now);
        assert!((0..9).all(|_| limiter.admits(CLIENT, true, || now)));
        assert!(!(0..9).all(|_| limiter.admits([203, 0, 112, 7].into(), true, || now)));
        limiter.set(None, &exempt, now);
        assert!((0..9).all(|_| limiter.admits([203, 0, 112, 7].into(), true, || now)));
    }

    /// Time to scan a /16 in which no address exists: the figure of docs/security.md.
    #[test]
    fn scan_is_as_slow_as_documented() {
        const ADDRESSES: u64 = 1 << 16;
        let (limiter, start) = (ThreadLimiter::new([7; 16]), Instant::now());
        limiter.set(Some(&limit(10)), &[], start);
        let (mut learned, mut at) = (0, Duration::ZERO);
        // Ten times as fast as the limit.
        while learned < ADDRESSES {
            learned += u64::from(limiter.admits(CLIENT, true, || start + at));
            at += Duration::from_millis(10);
        }
        assert_eq!(at.as_secs(), (ADDRESSES - 10) / 10, "1 h 49 min");
    }
}
