//! Decides what to commit, and when.
//!
//! Delivery does not wait for commits. A failed commit is retried after increasing pauses, even if
//! more windows are delivered in between. After a restart, uncommitted windows are delivered again.

use super::Feed;
use crate::backoff::{Backoff, Pace, roll};
use crate::counters::Ledger;
use crate::progress::{Checkpoint, Settled};
use crate::status::Status;
use std::task::Poll;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// Maximum time between two commits while nothing is delivered.
const IDLE_COMMIT: Duration = Duration::from_secs(10);

/// The pauses after failed commits.
const PACE: Pace = Pace::new(Duration::from_secs(1), Duration::from_secs(30));

/// A checkpoint, and the number of windows that are delivered before it.
pub(super) type Target = (Checkpoint, u64);

/// The commits of one feed.
#[derive(Debug)]
pub(super) struct Commits {
    /// The pause between commits of batches that were read but gave nothing to deliver.
    idle: Duration,
    next_idle: Instant,
    /// No commit begins before this time, because the last one failed.
    not_before: Instant,
    /// The commit that is in progress.
    pending: Option<Target>,
    /// The last commit that succeeded.
    done: Option<Target>,
    backoff: Backoff,
    /// The reason if the last commit failed.
    pub(super) failing: Option<String>,
    limit: LogLimit,
}

impl Commits {
    pub(super) fn new(flush: Duration) -> Self {
        let now = Instant::now();
        Self {
            idle: flush.clamp(Duration::from_secs(1), IDLE_COMMIT),
            next_idle: now,
            not_before: now,
            pending: None,
            done: None,
            backoff: Backoff::new(PACE),
            failing: None,
            limit: LogLimit::default(),
        }
    }

    /// Lets the next commit begin immediately. Used at the end, when few commits remain.
    pub(super) fn hurry(&mut self) {
        let now = Instant::now();
        (self.next_idle, self.not_before) = (now, now);
    }

    /// The checkpoint to commit: everything that is settled, or `read`, if it is given, because
    /// none of it remains to be delivered.
    pub(super) fn target(&self, settled: &Settled, read: Option<&Checkpoint>) -> Option<Target> {
        match read.filter(|_| settled.all) {
            Some(read) if self.done.as_ref().is_none_or(|(done, _)| done != read) => {
                Some((read.clone(), settled.windows))
            }
            None if settled.windows > self.windows() => {
                settled.through.clone().map(|through| (through, settled.windows))
            }
            Some(_) | None => None,
        }
    }

    /// Whether a commit is in progress.
    pub(super) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Begins the next commit if it is due, or continues the one in progress.
    pub(super) fn turn(
        &mut self,
        target: Option<Target>,
        feed: &mut dyn Feed,
        ledger: &Ledger,
        status: &Status,
    ) {
        let now = Instant::now();
        if self.pending.is_none() {
            let news = target.as_ref().is_some_and(|(_, windows)| *windows > self.windows());
            if target.is_none() || now < self.not_before || (!news && now < self.next_idle) {
                return;
            }
            (self.pending, self.next_idle) = (target, now + self.idle);
        }
        let Some((at, windows)) = self.pending.take() else { return };
        match feed.commit(&at) {
            Poll::Pending => self.pending = Some((at, windows)),
            Poll::Ready(Ok(())) => {
                self.done = Some((at, windows));
                ledger.write(|c| c.windows_committed = windows);
                self.backoff.reset();
                if self.failing.take().is_some() {
                    status.commits_fail(None);
                    if self.limit.is_over() {
                        tracing::info!(event = "committed_again", windows);
                    }
                }
            }
            Poll::Ready(Err(why)) => self.failed(why, now, ledger, status),
        }
    }

    /// Number of committed windows.
    fn windows(&self) -> u64 {
        self.done.as_ref().map_or(0, |(_, windows)| *windows)
    }

    /// Records a failed commit. It is retried later, and delivery continues.
    fn failed(&mut self, why: String, now: Instant, ledger: &Ledger, status: &Status) {
        // At least half of the limit, so that there is always a pause between two failures.
        let pause = self.backoff.next(0.5 + roll() / 2.0);
        self.not_before = now + pause;
        ledger.write(|c| c.commits_failed += 1);
        status.commits_fail(Some(why.clone()));
        if let Some(left_out) = self.limit.admit(now) {
            let what = "delivery continues; uncommitted windows are delivered again after a \
                        restart";
            let wait_ms = pause.as_millis() as u64;
            tracing::warn!(event = "commit_failed", why, wait_ms, left_out, what);
        }
        self.failing = Some(why);
    }
}
