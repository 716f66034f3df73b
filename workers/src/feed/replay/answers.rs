//! Handles the broker's answers: batches, confirmations and refusals.

use super::link::{Answer, AnswerError};
use super::{End, Event, MAX_BYTES, PAUSE, REFUSED_PACE, ReplayFeed, SHORTEST_POLL};
use crate::backoff::roll;
use crate::progress::millis;
use std::time::{Duration, Instant};
use zibrato::daemon::one_line;
use zibrato::wire::{Fetched, Refusal, Refused, ReplayAnswer};

/// How long to retry if another reader has the name and the broker does not know whether that
/// reader still runs. The lease of a reader that has died is shorter.
const OWNED_TIMEOUT: Duration = Duration::from_secs(15);

impl ReplayFeed {
    /// Handles all answers that have arrived.
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
        // The answer to a keep-alive fetch would replace batches that have not been read yet.
        if self.keeping || !self.buffer.is_empty() {
            return;
        }
        if head.forgotten {
            let name = &self.fetch.reader.name;
            let why = format!(
                "the broker deleted the cursor `{name}`, because the worker was stopped for longer than \
                 batches are kept; batches published in between are not delivered"
            );
            self.events.push_back(Event::Forgotten { why });
        }
        if head.gone > 0 {
            let why = "these batches were deleted before they were read (because of their age, the size \
                       of the journal, or by another program), or are damaged; see the broker's \
                       log";
            self.events.push_back(Event::Gone { batches: head.gone, why: why.to_owned() });
        }
        let more = head.complete_until_ms.is_none() && !batches.is_empty();
        let bytes: usize = batches.iter().map(|frame| frame.len()).sum();
        let pause = if more || bytes as u64 >= MAX_BYTES { Duration::ZERO } else { PAUSE };
        // A broker that cannot write to its journal says the same time again and again.
        let news =
            head.complete_until_ms.filter(|_| head.complete_until_ms != self.complete_until_ms);
        let flush_ms = millis(self.flush).max(1);
        self.window_ends =
            news.map(|until_ms| window_end(now, until_ms, flush_ms, self.window_ends));
        let ends = self.window_ends.map(|(_, ends)| ends);
        self.next_fetch = next_fetch(now, pause.min(self.flush / 4), ends);
        self.complete_until_ms = head.complete_until_ms;
        self.buffer.fill(head, batches);
    }

    fn refused(&mut self, Refused { why, text, alive }: Refused, now: Instant) {
        let text = one_line(&text);
        if self.closing {
            // The name belongs to another reader, so there is nothing to release.
            self.released = true;
            return;
        }
        match why {
            Refusal::NoJournal => return self.no_journal(text),
            Refusal::Owned => {
                let since = *self.owned.get_or_insert(now);
                // While its owner is connected, no other reader gets the name.
                if alive || now.duration_since(since) >= OWNED_TIMEOUT {
                    return self.events.push_back(Event::End(End::TakenOver(text)));
                }
                if since == now {
                    let name = &self.fetch.reader.name;
                    tracing::warn!(event = "name_is_owned", name, why = text);
                }
                self.refused = Some(text.clone());
            }
            // The broker sends these only in answer to a commit.
            Refusal::NotSaved | Refusal::Unknown => return self.fail_commit(&text),
            // Brokers up to 0.3.0 send this in answer to commits too. If it was the answer to a
            // fetch, the fetch times out soon.
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

    /// Repeats all requests in progress, on a new connection and after a pause, because it is
    /// unknown which request caused the problem.
    fn reconnect(&mut self, why: &str, now: Instant) {
        self.fail_commit(why);
        self.link.reopen();
        let pause = match self.owned {
            // The name may become free at any moment.
            Some(_) => REFUSED_PACE.first,
            None => self.backoff.next(0.5 + roll() / 2.0),
        };
        self.next_fetch = now + pause;
    }
}

/// The number of the window at this time of the broker, which was said `now`, and when it ends.
fn window_end(
    now: Instant,
    until_ms: u64,
    flush_ms: u64,
    known: Option<(u64, Instant)>,
) -> (u64, Instant) {
    let (window, ends) =
        (until_ms / flush_ms, now + Duration::from_millis(flush_ms - until_ms % flush_ms));
    // A broker that receives nothing says a time that may be a second old, so the earliest estimate is the
    // best, until it turns out to be too early.
    match known {
        Some((same, earlier)) if same == window && earlier > now => (window, ends.min(earlier)),
        Some(_) | None => (window, ends),
    }
}

/// The time of the next fetch. One is in progress when the window ends, so that it is answered then.
fn next_fetch(now: Instant, pause: Duration, window_ends: Option<Instant>) -> Instant {
    let before_end = window_ends.and_then(|ends| ends.checked_sub(SHORTEST_POLL));
    before_end.map_or(now + pause, |before| (now + pause).min(before.max(now)))
}

#[cfg(test)]
mod tests {
    use super::{next_fetch, window_end};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_fetch_is_in_progress_when_a_window_ends() {
        let now = Instant::now();
        let after = |left_ms: Option<u32>| {
            next_fetch(now, 100 * MS, left_ms.map(|left| now + left * MS)) - now
        };
        for (left_ms, expected_ms) in
            [(None, 100), (Some(5_000), 100), (Some(105), 100), (Some(50), 45), (Some(3), 0)]
        {
            assert_eq!(after(left_ms), expected_ms * MS, "{left_ms:?}");
        }
    }

    #[test]
    fn the_end_of_a_window_is_the_earliest_that_has_not_passed() {
        let now = Instant::now();
        let first = window_end(now, 59_700, 60_000, None);
        assert_eq!(first, (0, now + 300 * MS));
        // The broker said an old time.
        assert_eq!(window_end(now + 200 * MS, 59_750, 60_000, Some(first)), first);
        // It was too early.
        let later = now + 300 * MS;
        assert_eq!(window_end(later, 59_999, 60_000, Some(first)), (0, later + MS));
        assert_eq!(window_end(later, 60_000, 60_000, Some(first)), (1, later + 60_000 * MS));
    }
}
