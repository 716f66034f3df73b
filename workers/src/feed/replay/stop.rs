//! The end of a reader: what has ended is delivered and committed, the rest stays in the journal.

use super::{ReplayFeed, link::AnswerError};
use std::time::{Duration, Instant};
use zibrato::wire::{ReplayAnswer, ReplayRequest};

/// How long the broker may take over the last commit and over letting the name go.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl ReplayFeed {
    /// Lets the delivery finish what it has, commits that, and lets the name go. The window that
    /// is open is forgotten: the next reader gets all of it.
    pub(super) fn finish(&mut self) {
        self.outlet.close();
        // What still comes of earlier questions is not looked at.
        self.keeping = true;
        while !self.progress.ended() && self.outlet.in_time() {
            self.status.feed_is_alive();
            self.last_answers();
            let now = Instant::now();
            self.commit(now);
            self.ask(now);
            self.look(now);
            self.wait(None);
        }
        self.last_words();
        let (delivered, end) = (self.progress.delivered().windows, self.progress.reading().end);
        let windows = self.put.saturating_sub(delivered);
        let committed = self.committed.map(|at| at.offset);
        let (after, behind) = (committed, committed.map(|offset| end.saturating_sub(offset)));
        if self.shelf.position().is_some() {
            let what = "the journal holds what is not delivered; start again and it goes on";
            tracing::info!(event = "kept", windows, after, behind, what);
        }
    }

    fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while self.target(Instant::now()).is_some() && Instant::now() < until {
            // What is idle need not wait either.
            self.next_commit = Instant::now();
            self.commit(self.next_commit);
            self.wait(None);
            self.last_answers();
        }
        if self.target(Instant::now()).is_some() {
            let why = "the broker did not answer; what was delivered last will be repeated";
            tracing::warn!(event = "not_committed", why);
        }
        self.link.ask(&ReplayRequest::Release(self.fetch.reader.clone()));
        let until = Instant::now() + LAST_WORDS;
        while !self.released && self.presence.is_present() && Instant::now() < until {
            self.wait(None);
            self.last_answers();
        }
    }

    fn last_answers(&mut self) {
        loop {
            match self.link.answer() {
                Ok(answer) if matches!(answer.head, ReplayAnswer::Refused(_)) => {
                    // Nothing of what is left to say is so important as to be said again.
                    self.released = true;
                }
                Ok(answer) => drop(self.answer(answer)),
                Err(AnswerError::Nothing) => return,
                Err(_) => return self.link.reopen(),
            }
        }
    }
}
