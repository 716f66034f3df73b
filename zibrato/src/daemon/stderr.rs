//! Standard error, written by a thread, so that a full pipe or disk never blocks a thread that
//! logs.
//!
//! Lines are queued in a bounded buffer. Lines that do not fit, or cannot be written, are dropped
//! and counted. When writing is possible again, a line reports how many are missing; this is tried
//! regularly, even if nothing else is logged.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of queued bytes.
const MAX_WAITING_BYTES: usize = 256 << 10;

/// Number of bytes that a ready pipe accepts without blocking.
const PIPE_BYTES: usize = 4096;

/// Interval of attempts to report missing lines while nothing is logged.
const REPORT_AFTER: Duration = Duration::from_secs(1);

thread_local! {
    /// Lines of this thread, captured instead of queued.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The lines of this process.
static LINES: LazyLock<Arc<Lines>> = LazyLock::new(Arc::default);

/// Number of log lines of this process that were dropped because standard error could not be
/// written.
#[must_use]
pub fn dropped_log_lines() -> u64 {
    LINES.queue().dropped
}

/// Writes whole lines without blocking.
pub(super) fn put(lines: &[u8]) {
    let is_captured = CAPTURED.try_with(|captured| {
        let mut captured = captured.try_borrow_mut().ok()?;
        captured.as_mut().map(|captured| captured.extend_from_slice(lines))
    });
    // A thread that ends no longer has this variable.
    if is_captured.is_ok_and(|captured| captured.is_some()) {
        return;
    }
    LINES.put(lines, |lines| {
        let lines = Arc::clone(lines);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || lines.run(io::stderr().as_fd(), missing)).is_ok()
    });
}

/// The line that reports missing lines; empty if the log level excludes it.
fn missing(lines: u64) -> Vec<u8> {
    CAPTURED.set(Some(Vec::new()));
    tracing::warn!(event = "log_lines_dropped", lines);
    CAPTURED.take().unwrap_or_default()
}

/// Waits at most `within` until all lines are written or dropped.
pub(super) fn flush(within: Duration) {
    LINES.flush(within);
}

/// The writer for `tracing`; each call writes one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Queued lines for a file.
#[derive(Default)]
struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// At most [`MAX_WAITING_BYTES`].
    waiting: Vec<u8>,
    /// Whether the thread is running.
    has_thread: bool,
    /// Whether the thread is writing lines that it has removed from `waiting`.
    writing: bool,
    /// Number of dropped lines, and how many of them have been reported.
    dropped: u64,
    reported: u64,
}

impl Lines {
    /// Queues lines. `spawn` starts the thread that writes them, and returns whether that
    /// succeeded.
    fn put(self: &Arc<Self>, lines: &[u8], spawn: impl FnOnce(&Arc<Self>) -> bool) {
        let mut queue = self.queue();
        if queue.waiting.len() + lines.len() > MAX_WAITING_BYTES {
            queue.dropped += count(lines);
            return;
        }
        queue.waiting.extend_from_slice(lines);
        queue.has_thread = queue.has_thread || spawn(self);
        if !queue.has_thread {
            // No thread can be started now, so write here as much as possible without blocking.
            let text = std::mem::take(&mut queue.waiting);
            queue.dropped += text.chunks(PIPE_BYTES).map(write_if_ready).sum::<u64>();
        }
        self.changed.notify_all();
    }

