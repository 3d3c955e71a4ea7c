//! Consistent reads beside the one writer: atomic words and the epoch.
//!
//! # The rule
//!
//! All shared memory of the index consists of atomic words that are never freed. The writer stores with `Release`,
//! readers load with `Acquire`. A single word is never torn, and an answer that rests on one word alone was true at
//! the moment of the load. Most answers rest on several words, and the writer may move or reuse some of them in
//! between. So the writer keeps this order:
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
//! the second load of the epoch could not have returned `e` any more. So everything it saw was reachable and
//! intact at one point in time.
//!
//! # Progress
//!
//! Readers wait for nobody. A writer that is suspended anywhere, even between 1 and 3, leaves the epoch as it
//! is, and the reader's next attempt succeeds. Only an epoch that moves *during* an attempt makes another one
//! necessary.
//!
//! A writer at full speed advances the epoch every few hundred nanoseconds, which is as long as an attempt takes, so
//! most attempts fail then, and without more, no number of them would be enough for certain. So a reader whose
//! [`FREE_ATTEMPTS`] have failed requests a pause. The writer looks for requests before each advance, when nothing
//! is destroyed yet and readers find the old state and the new one, and waits there until none is left: by spinning
//! for a reader on another core, which is done in less than a microsecond; by yielding to one that waits for this core;
//! by sleeping for one of lower priority, to which the kernel leaves the core only then. After [`PATIENCE`] it goes
//! on even if readers still wait, so that a reader that the kernel does not run holds the writer up once for each
//! attempt, not for as long as it is not run.
//!
//! With a pause, an attempt fails only if the kernel suspends the reader in the middle of it, which takes some
//! hundred nanoseconds, for longer than the writer's patience of some milliseconds. That happens once in several
//! thousand attempts at worst. [`PAUSED_ATTEMPTS`] of them in a row do not, and if they did, the look-up would be
//! [`Unknown`], not "no".
//!
//! The two `SeqCst` fences, one between a request and the reader's next load of the epoch, one before each of the
//! writer's looks, order every look before the reader's fence or after it. Those after it see the request. Of those
//! before it only the last can be followed by an advance that the reader's next load has not seen, and one advance
//! makes one attempt fail. So the second paused attempt finds a writer that waits. The model below tries all
//! interleavings.

use poddns_core::Unknown;

#[cfg(all(test, not(poddns_loom)))]
pub(super) use super::stops::{AtomicU32, AtomicU64};
#[cfg(poddns_loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(any(test, poddns_loom)))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(not(poddns_loom))]
pub(super) use std::sync::atomic::{Ordering, fence};

/// An atomic word of either width.
pub(super) trait AtomicWord {
    /// Contents. The default is 0, the initial state.
    type Value: Copy + Default + PartialEq;

    fn zero() -> Self;
    fn load(&self) -> Self::Value;
    /// Stores a value; for the writer alone.
    fn store(&self, value: Self::Value);
}

impl AtomicWord for AtomicU32 {
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

impl AtomicWord for AtomicU64 {
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

/// Maximum number of attempts that a reader makes before it requests a pause.
const FREE_ATTEMPTS: u32 = if cfg!(poddns_loom) { 1 } else { 8 };

/// Maximum number of attempts that a reader makes after it has requested a pause.
const PAUSED_ATTEMPTS: u32 = if cfg!(poddns_loom) { 2 } else { 64 };

/// Rounds in which the writer waits for readers that have requested a pause: some 10 microseconds of spinning, then
/// yields, then naps, each of which takes 50 to 100 microseconds.
const PATIENCE: u32 = SPINS + YIELDS + NAPS;
const SPINS: u32 = 256;
const YIELDS: u32 = 16;
const NAPS: u32 = 64;
#[cfg(not(poddns_loom))]
const NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// Counts the destructions, and lets readers request a pause between them.
#[derive(Debug)]
pub(super) struct Epoch {
    count: CacheLine,
    /// Requests for a pause: the number of readers that wait in the lower half, and in the upper half a number that
    /// changes with each of their attempts.
    requests: CacheLine,
    /// The requests that the writer has waited for in vain.
    ignored: AtomicU64,
}

/// A word on a cache line of its own: those who store it do not disturb those who load its neighbours.
#[derive(Debug)]
#[repr(align(64))]
struct CacheLine(AtomicU64);

/// One reader that waits, in [`Epoch::requests`].
const READER: u64 = 1;
/// One attempt of such a reader.
const ATTEMPT: u64 = 1 << 32;

/// Number of readers that wait.
const fn waiting(requests: u64) -> u32 {
    requests as u32
}

impl Epoch {
    pub(super) fn new() -> Self {
        let line = || CacheLine(AtomicU64::new(0));
        Self { count: line(), requests: line(), ignored: AtomicU64::new(0) }
    }

    /// Called by the writer alone, after publishing and before destroying. Waits for readers that have requested it,
    /// but never for longer than some milliseconds.
    pub(super) fn advance(&self) {
        self.advance_after(PATIENCE);
    }

    fn advance_after(&self, patience: u32) {
        fence(Ordering::SeqCst);
        let requests = self.requests.0.load(Ordering::Relaxed);
        if waiting(requests) > 0 && requests != self.ignored.load(Ordering::Relaxed) {
            self.pause(patience);
        }
        // One writer, so load and store need not be one step.
        let next = self.count.0.load(Ordering::Relaxed).wrapping_add(1);
        self.count.0.store(next, Ordering::Release);
    }

