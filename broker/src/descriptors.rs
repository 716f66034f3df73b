//! Keeps some of the process's file descriptors free of connections.
//!
//! Without any left the journal gets no new segment, and libzmq cannot accept: over TCP it tries again at
//! once, for ever, and over `ipc` it aborts the process (but see `accept.rs`). The system gives out the
//! lowest number that is free. So whatever has one of the highest came when nearly all were taken:
//! connections with such a number are cut off, and their peers come again later.

use crate::connections::cut_among;
use crate::ports::Ports;
use crate::shared::Shared;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// How soon is looked again for each descriptor that is free: libzmq takes about so long to accept a
/// connection.
const PER_FREE: Duration = Duration::from_micros(10);

/// How soon is looked again at the soonest.
const SHORTEST: Duration = Duration::from_millis(1);

/// How soon at the latest: a broker that has little to do is not to wake a sleeping machine.
const LONGEST: Duration = Duration::from_millis(100);

/// One of so many is kept free,
const SHARE: RawFd = 8;

/// but at least so many, as the journal and the pages need,
pub(crate) const FEWEST: RawFd = 32;

/// and at most so many: there is no need for more, and each is looked at.
const MOST: RawFd = 1_024;

/// How long after the last connection was refused it counts as a shortage.
const LASTS: Duration = Duration::from_secs(10);

/// The numbers that are kept free under a limit.
fn kept_free(limit: RawFd) -> std::ops::Range<RawFd> {
    limit - (limit / SHARE).clamp(FEWEST, MOST).min(limit)..limit
}

/// The most descriptors that the process may have.
pub(crate) fn limit() -> RawFd {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| RawFd::try_from(limit).ok()).unwrap_or(RawFd::MAX)
}

/// How many descriptors the process has; `None` where the system does not say, as without `/proc`.
pub(crate) fn in_use() -> Option<usize> {
    // Since Linux 6.2 the folder has their number as its size.
    match fs::metadata("/proc/self/fd").map(|folder| folder.len()) {
        Ok(0) => {}
        told => return usize::try_from(told.ok()?).ok(),
    }
    match fs::read_dir("/proc/self/fd") {
        // One of them is for reading the folder.
        Ok(entries) => Some(entries.count().saturating_sub(1)),
        // There is none left for that.
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => usize::try_from(limit()).ok(),
        Err(_) => None,
    }
}

/// The thread that watches. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct DescriptorThread {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl DescriptorThread {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(ports: Ports, shared: Arc<Shared>) -> io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let is_over = Arc::clone(&stop);
        let mut watch = Watch::default();
        let handle = thread::Builder::new().name("zb-descriptors".to_owned()).spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let pause = watch.look(limit(), in_use(), &ports, &shared);
                thread::park_timeout(pause);
            }
        })?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for DescriptorThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            // The panic, if there was one, has been reported by its hook.
            let _panicked = handle.join();
        }
    }
}

#[derive(Debug, Default)]
struct Watch {
    refused: u64,
    last: Option<Instant>,
    repeat: LogLimit<60>,
}

impl Watch {
    /// Looks, and says how long until the next time. Where the system does not say how many
    /// descriptors are in use, it is a shortage only if connections have those that are kept free.
    fn look(
        &mut self,
        limit: RawFd,
        in_use: Option<usize>,
        ports: &Ports,
        shared: &Shared,
    ) -> Duration {
        let kept = kept_free(limit);
        let free = in_use
            .map(|count| limit.saturating_sub(RawFd::try_from(count).unwrap_or(RawFd::MAX)).max(0));
        let is_near = free.is_none_or(|free| free < 2 * kept.len() as RawFd);
        let refused = if is_near { cut_among(ports, kept.clone()) } else { 0 };
        if refused > 0 || free.is_some_and(|free| free < kept.len() as RawFd) {
            self.refused += refused;
            self.last = Some(Instant::now());
        }
        let is_short = self.last.is_some_and(|last| last.elapsed() < LASTS);
        shared.tell_descriptors(is_short.then_some(limit), refused);
        if is_short && self.repeat.admits() {
            let why = "nearly all file descriptors are in use, and the rest is reserved for the \
                       journal; raise LimitNOFILE, minfds or ulimit -n";
            let refused = std::mem::take(&mut self.refused);
            tracing::error!(event = "connections_refused", refused, limit, kept = kept.len(), why);
        }
        if !is_short && self.repeat.is_over() {
            self.refused = 0;
            tracing::info!(event = "connections_accepted_again");
        }
        let pause = free.map_or(LONGEST, |free| PER_FREE * free.unsigned_abs());
        pause.clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SHORTEST, Watch, in_use, kept_free, limit};
    use crate::ports::Ports;
    use crate::shared::Shared;

    #[test]
    fn a_number_that_is_not_known_is_no_shortage() {
        let (ports, shared) = (Ports { address: None, base: 1, folder: None }, Shared::new());
        let mut watch = Watch::default();
        let mut look = |in_use| {
            let pause = watch.look(1_024, in_use, &ports, &shared);
            (pause, shared.descriptors().short_of)
        };
        assert_eq!(look(None), (LONGEST, None));
        assert_eq!(look(Some(10)), (LONGEST.min(super::PER_FREE * 1_014), None));
        assert_eq!(look(Some(1_024)), (SHORTEST, Some(1_024)));
    }

    #[test]
    fn one_of_eight_is_kept_free_within_bounds() {
        assert_eq!(kept_free(1_024), 896..1_024);
        assert_eq!(kept_free(64), 32..64);
        assert_eq!(kept_free(10), 0..10);
        assert_eq!(kept_free(1 << 20).len(), 1_024);
        assert_eq!(kept_free(i32::MAX).len(), 1_024);
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
