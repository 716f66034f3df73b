//! The way of a batch through the journal: there when it is taken, back when it is safe, and only
//! then to subscribers and, as an acknowledgement, to its publisher.

use super::Router;
use crate::journal::{Health, Item, Journal, Log, Taken};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;
use zibrato::wire::{BatchId, PublisherId, Stamp};
use zmq::Message;

/// The journal, and what is on its way there and back.
#[derive(Debug)]
pub(crate) struct ToJournal {
    journal: Journal,
    /// When what is on its way was received, in unix milliseconds; the oldest first.
    on_its_way: VecDeque<u64>,
}

impl ToJournal {
    pub(crate) const fn new(journal: Journal) -> Self {
        Self { journal, on_its_way: VecDeque::new() }
    }

    /// The offset of the last batch.
    pub(crate) fn end(&self) -> u64 {
        self.journal.log.end()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.journal.log
    }

    /// How the journal is.
    pub(crate) fn health(&self) -> Health {
        let waiting_bytes = self.journal.queue.bytes() as u64;
        Health { waiting_bytes, ..self.journal.log.health() }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.on_its_way.is_empty()
    }

    fn send(&mut self, item: Item, now_ms: u64) {
        self.on_its_way.push_back(now_ms);
        self.journal.queue.push(item);
    }
}

impl Router {
    /// Readable when something has come back from the journal.
    pub(crate) fn journal_bell(&self) -> Option<RawFd> {
        self.journal.as_ref().map(|to| to.log().router.as_raw_fd())
    }

    /// Whether more can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.journal.as_ref().is_none_or(|to| to.journal.queue.has_room())
    }

    /// Hands a batch on: to the journal if it keeps the level, else to subscribers.
    pub(super) fn hand_on(
        &mut self,
        (level, id, as_lines): (Box<str>, BatchId, bool),
        frames: [Message; 3],
    ) -> zmq::Result<()> {
        let [topic, id_frame, body] = frames;
        let wants = self.subscriptions.wants(&level);
        // What the journal does not keep has no place in it.
        let has_offset = wants.journal || self.journal.is_none();
        self.offset += u64::from(has_offset);
        let offset = if has_offset { self.offset } else { 0 };
        let stamp = Stamp { offset, received_ms: self.now_ms };
        let taken = Taken { level, id, stamp, as_lines, topic, id_frame, body };
        match &mut self.journal {
            Some(to) if wants.journal => {
                to.send(Item::Batch(taken), self.now_ms);
                Ok(())
            }
            _ => self.publish(taken),
        }
    }

    /// Acknowledges a batch that was taken before, but not before it is safe.
    pub(super) fn acknowledge_again(&mut self, publisher: PublisherId, level: &str, highest: u64) {
        match &mut self.journal {
            Some(to) if !to.is_idle() => {
                let item = Item::Again { publisher, level: level.into(), highest };
                to.send(item, self.now_ms);
            }
            _ => self.acks.add(publisher, level, highest),
        }
    }

    /// Publishes and acknowledges what is safe now, and hears which levels are to be kept.
    pub(crate) fn take_safe(&mut self) -> zmq::Result<()> {
        let Some(to) = &mut self.journal else { return Ok(()) };
        to.journal.log.router.clear();
        let items = to.journal.queue.take_back();
        to.on_its_way.drain(..items.len().min(to.on_its_way.len()));
        if let Some(levels) = to.journal.log.take_kept() {
            self.subscriptions.keep(levels);
            self.subscriptions_changed = true;
        }
        for item in items {
            match item {
                Item::Batch(taken) => self.publish(taken)?,
                Item::Again { publisher, level, highest } => {
                    self.acks.add(publisher, &level, highest);
                }
            }
        }
        Ok(())
    }

    /// Tells readers until when they have everything that was received.
    pub(crate) fn tell_complete(&self) {
        if let Some(to) = &self.journal {
            let oldest = to.on_its_way.front().copied();
            to.journal.log.set_complete_until_ms(oldest.unwrap_or(self.now_ms), self.now_ms);
        }
    }

    /// Ends the journal: what is not safe by then is not acknowledged, and the broker's own
    /// batches among it are lost.
    pub(crate) fn close_journal(&mut self, by: Instant) -> zmq::Result<()> {
        let Some(to) = &mut self.journal else { return Ok(()) };
        let ended = to.journal.stop(by);
        self.take_safe()?;
        let Some(to) = &self.journal else { return Ok(()) };
        let lost = to.on_its_way.len();
        if !ended || lost > 0 {
            self.counters.dropped.add("journal", lost as u64);
            tracing::error!(
                event = "journal_not_written",
                batches = lost,
                why = "publishers still have their batches; lines of the last second are lost"
            );
        }
        Ok(())
    }
}
