//! History of the last 15 minutes, for the status page and `/status`.
//!
//! The admin endpoints sample the counters every few seconds; without them there is no history, and nothing is counted
//! for it. The history has a fixed size.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use poddns_core::Reason;
use poddns_core::wire::Rcode;

use super::counters::{Counters, DropCause};
use super::state::ServerState;

/// Time between two samples.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Number of samples in the history: 15 minutes.
pub(crate) const SAMPLES: usize = 180;

/// Response codes with their own series.
pub(crate) const RCODES: [Rcode; 6] =
    [Rcode::NOERROR, Rcode::NXDOMAIN, Rcode::SERVFAIL, Rcode::REFUSED, Rcode::FORMERR, Rcode::NOTIMP];

/// A count with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// Queries over UDP.
    Udp,
    /// Queries over TCP.
    Tcp,
    /// Queries without a response.
    Dropped,
    /// Responses with this code.
    Rcode(Rcode),
    /// Responses with any other code.
    OtherRcode,
    /// Responses for this reason.
    Reason(Reason),
}

/// Number of series before those of reasons.
const FIRST_REASON: usize = 3 + RCODES.len() + 1;

/// Number of series.
const SERIES: usize = FIRST_REASON + Reason::ALL.len();

impl Series {
    fn index(self) -> usize {
        match self {
            Self::Udp => 0,
            Self::Tcp => 1,
            Self::Dropped => 2,
            Self::Rcode(rcode) => 3 + RCODES.iter().position(|&known| known == rcode).unwrap_or(RCODES.len()),
            Self::OtherRcode => 3 + RCODES.len(),
            Self::Reason(reason) => FIRST_REASON + reason.index(),
        }
    }
}

/// Counts of all series since the start.
type Totals = [u64; SERIES];

/// Counts between two samples.
#[derive(Clone, Debug)]
struct Sample {
    elapsed: Duration,
    counts: [u32; SERIES],
}

/// The last samples, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
    /// Counts at the last sample, and its time.
    last: Totals,
    taken: Instant,
}

impl History {
    /// Returns an empty history that begins now.
    pub(crate) fn new(state: &ServerState, now: Instant) -> Self {
        Self { samples: VecDeque::with_capacity(SAMPLES), last: totals(state), taken: now }
    }

    /// Adds a sample, and removes the oldest if there are too many.
    pub(crate) fn sample(&mut self, state: &ServerState, now: Instant) {
        let current = self.current(state, now);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(current);
        (self.last, self.taken) = (totals(state), now);
    }

    /// Returns the counts since the last sample.
    fn current(&self, state: &ServerState, now: Instant) -> Sample {
        let now_counted = totals(state);
        let mut counts = [0; SERIES];
        for (count, (now, last)) in counts.iter_mut().zip(now_counted.iter().zip(&self.last)) {
            *count = u32::try_from(now.saturating_sub(*last)).unwrap_or(u32::MAX);
        }
        Sample { elapsed: now.saturating_duration_since(self.taken), counts }
    }

    /// Returns the history up to now.
    pub(crate) fn recent(&self, state: &ServerState, now: Instant) -> Recent<'_> {
        Recent { samples: &self.samples, current: self.current(state, now) }
    }
}

/// The history up to a point in time: the samples, and the counts since the last one.
#[derive(Debug)]
pub(crate) struct Recent<'a> {
    samples: &'a VecDeque<Sample>,
    current: Sample,
}

impl Recent<'_> {
    /// Returns the length of the history.
    pub(crate) fn span(&self) -> Duration {
        self.samples.iter().chain([&self.current]).map(|sample| sample.elapsed).sum()
    }

    /// Returns the count of a series.
    pub(crate) fn sum(&self, series: Series) -> u64 {
        let count = |sample: &Sample| sample.counts.get(series.index()).copied().map_or(0, u64::from);
        self.samples.iter().chain([&self.current]).map(count).sum()
    }

    /// Returns the rate of the last sample, of several series together; `None` if there is no sample yet.
    pub(crate) fn last_rate(&self, all: &[Series]) -> Option<f64> {
        all.iter().map(|&series| self.rates(series).last()).sum()
    }

    /// Returns the rate of each sample, per second, oldest first.
    pub(crate) fn rates(&self, series: Series) -> impl ExactSizeIterator<Item = f64> {
        self.samples.iter().map(move |sample| {
            let count = sample.counts.get(series.index()).copied().unwrap_or_default();
            f64::from(count) / sample.elapsed.as_secs_f64().max(f64::EPSILON)
        })
    }
}

/// Returns the sums of the counters of all threads.
fn totals(state: &ServerState) -> Totals {
    let mut totals = [0; SERIES];
    let mut add = |series: Series, count: u64| {
        if let Some(total) = totals.get_mut(series.index()) {
            *total += count;
        }
    };
    let mut add_all = |of: &Counters, queries: Series| {
        add(queries, of.queries.get());
        add(Series::Dropped, DropCause::ALL.iter().map(|&why| of.drops(why)).sum());
        of.responses.counts().for_each(|(code, count)| add(Series::Rcode(Rcode(code)), count));
        for &reason in Reason::ALL {
            add(Series::Reason(reason), of.reason(reason));
        }
    };
    state.udp.iter().for_each(|counters| add_all(counters, Series::Udp));
    add_all(&state.tcp, Series::Tcp);
    totals
}

#[cfg(test)]
mod tests {
    use poddns_core::Freshness;

    use super::*;
    use crate::server::admin::samples;

    #[test]
    fn every_series_has_an_index() {
        let rcodes = RCODES.map(Series::Rcode);
        let reasons = Reason::ALL.iter().map(|&reason| Series::Reason(reason));
        let all = [Series::Udp, Series::Tcp, Series::Dropped].into_iter().chain(rcodes);
        let all: Vec<usize> = all.chain([Series::OtherRcode]).chain(reasons).map(Series::index).collect();
        assert_eq!(all, (0..SERIES).collect::<Vec<_>>());
        assert_eq!(Series::Rcode(Rcode::BADVERS).index(), Series::OtherRcode.index());
    }

    #[test]
    fn history_spans_the_last_samples_and_now() {
        let state = samples::state(samples::full_report(Freshness::Fresh));
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        state.tcp.queries.add(7);
        let mut history = History::new(&state, start);
        let sum = |history: &History, now| history.recent(&state, now).sum(Series::Tcp);
        assert_eq!(sum(&history, start), 0, "earlier counts are not included");
        let mut now = start;
        for _ in 0..SAMPLES {
            state.tcp.queries.add(10);
            now += 2 * second;
            history.sample(&state, now);
        }
        state.tcp.queries.add(1);
        let recent = history.recent(&state, now + second);
        assert_eq!(recent.sum(Series::Tcp), 10 * SAMPLES as u64 + 1);
        assert_eq!(recent.span(), second * 361);
        assert!(recent.rates(Series::Tcp).all(|rate| (rate - 5.0).abs() < 1e-9));
        assert_eq!(recent.rates(Series::Tcp).len(), SAMPLES);
        // The oldest is removed.
        history.sample(&state, now + 2 * second);
        assert_eq!(sum(&history, now + 2 * second), 10 * (SAMPLES as u64 - 1) + 1);
        assert!(history.samples.capacity() < 2 * SAMPLES, "its memory is bounded");
    }
}
