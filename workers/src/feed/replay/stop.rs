//! The end of a reader: what has ended is delivered and committed, the rest stays in the journal.

use super::ReplayFeed;
use super::link::{Answer, AnswerError};
use std::time::{Duration, Instant};
use zibrato::daemon::one_line;
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
        let committed = self.commits.committed.map(|at| at.offset);
        let (after, behind) = (committed, committed.map(|offset| end.saturating_sub(offset)));
        if self.shelf.position().is_some() {
            let what = "windows that are not delivered stay in the journal; the worker delivers \
                        them after its next start";
            tracing::info!(event = "kept", windows, after, behind, what);
        }
    }

    fn last_words(&mut self) {
        let begun = Instant::now();
        let until = begun + LAST_WORDS;
        // What is idle need not wait, and what has failed is tried once more.
        self.commits.hurry(begun);
        while self.target().is_some() && Instant::now() < until {
            self.commit(Instant::now());
            self.wait(None);
            self.last_answers();
        }
        if self.target().is_some() {
            let why = self.commits.failing.as_deref().unwrap_or("the broker did not answer");
            let what = "the last deliveries will be repeated after the next start";
            tracing::warn!(event = "not_committed", why, what);
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
                Ok(Answer { head: ReplayAnswer::Refused(refused), .. }) => {
                    if self.link.committing() {
                        self.commit_failed(&one_line(&refused.text), Instant::now());
                    } else {
                        // Nothing else of what is left to say is said again.
                        self.released = true;
                    }
                }
                Ok(answer) => drop(self.answer(answer)),
                Err(AnswerError::Nothing) => return,
                Err(_) => return self.link.reopen(),
            }
        }
    }
}