    /// Waits until no reader waits, for so many rounds at most.
    #[cold]
    fn pause(&self, patience: u32) {
        for round in 0..patience {
            if waiting(self.requests.0.load(Ordering::Relaxed)) == 0 {
                return;
            }
            wait(round);
        }
        self.ignored.store(self.requests.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns what `read` returned when nothing was destroyed meanwhile; [`Unknown`] if something was in every
    /// attempt.
    #[inline]
    pub(super) fn consistently<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Unknown> {
        // The first one nearly always succeeds. Outside the loop of the others, so that the compiler does not hoist
        // what may not even be needed out of it.
        match self.attempt(&mut read) {
            Some(answer) => Ok(answer),
            None => self.persist(read),
        }
    }

    // `read` must be inlined into the caller rather than become a function that its variables are passed to.
    #[expect(clippy::inline_always, reason = "left to itself, the compiler shares it with `persist`")]
    #[inline(always)]
    fn attempt<T>(&self, read: &mut impl FnMut() -> T) -> Option<T> {
        let before = self.count.0.load(Ordering::Acquire);
        let answer = read();
        // The loads in `read` acquire, so this one cannot come before them.
        (self.count.0.load(Ordering::Acquire) == before).then_some(answer)
    }

    #[cold]
    fn persist<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Unknown> {
        let mut request = None;
        for attempt in 1..FREE_ATTEMPTS + PAUSED_ATTEMPTS {
            if attempt >= FREE_ATTEMPTS {
                request.get_or_insert_with(|| PauseRequest::new(&self.requests.0)).renew();
            }
            if let Some(answer) = self.attempt(&mut read) {
                return Ok(answer);
            }
        }
        Err(Unknown)
    }
}

/// A reader's request for a pause, until it is dropped.
struct PauseRequest<'a>(&'a AtomicU64);

impl<'a> PauseRequest<'a> {
    fn new(requests: &'a AtomicU64) -> Self {
        requests.fetch_add(READER, Ordering::Relaxed);
        Self(requests)
    }

    /// Requests a pause for one more attempt, which follows.
    fn renew(&self) {
        self.0.fetch_add(ATTEMPT, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

impl Drop for PauseRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(READER, Ordering::Relaxed);
    }
}

/// One round of the writer's wait for readers.
#[cfg(not(poddns_loom))]
fn wait(round: u32) {
    if round < SPINS {
        std::hint::spin_loop();
    } else if round < SPINS + YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(NAP);
    }
}

#[cfg(poddns_loom)]
fn wait(_: u32) {
    loom::thread::yield_now();
}

/// All interleavings of a reader and a writer that advances the epoch as often as it can.
#[cfg(all(test, poddns_loom))]
mod model {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    const VALUE: u32 = 7;

    /// A value that moves from one slot to the other and back.
    struct Moving {
        epoch: Epoch,
        place: AtomicU32,
        slots: [AtomicU32; 2],
    }

    impl Moving {
        fn read(&self) -> u32 {
            self.slots[self.place.load(Ordering::Acquire) as usize].load(Ordering::Acquire)
        }

        fn move_to(&self, to: u32, patience: u32) {
            self.slots[to as usize].store(VALUE, Ordering::Release);
            self.place.store(to, Ordering::Release);
            self.epoch.advance_after(patience);
            self.slots[1 - to as usize].store(0, Ordering::Release);
        }
    }

    fn check(
        moves: u32,
        patience: u32,
        allowed: impl Fn(Result<u32, Unknown>) -> bool + Send + Sync + 'static,
    ) {
        loom::model(move || {
            let slots = [AtomicU32::new(VALUE), AtomicU32::new(0)];
            let moving = Arc::new(Moving { epoch: Epoch::new(), place: AtomicU32::new(0), slots });
            let writer = Arc::clone(&moving);
            let writer = thread::spawn(move || {
                (1..=moves).for_each(|number| writer.move_to(number % 2, patience));
            });
            let answer = moving.epoch.consistently(|| moving.read());
            assert!(allowed(answer), "{answer:?}");
            writer.join().unwrap();
        });
    }

    #[test]
    fn reader_of_a_patient_writer_always_succeeds() {
        check(4, u32::MAX, |answer| answer == Ok(VALUE));
    }

    #[test]
    fn reader_of_impatient_writer_is_never_wrong() {
        check(4, 0, |answer| answer == Ok(VALUE) || answer == Err(Unknown));
        check(4, 1, |answer| answer == Ok(VALUE) || answer == Err(Unknown));
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn overtaken_attempt_is_repeated() {
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
    fn reader_is_finite_whatever_the_writer_does() {
        let epoch = Epoch::new();
        let mut attempts = 0;
        let answer = epoch.consistently(|| {
            epoch.advance_after(0);
            attempts += 1;
            7
        });
        assert_eq!((answer, attempts), (Err(Unknown), FREE_ATTEMPTS + PAUSED_ATTEMPTS));
        assert_eq!(waiting(epoch.requests.0.load(Ordering::Relaxed)), 0);
    }

    #[test]
    fn writer_waits_once_for_suspended_reader() {
        let epoch = Epoch::new();
        let stuck = PauseRequest::new(&epoch.requests.0);
        let ignored = || epoch.ignored.load(Ordering::Relaxed);
        let mut seen = Vec::new();
        for renewed in [true, false, false, true, false] {
            if renewed {
                stuck.renew();
            }
            epoch.advance_after(3);
            seen.push(ignored());
        }
        let attempts = [1, 1, 1, 2, 2].map(|attempts| attempts * ATTEMPT + READER);
        assert_eq!(seen, attempts);
    }
}
