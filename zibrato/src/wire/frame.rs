//! The outer frames of a message (topic, id and stamp), and the kind of a message by its frames.

use crate::measurement::{TextProblem, check_level};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Prefix of the topic of a version 1 batch.
pub const BATCH_PREFIX: &str = "zb1|";

/// The topic of a level's batches, and the prefix by which they are subscribed.
///
/// ```
/// assert_eq!(zibrato::wire::batch_topic("info"), "zb1|info|");
/// ```
#[must_use]
pub fn batch_topic(level: &str) -> String {
    format!("{BATCH_PREFIX}{level}|")
}

/// The prefix by which a level's lines are subscribed. The bar keeps `info` from also matching
/// `information`.
///
/// ```
/// assert_eq!(zibrato::wire::line_topic("info"), "info|");
/// ```
#[must_use]
pub fn line_topic(level: &str) -> String {
    format!("{level}|")
}

/// The level in a batch's topic frame.
///
/// # Errors
/// [`FrameError`] if the topic is not `zb1|<level>|` with a valid level.
pub fn topic_level(topic: &[u8]) -> Result<&str, FrameError> {
    let text = std::str::from_utf8(topic).map_err(|_| FrameError::Topic)?;
    let Some(rest) = text.strip_prefix(BATCH_PREFIX) else {
        return Err(match version(text) {
            Some(version) => FrameError::Version { version },
            None => FrameError::Topic,
        });
    };
    let level = rest.strip_suffix('|').ok_or(FrameError::Topic)?;
    check_level(level).map_err(|problem| FrameError::Level { problem })?;
    Ok(level)
}

/// The number in `zb<number>|…`.
fn version(topic: &str) -> Option<u32> {
    topic.strip_prefix("zb")?.split_once('|')?.0.parse().ok()
}

/// Identity of a publisher: sixteen random bytes that each process chooses at start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct PublisherId(pub [u8; 16]);

impl PublisherId {
    /// A new identity. It must be unique; it need not be unpredictable.
    #[must_use]
    pub fn random() -> Self {
        // The standard library seeds these hashers from the system's randomness.
        let half = || RandomState::new().hash_one(std::process::id()).to_be_bytes();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&half());
        id[8..].copy_from_slice(&half());
        Self(id)
    }
}

impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Frame 1 of a batch: its publisher and its sequence number.
///
/// A publisher numbers the batches of each level 1, 2, 3 …. Receivers remember the highest number
/// per publisher and level, and drop batches that they have already received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct BatchId {
    /// The publisher of the batch.
    pub publisher: PublisherId,
    /// Its number among the publisher's batches of this level, starting at 1.
    pub sequence: u64,
}

impl BatchId {
    /// Length of the frame, in bytes.
    pub const BYTES: usize = 24;

    /// The frame.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        pair(self.publisher.0, self.sequence)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// [`FrameError::Length`] if it is not 24 bytes long.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let Some((publisher, sequence)) = frame.split_first_chunk::<16>() else {
            return Err(Self::wrong(frame));
        };
        let sequence = <[u8; 8]>::try_from(sequence).map_err(|_| Self::wrong(frame))?;
        Ok(Self { publisher: PublisherId(*publisher), sequence: u64::from_be_bytes(sequence) })
    }

    fn wrong(frame: &[u8]) -> FrameError {
        FrameError::Length { frame: "id", expected: Self::BYTES, found: frame.len() }
    }
}

/// Frame 2 of a batch, added by the broker: its offset and the time when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Stamp {
    /// The journal offset; without a journal, a count since the broker started.
    pub offset: u64,
    /// When the broker received the batch, in Unix milliseconds. It determines the window of the
    /// batch.
    pub received_ms: u64,
}

impl Stamp {
    /// Length of the frame, in bytes.
    pub const BYTES: usize = 16;

    /// The frame.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        pair(self.offset.to_be_bytes(), self.received_ms)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// [`FrameError::Length`] if it is not 16 bytes long.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let Some((offset, received)) = frame.split_first_chunk::<8>() else {
            return Err(Self::wrong(frame));
        };
        let received = <[u8; 8]>::try_from(received).map_err(|_| Self::wrong(frame))?;
        Ok(Self { offset: u64::from_be_bytes(*offset), received_ms: u64::from_be_bytes(received) })
    }

    fn wrong(frame: &[u8]) -> FrameError {
        FrameError::Length { frame: "stamp", expected: Self::BYTES, found: frame.len() }
    }
}

fn pair<const N: usize, const M: usize>(head: [u8; N], tail: u64) -> [u8; M] {
    let mut frame = [0; M];
    frame[..N].copy_from_slice(&head);
    frame[N..].copy_from_slice(&tail.to_be_bytes());
    frame
}

