//! What the broker answers: batches, and refusals of many kinds.

use super::link::{Answer, AnswerError};
use super::{MAX_BYTES, PAUSE, REFUSED_PACE, ReplayEnd, ReplayFeed};
use crate::backoff::roll;
use std::time::{Duration, Instant};
use zibrato::daemon::one_line;
use zibrato::wire::{Fetched, Refusal, Refused, ReplayAnswer};

/// How long to try when somebody else reads under the name and the broker does not know whether it
/// is still there: a dead reader's lease is shorter.
const OWNED_PATIENCE: Duration = Duration::from_secs(15);

impl ReplayFeed {
    pub(super) fn answers(&mut self) -> Option<ReplayEnd> {
        loop {
            match self.link.answer() {
                Ok(answer) => {
                    let end = self.answer(answer);
                    if end.is_some() {
                        return end;
                    }
                }
                Err(AnswerError::Nothing) => return None,
                Err(why) => {
                    let (now, endpoint) = (Instant::now(), self.link.endpoint());
                    if let Some(left_out) = self.strange.admit(now) {
                        tracing::warn!(event = "strange_answer", endpoint, %why, left_out);
                    }
                    self.begin_anew(&why.to_string(), now);
                    return None;
                }
            }
        }
    }

    pub(super) fn answer(&mut self, Answer { head, batches }: Answer) -> Option<ReplayEnd> {
        let now = Instant::now();
        let change = self.presence.heard(now);
        self.tell(change);
        self.probe = None;
        if let ReplayAnswer::Refused(refused) = head {
            return self.refused(refused, now);
        }
        self.owned = None;
        if self.status.feed_is_well() {
            tracing::info!(event = "journal_answers", endpoint = self.link.endpoint());
        }
        match head {
            ReplayAnswer::Batches(head) => {
                self.backoff.reset();
                self.batches(&head, batches, now);
            }
            ReplayAnswer::Committed(at) => self.committed(at),
            ReplayAnswer::Released => self.released = true,
            _ => {}
        }
        None
    }

    fn batches(&mut self, head: &Fetched, batches: Vec<zmq::Message>, now: Instant) {
        if let Some(until) = head.complete_until_ms {
            self.progress.tell_time(until);
        }
        self.progress.read_on(|reading| reading.end = head.end);
        if self.keeping {
            return;
        }
        if head.forgotten {
            let why = "the broker deleted the cursor of this name, because the worker was away for \
                       longer than batches are kept; what was published in between is not delivered";
            tracing::error!(event = "cursor_forgotten", name = self.fetch.reader.name, why);
            self.outlet.ledger().write(|c| c.cursors_forgotten += 1);
        }
        if head.gone > 0 {
            let batches = head.gone;
            self.outlet.ledger().write(|c| c.gone += batches);
            if let Some(left_out) = self.gone.admit(now) {
                let why = "before they were read, they were deleted because of their age or the \
                           journal's size, deleted by another program, or damaged; see the \
                           broker's log";
                tracing::error!(event = "gone", batches, why, left_out);
            }
        }
        self.progress.read_on(|reading| reading.read = head.next.offset);
        let more = head.complete_until_ms.is_none() && !batches.is_empty();
        let bytes: usize = batches.iter().map(|frame| frame.len()).sum();
        let pause = if more || bytes as u64 >= MAX_BYTES { Duration::ZERO } else { PAUSE };
        self.next_fetch = now + pause.min(self.flush / 4);
        self.shelf.take(head, batches);
    }

    fn refused(
        &mut self,
        Refused { why, text, alive }: Refused,
        now: Instant,
    ) -> Option<ReplayEnd> {
        let text = one_line(&text);
        match why {
            Refusal::NoJournal => return Some(ReplayEnd::NoJournal { why: text }),
            // Nobody else gets the name until its reader ends.
            Refusal::Owned if alive => return Some(ReplayEnd::Owned { why: text }),
            Refusal::Owned => {
                let since = *self.owned.get_or_insert(now);
                if since == now {
                    tracing::warn!(
                        event = "name_is_owned",
                        name = self.fetch.reader.name,
                        why = text
                    );
                }
                if now.duration_since(since) >= OWNED_PATIENCE {
                    return Some(ReplayEnd::Owned { why: text });
                }
            }
            // Only commits are refused for this.
            Refusal::NotSaved | Refusal::Unknown => {
                self.commit_failed(&text, now);
                return None;
            }
            // Brokers up to 0.3.0 say so of commits too. If it was the fetch, it is overdue soon.
            Refusal::Disk if self.link.committing() => {
                self.commit_failed(&text, now);
                return None;
            }
            _ => {
                if self.status.feed_is_ill(&text) {
                    tracing::error!(event = "journal_refuses", why = text);
                }
            }
        }
        if self.owned.is_some() {
            self.status.feed_is_ill(&text);
        }
        self.begin_anew(&text, now);
        None
    }

    /// Whatever is under way is asked again, on a new connection and after a pause, since it is not
    /// known which request the trouble is about.
    fn begin_anew(&mut self, why: &str, now: Instant) {
        if self.link.committing() {
            self.commit_failed(why, now);
        }
        self.link.reopen();
        let pause = match self.owned {
            // The name may be free any moment.
            Some(_) => REFUSED_PACE.first,
            None => self.backoff.next(0.5 + roll() / 2.0),
        };
        self.next_fetch = now + pause;
    }
}
