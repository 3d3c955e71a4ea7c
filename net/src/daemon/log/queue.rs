//! Queue of lines between the threads that log and the thread that writes.

use std::io::Write;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of bytes in the queue: more than a thousand lines, so that a burst or a short pause of the reader
/// loses none. The writer may hold as many bytes again, so a log that is not read costs 512 KiB. The whole daemon uses
/// about 10 MiB.
pub(super) const CAPACITY: usize = 256 * 1024;

/// Bytes of buffer that the writer keeps allocated after a burst.
const KEPT_BYTES: usize = 4 * 1024;

/// Time between a panic of the writer and its restart, so that a repeated panic does not use all of a core.
const RESTART_DELAY: Duration = Duration::from_millis(10);

/// Lines that the writer has not fetched yet.
#[derive(Debug)]
struct Waiting {
    lines: Vec<u8>,
    /// True while the writer holds lines that it has not written.
    is_writing: bool,
}

/// Lines that the writer has fetched from the queue.
#[derive(Debug, Default)]
struct Fetched {
    lines: Vec<u8>,
    /// Number of bytes of `lines` that have been written, or failed to be.
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

    /// Skips the next line. After the last one, clears the buffer and shrinks it to [`KEPT_BYTES`].
    fn skip_line(&mut self) {
        self.done += self.line().map_or(0, <[u8]>::len);
        if self.done == self.lines.len() {
            self.done = 0;
            self.lines.clear();
            self.lines.shrink_to(KEPT_BYTES);
        }
    }
}

/// Queue of whole lines. Adding a line never waits for the writer: a line that does not fit is dropped and counted.
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

    /// Returns the number of lines that were dropped because the queue was full.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Returns the number of lines that could not be written.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns the number of panics of the writer, which continues after each.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Adds a line, with its line feed.
    pub(super) fn push(&self, line: &[u8]) {
        self.push_within(line, CAPACITY);
    }

    /// Adds a line unless the queue would then exceed `capacity` bytes.
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

    /// Writes lines as they arrive; never returns. A panic loses the line at which it happens.
    pub(super) fn write_to(&self, mut writer: impl Write) -> ! {
        let (mut fetched, mut reported) = (Fetched::default(), 0);
        loop {
            let writing = || self.write_lines(&mut fetched, &mut reported, &mut writer);
            // `fetched` is consistent after each line.
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
            // The warning is queued too, so it is added only if all lines were written. Otherwise a log that is not
            // read would receive ever more warnings.
            if all && lost > *reported {
                tracing::warn!(lines = lost - *reported, "the log was not read, and lines of it are lost");
                *reported = lost;
            }
            self.notify_written();
        }
    }

    /// Writes the queued lines on the calling thread, for a process that cannot start another one.
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

    /// Fetches the queued lines, unless earlier ones are left, releases the lock, and writes them. Returns true if all
    /// of them were written.
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
        // One call for each line, so that a short line stays whole in a pipe with several writers.
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
        // Each change is one call, so a panic leaves no partial change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    /// Time-out of events that must happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Waits until all lines are written, as the writer reports; returns false after [`PATIENCE`].
    fn is_flushed(queue: &Arc<LineQueue>) -> bool {
        let (done, result) = mpsc::channel();
        let queue = Arc::clone(queue);
        thread::spawn(move || done.send(queue.flush(Duration::MAX)));
        result.recv_timeout(PATIENCE).unwrap_or(false)
    }

    /// Writer that reports each write, then blocks until it receives the result of the write.
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

    /// Returns a queue with a writer, the receiver of its writes, and the sender of their results.
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
        // As many as fit, and 7 more.
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..CAPACITY / line.len() + 7 {
            queue.push(&line);
        }
        assert_eq!((queue.overflowed(), queue.failed()), (7, 0));
        assert!(!queue.flush(Duration::ZERO), "they wait");
        // Room is free again once the log is read again.
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

    /// Writer that panics at lines with the text `panic`.
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
