//! The state of a watch, packed into one word so that a query reads it with one load.

use std::time::Duration;

/// Nanoseconds before (negative) or after the start of the [`FreshnessClock`](super::clock::FreshnessClock).
pub(super) type Moment = i64;

/// Added to a [`Moment`] to make it a non-negative number of 62 bits: 36 years in either direction.
const BIAS: Moment = 1 << 60;

/// Deadline of a state without a deadline.
pub(super) const NEVER: Moment = BIAS;

/// Returns a span in the unit of [`Moment`], at most 36 years.
pub(super) fn nanos(span: Duration) -> Moment {
    Moment::try_from(span.as_nanos()).map_or(BIAS, |nanos| nanos.min(BIAS))
}

/// The state of a watch, or the worst of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WatchState {
    /// In sync. Stale from this moment on, unless renewed.
    Fresh(Moment),
    /// A list is under way; last in sync at this moment.
    Resyncing(Moment),
    /// Last in sync at this moment.
    Stale(Moment),
    Unsynced,
}

impl WatchState {
    /// Returns a word with the state in the upper two bits and the time in the other bits.
    pub(super) fn pack(self) -> u64 {
        let (kind, moment) = match self {
            Self::Fresh(until) => (0, until),
            Self::Resyncing(since) => (1, since),
            Self::Stale(since) => (2, since),
            Self::Unsynced => (3, 0),
        };
        (kind << 62) | moment.clamp(-BIAS, BIAS).saturating_add(BIAS).unsigned_abs()
    }

    #[inline]
    pub(super) fn unpack(word: u64) -> Self {
        let moment = (word & (u64::MAX >> 2)).cast_signed().saturating_sub(BIAS);
        match word >> 62 {
            0 => Self::Fresh(moment),
            1 => Self::Resyncing(moment),
            2 => Self::Stale(moment),
            _ => Self::Unsynced,
        }
    }

    /// Returns the time at which a watch that is out of sync was last in sync.
    const fn since(self) -> Option<Moment> {
        match self {
            Self::Fresh(_) | Self::Unsynced => None,
            Self::Resyncing(since) | Self::Stale(since) => Some(since),
        }
    }

    /// Returns the worse of two states, with the older of the two times.
    pub(super) fn worse(self, other: Self) -> Self {
        let oldest = match (self.since(), other.since()) {
            (Some(one), Some(two)) => one.min(two),
            (one, two) => one.or(two).unwrap_or_default(),
        };
        match (self, other) {
            (Self::Unsynced, _) | (_, Self::Unsynced) => Self::Unsynced,
            (Self::Stale(_), _) | (_, Self::Stale(_)) => Self::Stale(oldest),
            (Self::Resyncing(_), _) | (_, Self::Resyncing(_)) => Self::Resyncing(oldest),
            (Self::Fresh(one), Self::Fresh(two)) => Self::Fresh(one.min(two)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_and_oldest_win() {
        use WatchState::{Fresh, Resyncing, Stale, Unsynced};
        assert_eq!(Fresh(NEVER).worse(Fresh(NEVER)), Fresh(NEVER));
        assert_eq!(Fresh(NEVER).worse(Fresh(3)), Fresh(3));
        assert_eq!(Fresh(9).worse(Resyncing(-4)), Resyncing(-4));
        assert_eq!(Resyncing(7).worse(Resyncing(5)), Resyncing(5));
        assert_eq!(Stale(7).worse(Resyncing(5)), Stale(5));
        assert_eq!(Resyncing(-9).worse(Stale(0)), Stale(-9));
        assert_eq!(Stale(1).worse(Unsynced), Unsynced);
    }

    #[test]
    fn states_survive_packing() {
        for moment in [-BIAS, -1, 0, 1, 12345, BIAS] {
            for state in [WatchState::Fresh(moment), WatchState::Stale(moment), WatchState::Resyncing(moment)]
            {
                assert_eq!(WatchState::unpack(state.pack()), state);
            }
        }
        assert_eq!(WatchState::unpack(WatchState::Unsynced.pack()), WatchState::Unsynced);
    }
}
