//! What is done with each message: judge it, stamp it, hand it on.
//!
//! The body of a batch is handed on as it came, neither parsed nor copied; only a level whose plain
//! lines somebody wants makes the broker look inside.

mod complaints;
mod libzmq;
mod outlet;
mod peers;
mod receive;
mod thread;
mod to_journal;

pub(crate) use thread::{Orders, RouterThread};
pub(crate) use to_journal::ToJournal;

use crate::acks::Acks;
use crate::counters::Counters;
use crate::expand::expand;
use crate::journal::Taken;
use crate::line_windows::{Flushed, Limits, LineWindows, OwnBatch};
use crate::own::{OWN_LEVEL, OwnNumbers};
use crate::seen::{Seen, Verdict};
use crate::subscriptions::{Heard, MAX_TOPICS, Subscriptions, Wants};
use complaints::Complaints;
use outlet::{Outlet, Sent};
use receive::{Inbox, Received};
use std::fmt::Write;
use zibrato::window::OVERFLOW_NAME;
use zibrato::wire::{
    self, BatchId, FrameError, LEVELS_TOPIC, Line, PublisherId, WantedLevels, ack_topic,
    batch_topic,
};
use zmq::Message;

/// As many lines are sent in one go. A line at a time would wake the thread that writes for each.
const LINES_AT_ONCE: usize = 256;

/// What stands for the level when a subscriber misses a control message.
const CONTROL: &str = "zb!";

/// Takes messages in and hands them on. It owns the way out, and reads no clock.
pub(crate) struct Router {
    outlet: Outlet,
    subscriptions: Subscriptions,
    subscriptions_changed: bool,
    wanted: WantedLevels,
    seen: Seen,
    acks: Acks,
    windows: LineWindows,
    own: OwnNumbers,
    counters: Counters,
    complaints: Complaints,
    /// Where batches go before they are published.
    journal: Option<ToJournal>,
    /// Where the last batch stands in the order of all batches: its offset in the journal, or
    /// without one a count since the start.
    offset: u64,
    now_ms: u64,
    text: String,
    /// Lines that are to be sent, in one go.
    lines: Vec<Message>,
}

impl Router {
    /// A router that sends to `publish`, an XPUB socket. `host` is who the broker is as a source;
    /// `seen` is what was taken before.
    pub(crate) fn new(
        publish: zmq::Socket,
        (host, now_ms): (String, u64),
        (journal, seen): (Option<ToJournal>, Seen),
    ) -> zmq::Result<Self> {
        Ok(Self {
            outlet: Outlet::new(publish)?,
            subscriptions: Subscriptions::new(MAX_TOPICS),
            subscriptions_changed: false,
            wanted: WantedLevels::default(),
            seen,
            acks: Acks::default(),
            windows: LineWindows::new(PublisherId::random(), Limits::default()),
            own: OwnNumbers::new(host, now_ms),
            counters: Counters::default(),
            complaints: Complaints::default(),
            offset: journal.as_ref().map_or(0, ToJournal::end),
            journal,
            now_ms,
            text: String::new(),
            lines: Vec::with_capacity(LINES_AT_ONCE),
        })
    }

