//! The topics of subscribers, and the levels that are wanted because of them.
//!
//! An XPUB socket reports each topic twice: when the first subscriber subscribes to it, and when
//! the last one has unsubscribed. A topic matches all messages that begin with it:
//!
//! | topic | wants |
//! |---|---|
//! | `zb1\|info\|` | batches of `info` |
//! | `info\|`, `info\|Counter\|` | lines of `info` |
//! | empty, `z`, `zb`, `zb1\|` | batches of every level |
//! | `info`, `zb1\|info` | lines, or batches, of every level that begins with `info` |
//! | `zb!levels`, `zb!ack\|…` | no level |
//!
//! The levels that begin with a text cannot be listed in advance, and measurements of a level that
//! is not listed would be lost. So a topic without the bar makes every level wanted.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::ops::Bound;
use zibrato::wire::{BATCH_PREFIX, WantedLevels, batch_topic, line_topic};
use zibrato::{Level, MAX_LEVEL_BYTES};

/// Maximum number of topics that are stored. A message with the wanted levels has room for 10,000.
pub(crate) const MAX_TOPICS: usize = 8_192;

/// Maximum number of levels for which the result is cached.
const MAX_ANSWERS: usize = 1_000;

/// The forms in which a level is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    pub(crate) batches: bool,
    pub(crate) lines: bool,
    /// Whether the journal keeps the level.
    pub(crate) journal: bool,
}

impl Wants {
    /// Whether the level is wanted in any form.
    pub(crate) const fn any(self) -> bool {
        self.batches || self.lines || self.journal
    }
}

/// The topics of all subscribers.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    topics: BTreeSet<Box<[u8]>>,
    max_topics: usize,
    /// Number of topics that could not be stored. While it is not zero, every level counts as
    /// wanted.
    unlisted: usize,
    kept: WantedLevels,
    /// Whether topics or kept levels have changed since the last call of `take_changed`.
    changed: bool,
    answers: HashMap<Box<str>, Wants, RandomState>,
    /// The last result for a line, and the prefix of the lines to which it applies.
    last: (Vec<u8>, Wants),
}

/// The meaning of a message from a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The set of topics has changed.
    Changed,
    /// The message is neither a subscription nor an unsubscription.
    Strange,
    /// There are too many topics to store this one.
    TooMany,
    /// Nothing has changed.
    Unchanged,
}

impl Subscriptions {
    /// No topics yet; at most `max_topics` are stored.
    pub(crate) fn new(max_topics: usize) -> Self {
        let (topics, kept) = (BTreeSet::new(), WantedLevels::default());
        let (answers, last) = (HashMap::default(), (Vec::new(), Wants::default()));
        Self { topics, max_topics, unlisted: 0, kept, changed: false, answers, last }
    }

    /// Handles a message from a subscriber: 1 and a topic, or 0 and a topic.
    pub(crate) fn hear(&mut self, message: &[u8]) -> Heard {
        let heard = match message {
            [1, topic @ ..] => self.add(topic),
            [0, topic @ ..] => self.remove(topic),
            _ => Heard::Strange,
        };
        if matches!(heard, Heard::Changed | Heard::TooMany) {
            self.forget_answers();
        }
        heard
    }

    /// Replaces the list of levels that the journal keeps.
    pub(crate) fn keep(&mut self, levels: WantedLevels) {
        self.kept = levels;
        self.forget_answers();
    }

    /// Whether topics or kept levels have changed since the last call.
    pub(crate) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    fn forget_answers(&mut self) {
        self.changed = true;
        self.answers.clear();
        self.last.0.clear();
    }

    fn add(&mut self, topic: &[u8]) -> Heard {
        if self.topics.contains(topic) {
            return Heard::Unchanged;
        }
        if self.topics.len() >= self.max_topics {
            self.unlisted += 1;
            return Heard::TooMany;
        }
        self.topics.insert(Box::from(topic));
        Heard::Changed
    }

    fn remove(&mut self, topic: &[u8]) -> Heard {
        if self.topics.remove(topic) {
            return Heard::Changed;
        }
        if self.unlisted == 0 {
            return Heard::Unchanged;
        }
        self.unlisted -= 1;
        Heard::Changed
    }

