//! Consistent reads concurrent with the one writer: atomic words and the epoch.
//!
//! # Protocol
//!
//! All shared memory of the index consists of atomic words that are never freed. The writer stores with `Release`,
//! readers load with `Acquire`. A single word is never torn, and a result that depends on one word only was correct at
//! the moment of the load. Most results depend on several words, and the writer may move or reuse some of them between
//! the loads. The writer therefore keeps this order:
//!
//! 1. publish the new state (store the words that lead to it),
//! 2. [`Epoch::advance`],
//! 3. destroy the old state (clear the old copies, release slots for reuse).
//!
//! and a reader keeps this order ([`Epoch::consistently`]):
//!
//! 1. load the epoch,
//! 2. load the words that the result needs,
//! 3. load the epoch again: if it has changed, begin again.
//!
//! This suffices. Assume that the reader loaded the same epoch `e` twice. Its first load acquires the store of `e`, so
//! everything published before `e` is visible to it: no word is missing because its new location was not yet stored.
//! And it has seen no store of the destruction that follows `e + 1`: a load that returned such a value would have
//! acquired it; the writer stores `e + 1` before it; so the second load of the epoch could not have returned `e`. Hence
//! everything the reader saw was reachable and intact at one point in time.
//!
//! # Progress
//!
//! Readers do not wait for other threads. A writer that is suspended anywhere, even between steps 1 and 3, leaves the
//! epoch unchanged, and the reader's next attempt succeeds. Only an epoch that changes *during* an attempt makes
//! another one necessary.
//!
//! A writer at full speed advances the epoch every few hundred nanoseconds, about the duration of an attempt. Most
//! attempts fail then, and no fixed number of them is certain to include a success. A reader whose [`FREE_ATTEMPTS`]
//! have failed therefore requests a pause. The writer checks for requests before each advance, when nothing has been
//! destroyed yet and readers find both the old state and the new one, and waits there until there are no requests: by
//! spinning for a reader on another core, which finishes in less than a microsecond; by yielding to a reader that waits
//! for this core; by sleeping for a reader of lower priority, which the kernel schedules on this core only then. After
//! [`PATIENCE`] rounds the writer continues even if readers still wait, so a reader that is not scheduled delays the
//! writer once per attempt, not for as long as it is not scheduled.
//!
//! With a pause, an attempt fails only if the kernel suspends the reader during the attempt, which takes some hundred
//! nanoseconds, for longer than the writer waits, some milliseconds. This happens in one of several thousand attempts
//! at worst, so that [`PAUSED_ATTEMPTS`] failures in a row are not expected; if they happen, the result of the look-up
//! is [`Unknown`], not "no".
//!
//! There are two `SeqCst` fences: one between a request and the reader's next load of the epoch, one before each of the
//! writer's checks. They order every check before or after the reader's fence. The checks after it see the request. Of
//! the checks before it, only the last can be followed by an advance that the reader's next load has not seen, and one
//! advance makes one attempt fail. By the second paused attempt the writer therefore waits. The model below tests all
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
    /// The stored value. Its default is 0, the initial state.
    type Value: Copy + Default + PartialEq;

    fn zero() -> Self;
    fn load(&self) -> Self::Value;
    /// Stores a value. Called only by the writer.
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

/// Maximum number of rounds in which the writer waits for readers that have requested a pause: some 10 microseconds of
/// spinning, then yields, then sleeps of 50 to 100 microseconds each.
const PATIENCE: u32 = SPINS + YIELDS + NAPS;
const SPINS: u32 = 256;
const YIELDS: u32 = 16;
const NAPS: u32 = 64;
#[cfg(not(poddns_loom))]
const NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// Counter of destructions, with which readers can request a pause between them.
#[derive(Debug)]
pub(super) struct Epoch {
    count: CacheLine,
    /// Requests for a pause: the number of waiting readers in the lower half; in the upper half a number that changes
    /// with each of their attempts.
    requests: CacheLine,
    /// Value of `requests` at the writer's last wait that ended without success.
    ignored: AtomicU64,
}

/// A word on a cache line of its own, so that stores to it do not invalidate its neighbours.
#[derive(Debug)]
#[repr(align(64))]
struct CacheLine(AtomicU64);

/// One waiting reader, in [`Epoch::requests`].
const READER: u64 = 1;
/// One attempt of a waiting reader, in [`Epoch::requests`].
const ATTEMPT: u64 = 1 << 32;

/// Returns the number of waiting readers.
const fn waiting(requests: u64) -> u32 {
    requests as u32
}

impl Epoch {
    pub(super) fn new() -> Self {
        let line = || CacheLine(AtomicU64::new(0));
        Self { count: line(), requests: line(), ignored: AtomicU64::new(0) }
    }

    /// Advances the epoch. Called only by the writer, after publishing and before destroying. Waits for readers that
    /// have requested a pause, for some milliseconds at most.
    pub(super) fn advance(&self) {
        self.advance_after(PATIENCE);
    }

    fn advance_after(&self, patience: u32) {
        fence(Ordering::SeqCst);
        let requests = self.requests.0.load(Ordering::Relaxed);
        if waiting(requests) > 0 && requests != self.ignored.load(Ordering::Relaxed) {
            self.pause(patience);
        }
        // There is only one writer, so this need not be an atomic read-modify-write.
        let next = self.count.0.load(Ordering::Relaxed).wrapping_add(1);
        self.count.0.store(next, Ordering::Release);
    }

    /// Waits until there are no waiting readers, for at most `patience` rounds.
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

    /// Returns the result of a `read` during which nothing was destroyed; [`Unknown`] if there was a destruction in
    /// every attempt.
    #[inline]
    pub(super) fn consistently<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Unknown> {
        // The first attempt nearly always succeeds. It is outside the loop of the others, so that the compiler does not
        // hoist computations out of that loop that may not be needed.
        match self.attempt(&mut read) {
            Some(answer) => Ok(answer),
            None => self.persist(read),
        }
    }

    // `read` must be inlined into the caller: as a separate function it would have to be passed its variables.
    #[expect(clippy::inline_always, reason = "left to itself, the compiler shares it with `persist`")]
    #[inline(always)]
    fn attempt<T>(&self, read: &mut impl FnMut() -> T) -> Option<T> {
        let before = self.count.0.load(Ordering::Acquire);
        let answer = read();
        // The loads in `read` are acquire loads, so this load is not reordered before them.
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

    /// Repeats the request, for the attempt that follows.
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

    /// A value that is moved from one slot to the other and back.
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
