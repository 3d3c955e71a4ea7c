//! The comparison of the index with a list of the watch cache, while the watch continues.
//!
//! The list is requested when the index contains everything up to version `from`, and is not older than `from`. An
//! object whose listed version is not newer than `from`, and that no event has changed since, must be in the index as
//! listed; otherwise that is a difference, and is corrected. Objects that the list does not contain no longer exist
//! once the watch has reached the version of the list: if one is still in the index then, that is a difference, too.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::comparison::{ListComparison, Resync};
use super::request::{ApiRequest, ListConsistency};
use super::resource_version::ResourceVersion;
use super::target::{IndexDifference, ObjectTarget};
use super::{Machine, Notice};

/// Maximum number of objects that may change during a comparison. Above it, the comparison is given up until the next
/// one.
const MAX_TOUCHED: usize = 1 << 18;
/// Time limit for the next bytes of the list.
const SILENCE: Duration = Duration::from_mins(1);

impl<T: ObjectTarget> Machine<T> {
    /// Compares the index with the cluster once per `interval`, with jitter.
    pub(crate) fn resync_every(&mut self, interval: Option<Duration>) {
        self.resync = Resync::every(interval);
    }

    /// Returns the request for a list to compare with, if a comparison is due. Its response goes to the `resync_`
    /// methods.
    pub(crate) fn poll_resync(&mut self, now: Instant) -> Option<ApiRequest> {
        let interval = self.resync.interval?;
        let jittered = interval.mul_f64(0.75 + self.random.f64() / 2.0);
        let due = *self.resync.due.get_or_insert(now + jittered);
        let silent =
            |comparison: &ListComparison| comparison.to.is_none() && now >= comparison.heard + SILENCE;
        if self.resync.comparison.as_ref().is_some_and(silent) {
            self.resync_failed(format!("the server sent nothing for {} s", SILENCE.as_secs()));
        }
        if now < due || !self.is_established() || self.resync.comparison.is_some() {
            return None;
        }
        self.resync.due = Some(now + jittered);
        let from = self.version.clone();
        let read = ListConsistency::NotOlderThan(from.as_str().to_owned());
        self.resync.comparison = Some(ListComparison { from, touched: HashSet::new(), to: None, heard: now });
        self.target.begin_comparison();
        Some(ApiRequest::List { read, limit: None, continue_token: None })
    }

    /// Returns the time of the next call of [`poll_resync`](Self::poll_resync).
    pub(crate) fn resync_deadline(&self) -> Option<Instant> {
        match &self.resync.comparison {
            Some(comparison) => comparison.to.is_none().then(|| comparison.heard + SILENCE),
            None => self.resync.due.filter(|_| self.is_established()),
        }
    }

    /// Returns whether a comparison is under way: its list, or the wait until the watch reaches the version of the
    /// list.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn is_comparing(&self) -> bool {
        self.resync.comparison.is_some()
    }

    /// Returns whether the list of a comparison is under way.
    pub(crate) fn is_resyncing(&self) -> bool {
        self.resync.comparison.as_ref().is_some_and(|comparison| comparison.to.is_none())
    }

    /// Reports that bytes of the list have arrived.
    pub(crate) fn resync_heard(&mut self, now: Instant) {
        if let Some(comparison) = &mut self.resync.comparison {
            comparison.heard = now;
        }
    }

    /// Reports an object of the list.
    pub(crate) fn resync_listed(&mut self, object: &T::Object) {
        let Some(comparison) = &self.resync.comparison else { return };
        if comparison.touched.len() > MAX_TOUCHED {
            return self.resync_failed(format!("more than {MAX_TOUCHED} objects changed meanwhile"));
        }
        let difference = self.target.compare(object);
        let version = ResourceVersion::new(self.target.version(object));
        let certain = version.number().is_some()
            && !comparison.from.is_before(&version)
            && !comparison.touched.contains(&self.target.key(object));
        if let Some(difference) = difference.filter(|_| certain) {
            self.notices.push(Notice::Differs { difference, object: self.target.name(object) });
            self.target.apply(object);
        }
    }

    /// Reports that the list is complete.
    pub(crate) fn resync_ended(&mut self, version: &str) {
        let version = ResourceVersion::new(version);
        if let Some(comparison) = &mut self.resync.comparison {
            if version.is_before(&comparison.from) {
                let (is, from) = (version.as_str(), comparison.from.as_str());
                let why = format!("the list has resource version {is}, older than the requested {from}");
                return self.resync_failed(why);
            }
            comparison.to = Some(version);
        }
        self.resync_caught_up();
    }

    /// Abandons the comparison under way, if there is one. A later one follows.
    pub(crate) fn resync_failed(&mut self, why: String) {
        if self.resync.comparison.take().is_some() {
            self.notices.push(Notice::ComparisonFailed { why });
        }
    }

    /// Removes the objects that the list did not contain, once the watch has reached the version of the list.
    pub(super) fn resync_caught_up(&mut self) {
        let Some(ListComparison { to: Some(to), .. }) = &self.resync.comparison else { return };
        let comparable = to.number().is_some() && self.version.number().is_some();
        if self.version.is_before(to) {
            return;
        }
        if !comparable {
            return self.resync_failed("the server's resource versions are not numbers".to_owned());
        }
        self.resync.comparison = None;
        let notices = &mut self.notices;
        self.target.end_comparison(&mut |object| {
            notices.push(Notice::Differs { difference: IndexDifference::Gone, object });
        });
        self.notices.push(Notice::Compared);
    }
}
