//! One limiter of negative answers for all sockets of a thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use poddns_core::IpCidr;

use super::limiter::{RateLimit, RateLimiter};
use super::shared::{is_due, replace};

/// The limiter of a thread, which follows the configuration: it may be off for a while.
pub(crate) struct QuestionLimiter {
    key: [u8; 16],
    inner: RefCell<Option<RateLimiter>>,
    logged: Cell<Option<Instant>>,
}

impl fmt::Debug for QuestionLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuestionLimiter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl QuestionLimiter {
    /// One without a limit. `key` is secret, and random.
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key, inner: RefCell::default(), logged: Cell::default() }
    }

    /// Takes over the limit of the configuration; `None` is off.
    pub(crate) fn set(&self, limit: Option<&RateLimit>, exempt: &[IpCidr], now: Instant) {
        replace(&mut self.inner.borrow_mut(), self.key, limit, exempt, now);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.inner.borrow().is_some()
    }

    /// See [`RateLimiter::admits`].
    pub(crate) fn admits(&self, client: IpAddr, negative: bool, clock: impl Fn() -> Instant) -> bool {
        let mut limiter = self.inner.borrow_mut();
        let Some(limiter) = limiter.as_mut() else { return true };
        let admitted = limiter.admits(client, negative, &clock);
        if !admitted && is_due(&self.logged, clock()) {
            let network = limiter.network_of(client);
            tracing::warn!(
                network = network.map(tracing::field::display),
                "more questions for names that do not exist than nxdomain-limit allows, from this network and perhaps \
                 others: it is refused everything for a while; see poddns_nxdomain_limited_responses"
            );
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    fn limit(rate: u32) -> RateLimit {
        RateLimit { responses_per_second: NonZeroU32::new(rate).unwrap(), ..RateLimit::default() }
    }

    #[test]
    fn spent_budget_refuses_positive_answers_too() {
        let (limiter, now) = (QuestionLimiter::new([7; 16]), Instant::now());
        let client = IpAddr::from([203, 0, 113, 7]);
        assert!(!limiter.is_on() && limiter.admits(client, true, || now));
        limiter.set(Some(&limit(4)), &[], now);
        assert!((0..100).all(|_| limiter.admits(client, false, || now)), "positive answers cost nothing");
        assert_eq!((0..9).filter(|_| limiter.admits(client, true, || now)).count(), 4);
        assert!(!limiter.admits(client, false, || now));
        assert!(limiter.admits(IpAddr::from([203, 0, 114, 7]), true, || now), "another network");
        let later = now + Duration::from_millis(250);
        assert!(limiter.admits(client, false, || later), "one is repaid");
        assert!(limiter.admits(client, true, || later));
        assert!(!limiter.admits(client, false, || later));
    }

    #[test]
    fn exempt_networks_have_no_limit() {
        let (limiter, now) = (QuestionLimiter::new([7; 16]), Instant::now());
        let exempt = ["203.0.113.0/24".parse().unwrap()];
        limiter.set(Some(&limit(1)), &exempt, now);
        assert!((0..9).all(|_| limiter.admits([203, 0, 113, 7].into(), true, || now)));
        assert!(!(0..9).all(|_| limiter.admits([203, 0, 112, 7].into(), true, || now)));
        limiter.set(None, &exempt, now);
        assert!((0..9).all(|_| limiter.admits([203, 0, 112, 7].into(), true, || now)));
    }

    /// Questions that a scan of a /16 takes, of which no address exists: the figure of docs/security.md.
    #[test]
    fn scan_is_as_slow_as_documented() {
        const ADDRESSES: u64 = 1 << 16;
        let (limiter, start) = (QuestionLimiter::new([7; 16]), Instant::now());
        limiter.set(Some(&limit(10)), &[], start);
        let (mut learned, mut at) = (0, Duration::ZERO);
        // Ten times as fast as the limit.
        while learned < ADDRESSES {
            learned += u64::from(limiter.admits([203, 0, 113, 7].into(), true, || start + at));
            at += Duration::from_millis(10);
        }
        assert_eq!(at.as_secs(), (ADDRESSES - 10) / 10, "1 h 49 min");
    }
}
