//! Lines between the threads that log and the one that writes.

use std::io::Write;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Octets of lines that may wait: more than a thousand lines, so that a burst and a reader that is away for a moment
/// lose none. As many again may be taken and not yet written, so a log that nobody reads costs half a MiB, of the ten
/// that the daemon takes.
pub(super) const CAPACITY: usize = 256 * 1024;

/// Bytes of its memory that the writer keeps after a burst.
const KEPT: usize = 4 * 1024;

/// Time between a panic of the writer and its restart, so that one that comes back at once does not take up the
/// processor.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// Lines that are not yet written.
#[derive(Debug)]
struct Waiting {
    lines: Vec<u8>,
    /// True while the writer has lines that it has not yet written.
    taken: bool,
}

/// Lines that the writer has taken out of the queue.
#[derive(Debug, Default)]
struct Taken {
    lines: Vec<u8>,
    /// Length of those that have been written, or could not be.
    done: usize,
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the next line, with its line feed.
    fn line(&self) -> Option<&[u8]> {
        self.lines.get(self.done..)?.split_inclusive(|&octet| octet == b'\n').next()
    }

    /// Removes the next line. After the last one, gives the memory of a burst back.
    fn skip_line(&mut self) {
        self.done += self.line().map_or(0, <[u8]>::len);
        if self.done == self.lines.len() {
            self.done = 0;
            self.lines.clear();
            self.lines.shrink_to(KEPT);
        }
    }
}

/// Whole lines, in order. To put one in never waits for the writer: what finds no room is dropped, and counted.
#[derive(Debug)]
pub(super) struct LineQueue {
    waiting: Mutex<Waiting>,
    /// There are lines to write.
    filled: Condvar,
    /// All lines have been written.
    written: Condvar,
    overflowed: AtomicU64,
    failed: AtomicU64,
    panics: AtomicU64,
}

