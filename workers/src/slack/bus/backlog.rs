//! Which part of a channel is read next, so that the oldest messages come first.
//!
//! Pure. Slack gives the messages between two times in pages, the latest first. Normally one page has
//! everything after the cursor. After an outage there may be hundreds of pages, and the last one has
//! the oldest messages. So a part that has too many pages is not read to its end. Earlier parts are
//! tried until one fits in a page: their end is halfway to the cursor, or, if that is far, eight times
//! as far back as the last one. The parts after it are as long, or twice as long while they have few
//! messages.

use super::batch::Oldest;
use super::ts::Ts;
use crate::slack::client::{Message, Page};
use std::collections::VecDeque;

/// Maximum number of pages of a part. If it has more, a shorter part is read instead.
const MAX_PAGES: usize = 5;

/// A part with at most so many pages is followed by one of twice its length.
const FEW_PAGES: usize = 2;

/// How much farther back each try goes.
const FARTHER: u128 = 8;

/// All pages of a part that is shorter are read, in microseconds. It cannot be halved.
const SHORTEST: u128 = 4;

/// How far a channel was read.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// All messages up to this time were read.
    read_to: Option<Ts>,
    /// A later message that was seen, but not kept, if there is a backlog.
    later: Option<Ts>,
    /// How far before it the next try goes at most, in microseconds.
    reach: u128,
    /// The length of the next part, in microseconds, once it is known.
    length: Option<u128>,
    part: Option<Part>,
}

/// The messages between two times, neither of which is included.
#[derive(Debug)]
struct Part {
    from: Ts,
    to: Ts,
    /// Whether there is nothing to read after it.
    is_last: bool,
    /// Whether it is what a batch had that may have arrived at a broker.
    is_pending: bool,
    max_pages: Option<usize>,
    pages: usize,
    cursor: Option<String>,
    messages: Oldest,
}

/// A page to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) from: Ts,
    pub(super) to: Ts,
    pub(super) cursor: Option<String>,
}

/// What a page has completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing: another page has to be read.
    Page,
    /// A part: its messages, the oldest first.
    Part {
        messages: VecDeque<Message>,
        /// Whether there is nothing to read after it.
        is_last: bool,
    },
    /// Nothing, and the next page would be the same again.
    Stuck,
}

impl Backlog {
    /// Whether there are more messages than a part may have.
    pub(super) const fn is_long(&self) -> bool {
        self.later.is_some()
    }

    /// The next page, of the messages after `cursor` and before `latest`. If a batch is pending at a
    /// broker, it is one of the messages up to the last one of that batch.
    pub(super) fn next(&mut self, cursor: &Ts, latest: &Ts, pending: Option<&Ts>) -> Wanted {
        let part = match self.part.take() {
            Some(part) => part,
            None => self.begin(cursor, latest, pending),
        };
        let Part { from, to, cursor, .. } = self.part.insert(part);
        Wanted { from: from.clone(), to: to.clone(), cursor: cursor.clone() }
    }

    /// The part that is being read begins again, because its cursor is not valid.
    pub(super) fn begin_again(&mut self) {
        self.part = None;
    }

    fn begin(&self, cursor: &Ts, latest: &Ts, pending: Option<&Ts>) -> Part {
        let from = self.read_to.as_ref().map_or(cursor, |read_to| read_to.max(cursor)).clone();
        let begin = from.micros();
        let (end, max_pages) = match (pending, &self.later, self.length) {
            (Some(last), ..) => (last.micros() + 1, None),
            (None, None, _) => (latest.micros(), Some(MAX_PAGES)),
            (None, Some(_), Some(length)) => (begin + length, Some(MAX_PAGES)),
            (None, Some(later), None) => {
                let distance = later.micros().saturating_sub(begin);
                let end = begin + distance / 2 + 2;
                let end = end.max(later.micros().saturating_sub(self.reach));
                (end, (distance >= SHORTEST).then_some(1))
            }
        };
        let is_last = pending.is_none() && end >= latest.micros();
        let to = if is_last { latest.clone() } else { Ts::at_micros(end) };
        let is_pending = pending.is_some();
        let (pages, cursor, messages) = (0, None, Oldest::default());
        Part { from, to, is_last, is_pending, max_pages, pages, cursor, messages }
    }

    /// Takes the page that was asked for.
    pub(super) fn add(&mut self, page: Page<Message>) -> Read {
        let Some(mut part) = self.part.take() else { return Read::Page };
        part.pages += 1;
        for message in page.items {
            if message.ts > part.from && message.ts < part.to {
                part.messages.add(message);
            }
        }
        let Some(next) = page.next_cursor else { return self.complete(part) };
        if part.cursor.as_ref() == Some(&next) {
            return Read::Stuck;
        }
        match part.messages.first() {
            Some(first) if part.max_pages.is_some_and(|most| part.pages >= most) => {
                let covered = part.to.micros().saturating_sub(first.micros());
                self.reach = self.reach.max(covered).saturating_mul(FARTHER);
                (self.later, self.length) = (Some(first.clone()), None);
            }
            _ => {
                part.cursor = Some(next);
                self.part = Some(part);
            }
        }
        Read::Page
    }

    fn complete(&mut self, part: Part) -> Read {
        let Part { from, to, is_last, is_pending, pages, messages, .. } = part;
        let length = to.micros().saturating_sub(from.micros());
        let is_cut = messages.is_cut;
        let messages: VecDeque<_> = messages.into_messages().collect();
        if is_pending || (is_last && !is_cut) {
            *self = Self::default();
            return Read::Part { messages, is_last };
        }
        if let Some(last) = messages.back().filter(|_| is_cut) {
            self.read_to = Some(last.ts.clone());
            self.later.get_or_insert(to);
            self.length = Some((length / 2).max(2));
        } else {
            self.read_to = Some(Ts::at_micros(to.micros().saturating_sub(1)));
            if !messages.is_empty() || self.length.is_some() {
                self.length = Some(if pages <= FEW_PAGES { length * 2 } else { length });
            }
        }
        Read::Part { messages, is_last: false }
    }
}

#[cfg(test)]
mod tests;
