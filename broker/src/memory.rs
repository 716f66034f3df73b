//! Watches how much memory the process has, and has peers let go of it when that is too much.

use crate::connections::{Which, cut};
use crate::ports::Ports;
use crate::shared::Shared;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use zibrato::wire::Door;

/// How often is looked. So long something may grow unseen.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often while there is less than a quarter of what is too much: a broker that has little to do is
/// not to wake a sleeping machine.
const LOOK_SELDOM: Duration = Duration::from_millis(100);

/// Publishers who have sent less than this cannot have much of the memory, and are not among the first
/// to be cut off.
const LITTLE: u64 = 256 << 10;

/// How often it is too much in a row before those are cut off too: there may be very many of them.
const PATIENCE: u32 = 50;

/// As much longer than it took to look through all connections is waited until they are again: it
/// takes the more time the more there are.
const PAUSES: u32 = 5;

/// How often the allocator is asked to give back what nobody has, at most: it takes long.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(200);

/// How often it is said that there is too much.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Blocks of this size and more are the system's again as soon as they are free. Otherwise glibc keeps
/// such as large messages are made of among small ones, where they leave holes.
const LARGE_BLOCK: libc::c_int = 256 << 10;

/// The thread that watches. It has one of its own, because memory grows fastest while the others are
/// busiest. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct MemoryThread {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl MemoryThread {
    /// Watches from now on. At half of `max_bytes`, so that there is room for what comes until it
    /// helps, publishers are cut off, and come back: nothing is lost that has to be
    /// acknowledged. So are readers of the journal and subscribers that do not read.
    /// (How many messages may wait is not changed: libzmq 4.3.4 does not survive that while
    /// connections end.)
    pub(crate) fn start(max_bytes: u64, ports: Ports, shared: Arc<Shared>) -> io::Result<Self> {
        large_blocks_go_back();
        let stop = Arc::<AtomicBool>::default();
        let mut watch = Watch::new(max_bytes / 2);
        let is_over = Arc::clone(&stop);
        let handle = thread::Builder::new().name("zb-memory".to_owned()).spawn(move || {
            let (mut times, mut next) = (0, Instant::now());
            while !is_over.load(Ordering::Relaxed) {
                match watch.look() {
                    Look::Enough => {
                        times = 0;
                        shared.tell_memory(false, 0);
                    }
                    Look::TooMuch if Instant::now() >= next => {
                        times += 1;
                        let least = if times < PATIENCE { LITTLE } else { 0 };
                        let begun = Instant::now();
                        shared.tell_memory(true, cut_off(&ports, least));
                        next = Instant::now() + PAUSES * begun.elapsed();
                    }
                    Look::Fine | Look::TooMuch => {}
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

/// Cuts those off who may have the memory: publishers who have sent so much at least, and others who
/// do not read. Says how many they are.
fn cut_off(ports: &Ports, least: u64) -> u64 {
    let sent = Which::Sent(least);
    let publishers = [Door::Publishers, Door::Legacy].map(|door| (door, sent));
    let readers = [Door::Subscribers, Door::Replay].map(|door| (door, Which::Unread));
    cut(ports, &[publishers, readers].concat())
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing is to be done.
    Fine,
    TooMuch,
    /// It was too much at the last look.
    Enough,
}

#[derive(Debug)]
struct Watch {
    max_bytes: u64,
    is_short: bool,
    is_low: bool,
    gave_back: Option<Instant>,
    complained: Option<Instant>,
}

impl Watch {
    const fn new(max_bytes: u64) -> Self {
        Self { max_bytes, is_short: false, is_low: false, gave_back: None, complained: None }
    }

    fn look(&mut self) -> Look {
        // Where the system does not say, there is nothing to go by.
        let Some(mut bytes) = resident_bytes() else { return Look::Fine };
        if bytes > self.max_bytes && is_due(&mut self.gave_back, GIVE_BACK_EVERY) {
            give_back();
            bytes = resident_bytes().unwrap_or(bytes);
        }
        let is_short = bytes > self.max_bytes;
        self.is_low = bytes < self.max_bytes / 4;
        let mebibytes = bytes >> 20;
        if is_short && is_due(&mut self.complained, COMPLAIN_EVERY) {
            let why = "peers do not read what waits for them, or do not finish what they send; \
                       those who sent much, and those who do not read, are cut off and come back, and \
                       readers of the journal get little at a time; it begins at half of --max-memory";
            tracing::error!(event = "too_much_memory", mebibytes, from = self.max_bytes >> 20, why);
        }
        match (std::mem::replace(&mut self.is_short, is_short), is_short) {
            (_, true) => Look::TooMuch,
            (true, false) => {
                tracing::info!(event = "memory_is_enough_again", mebibytes);
                Look::Enough
            }
            (false, false) => Look::Fine,
        }
    }
}

/// Whether the last time is long enough ago; then this is the last time.
fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= every);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// How much memory the process has; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call into C")]
fn large_blocks_go_back() {
    // SAFETY: sets a number of the allocator, which may be done at any time.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK) };
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call into C")]
fn give_back() {
    // SAFETY: it takes the allocator's own locks, and only pages that nobody has.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn large_blocks_go_back() {}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::{Look, Watch, is_due, resident_bytes};
    use std::time::Duration;

    #[test]
    fn it_is_seen_when_there_is_too_much_and_when_there_is_no_longer() {
        let mut watch = Watch::new(1);
        let mut look = |max_bytes| {
            watch.max_bytes = max_bytes;
            watch.look()
        };
        let all = [look(1), look(1), look(u64::MAX), look(u64::MAX)];
        assert_eq!(all, [Look::TooMuch, Look::TooMuch, Look::Enough, Look::Fine]);
        assert!(watch.is_low);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn what_was_just_done_is_not_due() {
        let mut last = None;
        assert!(is_due(&mut last, Duration::MAX));
        assert!(!is_due(&mut last, Duration::MAX));
        assert!(is_due(&mut last, Duration::ZERO));
    }
}
