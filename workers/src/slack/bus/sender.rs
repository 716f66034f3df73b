//! Posts messages with metrics to a channel, as `send` does.

use super::flags::BusFlags;
use super::packing::MAX_MESSAGE_CHARS;
use crate::slack::client::{Client, Error, ErrorKind, Post, is_id};
use crate::slack::format::escape;
use zibrato::daemon::Failure;

/// Posts messages to a channel.
pub(super) struct Sender {
    client: Client,
    /// The id of the channel, or its name with a `#` until Slack has told the id.
    to: String,
    /// Whether the channel has accepted a message.
    pub(super) has_posted: bool,
}

impl Sender {
    pub(super) fn new(flags: &BusFlags, client: Client) -> Result<Self, Failure> {
        let channel = flags.channel()?;
        let to = if is_id(channel) {
            channel.to_owned()
        } else {
            format!("#{}", channel.trim_start_matches('#'))
        };
        Ok(Self { client, to, has_posted: false })
    }

    /// Posts a message. That is one call, except if the app must look up or join the channel.
    pub(super) fn post(&mut self, text: &str) -> Result<(), Error> {
        match self.try_post(text) {
            Ok(()) => Ok(()),
            Err(refused) => self.enter(refused).and_then(|()| self.try_post(text)),
        }
    }

    fn try_post(&mut self, text: &str) -> Result<(), Error> {
        // A line that arrives twice changes nothing: Carbon keeps one value for a name and time.
        let posted = self.client.post(&Post::plain(&*self.to, text).repeat())?;
        self.has_posted = true;
        if !posted.channel.is_empty() {
            self.to = posted.channel;
        }
        Ok(())
    }

    /// Looks up a name that Slack does not know, which may be a former one, and joins the channel.
    /// Returns the refusal itself if neither helps.
    fn enter(&mut self, refused: Error) -> Result<(), Error> {
        let is_name = !is_id(&self.to);
        match refused.word() {
            Some("not_in_channel") => {}
            Some("channel_not_found") if is_name => {}
            _ => return Err(refused),
        }
        if is_name {
            let channel = match self.client.find_channel(&self.to) {
                Err(why) if why.kind() == ErrorKind::Access => return Err(refused),
                found => found?,
            };
            self.to = channel.id;
            if channel.is_member {
                return Ok(());
            }
        }
        match self.client.join(&self.to) {
            Ok(channel) => {
                tracing::info!(event = "joined", channel = channel.name, id = channel.id);
                Ok(())
            }
            Err(why) if is_temporary(&why) || matches!(why, Error::Stopped) => Err(why),
            // A private channel, or a scope that is missing.
            Err(_) => Err(refused),
        }
    }
}

/// Whether another attempt may succeed by itself.
pub(super) fn is_temporary(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cursor | ErrorKind::RateLimited | ErrorKind::Transient)
}

/// The text of a message.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    chars: usize,
    pub(super) lines: usize,
}

impl Text {
    /// Adds a line if it fits.
    pub(super) fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let line = escape(line);
        let separator = usize::from(self.lines > 0);
        let chars = self.chars + separator + line.chars().count();
        if chars > MAX_MESSAGE_CHARS {
            return Err("it is longer than a message of Slack may be");
        }
        if separator > 0 {
            self.text.push('\n');
        }
        self.text.push_str(&line);
        (self.chars, self.lines) = (chars, self.lines + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGE_CHARS, Text};
    use crate::slack::bus::{Packed, pack};

    #[test]
    fn a_message_is_filled_as_packed_ones_are() {
        let lines: Vec<_> = (0..250).map(|i| format!("a&b.n{i} {i} 1500000000")).collect();
        let (mut messages, mut message) = (Vec::new(), Text::default());
        for line in &lines {
            if message.add(line).is_err() {
                messages.push(std::mem::take(&mut message).text);
                message.add(line).unwrap();
            }
        }
        messages.push(message.text);
        let Packed { messages: packed, .. } = pack(&lines, MAX_MESSAGE_CHARS);
        assert_eq!(messages, packed);
        let long = format!("{} 1 1", "&".repeat(900));
        assert!(Text::default().add(&long).is_err());
    }
}
