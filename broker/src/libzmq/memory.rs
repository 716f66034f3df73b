//! Watches the memory of the process, and closes connections when too much is used.

use super::connections::{Which, cut};
use crate::ports::Ports;
use crate::shared::Shared;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use zibrato::wire::Endpoint;

/// Interval of the checks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Interval while less than a quarter of the threshold is in use, so that an idle broker does not wake
/// the machine often.
const LOOK_SELDOM: Duration = Duration::from_millis(100);

/// Publishers that have sent fewer bytes than this use little memory. They are spared until three
/// quarters of the limit are used.
const LITTLE: u64 = 256 << 10;

/// From three quarters of the limit on, only publishers that have sent fewer bytes than this are
/// spared: ten thousand of them use 160 MB.
const VERY_LITTLE: u64 = 16 << 10;

/// Time for which memory exceeds the threshold before all connections are closed. It doubles each
/// time, because closing them may not help.
const CLOSE_ALL_AFTER: Duration = Duration::from_secs(1);

/// Maximum time until all connections are closed again. If memory stays below the threshold for this
/// long, that time starts again at one second.
const MAX_CLOSE_ALL_AFTER: Duration = Duration::from_secs(60);

/// Pause between two passes over all connections, as a multiple of the time that a pass took.
const PAUSES: u32 = 5;

/// Minimum time between two requests to the allocator to return free memory. Such a request takes
/// long.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(200);

/// Minimum time between two log lines about too much memory.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The allocator returns blocks of at least this size, in bytes, to the system as soon as they are
/// free. Otherwise glibc keeps the blocks of large messages among small ones, where they leave
/// gaps.
const LARGE_BLOCK: libc::c_int = 256 << 10;

/// The thread that watches memory. Memory grows fastest while the other threads are busiest, so
/// none of them can do it. Dropping this ends the thread.
#[derive(Debug)]
pub(crate) struct MemoryThread {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl MemoryThread {
    /// Starts the thread. At half of `max_bytes`, heavy senders and peers that do not read are
    /// disconnected; the other half is for what arrives until that helps. They reconnect, and
    /// publishers send unacknowledged batches again. The limits of queues are not lowered, because
    /// libzmq 4.3.4 crashes if they change while connections end.
    pub(crate) fn start(max_bytes: u64, ports: Ports, shared: Arc<Shared>) -> io::Result<Self> {
        large_blocks_go_back();
        let stop = Arc::<AtomicBool>::default();
        let is_over = Arc::clone(&stop);
        let (mut watch, mut relief) = (Watch::new(max_bytes / 2), Relief::new());
        let handle = thread::Builder::new().name("zb-memory".to_owned()).spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                match watch.look(shared.held_by_intakes()) {
                    Look::Fine => {}
                    Look::Enough => {
                        relief.is_enough(Instant::now());
                        shared.tell_memory(false, 0);
                    }
                    Look::TooMuch { bytes } => {
                        let much = bytes > max_bytes / 4 * 3;
                        let cuts = relief.next(Instant::now(), much).map(|whom| {
                            let begun = Instant::now();
                            let cuts = cut_off(&ports, whom);
                            relief.rest(Instant::now(), begun.elapsed());
                            cuts
                        });
                        shared.tell_memory(true, cuts.unwrap_or_default());
                    }
                }
                thread::park_timeout(if watch.is_low { LOOK_SELDOM } else { LOOK_EVERY });
            }
        })?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for MemoryThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            let _panicked = handle.join();
        }
    }
}

/// Selects the connections to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Those of senders of at least this many bytes, and of peers that do not read.
    Sent(u64),
    All,
}

/// Closes the connections that may use the memory, and returns their number.
fn cut_off(ports: &Ports, whom: Whom) -> u64 {
    let whom = match whom {
        Whom::All => Endpoint::ALL.map(|endpoint| (endpoint, Which::All)),
        Whom::Sent(bytes) => Endpoint::ALL.map(|endpoint| match endpoint {
            Endpoint::Publishers | Endpoint::Legacy => (endpoint, Which::Sent(bytes)),
            // A subscriber's topics are stored several times.
            Endpoint::Subscribers => (endpoint, Which::SentOrUnread(LITTLE)),
            _ => (endpoint, Which::Unread),
        }),
    };
    cut(ports, &whom)
}

/// Decides when connections are closed, and which.
#[derive(Debug)]
struct Relief {
    /// No connection is closed before this time.
    next: Option<Instant>,
    /// When all connections are closed, and the time until they are closed again.
    all: Option<(Instant, Duration)>,
    enough_since: Option<Instant>,
}

impl Relief {
    const fn new() -> Self {
        Self { next: None, all: None, enough_since: None }
    }

    /// Call this while memory exceeds the threshold; `much` says whether it exceeds it by far.
    /// Returns the connections to close now.
    fn next(&mut self, now: Instant, much: bool) -> Option<Whom> {
        if self.enough_since.take().is_some_and(|since| now - since >= MAX_CLOSE_ALL_AFTER) {
            self.all = None;
        }
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let (at, pause) = *self.all.get_or_insert((now + CLOSE_ALL_AFTER, CLOSE_ALL_AFTER));
        if now >= at {
            let pause = MAX_CLOSE_ALL_AFTER.min(2 * pause);
            self.all = Some((now + pause, pause));
            return Some(Whom::All);
        }
        Some(Whom::Sent(if much { VERY_LITTLE } else { LITTLE }))
    }

