//! Control messages from the broker to publishers: wanted levels and acknowledgements.

use super::frame::PublisherId;
use super::msgpack::{self, Malformed};
use crate::measurement::{Level, check_level};
use std::collections::{BTreeMap, BTreeSet};

/// The topic under which the wanted levels are published, on change and every second.
pub const LEVELS_TOPIC: &str = "zb!levels";

/// Prefix of the topics of acknowledgements; the publisher's id in hex follows.
pub const ACK_PREFIX: &str = "zb!ack|";

/// Maximum number of levels or acknowledgements in one message.
const MAX_ITEMS: u32 = 10_000;

/// The topic under which one publisher's batches are acknowledged.
#[must_use]
pub fn ack_topic(publisher: PublisherId) -> String {
    format!("{ACK_PREFIX}{publisher}")
}

/// The wanted levels, which have a subscriber or a cursor. The broker publishes them under
/// [`LEVELS_TOPIC`].
///
/// ```
/// use zibrato::wire::WantedLevels;
/// let mut wanted = WantedLevels::default();
/// wanted.levels.insert("info".parse().unwrap());
/// assert_eq!(WantedLevels::decode(&wanted.encode()), Ok(wanted.clone()));
/// assert!(wanted.wants("info") && !wanted.wants("information"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct WantedLevels {
    /// Whether all levels are wanted. On the wire, this is an item `*`.
    pub all: bool,
    /// The levels that are wanted by name.
    pub levels: BTreeSet<Level>,
}

impl WantedLevels {
    /// Whether `level` is wanted.
    #[must_use]
    pub fn wants(&self, level: &str) -> bool {
        self.all || self.levels.contains(level)
    }

    /// The body of the message: a MessagePack array of texts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        msgpack::array(&mut body, self.levels.len() + usize::from(self.all));
        if self.all {
            msgpack::text(&mut body, "*");
        }
        self.levels.iter().for_each(|level| msgpack::text(&mut body, level.as_str()));
        body
    }

    /// Reads the body of the message.
    ///
    /// # Errors
    /// [`ControlError`] if it is not an array of levels.
    pub fn decode(mut body: &[u8]) -> Result<Self, ControlError> {
        let mut wanted = Self::default();
        for _ in 0..items(msgpack::read_array(&mut body)?)? {
            let level = msgpack::read_text(&mut body)?;
            if level == "*" {
                wanted.all = true;
            } else {
                wanted.levels.insert(Level::new(level).map_err(|_| ControlError::Level)?);
            }
        }
        Ok(wanted)
    }
}

/// Acknowledgement: the batches of one publisher that the broker has stored. Published under
/// [`ack_topic`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the wire")]
pub struct Ack {
    /// The highest acknowledged sequence of each level.
    pub sequences: BTreeMap<String, u64>,
}

impl Ack {
    /// The body of the message: a MessagePack map of level to sequence.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        msgpack::map(&mut body, self.sequences.len());
        for (level, sequence) in &self.sequences {
            msgpack::text(&mut body, level);
            msgpack::unsigned(&mut body, *sequence);
        }
        body
    }

    /// Reads the body of the message.
    ///
    /// # Errors
    /// [`ControlError`] if it is not a map of level to sequence.
    pub fn decode(mut body: &[u8]) -> Result<Self, ControlError> {
        let mut ack = Self::default();
        for _ in 0..items(msgpack::read_map(&mut body)?)? {
            let level = msgpack::read_text(&mut body)?;
            check_level(level).map_err(|_| ControlError::Level)?;
            ack.sequences.insert(level.to_owned(), msgpack::read_unsigned(&mut body)?);
        }
        Ok(ack)
    }
}

fn items(count: u32) -> Result<u32, ControlError> {
    if count > MAX_ITEMS { Err(ControlError::TooMany) } else { Ok(count) }
}

/// Why a control message was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It contains an invalid level.
    #[error("a control message contains an invalid level")]
    Level,
    /// It is not MessagePack of the expected structure.
    #[error("a control message is not valid MessagePack of the expected structure")]
    Malformed,
    /// It has more than 10,000 items.
    #[error("a control message has more than 10,000 items")]
    TooMany,
}

impl From<Malformed> for ControlError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_wants_every_level() {
        let wanted = WantedLevels { all: true, ..WantedLevels::default() };
        assert_eq!(wanted.encode(), b"\x91\xa1*");
        assert_eq!(WantedLevels::decode(b"\x91\xa1*"), Ok(wanted));
    }

    #[test]
    fn invalid_bodies_are_rejected() {
        for body in
            [&b""[..], b"\x92\xa1a", b"\x91\xa3a|b", b"\x91\x01", b"\xdd\xff\xff\xff\xff", b"\xc0"]
        {
            assert!(WantedLevels::decode(body).is_err(), "{body:?}");
            assert!(Ack::decode(body).is_err(), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn acks_are_decoded_unchanged(sequences in prop::collection::btree_map("[a-y]{1,9}", any::<u64>(), 0..9)) {
            let ack = Ack { sequences };
            prop_assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
        }
    }
}