    /// The number of subscribed topics.
    pub(crate) fn len(&self) -> usize {
        self.topics.len() + self.unlisted
    }

    /// The forms in which `level` is wanted.
    pub(crate) fn wants(&mut self, level: &str) -> Wants {
        if let Some(wants) = self.answers.get(level) {
            return *wants;
        }
        let wants = self.look_up(level);
        if self.answers.len() >= MAX_ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(Box::from(level), wants);
        wants
    }

    /// The forms in which the level of a line is wanted. If the frame is not a line, the result is
    /// arbitrary.
    pub(crate) fn wants_of_line(&mut self, line: &[u8]) -> Wants {
        let (begins, wants) = &self.last;
        // Most lines have the level of the previous line.
        if !begins.is_empty() && line.starts_with(begins) {
            return *wants;
        }
        let bar = line.iter().take(MAX_LEVEL_BYTES + 1).position(|byte| *byte == b'|');
        let Some(level) = bar.and_then(|bar| std::str::from_utf8(&line[..bar]).ok()) else {
            return Wants::default();
        };
        let wants = self.wants(level);
        self.last.0.clear();
        self.last.0.extend_from_slice(level.as_bytes());
        self.last.0.push(b'|');
        self.last.1 = wants;
        wants
    }

    fn look_up(&self, level: &str) -> Wants {
        let journal = self.kept.wants(level);
        if self.unlisted > 0 {
            return Wants { batches: true, lines: true, journal };
        }
        let line = line_topic(level);
        Wants {
            batches: self.has_prefix_of(batch_topic(level).as_bytes()),
            lines: self.has_prefix_of(line.as_bytes()) || self.has_longer_than(line.as_bytes()),
            journal,
        }
    }

    fn has_prefix_of(&self, text: &[u8]) -> bool {
        (0..=text.len()).any(|end| self.topics.contains(&text[..end]))
    }

    fn has_longer_than(&self, text: &[u8]) -> bool {
        let from = (Bound::Included(text), Bound::Unbounded);
        self.topics.range::<[u8], _>(from).next().is_some_and(|topic| topic.starts_with(text))
    }

    /// The levels that are wanted in any form, or that the journal keeps.
    pub(crate) fn wanted(&self) -> WantedLevels {
        let mut wanted = self.kept.clone();
        wanted.all |= self.unlisted > 0;
        for topic in &self.topics {
            match wish(topic) {
                Wish::All => wanted.all = true,
                Wish::Level(level) => drop(wanted.levels.insert(level)),
                Wish::Nothing => {}
            }
        }
        wanted
    }
}

/// The levels that a topic makes wanted.
enum Wish {
    All,
    Level(Level),
    Nothing,
}

fn wish(topic: &[u8]) -> Wish {
    if BATCH_PREFIX.as_bytes().starts_with(topic) {
        return Wish::All;
    }
    let (rest, lines) = match topic.strip_prefix(BATCH_PREFIX.as_bytes()) {
        Some(rest) => (rest, false),
        None => (topic, true),
    };
    let Some(bar) = rest.iter().position(|byte| *byte == b'|') else {
        return if may_begin_a_level(rest) { Wish::All } else { Wish::Nothing };
    };
    // The topic of a batch ends with the bar, so a longer one matches nothing.
    if !lines && bar + 1 != rest.len() {
        return Wish::Nothing;
    }
    let level = std::str::from_utf8(&rest[..bar]).ok().and_then(|text| Level::new(text).ok());
    level.map_or(Wish::Nothing, Wish::Level)
}

/// Whether some level begins with these bytes.
fn may_begin_a_level(bytes: &[u8]) -> bool {
    if bytes.len() > MAX_LEVEL_BYTES || bytes.starts_with(b"zb!") {
        return false;
    }
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A truncated character may be completed by further bytes.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    // `zb1` and `*` are not levels, but `zb1x` and `*x` are.
    whole.is_empty() || zibrato::check_name(whole).is_ok()
}

#[cfg(test)]
mod tests;
