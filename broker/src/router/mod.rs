//! The router: checks each message, stamps it, and passes it on.
//!
//! The body of a batch is passed on without parsing or copying it. The broker decodes it only if there is
//! a subscriber for the plain lines of its level.

mod counting;
mod drop_log;
mod intakes;
mod output;
mod peers;
mod receive;
mod thread;
mod unwanted;
mod write_ahead;
mod xpub;

pub(crate) use thread::{RouterSettings, RouterThread};
pub(crate) use write_ahead::WriteAhead;

use crate::acks::Acks;
use crate::counters::Counters;
use crate::journal::{Item, Taken};
use crate::line_windows::{FoldedBatch, Limits, LineWindows};
use crate::self_metrics::{SELF_LEVEL, SelfMetrics};
use crate::subscriptions::{Heard, MAX_TOPICS, Subscriptions};
use drop_log::DropLog;
use intakes::IntakeSockets;
use output::{OutgoingBatch, Output};
use receive::{Inbox, Received};
use std::time::Instant;
use write_ahead::Written;
use zibrato::window::{Dedup, Novelty, OVERFLOW_NAME};
use zibrato::wire::{
    self, BatchId, FrameError, LEVELS_TOPIC, Line, PublisherId, Stamp, WantedLevels, ack_topic,
    batch_topic,
};
use zmq::Message;

/// Receives messages and passes them on. It owns the output, and reads no clock.
pub(crate) struct Router {
    output: Output,
    subscriptions: Subscriptions,
    wanted: WantedLevels,
    dedup: Dedup,
    acks: Acks,
    windows: LineWindows,
    self_metrics: SelfMetrics,
    counters: Counters,
    log: DropLog,
    /// Batches are written here before they are published.
    journal: Option<WriteAhead>,
    /// The offset of the last batch in the journal, or the number of batches since the start if there
    /// is no journal.
    offset: u64,
    now_ms: u64,
}

impl Router {
    /// A router that sends to `publish`, an XPUB socket. `host` is the source of self-metrics. `dedup`
    /// has the sequences of batches that were accepted earlier.
    pub(crate) fn new(
        publish: zmq::Socket,
        counters: Counters,
        (host, now_ms): (String, u64),
        (journal, dedup): (Option<WriteAhead>, Dedup),
    ) -> zmq::Result<Self> {
        Ok(Self {
            output: Output::new(publish)?,
            subscriptions: Subscriptions::new(MAX_TOPICS),
            wanted: WantedLevels::default(),
            dedup,
            acks: Acks::default(),
            windows: LineWindows::new(PublisherId::random(), Limits::default()),
            self_metrics: SelfMetrics::new(host, &counters, now_ms),
            counters,
            log: DropLog::default(),
            offset: journal.as_ref().map_or(0, WriteAhead::end),
            journal,
            now_ms,
        })
    }

    /// Handles the message in the inbox, which was received through an intake.
    pub(crate) fn take(
        &mut self,
        intake: usize,
        inbox: &mut Inbox,
        received: Received,
    ) -> zmq::Result<()> {
        self.counters.intakes[intake].bytes += received.bytes;
        let taken = match received.frames {
            1 => self.take_lines(intake, inbox),
            3 => self.take_batch(intake, inbox),
            found => {
                tracing::debug!(event = "refused", error = %FrameError::Count { found });
                self.drop_it("frames", inbox.first());
                Ok(())
            }
        };
        self.log.name_peer(|| inbox.peer());
        taken
    }

