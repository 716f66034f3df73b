//! What subscribers have asked for, and which levels that makes wanted.
//!
//! An XPUB socket tells of each topic once when the first subscriber asks for it, and once when
//! the last one is gone. A topic is a prefix of what it wants:
//!
//! | topic | wants |
//! |---|---|
//! | `zb1\|info\|` | batches of `info` |
//! | `info\|`, `info\|Counter\|` | lines of `info` |
//! | nothing, `z`, `zb`, `zb1\|` | batches of every level |
//! | `info`, `zb1\|info` | lines, or batches, of every level that begins so |
//! | `zb!levels`, `zb!ack\|…` | no level |
//!
//! Levels that begin with a word cannot be listed beforehand, and to leave one out would lose its
//! measurements: so a topic without its bar makes every level wanted.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::ops::Bound;
use zibrato::wire::{BATCH_PREFIX, WantedLevels, batch_topic, line_topic};
use zibrato::{Level, MAX_LEVEL_BYTES};

/// The most topics that are kept. One message of wanted levels has room for 10,000.
pub(crate) const MAX_TOPICS: usize = 8_192;

/// The most levels for which the answer is kept.
const MAX_ANSWERS: usize = 1_000;

/// In which forms somebody wants a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    pub(crate) batches: bool,
    pub(crate) lines: bool,
    /// Whether it is kept for those who read later.
    pub(crate) journal: bool,
}

impl Wants {
    /// Whether somebody wants the level at all.
    pub(crate) const fn any(self) -> bool {
        self.batches || self.lines || self.journal
    }
}

/// The topics that subscribers have asked for.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    topics: BTreeSet<Box<[u8]>>,
    max_topics: usize,
    /// Topics that did not fit. While there are any, everything counts as wanted.
    unlisted: usize,
    kept: WantedLevels,
    /// Whether topics or kept levels have changed since this was asked last.
    changed: bool,
    answers: HashMap<Box<str>, Wants, RandomState>,
    /// The answer that was given last for lines, and what lines of its level begin with.
    last: (Vec<u8>, Wants),
}

/// What an upstream message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The set of topics has changed.
    Changed,
    /// It is neither a subscription nor its end.
    Strange,
    /// There are too many topics to keep this one.
    TooMany,
    /// Nothing has changed.
    Unchanged,
}

impl Subscriptions {
    /// No topics yet; at most `max_topics` are kept.
    pub(crate) fn new(max_topics: usize) -> Self {
        let (topics, kept) = (BTreeSet::new(), WantedLevels::default());
        let (answers, last) = (HashMap::default(), (Vec::new(), Wants::default()));
        Self { topics, max_topics, unlisted: 0, kept, changed: false, answers, last }
    }

    /// Takes what XPUB received from a subscriber: 1 and a topic, or 0 and a topic.
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

    /// The journal keeps these levels from now on.
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

    /// How many topics subscribers have asked for.
    pub(crate) fn len(&self) -> usize {
        self.topics.len() + self.unlisted
    }

    /// In which forms somebody wants `level`.
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

    /// In which forms somebody wants the level of a line. What is no line may be given any answer.
    pub(crate) fn wants_of_line(&mut self, line: &[u8]) -> Wants {
        let (begins, wants) = &self.last;
        // Most lines are of the same level as the one before.
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

    /// The levels that somebody wants, in whatever form, or the journal keeps.
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

/// What one topic wants.
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
    // A batch's topic ends with the bar: one that goes on matches nothing.
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
        // A character that is cut off may still be completed.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    // `zb1` and `*` are no levels, but `zb1x` and `*x` are.
    whole.is_empty() || zibrato::check_name(whole).is_ok()
}

#[cfg(test)]
mod tests;