impl LineQueue {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { lines: Vec::new(), taken: false }),
            filled: Condvar::new(),
            written: Condvar::new(),
            overflowed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Lines that were dropped because nobody read those before them.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Lines that could not be written.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Panics of the writer, which has gone on.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Puts a line in, with its line feed.
    pub(super) fn push(&self, line: &[u8]) {
        self.push_within(line, CAPACITY);
    }

    /// Puts a line in unless more than `capacity` bytes would then wait.
    pub(super) fn push_within(&self, line: &[u8], capacity: usize) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > capacity {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Writes lines as they come, for ever. A panic costs the line at which it happens.
    pub(super) fn write_to(&self, mut writer: impl Write) -> ! {
        let (mut taken, mut told) = (Taken::default(), 0);
        loop {
            let writing = || self.write_lines(&mut taken, &mut told, &mut writer);
            // What it changes is whole after each line.
            let Err(_) = catch_unwind(AssertUnwindSafe(writing));
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("writing the log panicked: a bug, please report it; going on with the next line");
            self.failed.fetch_add(1, Ordering::Relaxed);
            taken.skip_line();
            self.lock().taken = !taken.is_empty();
            thread::sleep(RESTART_DELAY);
        }
    }

    fn write_lines(&self, taken: &mut Taken, told: &mut u64, writer: &mut impl Write) -> ! {
        loop {
            let waiting =
                self.filled.wait_while(self.lock(), |waiting| waiting.lines.is_empty() && taken.is_empty());
            let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let all = self.write(waiting, taken, writer);
            let lost = self.overflowed();
            // Into the same queue, and only while the log is read, or there would be ever more of it.
            if all && lost > *told {
                tracing::warn!(lines = lost - *told, "the log was not read, and lines of it are lost");
                *told = lost;
            }
            self.lock().taken = false;
            self.written.notify_all();
        }
    }

    /// Writes what waits on the calling thread: for who has no other.
    pub(super) fn write_waiting(&self, mut writer: impl Write) {
        self.write(self.lock(), &mut Taken::default(), &mut writer);
        self.lock().taken = false;
    }

    /// Waits until all lines are written, or for so long; returns whether they are.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let left = |waiting: &mut Waiting| waiting.taken || !waiting.lines.is_empty();
        let waited = self.written.wait_timeout_while(self.lock(), limit, left);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Takes what waits, unless lines are left that were taken before, and writes it while others put more in. Returns
    /// whether all of it was written.
    fn write(
        &self,
        mut waiting: MutexGuard<'_, Waiting>,
        taken: &mut Taken,
        writer: &mut impl Write,
    ) -> bool {
        if taken.is_empty() {
            mem::swap(&mut waiting.lines, &mut taken.lines);
        }
        waiting.taken = true;
        drop(waiting);
        let mut all = true;
        // Each by itself: one that is short enough stays whole in a pipe that others write to as well.
        while let Some(line) = taken.line() {
            if writer.write_all(line).is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
                all = false;
            }
            taken.skip_line();
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is one call, which leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    /// Long enough for anything that happens at all.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Reports each write, which then blocks until it is released, or fails.
    struct Gate(mpsc::Sender<Vec<u8>>, mpsc::Receiver<io::Result<()>>);

    impl Write for Gate {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            // Fails when the test is over.
            let _ = self.0.send(octets.to_owned());
            let through = self.1.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            through.map(|()| octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue with its writer, the writes that it makes, and what comes of them.
    fn gated() -> (Arc<LineQueue>, mpsc::Receiver<Vec<u8>>, mpsc::Sender<io::Result<()>>) {
        let queue = Arc::new(LineQueue::new());
        let ((begun, writes), (outcomes, through)) = (mpsc::channel(), mpsc::channel());
        let writing = Arc::clone(&queue);
        // Ends with the test's process.
        thread::spawn(move || writing.write_to(Gate(begun, through)));
        (queue, writes, outcomes)
    }

    #[test]
    fn lines_are_written_in_order_and_each_by_itself() {
        let (queue, writes, outcomes) = gated();
        for line in ["one\n", "two\nand its second half\n", "three\n"] {
            queue.push(line.as_bytes());
            outcomes.send(Ok(())).unwrap();
        }
        outcomes.send(Ok(())).unwrap();
        assert!(queue.flush(PATIENCE));
        let all: Vec<_> = writes.try_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(all, ["one\n", "two\n", "and its second half\n", "three\n"]);
        assert_eq!((queue.overflowed(), queue.failed()), (0, 0));
    }

    #[test]
    fn some_lines_leave_room_for_others() {
        let queue = LineQueue::new();
        let line = [b'x'; 1024];
        for _ in 0..CAPACITY / 1024 {
            queue.push_within(&line, CAPACITY / 2);
        }
        assert_eq!(queue.overflowed(), (CAPACITY / 2 / 1024) as u64);
        for _ in 0..CAPACITY / 2 / 1024 {
            queue.push(&line);
        }
        assert_eq!(queue.overflowed(), (CAPACITY / 2 / 1024) as u64, "the other half takes them");
    }

    #[test]
    fn a_writer_that_is_stuck_costs_lines_and_delays_nobody() {
        let (queue, writes, outcomes) = gated();
        queue.push(b"stuck\n");
        assert_eq!(writes.recv().unwrap(), b"stuck\n");
        // Exactly as many as there is room for, and some more.
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..CAPACITY / line.len() + 7 {
            queue.push(&line);
        }
        assert_eq!((queue.overflowed(), queue.failed()), (7, 0));
        assert!(!queue.flush(Duration::ZERO), "they wait");
        // Once it is read again, there is room again.
        for _ in 0..=CAPACITY / line.len() {
            outcomes.send(Ok(())).unwrap();
        }
        assert!(queue.flush(PATIENCE));
        queue.push(b"room\n");
        outcomes.send(Ok(())).unwrap();
        assert!(queue.flush(PATIENCE));
        assert_eq!(writes.try_iter().last().unwrap(), b"room\n");
        assert_eq!(queue.overflowed(), 7);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (queue, _writes, outcomes) = gated();
        queue.push(b"lost\n");
        outcomes.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        queue.push(b"kept\n");
        outcomes.send(Ok(())).unwrap();
        assert!(queue.flush(PATIENCE));
        assert_eq!((queue.overflowed(), queue.failed()), (0, 1));
    }

    #[test]
    fn without_a_thread_what_waits_can_be_written() {
        let queue = LineQueue::new();
        queue.push(b"one\n");
        queue.push(b"two\n");
        let mut written = Vec::new();
        queue.write_waiting(&mut written);
        assert_eq!(written, b"one\ntwo\n");
        assert!(queue.flush(Duration::ZERO));
    }

    /// Panics at lines that say so.
    struct Panicking(mpsc::Sender<Vec<u8>>);

    impl Write for Panicking {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            assert_ne!(octets, b"panic\n", "injected");
            // Fails when the test is over.
            let _ = self.0.send(octets.to_owned());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_after_a_panic() {
        let queue = Arc::new(LineQueue::new());
        let (written, writes) = mpsc::channel();
        for line in ["one\n", "panic\n", "two\n", "panic\n"] {
            queue.push(line.as_bytes());
        }
        let writing = Arc::clone(&queue);
        // Ends with the test's process.
        thread::spawn(move || writing.write_to(Panicking(written)));
        for line in [b"one\n", b"two\n"] {
            assert_eq!(writes.recv().unwrap(), line);
        }
        assert!(queue.flush(PATIENCE));
        queue.push(b"three\n");
        assert_eq!(writes.recv().unwrap(), b"three\n");
        assert_eq!((queue.panics(), queue.failed()), (2, 2));
    }
}