    fn take_lines(&mut self, intake: usize, inbox: &mut Inbox) -> zmq::Result<()> {
        let frame = inbox.first();
        let wants = self.subscriptions.wants_of_line(frame);
        let is_folded = wants.batches || wants.journal;
        // The usual case: one line, which is passed on unchanged. Unless it is folded, checking it is
        // enough.
        if !is_folded && Line::level_if_plain(frame).is_some() {
            self.count_line(intake, wants);
            return if wants.lines {
                self.output.send_line(inbox.take_first(), &mut self.counters)
            } else {
                Ok(())
            };
        }
        if let Ok(line) = Line::decode(frame) {
            return if self.take_line(intake, &line) {
                self.output.send_line(inbox.take_first(), &mut self.counters)
            } else {
                Ok(())
            };
        }
        if frame.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.drop_it("empty", frame);
        }
        for text in frame.split(|byte| *byte == b'\n') {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            match Line::decode(text) {
                Ok(line) if self.take_line(intake, &line) => {
                    self.output.send_line(Message::from(text), &mut self.counters)?
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(event = "refused", %error);
                    self.drop_it(error.reason(), text);
                }
            }
        }
        Ok(())
    }

    /// Counts and folds a line. Returns whether there is a subscriber for plain lines of its level.
    fn take_line(&mut self, intake: usize, line: &Line<'_>) -> bool {
        let wants = self.subscriptions.wants(line.level);
        self.count_line(intake, wants);
        if (wants.batches || wants.journal) && self.windows.fold(line, self.now_ms).is_err() {
            self.drop_it("levels", line.level.as_bytes());
        }
        wants.lines
    }

    fn take_batch(&mut self, intake: usize, inbox: &mut Inbox) -> zmq::Result<()> {
        let frames = inbox.frames();
        let (level, id) = match wire::message(&[&frames[0], &frames[1], &frames[2]]) {
            Ok(wire::Message::Batch { level, id, .. }) if id.sequence > 0 => (level.to_owned(), id),
            Ok(_) => {
                self.drop_it("sequence", &frames[0]);
                return Ok(());
            }
            Err(error) => {
                tracing::debug!(event = "refused", %error);
                self.drop_it(error.reason(), &frames[0]);
                return Ok(());
            }
        };
        if let Novelty::Duplicate { highest } = self.dedup.insert(id.publisher, &level, id.sequence)
        {
            self.counters.duplicates += 1;
            self.acknowledge_again(id.publisher, &level, highest);
            return Ok(());
        }
        self.count_batch(intake, &level);
        // Moving a message does not copy its body.
        let [topic, id_frame, body] = inbox.take_frames();
        self.submit((level.into(), id, true), [topic, id_frame, body])
    }

    /// Stamps a batch. Passes it on to the journal, if the journal keeps its level, and otherwise
    /// to subscribers.
    fn submit(
        &mut self,
        (level, id, as_lines): (Box<str>, BatchId, bool),
        [topic, id_frame, body]: [Message; 3],
    ) -> zmq::Result<()> {
        let wants = self.subscriptions.wants(&level);
        // A batch that is not journaled has no offset.
        let has_offset = wants.journal || self.journal.is_none();
        self.offset += u64::from(has_offset);
        let offset = if has_offset { self.offset } else { 0 };
        let stamp = Stamp { offset, received_ms: self.now_ms };
        let taken = Taken { level, id, stamp, as_lines, topic, id_frame, body };
        match &mut self.journal {
            Some(journal) if wants.journal => {
                journal.push(Item::Batch(taken), self.now_ms);
                Ok(())
            }
            _ => self.publish(taken),
        }
    }

    /// Acknowledges a duplicate, once everything that was accepted until now is on disk.
    fn acknowledge_again(&mut self, publisher: PublisherId, level: &str, highest: u64) {
        match &mut self.journal {
            Some(journal) if journal.in_flight() > 0 => {
                let item = Item::Again { publisher, level: level.into(), highest };
                journal.push(item, self.now_ms);
            }
            _ => self.acks.add(publisher, level, highest),
        }
    }

    /// Publishes and acknowledges batches that are now on disk. Updates the levels to keep.
    pub(crate) fn take_written(&mut self) -> zmq::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let Written { items, kept } = journal.take_written();
        if let Some(levels) = kept {
            self.subscriptions.keep(levels);
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

    /// Publishes a batch, and acknowledges it.
    fn publish(&mut self, taken: Taken) -> zmq::Result<()> {
        let Taken { level, id, stamp, as_lines, topic, id_frame, body } = taken;
        if as_lines && self.subscriptions.wants(&level).lines {
            let expanded = self.output.send_expanded(&level, &body, &mut self.counters)?;
            self.drop_entries("annotation", expanded.annotations, &level, id.publisher);
            self.drop_entries("expansion", expanded.refused, &level, id.publisher);
        }
        let batch = OutgoingBatch { level: &level, stamp, topic, id_frame, body };
        self.output.send_batch(batch, &mut self.counters)?;
        if id.publisher != self.windows.publisher() {
            self.acks.add(id.publisher, &level, id.sequence);
        }
        Ok(())
    }

    /// Sends the queued lines.
    pub(crate) fn send_lines(&mut self) -> zmq::Result<()> {
        self.output.send_lines(&mut self.counters)
    }

    /// Counts a dropped message or line, and keeps a sample of it for the log.
    fn drop_it(&mut self, reason: &'static str, sample: &[u8]) {
        self.counters.dropped.add(reason, 1);
        self.log.keep_sample(reason, sample);
    }

    /// Counts a message that is dropped without being parsed.
    pub(crate) fn drop_unread(&mut self, reason: &'static str, inbox: &mut Inbox) {
        self.drop_it(reason, inbox.first());
        self.log.name_peer(|| inbox.peer());
    }

    /// Counts entries of a batch of which subscribers to lines get no line. The batch itself was
    /// accepted.
    fn drop_entries(&mut self, reason: &'static str, count: u64, level: &str, from: PublisherId) {
        if count == 0 {
            return;
        }
        self.counters.dropped.add(reason, count);
        self.log.keep_sample(reason, level.as_bytes());
        self.log.name_peer(|| format!("publisher {from}"));
    }

    /// Whether more messages can be accepted.
    pub(crate) fn has_room(&self) -> bool {
        self.journal.as_ref().is_none_or(WriteAhead::has_room)
    }

    /// Handles a message from a subscriber.
    pub(crate) fn hear(&mut self, inbox: &Inbox, received: Received) {
        let heard = match received.frames {
            1 => self.subscriptions.hear(inbox.first()),
            _ => Heard::Strange,
        };
        let is_strange = matches!(heard, Heard::Strange | Heard::TooMany);
        self.counters.strange_subscriptions += u64::from(is_strange);
    }

    /// Whether the wanted levels have changed and must be sent.
    pub(crate) fn wanted_changed(&mut self) -> bool {
        if !self.subscriptions.take_changed() {
            return false;
        }
        let wanted = self.subscriptions.wanted();
        let changed = wanted != self.wanted;
        self.wanted = wanted;
        changed
    }

    /// Ends a round: sends acknowledgements to publishers.
    fn end_round(&mut self, intakes: &IntakeSockets) -> zmq::Result<()> {
        if self.windows.is_full() && self.has_room() {
            self.flush_windows()?;
        }
        let acks: Vec<_> = self.acks.drain().collect();
        for (publisher, ack) in acks {
            let Some(ack) = intakes.acknowledge(publisher, ack) else { continue };
            let topic = ack_topic(publisher);
            self.output.send_control(&topic, ack.encode(), &mut self.counters)?;
        }
        Ok(())
    }

    /// Runs once a second, and at the end.
    pub(crate) fn tick(&mut self) -> zmq::Result<()> {
        self.counters.journal = self.journal.as_ref().map(WriteAhead::health);
        // While the journal has no room, no lines are accepted. Self-metrics lose nothing, because they
        // are differences.
        if self.has_room() {
            self.flush_windows()?;
            self.send_self_metrics()?;
        }
        self.send_wanted()?;
        self.log.log_drops(&self.counters, self.now_ms);
        self.log.log_refused(&self.counters, self.now_ms);
        Ok(())
    }

    fn flush_windows(&mut self) -> zmq::Result<()> {
        let flushed = self.windows.flush(self.now_ms);
        self.counters.overflowed += flushed.overflowed;
        self.counters.dropped.add("value", flushed.not_finite);
        self.counters.dropped.add("members", flushed.omitted_members);
        if let Some([level, source, name]) = flushed.offender
            && self.log.may_name_offender(self.now_ms)
        {
            let (lines, into) = (flushed.overflowed, OVERFLOW_NAME);
            tracing::warn!(event = "too_many_series", level, source, name, lines, into);
        }
        for FoldedBatch { level, id, body } in flushed.batches {
            // Its lines were published when they were received.
            self.submit_body((&level, id, false), body)?;
        }
        Ok(())
    }

    fn send_self_metrics(&mut self) -> zmq::Result<()> {
        let wants = self.subscriptions.wants(SELF_LEVEL);
        if !wants.any() {
            self.self_metrics.skip(&self.counters, self.now_ms);
            return Ok(());
        }
        let Ok(id) = self.windows.next_id(SELF_LEVEL) else {
            self.counters.dropped.add("levels", 1);
            return Ok(());
        };
        let body = self.self_metrics.report(&self.counters, self.now_ms);
        self.submit_body((SELF_LEVEL, id, true), body)
    }

    fn submit_body(
        &mut self,
        (level, id, as_lines): (&str, BatchId, bool),
        body: Vec<u8>,
    ) -> zmq::Result<()> {
        let topic = Message::from(batch_topic(level).as_str());
        let frames = [topic, Message::from(&id.encode()[..]), Message::from(body)];
        self.submit((level.into(), id, as_lines), frames)
    }

    pub(crate) fn send_wanted(&mut self) -> zmq::Result<()> {
        self.output.send_control(LEVELS_TOPIC, self.wanted.encode(), &mut self.counters)
    }

    /// Stops the journal. Batches that are not on disk by then are not acknowledged; those of the
    /// broker itself are lost.
    pub(crate) fn close_journal(&mut self, by: Instant) -> zmq::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let ended = journal.stop(by);
        self.take_written()?;
        let lost = self.journal.as_ref().map_or(0, WriteAhead::in_flight);
        if !ended || lost > 0 {
            self.counters.dropped.add("journal", lost as u64);
            tracing::error!(
                event = "journal_not_written",
                batches = lost,
                why = "publishers still have their batches; lines of the last second are lost, and \
                       what intakes had is counted as rejected with the reason `stop`"
            );
        }
        Ok(())
    }
}
