//! What the broker answers: batches, and refusals of many kinds.

use super::link::{Answer, AnswerError};
use super::{End, Event, MAX_BYTES, PAUSE, REFUSED_PACE, ReplayFeed};
use crate::backoff::roll;
use std::time::{Duration, Instant};
use zibrato::daemon::one_line;
use zibrato::wire::{Fetched, Refusal, Refused, ReplayAnswer};

/// How long to try when another reader has the name and the broker does not know whether it still
/// runs: the lease of a dead reader is shorter.
const OWNED_TIMEOUT: Duration = Duration::from_secs(15);

impl ReplayFeed {
    /// Takes the answers that have come.
    pub(super) fn answers(&mut self) {
        loop {
            match self.link.answer() {
                Ok(answer) => self.answer(answer),
                Err(AnswerError::Nothing) => return,
                Err(why) => {
                    let (now, endpoint) = (Instant::now(), self.link.endpoint());
                    if let Some(left_out) = self.malformed.admit(now) {
                        tracing::warn!(event = "strange_answer", endpoint, %why, left_out);
                    }
                    return self.reconnect(&why.to_string(), now);
                }
            }
        }
    }

    fn answer(&mut self, Answer { head, batches }: Answer) {
        let now = Instant::now();
        let change = self.presence.heard(now);
        self.log(change);
        self.probe = None;
        if let ReplayAnswer::Refused(refused) = head {
            return self.refused(refused, now);
        }
        self.owned = None;
        if self.refused.take().is_some() {
            tracing::info!(event = "journal_answers", endpoint = self.link.endpoint());
        }
        match head {
            ReplayAnswer::Batches(head) => {
                self.backoff.reset();
                self.batches(&head, batches, now);
            }
            ReplayAnswer::Committed(at) => self.committed = Some(at),
            ReplayAnswer::Released => self.released = true,
            _ => {}
        }
    }

    fn batches(&mut self, head: &Fetched, batches: Vec<zmq::Message>, now: Instant) {
        self.end = head.end;
        // An answer to no fetch would replace batches that are not taken yet.
        if self.keeping || !self.buffer.is_empty() {
            return;
        }
        if head.forgotten {
            let name = &self.fetch.reader.name;
            let why = format!(
                "the broker deleted the cursor `{name}`, because the worker was away for longer than \
                 batches are kept; what was published in between is not delivered"
            );
            self.events.push_back(Event::Forgotten { why });
        }
        if head.gone > 0 {
            let why = "before they were read, they were deleted because of their age or the journal's \
                       size, deleted by another program, or damaged; see the broker's log";
            self.events.push_back(Event::Gone { batches: head.gone, why: why.to_owned() });
        }
        let more = head.complete_until_ms.is_none() && !batches.is_empty();
        let bytes: usize = batches.iter().map(|frame| frame.len()).sum();
        let pause = if more || bytes as u64 >= MAX_BYTES { Duration::ZERO } else { PAUSE };
        self.next_fetch = now + pause.min(self.flush / 4);
        self.buffer.fill(head, batches);
    }

    fn refused(&mut self, Refused { why, text, alive }: Refused, now: Instant) {
        let text = one_line(&text);
        if self.closing {
            // The name is another reader's; there is nothing to release.
            self.released = true;
            return;
        }
        match why {
            Refusal::NoJournal => return self.no_journal(text),
            Refusal::Owned => {
                let since = *self.owned.get_or_insert(now);
                // While its owner is connected, nobody else gets the name.
                if alive || now.duration_since(since) >= OWNED_TIMEOUT {
                    return self.events.push_back(Event::End(End::TakenOver(text)));
                }
                if since == now {
                    let name = &self.fetch.reader.name;
                    tracing::warn!(event = "name_is_owned", name, why = text);
                }
                self.refused = Some(text.clone());
            }
            // Only commits are refused for this.
            Refusal::NotSaved | Refusal::Unknown => return self.fail_commit(&text),
            // Brokers up to 0.3.0 say so of commits too. If it was the fetch, it is overdue soon.
            Refusal::Disk if self.link.committing() => return self.fail_commit(&text),
            _ => {
                if self.refused.as_ref() != Some(&text) {
                    tracing::error!(event = "journal_refuses", why = text);
                }
                self.refused = Some(text.clone());
            }
        }
        self.reconnect(&text, now);
    }

    /// Asks everything again that is under way, on a new connection and after a pause, since it is
    /// unknown which request the trouble is about.
    fn reconnect(&mut self, why: &str, now: Instant) {
        self.fail_commit(why);
        self.link.reopen();
        let pause = match self.owned {
            // The name may be free any moment.
            Some(_) => REFUSED_PACE.first,
            None => self.backoff.next(0.5 + roll() / 2.0),
        };
        self.next_fetch = now + pause;
    }
}
