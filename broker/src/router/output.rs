//! The output to subscribers: batches, lines and control messages.

use super::xpub::{Sent, Xpub};
use crate::counters::Counters;
use crate::expand::{Expanded, expand};
use std::fmt::Write;
use zibrato::wire::Stamp;
use zmq::Message;

/// Maximum number of lines sent at once. Sending them one by one would wake the I/O thread for
/// each.
const MAX_LINES: usize = 256;

/// The label, instead of a level, for control messages that a subscriber misses.
const CONTROL: &str = "zb!";

/// Sends to subscribers, and counts.
pub(super) struct Output {
    xpub: Xpub,
    /// Lines to send.
    lines: Vec<Message>,
    text: String,
}

/// A batch to send.
pub(super) struct OutgoingBatch<'a> {
    pub(super) level: &'a str,
    pub(super) stamp: Stamp,
    pub(super) topic: Message,
    pub(super) id_frame: Message,
    pub(super) body: Message,
}

impl Output {
    /// Sends to `socket`, an XPUB socket.
    pub(super) fn new(socket: zmq::Socket) -> zmq::Result<Self> {
        let lines = Vec::with_capacity(MAX_LINES);
        Ok(Self { xpub: Xpub::new(socket)?, lines, text: String::new() })
    }

    pub(super) const fn socket(&self) -> &zmq::Socket {
        self.xpub.socket()
    }

    pub(super) const fn socket_mut(&mut self) -> &mut zmq::Socket {
        self.xpub.socket_mut()
    }

    /// Sends a batch, after the lines that were received before it.
    pub(super) fn send_batch(
        &mut self,
        batch: OutgoingBatch<'_>,
        counters: &mut Counters,
    ) -> zmq::Result<()> {
        self.send_lines(counters)?;
        let stamp = Message::from(&batch.stamp.encode()[..]);
        let sent = self.xpub.send(batch.topic, [batch.id_frame, stamp, batch.body]);
        counters.published_batches += 1;
        count(sent, batch.level, counters)
    }

    /// Queues a line to be sent soon.
    pub(super) fn send_line(&mut self, line: Message, counters: &mut Counters) -> zmq::Result<()> {
        self.lines.push(line);
        if self.lines.len() < MAX_LINES { Ok(()) } else { self.send_lines(counters) }
    }

    /// Sends the queued lines. Each begins with its level.
    pub(super) fn send_lines(&mut self, counters: &mut Counters) -> zmq::Result<()> {
        let mut lines = std::mem::take(&mut self.lines);
        counters.published_lines += lines.len() as u64;
        let sent = lines.drain(..).try_for_each(|line| match self.xpub.send(line, []) {
            Ok(Sent::ToAll) => Ok(()),
            sent => {
                let level = self.xpub.last_first_frame().split(|byte| *byte == b'|').next();
                let level = String::from_utf8_lossy(level.unwrap_or_default()).into_owned();
                count(sent, &level, counters)
            }
        });
        self.lines = lines;
        sent
    }

    /// Sends a batch as lines.
    pub(super) fn send_expanded(
        &mut self,
        level: &str,
        body: &[u8],
        counters: &mut Counters,
    ) -> zmq::Result<Expanded> {
        let mut text = std::mem::take(&mut self.text);
        let mut sent = Ok(());
        let expanded = expand(level, body, |line| {
            text.clear();
            // Writing to a String cannot fail.
            if sent.is_ok() && write!(text, "{line}").is_ok() {
                sent = self.send_line(Message::from(text.as_str()), counters);
            }
        });
        self.text = text;
        sent?;
        match expanded {
            Ok(expanded) => Ok(expanded),
            Err(error) => {
                tracing::debug!(event = "refused", %error);
                Ok(Expanded { refused: 1, ..Expanded::default() })
            }
        }
    }

    /// Sends a control message.
    pub(super) fn send_control(
        &mut self,
        topic: &str,
        body: Vec<u8>,
        counters: &mut Counters,
    ) -> zmq::Result<()> {
        let sent = self.xpub.send(Message::from(topic), [Message::from(body)]);
        count(sent, CONTROL, counters)
    }
}

/// Counts a message that not every subscriber got.
fn count(sent: zmq::Result<Sent>, level: &str, counters: &mut Counters) -> zmq::Result<()> {
    match sent {
        Ok(Sent::ToAll) => Ok(()),
        Ok(Sent::ToSome) => {
            counters.count_subscriber_drop(level);
            Ok(())
        }
        Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => {
            counters.dropped.add("send", 1);
            Ok(())
        }
        Err(error) => Err(error),
    }
}