    /// Takes the message in the inbox, which came through an intake.
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
        self.name_peer(inbox);
        taken
    }

    fn take_lines(&mut self, intake: usize, inbox: &mut Inbox) -> zmq::Result<()> {
        let frame = inbox.first();
        let wants = self.subscriptions.wants_of_line(frame);
        let is_folded = wants.batches || wants.journal;
        // The usual case: one line, which is handed on as it came. If it is not folded, nobody
        // needs to know more than that it is in order.
        if !is_folded && Line::level_if_plain(frame).is_some() {
            self.count_line(intake, wants);
            return if wants.lines { self.send_line(inbox.take_first()) } else { Ok(()) };
        }
        if let Ok(line) = Line::decode(frame) {
            return if self.take_line(intake, &line) {
                self.send_line(inbox.take_first())
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
                Ok(line) if self.take_line(intake, &line) => self.send_line(Message::from(text))?,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(event = "refused", %error);
                    self.drop_it(error.reason(), text);
                }
            }
        }
        Ok(())
    }

    /// Counts and folds a line, and says whether somebody wants it as it is.
    fn take_line(&mut self, intake: usize, line: &Line<'_>) -> bool {
        let wants = self.subscriptions.wants(line.level);
        self.count_line(intake, wants);
        if (wants.batches || wants.journal) && self.windows.fold(line, self.now_ms).is_err() {
            self.drop_it("levels", line.level.as_bytes());
        }
        wants.lines
    }

    fn count_line(&mut self, intake: usize, wants: Wants) {
        self.counters.intakes[intake].lines += 1;
        self.counters.unwanted_lines += u64::from(!wants.any());
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
                self.drop_it(reason(&error), &frames[0]);
                return Ok(());
            }
        };
        if let Verdict::Duplicate { highest } = self.seen.judge(id.publisher, &level, id.sequence) {
            self.counters.duplicates += 1;
            self.acknowledge_again(id.publisher, &level, highest);
            return Ok(());
        }
        self.counters.intakes[intake].batches += 1;
        // The body stays where it is; a message that is moved is not copied.
        let [topic, id_frame, body] = inbox.take_frames();
        self.counters.unwanted_batches += u64::from(!self.subscriptions.wants(&level).any());
        self.hand_on((level.into(), id, true), [topic, id_frame, body])
    }

    /// Publishes a batch, and acknowledges it.
    fn publish(&mut self, taken: Taken) -> zmq::Result<()> {
        let Taken { level, id, stamp, as_lines, topic, id_frame, body } = taken;
        if as_lines && self.subscriptions.wants(&level).lines {
            self.send_expanded(&level, id.publisher, &body)?;
        }
        // What came first goes first.
        self.send_lines()?;
        let stamp = Message::from(&stamp.encode()[..]);
        let sent = self.outlet.send(topic, [id_frame, stamp, body]);
        self.counters.published_batches += 1;
        self.sent(sent, &level)?;
        if id.publisher != self.windows.publisher() {
            self.acks.add(id.publisher, &level, id.sequence);
        }
        Ok(())
    }

    /// Sends a line soon.
    fn send_line(&mut self, line: Message) -> zmq::Result<()> {
        self.lines.push(line);
        if self.lines.len() < LINES_AT_ONCE { Ok(()) } else { self.send_lines() }
    }

    /// Sends the lines that wait, whose level stands at their beginning.
    pub(crate) fn send_lines(&mut self) -> zmq::Result<()> {
        let mut lines = std::mem::take(&mut self.lines);
        self.counters.published_lines += lines.len() as u64;
        let sent = lines.drain(..).try_for_each(|line| match self.outlet.send(line, []) {
            Ok(Sent::ToAll) => Ok(()),
            sent => {
                let level = self.outlet.last_first_frame().split(|byte| *byte == b'|').next();
                let level = String::from_utf8_lossy(level.unwrap_or_default()).into_owned();
                self.sent(sent, &level)
            }
        });
        self.lines = lines;
        sent
    }

    fn send_expanded(&mut self, level: &str, from: PublisherId, body: &[u8]) -> zmq::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        let mut sent = Ok(());
        let expanded = expand(level, body, |line| {
            text.clear();
            // Writing to a String cannot fail.
            if sent.is_ok() && write!(text, "{line}").is_ok() {
                sent = self.send_line(Message::from(text.as_str()));
            }
        });
        self.text = text;
        match expanded {
            Ok(expanded) if expanded.refused > 0 => {
                self.drop_part(expanded.refused, level, from);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(event = "refused", %error);
                self.drop_part(1, level, from);
            }
        }
        sent
    }

    fn sent(&mut self, sent: zmq::Result<Sent>, level: &str) -> zmq::Result<()> {
        match sent {
            Ok(Sent::ToAll) => Ok(()),
            Ok(Sent::ToSome) => {
                self.counters.count_subscriber_drop(level);
                Ok(())
            }
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => {
                self.counters.dropped.add("send", 1);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes what a subscriber sent.
    pub(crate) fn hear(&mut self, inbox: &Inbox, received: Received) {
        let heard = match received.frames {
            1 => self.subscriptions.hear(inbox.first()),
            _ => Heard::Strange,
        };
        match heard {
            Heard::Changed => self.subscriptions_changed = true,
            Heard::TooMany => {
                self.subscriptions_changed = true;
                self.counters.strange_subscriptions += 1;
            }
            Heard::Strange => self.counters.strange_subscriptions += 1,
            Heard::Unchanged => {}
        }
    }

    /// Whether what is wanted has changed; it then has to be told.
    pub(crate) fn wanted_changed(&mut self) -> bool {
        if !std::mem::take(&mut self.subscriptions_changed) {
            return false;
        }
        let wanted = self.subscriptions.wanted();
        let changed = wanted != self.wanted;
        self.wanted = wanted;
        changed
    }

    /// Ends a round: tells publishers what was taken.
    pub(crate) fn end_round(&mut self) -> zmq::Result<()> {
        if self.windows.is_full() && self.has_room() {
            self.flush_windows()?;
        }
        let acks: Vec<_> = self.acks.drain().collect();
        for (publisher, ack) in acks {
            self.send_control(&ack_topic(publisher), ack.encode())?;
        }
        Ok(())
    }

    /// What is done once a second, and at the end.
    pub(crate) fn tick(&mut self) -> zmq::Result<()> {
        self.counters.journal = self.journal.as_ref().map(ToJournal::health);
        // While the journal takes nothing, no lines come, and numbers are told by difference.
        if self.has_room() {
            self.flush_windows()?;
            self.send_own_numbers()?;
        }
        self.send_wanted()?;
        self.complaints.complain(&self.counters, self.now_ms);
        self.complaints.complain_of_refused(&self.counters, self.now_ms);
        Ok(())
    }

    fn flush_windows(&mut self) -> zmq::Result<()> {
        let Flushed { batches, overflowed, offender, not_finite } = self.windows.flush();
        self.counters.overflowed += overflowed;
        self.counters.dropped.add("value", not_finite);
        if let Some([level, source, name]) = offender
            && self.complaints.may_name_offender(self.now_ms)
        {
            let (lines, into) = (overflowed, OVERFLOW_NAME);
            tracing::warn!(event = "too_many_series", level, source, name, lines, into);
        }
        for OwnBatch { level, id, body } in batches {
            // Its lines were published as they came.
            self.send_own_batch((&level, id, false), body)?;
        }
        Ok(())
    }

    fn send_own_numbers(&mut self) -> zmq::Result<()> {
        let wants = self.subscriptions.wants(OWN_LEVEL);
        if !wants.any() {
            self.own.skip(&self.counters, self.now_ms);
            return Ok(());
        }
        let Ok(id) = self.windows.next_id(OWN_LEVEL) else {
            self.counters.dropped.add("levels", 1);
            return Ok(());
        };
        let body = self.own.tell(&self.counters, self.now_ms);
        self.send_own_batch((OWN_LEVEL, id, true), body)
    }

    fn send_own_batch(
        &mut self,
        (level, id, as_lines): (&str, BatchId, bool),
        body: Vec<u8>,
    ) -> zmq::Result<()> {
        let topic = Message::from(batch_topic(level).as_str());
        let frames = [topic, Message::from(&id.encode()[..]), Message::from(body)];
        self.hand_on((level.into(), id, as_lines), frames)
    }

    pub(crate) fn send_wanted(&mut self) -> zmq::Result<()> {
        self.send_control(LEVELS_TOPIC, self.wanted.encode())
    }

    fn send_control(&mut self, topic: &str, body: Vec<u8>) -> zmq::Result<()> {
        let sent = self.outlet.send(Message::from(topic), [Message::from(body)]);
        self.sent(sent, CONTROL)
    }
}

/// A constant word for why a message is no batch.
const fn reason(error: &FrameError) -> &'static str {
    match error {
        FrameError::Count { .. } => "frames",
        FrameError::Length { .. } => "id",
        FrameError::Level { .. } => "level",
        FrameError::Topic => "topic",
        FrameError::Version { .. } => "version",
        _ => "other",
    }
}
