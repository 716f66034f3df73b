//! Which messages of a channel are delivered together, and what becomes of each.
//!
//! Pure.

use super::grammar::{Wrong, read};
use super::ts::Ts;
use crate::slack::client::Message;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Messages are delivered together up to so many bytes of lines.
const MAX_LINES_BYTES: usize = 256 << 10;

/// The most messages, and bytes of their texts, that are held at a time. Later ones are read again.
const MAX_MESSAGES: usize = 2_000;
const MAX_BYTES: usize = 8 << 20;

/// The oldest messages that were read, in their order.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    messages: BTreeMap<Ts, Message>,
    bytes: usize,
    /// Whether later messages were left out.
    pub(super) is_cut: bool,
}

impl Oldest {
    /// Adds a message, and leaves out the latest ones if there are too many.
    pub(super) fn add(&mut self, message: Message) {
        self.bytes += message.text.len();
        if let Some(same) = self.messages.insert(message.ts.clone(), message) {
            self.bytes -= same.text.len();
        }
        while (self.messages.len() > MAX_MESSAGES || self.bytes > MAX_BYTES)
            && self.messages.len() > 1
            && let Some((_, latest)) = self.messages.pop_last()
        {
            self.bytes -= latest.text.len();
            self.is_cut = true;
        }
    }

    /// The oldest message.
    pub(super) fn first(&self) -> Option<&Ts> {
        self.messages.first_key_value().map(|(ts, _)| ts)
    }

    /// The messages, the oldest first.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Message> {
        self.messages.into_values()
    }
}

/// Messages that are delivered together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The lines for Carbon, each with a line feed.
    pub(super) lines: Vec<u8>,
    pub(super) points: usize,
    /// Messages that have only metrics, and may be deleted afterwards.
    pub(super) whole: Vec<Ts>,
    /// The number of messages that have other lines too.
    pub(super) mixed: usize,
    /// The number of messages without metrics.
    pub(super) others: usize,
    /// The number of lines that were no metrics in messages with metrics, by reason.
    pub(super) rejected: BTreeMap<Wrong, usize>,
    /// The last message.
    pub(super) last: Option<Ts>,
}

impl Batch {
    /// The messages that are delivered next, of those that are held: up to 256 KiB of lines, and at most
    /// `room` messages that are to be deleted. A batch that may have arrived at a broker, whose last
    /// message is `pending`, has the same messages again; if none of them is left, the batch is empty.
    pub(super) fn next<'a>(
        held: impl IntoIterator<Item = &'a Message>,
        pending: Option<&Ts>,
        room: usize,
    ) -> Self {
        let mut batch = Self::default();
        for message in held {
            let order = pending.map(|last| last.cmp(&message.ts));
            if order == Some(Ordering::Less) {
                break;
            }
            batch.add(message);
            let is_full = batch.lines.len() >= MAX_LINES_BYTES || batch.whole.len() >= room;
            if order == Some(Ordering::Equal) || (is_full && order.is_none()) {
                break;
            }
        }
        batch
    }

    /// The number of messages.
    pub(super) fn messages(&self) -> usize {
        self.whole.len() + self.mixed + self.others
    }

    /// Adds a message. Replies in threads, and what Slack writes itself, are left alone.
    fn add(&mut self, message: &Message) {
        self.last = Some(message.ts.clone());
        let is_plain = matches!(message.subtype.as_deref(), None | Some("bot_message"));
        if !is_plain || message.is_reply() {
            self.others += 1;
            return;
        }
        let contents = read(&message.text, &message.ts);
        if contents.points.is_empty() {
            self.others += 1;
            return;
        }
        self.points += contents.points.len();
        for point in &contents.points {
            self.lines.extend_from_slice(point.line().as_bytes());
            self.lines.push(b'\n');
        }
        if contents.is_all_metrics() {
            self.whole.push(message.ts.clone());
        } else {
            self.mixed += 1;
            for line in &contents.rejected {
                *self.rejected.entry(line.why).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, MAX_MESSAGES, Oldest, Wrong};
    use crate::slack::bus::Ts;
    use crate::slack::client::Message;

    fn message(at: u64, text: &str) -> Message {
        Message::new(Ts::at_ms(at * 1000), text)
    }

    #[test]
    fn the_oldest_messages_are_held_in_their_order() {
        let mut oldest = Oldest::default();
        for at in (1..=MAX_MESSAGES as u64 + 10).rev() {
            oldest.add(message(at, "a 1 1"));
        }
        oldest.add(message(1, "a 2 1"));
        assert!(oldest.is_cut);
        let all: Vec<_> = oldest.into_messages().map(|message| message.ts.seconds()).collect();
        assert!(all.is_sorted() && all.len() == MAX_MESSAGES && all[0] == 1);
        let mut large = Oldest::default();
        for at in 1..=3 {
            large.add(message(at, &"x".repeat(super::MAX_BYTES / 2)));
        }
        assert_eq!((large.into_messages().count()), 2);
    }

    #[test]
    fn a_batch_ends_at_its_limits_unless_it_is_pending() {
        let held: Vec<_> = (1..=9).map(|at| message(at, "a 1 1")).collect();
        let seconds = |pending: Option<u64>, room| {
            let pending = pending.map(|at| Ts::at_ms(at * 1000));
            let batch = Batch::next(&held, pending.as_ref(), room);
            (batch.messages(), batch.last.map(|last| last.seconds()))
        };
        assert_eq!(seconds(None, 100), (9, Some(9)));
        assert_eq!(seconds(None, 4), (4, Some(4)));
        assert_eq!(seconds(Some(6), 4), (6, Some(6)));
        // Its last message, or all of them, were deleted by somebody.
        let held: Vec<_> = [3, 4, 8].map(|at| message(at, "a 1 1")).into();
        let batch = Batch::next(&held, Some(&Ts::at_ms(6000)), 4);
        assert_eq!((batch.messages(), batch.last.unwrap().seconds()), (2, 4));
        assert_eq!(Batch::next(&held, Some(&Ts::at_ms(2000)), 4).last, None);
        let long = "a".repeat(200) + " 1 1\n";
        let held: Vec<_> = (1..=9).map(|at| message(at, &long.repeat(500))).collect();
        assert_eq!(Batch::next(&held, None, 100).messages(), 3);
    }

    #[test]
    fn chat_and_mixed_messages_stay() {
        let mut batch = Batch::default();
        batch.add(&message(1, "a 1 1\nb 2 1"));
        batch.add(&message(2, "good morning everyone"));
        batch.add(&message(3, "c 3 -1\ngood morning everyone\nd nan 1"));
        let mut reply = message(4, "e 1 1");
        reply.thread_ts = Some(Ts::at_ms(1));
        batch.add(&reply);
        let mut joined = message(5, "<@U1> 1 1");
        joined.subtype = Some("channel_join".to_owned());
        batch.add(&joined);
        assert_eq!(batch.lines, b"a 1 1\nb 2 1\nc 3 3\n");
        assert_eq!((batch.points, batch.whole.len(), batch.mixed, batch.others), (3, 1, 1, 3));
        assert_eq!(batch.rejected, [(Wrong::Value, 2)].into());
        assert_eq!((batch.messages(), batch.last.unwrap().seconds()), (5, 5));
    }
}
