//! One limiter for all sockets of a thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use poddns_core::IpCidr;

use super::limiter::{RateLimit, RateLimiter, Verdict};

/// Shortest interval between two log lines of a thread about clients beyond the limit.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The limiter of a thread, which follows the configuration: it may be off for a while.
pub(crate) struct Limiter {
    key: [u8; 16],
    inner: RefCell<Option<RateLimiter>>,
    told: Cell<Option<Instant>>,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Limiter {
    /// One without a limit. `key` is secret, and random.
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key, inner: RefCell::default(), told: Cell::default() }
    }

    /// Takes over the limit of the configuration; `None` is off.
    pub(crate) fn set(&self, limit: Option<&RateLimit>, exempt: &[IpCidr], now: Instant) {
        replace(&mut self.inner.borrow_mut(), self.key, limit, exempt, now);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.inner.borrow().is_some()
    }

    /// See [`RateLimiter::check`].
    pub(crate) fn check(&self, client: IpAddr, clock: impl Fn() -> Instant) -> Verdict {
        let mut limiter = self.inner.borrow_mut();
        let Some(limiter) = limiter.as_mut() else { return Verdict::Send };
        let verdict = limiter.check(client, &clock);
        if verdict != Verdict::Send {
            self.tell(limiter, client, clock());
        }
        verdict
    }

    /// A line in the log now and then: the operator should know, and the disk should not fill.
    fn tell(&self, limiter: &RateLimiter, client: IpAddr, now: Instant) {
        if !is_due(&self.told, now) {
            return;
        }
        if let Some(network) = limiter.network_of(client) {
            tracing::warn!(
                %network,
                "more queries than rate-limit allows to answer, from this network and perhaps others; see \
                 poddns_rate_limited_responses"
            );
        }
    }
}

/// Makes a limiter follow the configuration, of which `None` is off; what is known of the clients stays.
pub(super) fn replace(
    limiter: &mut Option<RateLimiter>,
    key: [u8; 16],
    limit: Option<&RateLimit>,
    exempt: &[IpCidr],
    now: Instant,
) {
    match (limiter.as_mut(), limit) {
        (Some(limiter), Some(limit)) => limiter.set(limit, exempt, now),
        (None, Some(limit)) => *limiter = Some(RateLimiter::new(limit.clone(), exempt, key, now)),
        (_, None) => *limiter = None,
    }
}

/// Returns whether the last log line is old enough for another one, which then counts as written.
pub(super) fn is_due(logged: &Cell<Option<Instant>>, now: Instant) -> bool {
    let silent = |logged: Instant| now.saturating_duration_since(logged) < LOG_INTERVAL;
    let is_due = !logged.get().is_some_and(silent);
    if is_due {
        logged.set(Some(now));
    }
    is_due
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn follows_the_configuration() {
        let (limiter, now) = (Limiter::new([7; 16]), Instant::now());
        let client = IpAddr::from([203, 0, 113, 7]);
        let beyond = || (0..9).filter(|_| limiter.check(client, || now) != Verdict::Send).count();
        assert!(!limiter.is_on());
        assert_eq!(beyond(), 0);
        let limit = RateLimit { responses_per_second: NonZeroU32::new(4).unwrap(), ..RateLimit::default() };
        limiter.set(Some(&limit), &[], now);
        assert!(limiter.is_on());
        assert_eq!(beyond(), 5);
        limiter.set(Some(&limit), &[], now);
        assert_eq!(beyond(), 9, "nothing is forgotten");
        limiter.set(None, &[], now);
        assert!(!limiter.is_on());
        assert_eq!(beyond(), 0);
        limiter.set(Some(&limit), &[], now);
        assert_eq!(beyond(), 5, "off forgets");
    }

    #[test]
    fn tells_once_a_minute() {
        let (limiter, now) = (Limiter::new([7; 16]), Instant::now());
        let limit = RateLimit { responses_per_second: NonZeroU32::MIN, ..RateLimit::default() };
        limiter.set(Some(&limit), &[], now);
        let client = IpAddr::from([203, 0, 113, 7]);
        limiter.check(client, || now);
        assert_eq!(limiter.told.get(), None);
        for seconds in [0.0, 0.1, 59.0] {
            limiter.check(client, || now + Duration::from_secs_f64(seconds / 1000.0));
            assert_eq!(limiter.told.get(), Some(now));
        }
        let later = now + LOG_INTERVAL;
        limiter.check(client, || later);
        limiter.check(client, || later);
        assert_eq!(limiter.told.get(), Some(later));
    }
}