    fn flush(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut queue = self.queue();
        while queue.has_thread && (queue.writing || !queue.waiting.is_empty()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(queue, left);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes queued lines, for as long as the process runs. `missing` creates the line that
    /// reports missing ones.
    fn run(&self, to: BorrowedFd<'_>, missing: impl Fn(u64) -> Vec<u8>) {
        // Whether the last write ended within a line.
        let mut torn = false;
        // Writes a text and returns the part that could not be written.
        let mut write = |mut text: Vec<u8>| {
            if torn && !text.is_empty() {
                text.insert(0, b'\n');
            }
            let written = write_all(to, &text);
            torn = text[..written].last().map_or(torn, |last| *last != b'\n');
            text.split_off(written)
        };
        loop {
            let rest = write(self.take());
            let unreported = self.unreported(count(&rest));
            if rest.is_empty() && unreported > 0 && write(missing(unreported)).is_empty() {
                self.queue().reported += unreported;
            }
            self.queue().writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines and removes them from the queue. Returns none if there are unreported
    /// missing lines, and no others arrived for [`REPORT_AFTER`].
    fn take(&self) -> Vec<u8> {
        let mut queue = self.queue();
        while queue.waiting.is_empty() {
            if queue.dropped == queue.reported {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let woken = self.changed.wait_timeout(queue, REPORT_AFTER);
            let (found, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
            queue = found;
            if timeout.timed_out() {
                break;
            }
        }
        queue.writing = true;
        std::mem::take(&mut queue.waiting)
    }

    /// Counts lines that could not be written. Returns the number of unreported missing lines.
    fn unreported(&self, dropped: u64) -> u64 {
        let mut queue = self.queue();
        queue.dropped += dropped;
        queue.dropped - queue.reported
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("dropped", &self.queue().dropped).finish_non_exhaustive()
    }
}

/// Number of lines in a text; the last one may lack its line break.
fn count(text: &[u8]) -> u64 {
    let ends = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    ends + u64::from(text.last().is_some_and(|last| *last != b'\n'))
}

/// Writes everything, however long it takes, and returns how many bytes were written before an
/// error.
fn write_all(to: BorrowedFd<'_>, text: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(to, rest) {
            Ok(count) if count > 0 => written += count,
            Err(Errno::INTR) => {}
            // Another process that shares the file has made it non-blocking.
            Err(Errno::AGAIN) if can_wait(to) => {}
            Ok(_) | Err(_) => break,
        }
    }
    written
}

/// Waits until a file is writable, or a signal arrives; `false` if waiting is impossible.
pub(super) fn can_wait(to: BorrowedFd<'_>) -> bool {
    let waited = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
    matches!(waited, Ok(_) | Err(Errno::INTR))
}

/// Writes a few bytes to standard error if it accepts them immediately, and returns the number of
/// dropped lines.
fn write_if_ready(text: &[u8]) -> u64 {
    let to = io::stderr();
    let mut ready = [PollFd::new(&to, PollFlags::OUT)];
    let is_ready = poll(&mut ready, Some(&Timespec::default())).is_ok_and(|ready| ready > 0);
    let written = if is_ready { rustix::io::write(&to, text).unwrap_or(0) } else { 0 };
    text.get(written..).map_or(0, count)
}

#[cfg(test)]
mod tests {
    use super::{Lines, MAX_WAITING_BYTES, PIPE_BYTES, count, write_all};
    use std::fs::File;
    use std::io::{Read, pipe};
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// Lines, and the thread that writes them to a file.
    fn lines(to: impl AsFd + Send + Sync + 'static) -> Arc<Lines> {
        let lines = Arc::new(Lines::default());
        lines.queue().has_thread = true;
        let writer = Arc::clone(&lines);
        let missing = |lines: u64| format!("{lines} missing\n").into_bytes();
        std::thread::Builder::new().spawn(move || writer.run(to.as_fd(), missing)).unwrap();
        lines
    }

    /// Number of dropped lines, and how many of them were reported.
    fn counts(lines: &Lines) -> (u64, u64) {
        let queue = lines.queue();
        (queue.dropped, queue.reported)
    }

    fn put(lines: &Arc<Lines>, text: &str) {
        lines.put(text.as_bytes(), |_| panic!("there is a thread"));
    }

    #[test]
    fn lines_arrive_in_their_order() {
        let (mut from, to) = pipe().unwrap();
        let lines = lines(to);
        put(&lines, "a\n");
        put(&lines, "b\nc\n");
        let mut read = [0; 6];
        from.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"a\nb\nc\n");
        lines.flush(Duration::from_secs(10));
        assert_eq!(lines.queue().dropped, 0);
    }

    #[test]
    fn a_stalled_reader_blocks_no_thread() {
        let (mut from, to) = pipe().unwrap();
        let lines = lines(to);
        let line = format!("{}\n", "x".repeat(999));
        let begun = Instant::now();
        (0..1_000).for_each(|_| put(&lines, &line));
        lines.flush(Duration::from_millis(1));
        assert!(begun.elapsed() < Duration::from_secs(5));
        let dropped = lines.queue().dropped;
        // Some lines are in the pipe, some with the thread, and the buffer may be full again.
        let kept = 1_000 - dropped;
        let most = PIPE_BYTES * 16 + 2 * MAX_WAITING_BYTES;
        assert!(dropped > 0 && kept as usize * line.len() <= most, "{kept}");
        // A reader then gets the other lines, each whole, and the number of missing ones, although
        // nothing more is logged.
        let missing = format!("{dropped} missing");
        let mut bytes = vec![0; kept as usize * line.len() + missing.len() + 1];
        from.read_exact(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (whole, others): (Vec<_>, Vec<_>) =
            text.lines().partition(|one| *one == line.trim_end());
        assert_eq!((whole.len() as u64, others), (kept, vec![&*missing]));
        lines.flush(Duration::from_secs(10));
        assert_eq!(counts(&lines), (dropped, dropped));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_reports_are_not() {
        let lines = lines(File::options().write(true).open("/dev/full").unwrap());
        put(&lines, "a\nb\n");
        lines.flush(Duration::from_secs(10));
        assert_eq!(counts(&lines), (2, 0));
        // Reporting them is tried regularly.
        for _ in 0..2 {
            let woken = lines.changed.wait_timeout(lines.queue(), Duration::from_secs(10));
            let (queue, timeout) = woken.unwrap();
            assert!(!timeout.timed_out());
            assert_eq!((queue.dropped, queue.reported), (2, 0));
        }
    }

    #[test]
    fn a_closed_reader_is_an_error_and_does_not_end_the_thread() {
        let (from, to) = pipe().unwrap();
        drop(from);
        assert_eq!(write_all(to.as_fd(), b"a\n"), 0);
    }

    #[test]
    fn a_line_without_a_line_break_is_counted() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
            assert_eq!(count(text.as_bytes()), lines, "{text:?}");
        }
    }
}
