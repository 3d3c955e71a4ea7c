//! Queue of lines between the threads that log and the one that writes.

use std::io::Write;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of bytes of lines that wait: more than a thousand lines, so that none is lost in a burst or a short pause
/// of the reader. As many again may be with the writer, so a log that nobody reads costs half a MiB, of the ten that the
/// daemon takes.
pub(super) const CAPACITY: usize = 256 * 1024;

/// Bytes of its memory that the writer keeps after a burst.
const KEPT_BYTES: usize = 4 * 1024;

/// Time between a panic of the writer and its restart, so that one that repeats at once does not use up the processor.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// Lines that the writer has not fetched.
#[derive(Debug)]
struct Waiting {
    lines: Vec<u8>,
    /// True while the writer has lines that it has not written.
    is_writing: bool,
}

/// Lines that the writer has fetched from the queue.
#[derive(Debug, Default)]
struct Fetched {
    lines: Vec<u8>,
    /// Bytes of those that have been written, or could not be.
    done: usize,
}

impl Fetched {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the next line, with its line feed.
    fn line(&self) -> Option<&[u8]> {
        self.lines.get(self.done..)?.split_inclusive(|&byte| byte == b'\n').next()
    }

    /// Removes the next line. After the last one, releases the memory of a burst.
    fn skip_line(&mut self) {
        self.done += self.line().map_or(0, <[u8]>::len);
        if self.done == self.lines.len() {
            self.done = 0;
            self.lines.clear();
            self.lines.shrink_to(KEPT_BYTES);
        }
    }
}

/// Whole lines, in order. Adding one never waits for the writer: a line without room is dropped and counted.
#[derive(Debug)]
pub(super) struct LineQueue {
    waiting: Mutex<Waiting>,
    /// Notified when there are lines to write.
    filled: Condvar,
    /// Notified when all lines have been written.
    written: Condvar,
    overflowed: AtomicU64,
    failed: AtomicU64,
    panics: AtomicU64,
}

impl LineQueue {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { lines: Vec::new(), is_writing: false }),
            filled: Condvar::new(),
            written: Condvar::new(),
            overflowed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Returns the number of lines that were dropped because nobody read those before them.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Returns the number of lines that could not be written.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns the number of panics of the writer, which continued after each.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Adds a line, with its line feed.
    pub(super) fn push(&self, line: &[u8]) {
        self.push_within(line, CAPACITY);
    }

    /// Adds a line unless more than `capacity` bytes would then wait.
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

    /// Writes lines as they arrive, for ever. A panic costs the line at which it happens.
    pub(super) fn write_to(&self, mut writer: impl Write) -> ! {
        let (mut fetched, mut reported) = (Fetched::default(), 0);
        loop {
            let writing = || self.write_lines(&mut fetched, &mut reported, &mut writer);
            // Its state is whole after each line.
            let Err(_) = catch_unwind(AssertUnwindSafe(writing));
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                "writing the log panicked: a bug, please report it; continuing with the next line"
            );
            self.failed.fetch_add(1, Ordering::Relaxed);
            fetched.skip_line();
            if fetched.is_empty() {
                self.notify_written();
            }
            thread::sleep(RESTART_DELAY);
        }
    }

    fn write_lines(&self, fetched: &mut Fetched, reported: &mut u64, writer: &mut impl Write) -> ! {
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.lines.is_empty() && fetched.is_empty();
            let waiting = self.filled.wait_while(self.lock(), is_idle);
            let all = self.write(waiting.unwrap_or_else(PoisonError::into_inner), fetched, writer);
            let lost = self.overflowed();
            // Into the same queue, and only while the log is read, or there would be ever more of it.
            if all && lost > *reported {
                tracing::warn!(lines = lost - *reported, "the log was not read, and lines of it are lost");
                *reported = lost;
            }
            self.notify_written();
        }
    }

    /// Writes the lines that wait, on the calling thread: for a process that cannot start another.
    pub(super) fn write_waiting(&self, mut writer: impl Write) {
        self.write(self.lock(), &mut Fetched::default(), &mut writer);
        self.notify_written();
    }

    /// Waits until all lines are written, for `limit` at most. Returns true if they are.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let is_left = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let waited = self.written.wait_timeout_while(self.lock(), limit, is_left);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Marks all fetched lines as written.
    fn notify_written(&self) {
        self.lock().is_writing = false;
        self.written.notify_all();
    }

    /// Fetches the lines that wait, unless earlier ones are left, and writes them while others are added. Returns true if
    /// all of them were written.
    fn write(
        &self,
        mut waiting: MutexGuard<'_, Waiting>,
        fetched: &mut Fetched,
        writer: &mut impl Write,
    ) -> bool {
        if fetched.is_empty() {
            mem::swap(&mut waiting.lines, &mut fetched.lines);
        }
        waiting.is_writing = true;
        drop(waiting);
        let mut all = true;
        // Each in a call of its own: a short line stays whole in a pipe with several writers.
        while let Some(line) = fetched.line() {
            if writer.write_all(line).is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
                all = false;
            }
            fetched.skip_line();
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is one call, so a panic leaves no change half done.
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

    /// Returns true once all lines are written, as soon as the writer notifies of that.
    fn is_flushed(queue: &Arc<LineQueue>) -> bool {
        let (done, result) = mpsc::channel();
        let queue = Arc::clone(queue);
        thread::spawn(move || done.send(queue.flush(Duration::MAX)));
        result.recv_timeout(PATIENCE).unwrap_or(false)
    }

    /// Writer that reports each write, which then blocks until it is released, or fails.
    struct Gate(mpsc::Sender<Vec<u8>>, mpsc::Receiver<io::Result<()>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Fails when the test is over.
            let _ = self.0.send(bytes.to_owned());
            let through = self.1.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            through.map(|()| bytes.len())
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
    fn lines_are_written_one_by_one() {
        let (queue, writes, outcomes) = gated();
        for line in ["one\n", "two\nand its second half\n", "three\n"] {
            queue.push(line.as_bytes());
            outcomes.send(Ok(())).unwrap();
        }
        outcomes.send(Ok(())).unwrap();
        assert!(is_flushed(&queue));
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
    fn stuck_writer_costs_lines_without_delay() {
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
        assert!(is_flushed(&queue));
        queue.push(b"room\n");
        outcomes.send(Ok(())).unwrap();
        assert!(is_flushed(&queue));
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
        assert!(is_flushed(&queue));
        assert_eq!((queue.overflowed(), queue.failed()), (0, 1));
    }

    #[test]
    fn waiting_lines_are_written_without_thread() {
        let queue = LineQueue::new();
        queue.push(b"one\n");
        queue.push(b"two\n");
        let mut written = Vec::new();
        queue.write_waiting(&mut written);
        assert_eq!(written, b"one\ntwo\n");
        assert!(queue.flush(Duration::ZERO));
    }

    /// Writer that panics at lines of one text.
    struct Panicking(mpsc::Sender<Vec<u8>>);

    impl Write for Panicking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert_ne!(bytes, b"panic\n", "injected");
            // Fails when the test is over.
            let _ = self.0.send(bytes.to_owned());
            Ok(bytes.len())
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
        assert!(is_flushed(&queue));
        queue.push(b"three\n");
        assert_eq!(writes.recv().unwrap(), b"three\n");
        assert_eq!((queue.panics(), queue.failed()), (2, 2));
    }
}
