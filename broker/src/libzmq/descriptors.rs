//! Reserves some of the process's file descriptors, so that connections do not use all of them.
//!
//! Without a free descriptor, the journal cannot begin a new segment. The system assigns the lowest
//! free number. So a connection gets one of the highest numbers only if nearly all descriptors are
//! in use. Such connections are [refused](super::accept), and their peers try again later.

use super::reserve::{kept_free, limit};
use crate::shared::Shared;
use std::fs;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// Time for which a shortage is reported after the last refused connection.
const LASTS: Duration = Duration::from_secs(10);

/// Connections that this process has refused.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Counts a refused connection.
pub(super) fn count_refused() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// The number of open descriptors of the process; `None` if the system does not report it, as
/// without `/proc`.
pub(crate) fn in_use() -> Option<usize> {
    // Since Linux 6.2, the size of this folder is their number.
    match fs::metadata("/proc/self/fd").map(|folder| folder.len()) {
        Ok(0) => {}
        told => return usize::try_from(told.ok()?).ok(),
    }
    match fs::read_dir("/proc/self/fd") {
        // One of them is for reading the folder.
        Ok(entries) => Some(entries.count().saturating_sub(1)),
        // No descriptor is left to read the folder.
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => usize::try_from(limit()).ok(),
        Err(_) => None,
    }
}

/// Reports shortages of descriptors, in the log and on the pages.
#[derive(Debug)]
pub(crate) struct DescriptorReport {
    /// Number of connections refused before the last check.
    seen: u64,
    /// Number of refused connections that were not logged yet.
    untold: u64,
    last: Option<Instant>,
    repeat: LogLimit<60>,
}

impl DescriptorReport {
    pub(crate) fn new() -> Self {
        Self {
            seen: REFUSED.load(Ordering::Relaxed),
            untold: 0,
            last: None,
            repeat: LogLimit::default(),
        }
    }

    /// Reports connections that were refused since the last call.
    pub(crate) fn look(&mut self, shared: &Shared) {
        self.report(limit(), in_use(), REFUSED.load(Ordering::Relaxed), shared);
    }

    fn report(&mut self, limit: RawFd, in_use: Option<usize>, refused: u64, shared: &Shared) {
        let kept = kept_free(limit);
        let free = in_use.map(|count| i64::from(limit) - count as i64);
        let refused = refused - std::mem::replace(&mut self.seen, refused);
        self.untold += refused;
        if refused > 0 || free.is_some_and(|free| free < i64::from(kept)) {
            self.last = Some(Instant::now());
        }
        let is_short = self.last.is_some_and(|last| last.elapsed() < LASTS);
        shared.tell_descriptors(is_short.then_some(limit), refused);
        if is_short && self.repeat.admits() {
            let why = "nearly all file descriptors are in use, and the rest is reserved for the \
                       journal; raise LimitNOFILE, minfds or ulimit -n";
            let refused = std::mem::take(&mut self.untold);
            tracing::error!(event = "connections_refused", refused, limit, kept, why);
        }
        if !is_short && self.repeat.is_over() {
            self.untold = 0;
            tracing::info!(event = "connections_accepted_again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DescriptorReport, in_use, limit};
    use crate::shared::Shared;

    #[test]
    fn a_number_that_is_not_known_is_no_shortage_and_a_refusal_is_one() {
        let (shared, mut report) = (Shared::new(), DescriptorReport::new());
        let seen = report.seen;
        let mut short_of = |in_use, refused| {
            report.report(1_024, in_use, seen + refused, &shared);
            (shared.descriptors().short_of, shared.descriptors().refused)
        };
        assert_eq!(short_of(None, 0), (None, 0));
        assert_eq!(short_of(Some(10), 0), (None, 0));
        assert_eq!(short_of(None, 3), (Some(1_024), 3));
        let mut report = DescriptorReport::new();
        report.report(1_024, Some(1_024), report.seen, &shared);
        assert_eq!(shared.descriptors().short_of, Some(1_024));
    }

    #[test]
    fn the_descriptors_of_this_process_are_counted() {
        let before = in_use().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(in_use(), Some(before + 1));
        drop(file);
        assert!((before as i32) < limit());
    }
}