    /// Records how long it took to close connections.
    fn rest(&mut self, now: Instant, took: Duration) {
        self.next = Some(now + PAUSES * took);
    }

    /// Records that memory is below the threshold again. The time until all connections are closed
    /// starts again, if it has not passed.
    fn is_enough(&mut self, now: Instant) {
        self.enough_since = Some(now);
        if let Some((at, pause)) = &mut self.all {
            *at = (*at).max(now + *pause);
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Memory is and was below the threshold.
    Fine,
    TooMuch {
        bytes: u64,
    },
    /// Memory is below the threshold, and exceeded it at the last check.
    Enough,
}

#[derive(Debug)]
struct Watch {
    max_bytes: u64,
    is_short: bool,
    is_low: bool,
    gave_back: Option<Instant>,
    logged: Option<Instant>,
}

impl Watch {
    const fn new(max_bytes: u64) -> Self {
        Self { max_bytes, is_short: false, is_low: false, gave_back: None, logged: None }
    }

    /// Compares the memory of the process, except `held` bytes that closing connections does not give
    /// back.
    fn look(&mut self, held: u64) -> Look {
        let used = || resident_bytes().map(|bytes| bytes.saturating_sub(held));
        // If the system does not report memory, it cannot be limited.
        let Some(mut bytes) = used() else { return Look::Fine };
        if bytes > self.max_bytes && is_due(&mut self.gave_back, GIVE_BACK_EVERY) {
            push_written();
            bytes = used().unwrap_or(bytes);
        }
        let is_short = bytes > self.max_bytes;
        self.is_low = bytes < self.max_bytes / 4;
        let mebibytes = bytes >> 20;
        if is_short && is_due(&mut self.logged, LOG_EVERY) {
            let why = "the process uses more than half of --max-memory, besides the series of \
                       intakes: heavy senders and stalled readers are disconnected (they may \
                       reconnect), and readers of the journal get smaller answers";
            tracing::error!(event = "too_much_memory", mebibytes, from = self.max_bytes >> 20, why);
        }
        match (std::mem::replace(&mut self.is_short, is_short), is_short) {
            (_, true) => Look::TooMuch { bytes },
            (true, false) => {
                tracing::info!(event = "memory_is_enough_again", mebibytes);
                Look::Enough
            }
            (false, false) => Look::Fine,
        }
    }
}

/// Whether `every` has passed since the last time. If so, records the current time as the last one.
fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= every);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// The resident memory of the process; `None` if the system does not report it.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call into C")]
fn large_blocks_go_back() {
    // SAFETY: sets a parameter of the allocator, which is allowed at any time.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK) };
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call into C")]
fn push_written() {
    // SAFETY: the function takes the allocator's own locks, and returns only free pages.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn large_blocks_go_back() {}

#[cfg(not(target_env = "gnu"))]
fn push_written() {}

#[cfg(test)]
mod tests {
    use super::{
        LITTLE, Look, MAX_CLOSE_ALL_AFTER, Relief, VERY_LITTLE, Watch, Whom, is_due, resident_bytes,
    };
    use std::time::{Duration, Instant};

    #[test]
    fn it_is_seen_when_there_is_too_much_and_when_there_is_no_longer() {
        let mut watch = Watch::new(1);
        let mut look = |max_bytes| {
            watch.max_bytes = max_bytes;
            watch.look(0)
        };
        for _ in 0..2 {
            assert!(matches!(look(1), Look::TooMuch { bytes } if bytes > 1 << 20));
        }
        assert_eq!([look(u64::MAX), look(u64::MAX)], [Look::Enough, Look::Fine]);
        assert!(watch.is_low);
        // What intakes hold does not count.
        watch.max_bytes = 1 << 20;
        assert_eq!(watch.look(u64::MAX), Look::Fine);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn all_connections_are_closed_only_if_nothing_else_helps_and_then_less_often_each_time() {
        let mut relief = Relief::new();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(relief.next(at(0), false), Some(Whom::Sent(LITTLE)));
        assert_eq!(relief.next(at(20), true), Some(Whom::Sent(VERY_LITTLE)));
        relief.rest(at(30), Duration::from_millis(10));
        assert_eq!(relief.next(at(79), true), None);
        // As long as this helps, nothing else is done.
        relief.is_enough(at(900));
        assert_eq!(relief.next(at(1_500), false), Some(Whom::Sent(LITTLE)));
        let mut all = Vec::new();
        for ms in (1_600..200_000).step_by(100) {
            if relief.next(at(ms), false) == Some(Whom::All) {
                all.push(ms);
            }
        }
        assert_eq!(all, [1_900, 3_900, 7_900, 15_900, 31_900, 63_900, 123_900, 183_900]);
        relief.is_enough(at(200_000));
        let later = at(200_000) + MAX_CLOSE_ALL_AFTER;
        assert_eq!(relief.next(later, false), Some(Whom::Sent(LITTLE)));
        let second = Duration::from_secs(1);
        assert_eq!(relief.next(later + second, false), Some(Whom::All));
    }

    #[test]
    fn what_was_just_done_is_not_due() {
        let mut last = None;
        assert!(is_due(&mut last, Duration::MAX));
        assert!(!is_due(&mut last, Duration::MAX));
        assert!(is_due(&mut last, Duration::ZERO));
    }
}
