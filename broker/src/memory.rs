//! How much memory the process has, and giving back to the system what it does not need.

use std::fs;
use std::time::{Duration, Instant};

/// How often is looked. So long something may grow unseen.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after something was let go it is looked whether that was enough.
const PATIENCE: Duration = Duration::from_millis(200);

/// Blocks of this size and more are the system's again as soon as they are free. Otherwise glibc keeps
/// such as large messages are made of among small ones, where they leave holes.
const LARGE_BLOCK: libc::c_int = 256 << 10;

/// Who has to let go of what waits for them, or what they have sent half of, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relief {
    /// Publishers: nothing is lost that has to be acknowledged.
    Publishers,
    /// Those who read the journal: they ask again.
    Readers,
    /// Live subscribers: they miss what is published meanwhile.
    Subscribers,
}

/// Watches how much memory the process has.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    max_bytes: u64,
    look_at: Instant,
    next: Relief,
}

impl MemoryWatch {
    pub(crate) fn new(max_bytes: u64) -> Self {
        large_blocks_go_back();
        Self { max_bytes, look_at: Instant::now(), next: Relief::Publishers }
    }

    /// When it is too much: how much it is, and who has to let go next.
    pub(crate) fn look(&mut self) -> Option<(u64, Relief)> {
        let now = Instant::now();
        if now < self.look_at {
            return None;
        }
        self.look_at = now + LOOK_EVERY;
        if resident_bytes()? <= self.max_bytes {
            self.next = Relief::Publishers;
            return None;
        }
        give_back();
        let bytes = resident_bytes()?;
        if bytes <= self.max_bytes {
            return None;
        }
        self.look_at = now + PATIENCE;
        let relief = self.next;
        self.next = match relief {
            Relief::Publishers => Relief::Readers,
            Relief::Readers => Relief::Subscribers,
            Relief::Subscribers => Relief::Publishers,
        };
        Some((bytes, relief))
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
    fn who_has_to_let_go_changes_until_it_is_enough() {
        let mut watch = MemoryWatch::new(1);
        let mut look = || {
            watch.look_at = Instant::now();
            watch.look().map(|(_, relief)| relief)
        };
        let all = [Relief::Publishers, Relief::Readers, Relief::Subscribers, Relief::Publishers];
        assert_eq!(all.map(Some), [look(), look(), look(), look()]);
        watch.max_bytes = u64::MAX;
        watch.look_at = Instant::now();
        assert_eq!((watch.look(), watch.next), (None, Relief::Publishers));
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
