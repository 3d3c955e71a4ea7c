//! What keeps readers right while the one writer works: atomic words and the epoch.
//!
//! # The rule
//!
//! All shared memory of the index consists of atomic words that are never given back. The writer stores with
//! `Release`, readers load with `Acquire`. A single word never lies: it is stored in one piece, and an answer
//! that rests on one word alone was true at the moment of the load. Most answers rest on several words, and
//! the writer may move or reuse some of them in between. So the writer keeps this order:
//!
//! 1. publish the new state (store the words that lead to it),
//! 2. [`Epoch::advance`],
//! 3. destroy the old state (clear the old copies, hand slots out again).
//!
//! and a reader this one ([`Epoch::consistently`]):
//!
//! 1. load the epoch,
//! 2. load whatever the answer takes,
//! 3. load the epoch again: if it has moved, begin again.
//!
//! Why that suffices: say the reader saw the same epoch `e` twice. Its first load of it acquires the store of
//! `e`, so all that was published before `e` is visible to it: nothing is missing because its new place was
//! not yet there. And it has seen no word of the destruction that follows `e + 1`: had any of its loads taken
//! such a word, that load would have acquired it, the store of `e + 1` comes before it in the writer, and so
//! the second load of the epoch could not have given `e` any more. So everything it saw was reachable and
//! intact at one point in time.
//!
//! Readers wait for nobody. A writer that is suspended anywhere, even between 1 and 3, leaves the epoch as it
//! is, and the reader's next attempt succeeds. Only an epoch that moves *during* an attempt makes another one
//! necessary, and an attempt takes well under a microsecond.

use poddns_core::Unknown;

#[cfg(poddns_loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(not(poddns_loom))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// An atomic word of either width.
pub(super) trait Word {
    /// What it holds. The default is 0, the state in which it begins.
    type Value: Copy + Default + PartialEq;

    fn zero() -> Self;
    fn load(&self) -> Self::Value;
    /// The writer's.
    fn store(&self, value: Self::Value);
}

impl Word for AtomicU32 {
    type Value = u32;

    fn zero() -> Self {
        Self::new(0)
    }

    fn load(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, value: u32) {
        self.store(value, Ordering::Release);
    }
}

impl Word for AtomicU64 {
    type Value = u64;

    fn zero() -> Self {
        Self::new(0)
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.store(value, Ordering::Release);
    }
}

/// How often a reader tries at most.
///
/// The writer advances the epoch about once in a microsecond when it does nothing but change pods as fast as it
/// can, and an attempt takes a few tenths of that, so one in a few may be lost then. This many in a row are out
/// of reach; the bound is there so that a reader is finite by construction.
const ATTEMPTS: usize = 64;

/// Counts the destructions. On a cache line of its own, for the writer stores it often.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Epoch(AtomicU64);

impl Epoch {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Called by the writer alone, after publishing and before destroying.
    pub(super) fn advance(&self) {
        // One writer, so load and store need not be one step.
        let next = self.0.load(Ordering::Relaxed).wrapping_add(1);
        self.0.store(next, Ordering::Release);
    }

    /// Returns what `read` returned when nothing was destroyed meanwhile; [`Unknown`] if something was in each of
    /// [`ATTEMPTS`].
    #[inline]
    pub(super) fn consistently<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Unknown> {
        // Nearly always the first one succeeds. Apart from the others it is no loop, out of which the compiler
        // would take what may not even be needed.
        match self.attempt(&mut read) {
            Some(answer) => Ok(answer),
            None => self.persist(read),
        }
    }

    // What is read must come out as a part of the caller, not as a function that is told of its variables.
    #[expect(clippy::inline_always, reason = "left to itself, the compiler shares it with `persist`")]
    #[inline(always)]
    fn attempt<T>(&self, read: &mut impl FnMut() -> T) -> Option<T> {
        let before = self.0.load(Ordering::Acquire);
        let answer = read();
        // The loads in `read` acquire, so this one cannot come before them.
        (self.0.load(Ordering::Acquire) == before).then_some(answer)
    }

    #[cold]
    fn persist<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Unknown> {
        (1..ATTEMPTS).find_map(|_| self.attempt(&mut read)).ok_or(Unknown)
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_the_epoch_overtook_is_repeated() {
        let epoch = Epoch::new();
        let mut attempts = 0;
        let answer = epoch.consistently(|| {
            attempts += 1;
            if attempts < 3 {
                epoch.advance();
            }
            attempts
        });
        assert_eq!((answer, attempts), (Ok(3), 3));
    }

    #[test]
    fn a_reader_is_finite_whatever_the_writer_does() {
        let epoch = Epoch::new();
        let mut attempts = 0;
        let answer = epoch.consistently(|| {
            epoch.advance();
            attempts += 1;
            7
        });
        assert_eq!((answer, attempts), (Err(Unknown), ATTEMPTS));
    }
}
