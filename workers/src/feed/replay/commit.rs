//! What is committed, and when.

use super::ReplayFeed;
use crate::progress::Settled;
use std::time::{Duration, Instant};
use zibrato::wire::{Commit, Position, ReplayRequest};

/// The longest time between two commits while nothing comes that this worker wants.
const IDLE_COMMIT: Duration = Duration::from_secs(10);

impl ReplayFeed {
    /// Commits what has been delivered, as soon as it has settled; and when that is everything, what
    /// has been read, now and then.
    pub(super) fn commit(&mut self, now: Instant) {
        let Some(target) = self.target(now) else { return };
        let Settled { through, windows, .. } = self.progress.settled(now);
        let news = through.is_some_and(|through| self.is_further(through));
        if self.link.committing() || (!news && now < self.next_commit) {
            return;
        }
        self.next_commit = now + self.flush.clamp(Duration::from_secs(1), IDLE_COMMIT);
        self.committing = windows;
        let commit = Commit { reader: self.fetch.reader.clone(), at: target };
        self.link.ask(&ReplayRequest::Commit(commit));
    }

    /// The place to commit, if it is further than what is committed.
    pub(super) fn target(&self, now: Instant) -> Option<Position> {
        let Settled { through, all, .. } = self.progress.settled(now);
        let target = if all && self.is_idle() { self.shelf.position() } else { through };
        target.filter(|target| self.is_further(*target))
    }

    /// Whether a place is behind the one that is committed. The places of a journal that is gone
    /// mean nothing to the next one.
    fn is_further(&self, place: Position) -> bool {
        let same = |other: Option<Position>| other.filter(|other| other.journal == place.journal);
        let further = |committed: Position| place.offset > committed.offset;
        same(self.shelf.position()).is_some() && same(self.committed).is_none_or(further)
    }
}
