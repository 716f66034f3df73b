//! How much memory the process has, and giving back to the system what it does not need.

use std::fs;
use std::time::{Duration, Instant};

/// How often is looked. So long something may grow unseen.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after something was let go it is looked whether that was enough.
const PATIENCE: Duration = Duration::from_millis(500);

/// Blocks of this size and more are the system's again as soon as they are free. Otherwise glibc keeps
/// such as large messages are made of among small ones, where they leave holes.
const LARGE_BLOCK: libc::c_int = 256 << 10;

/// Who has to let go of what waits for them, or of what they have sent half of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relief {
    /// Nobody any more.
    Nobody,
    /// Publishers are cut off, and come back: nothing is lost that has to be acknowledged. So are
    /// readers of the journal and subscribers that do not read; the others get little at a time, and
    /// have few messages wait for them.
    Everybody,
}

/// Watches how much memory the process has.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    max_bytes: u64,
    look_at: Instant,
    is_short: bool,
}

impl MemoryWatch {
    pub(crate) fn new(max_bytes: u64) -> Self {
        large_blocks_go_back();
        Self { max_bytes, look_at: Instant::now(), is_short: false }
    }

    /// When it is too much, or no longer: how much it is, and who has to let go.
    pub(crate) fn look(&mut self) -> Option<(u64, Relief)> {
        let now = Instant::now();
        if now < self.look_at {
            return None;
        }
        self.look_at = now + LOOK_EVERY;
        let mut bytes = resident_bytes()?;
        if bytes > self.max_bytes {
            give_back();
            bytes = resident_bytes()?;
        }
        let was_short = std::mem::replace(&mut self.is_short, bytes > self.max_bytes);
        if self.is_short {
            self.look_at = now + PATIENCE;
            return Some((bytes, Relief::Everybody));
        }
        was_short.then_some((bytes, Relief::Nobody))
    }
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
    use super::{MemoryWatch, Relief, resident_bytes};
    use std::time::Instant;

    #[test]
    fn it_is_told_when_there_is_too_much_and_when_there_is_no_longer() {
        let mut watch = MemoryWatch::new(1);
        let mut look = |max_bytes| {
            watch.max_bytes = max_bytes;
            watch.look_at = Instant::now();
            watch.look().map(|(_, relief)| relief)
        };
        let all = [look(1), look(1), look(u64::MAX), look(u64::MAX)];
        let (everybody, nobody) = (Some(Relief::Everybody), Some(Relief::Nobody));
        assert_eq!(all, [everybody, everybody, nobody, None]);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