/// A whole message, classified by its frames.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// A batch, from a publisher (without a stamp) or from the broker.
    Batch {
        /// The level, from the topic.
        level: &'a str,
        /// Publisher and sequence.
        id: BatchId,
        /// Added by the broker.
        stamp: Option<Stamp>,
        /// MessagePack, for [`BatchReader`](super::BatchReader).
        body: &'a [u8],
    },
    /// One frame of lines, for [`lines`](super::lines).
    Lines(&'a [u8]),
}

/// Classifies a multipart message, without parsing the body of a batch.
///
/// # Errors
/// [`FrameError`] if the frames are neither a batch nor lines.
pub fn message<'a>(frames: &[&'a [u8]]) -> Result<Message<'a>, FrameError> {
    match *frames {
        [line] => Ok(Message::Lines(line)),
        [topic, id, body] => {
            let level = topic_level(topic)?;
            Ok(Message::Batch { level, id: BatchId::decode(id)?, stamp: None, body })
        }
        [topic, id, stamp, body] => {
            let level = topic_level(topic)?;
            let (id, stamp) = (BatchId::decode(id)?, Some(Stamp::decode(stamp)?));
            Ok(Message::Batch { level, id, stamp, body })
        }
        _ => Err(FrameError::Count { found: frames.len() }),
    }
}

/// Why a message is neither a batch nor lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The number of frames is wrong: lines have one frame, a batch has three from a publisher and
    /// four from a broker.
    #[error("a message has 1, 3 or 4 frames, this one has {found}")]
    Count {
        /// The number that was found.
        found: usize,
    },
    /// A frame of fixed length has another length.
    #[error("the {frame} frame has {expected} bytes, this one has {found}")]
    Length {
        /// Which frame.
        frame: &'static str,
        /// The expected number of bytes.
        expected: usize,
        /// The number that was found.
        found: usize,
    },
    /// The level in the topic is invalid.
    #[error("the level in the topic {problem}")]
    Level {
        /// What is wrong with it.
        problem: TextProblem,
    },
    /// The topic is not `zb1|<level>|`.
    #[error("the topic of a batch is `zb1|<level>|`")]
    Topic,
    /// The topic is that of a batch from a newer publisher.
    #[error("batches of version {version} are not supported, only version 1; upgrade this side")]
    Version {
        /// The version that the topic names.
        version: u32,
    },
}

impl FrameError {
    /// The reason as a constant word, the label of counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Count { .. } => "frames",
            Self::Length { .. } => "id",
            Self::Level { .. } => "level",
            Self::Topic => "topic",
            Self::Version { .. } => "version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: BatchId = BatchId { publisher: PublisherId([7; 16]), sequence: 0x0102 };
    const STAMP: Stamp = Stamp { offset: 9, received_ms: 1_700_000_000_123 };

    #[test]
    fn ids_and_stamps_are_decoded_unchanged() {
        assert_eq!(BatchId::decode(&ID.encode()), Ok(ID));
        assert_eq!(Stamp::decode(&STAMP.encode()), Ok(STAMP));
        assert_eq!(ID.publisher.to_string(), "07".repeat(16));
    }

    #[test]
    fn frames_of_another_length_are_rejected() {
        for length in (0..64).filter(|n| *n != BatchId::BYTES) {
            assert!(BatchId::decode(&vec![0; length]).is_err(), "{length}");
        }
        for length in (0..64).filter(|n| *n != Stamp::BYTES) {
            assert!(Stamp::decode(&vec![0; length]).is_err(), "{length}");
        }
    }

    #[test]
    fn messages_are_distinguished_by_their_frames() {
        let (id, stamp) = (ID.encode(), STAMP.encode());
        let batch = |stamp| Ok(Message::Batch { level: "info", id: ID, stamp, body: b"x" });
        assert_eq!(message(&[b"info|..."]), Ok(Message::Lines(b"info|...")));
        assert_eq!(message(&[b"zb1|info|", &id, b"x"]), batch(None));
        assert_eq!(message(&[b"zb1|info|", &id, &stamp, b"x"]), batch(Some(STAMP)));
        assert_eq!(message(&[]), Err(FrameError::Count { found: 0 }));
        assert_eq!(message(&[b"a", b"b"]), Err(FrameError::Count { found: 2 }));
        assert_eq!(message(&[b"zb2|info|", &id, b"x"]), Err(FrameError::Version { version: 2 }));
        let topics: [&[u8]; 5] = [b"zb1|info", b"info|", b"zb1|a|b|", b"zb1||", b"\xff"];
        for topic in topics {
            assert!(message(&[topic, &id, b"x"]).is_err(), "{topic:?}");
        }
    }
}
