//! What is committed, and when.
//!
//! Delivery does not wait for commits. While none can be saved, they are tried again after pauses
//! that grow, whatever is delivered meanwhile; after a restart what was not committed comes again.

use super::ReplayFeed;
use crate::backoff::{Backoff, Pace, roll};
use crate::progress::Settled;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;
use zibrato::wire::{Commit, Position, ReplayRequest};

/// The longest time between two commits while nothing comes that this worker wants.
const IDLE_COMMIT: Duration = Duration::from_secs(10);

/// The pauses after commits that failed.
const PACE: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// The commits of one reader.
#[derive(Debug)]
pub(super) struct Commits {
    /// The last place that is safe.
    pub(super) committed: Option<Position>,
    /// How many windows are committed when the answer comes.
    pub(super) windows: u64,
    /// When to commit what has been read but brought nothing to deliver.
    pub(super) next_idle: Instant,
    /// Nothing is committed before that, because the last commit failed.
    not_before: Instant,
    backoff: Backoff,
    /// Why the last commit failed, if it did.
    pub(super) failing: Option<String>,
    limit: LogLimit,
}

impl Commits {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            committed: None,
            windows: 0,
            next_idle: now,
            not_before: now,
            backoff: Backoff::new(PACE),
            failing: None,
            limit: LogLimit::default(),
        }
    }

    /// The next commit need not wait any more: there will not be many.
    pub(super) fn hurry(&mut self, now: Instant) {
        (self.next_idle, self.not_before) = (now, now);
    }
}

impl ReplayFeed {
    /// Commits what has been delivered, as soon as it has settled; and when that is everything, what
    /// has been read, now and then.
    pub(super) fn commit(&mut self, now: Instant) {
        let Some(target) = self.target() else { return };
        let Settled { through, windows, .. } = self.progress.settled();
        let news = through.is_some_and(|through| self.is_further(through));
        let early = now < self.commits.not_before || (!news && now < self.commits.next_idle);
        if self.link.committing() || early {
            return;
        }
        self.commits.next_idle = now + self.flush.clamp(Duration::from_secs(1), IDLE_COMMIT);
        self.commits.windows = windows;
        let commit = Commit { reader: self.fetch.reader.clone(), at: target };
        self.link.ask(&ReplayRequest::Commit(commit));
    }

    /// A place is safe.
    pub(super) fn committed(&mut self, at: Position) {
        self.commits.committed = Some(at);
        self.progress.read_on(|reading| reading.committed = Some(at.offset));
        let windows = self.commits.windows;
        self.outlet.ledger().write(|c| c.windows_committed = windows);
        self.commits.backoff.reset();
        if self.commits.failing.take().is_some() {
            self.status.commits_fail(None);
            if self.commits.limit.is_over() {
                tracing::info!(event = "committed_again", offset = at.offset);
            }
        }
    }

    /// A commit was refused or not answered. It is tried again later, and delivery goes on.
    pub(super) fn commit_failed(&mut self, why: &str, now: Instant) {
        self.link.forget_commit();
        // At least half of the ceiling, so that failures cannot follow each other without a pause.
        let pause = self.commits.backoff.next(0.5 + roll() / 2.0);
        self.commits.not_before = now + pause;
        self.outlet.ledger().write(|c| c.commits_failed += 1);
        self.status.commits_fail(Some(why.to_owned()));
        if let Some(left_out) = self.commits.limit.admit(now) {
            let what = "delivery continues; what is not committed is delivered again after a \
                        restart";
            let wait_ms = pause.as_millis() as u64;
            tracing::warn!(event = "commit_failed", why, wait_ms, left_out, what);
        }
        self.commits.failing = Some(why.to_owned());
    }

    /// The place to commit, if it is further than what is committed.
    pub(super) fn target(&self) -> Option<Position> {
        let Settled { through, all, .. } = self.progress.settled();
        let target = if all && self.is_idle() { self.shelf.position() } else { through };
        target.filter(|target| self.is_further(*target))
    }

    /// Whether a place is behind the one that is committed. The places of a journal that is gone
    /// mean nothing to the next one.
    fn is_further(&self, place: Position) -> bool {
        let same = |other: Option<Position>| other.filter(|other| other.journal == place.journal);
        let further = |committed: Position| place.offset > committed.offset;
        same(self.shelf.position()).is_some() && same(self.commits.committed).is_none_or(further)
    }
}
