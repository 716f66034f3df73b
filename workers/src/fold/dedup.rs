//! Remembers the highest sequence per publisher and level, in bounded memory.

use std::collections::HashMap;
use zibrato::wire::PublisherId;

/// The batches that were folded already.
///
/// There are two generations. When the young one is full it replaces the old one, and what is still
/// in use moves to the young one again. So memory is bounded, and the publisher that has been silent
/// for longest is forgotten first.
#[derive(Debug)]
pub(super) struct Dedup {
    per_generation: usize,
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    levels: HashMap<Box<str>, HashMap<PublisherId, u64>>,
    len: usize,
}

impl Generation {
    fn find(&mut self, publisher: PublisherId, level: &str) -> Option<&mut u64> {
        self.levels.get_mut(level)?.get_mut(&publisher)
    }

    fn insert(&mut self, publisher: PublisherId, level: &str, sequence: u64) {
        if !self.levels.contains_key(level) {
            self.levels.insert(Box::from(level), HashMap::new());
        }
        if let Some(publishers) = self.levels.get_mut(level) {
            publishers.insert(publisher, sequence);
            self.len += 1;
        }
    }
}

impl Dedup {
    /// Remembers at least half of `most` pairs of publisher and level, and at most all of them.
    pub(super) fn new(most: usize) -> Self {
        let per_generation = (most / 2).max(1);
        Self { per_generation, young: Generation::default(), old: Generation::default() }
    }

    /// Whether the sequence is beyond all that the publisher has sent of this level before. If so, it
    /// is remembered.
    pub(super) fn is_new(&mut self, publisher: PublisherId, level: &str, sequence: u64) -> bool {
        if let Some(highest) = self.young.find(publisher, level) {
            let new = sequence > *highest;
            *highest = sequence.max(*highest);
            return new;
        }
        let before = self.old.find(publisher, level).copied();
        if self.young.len >= self.per_generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(publisher, level, before.map_or(sequence, |b| b.max(sequence)));
        before.is_none_or(|before| sequence > before)
    }
}

#[cfg(test)]
mod tests {
    use super::Dedup;
    use zibrato::wire::PublisherId;

    fn publisher(n: u32) -> PublisherId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        PublisherId(id)
    }

    #[test]
    fn a_sequence_is_new_once_per_publisher_and_level() {
        let mut dedup = Dedup::new(100);
        for (n, level, sequence, new) in [
            (1, "info", 1, true),
            (1, "info", 1, false),
            (1, "info", 3, true),
            (1, "info", 2, false),
            (1, "warn", 1, true),
            (2, "info", 1, true),
            (3, "info", 0, true),
            (3, "info", 0, false),
            (3, "info", 1, true),
        ] {
            assert_eq!(dedup.is_new(publisher(n), level, sequence), new, "{n} {level} {sequence}");
        }
    }

    #[test]
    fn a_publisher_that_sends_is_not_forgotten_however_many_others_do() {
        let mut dedup = Dedup::new(100);
        assert!(dedup.is_new(publisher(0), "info", 7));
        for n in 1..10_000 {
            assert!(dedup.is_new(publisher(n), "info", 1));
            assert!(!dedup.is_new(publisher(0), "info", 7), "after {n}");
            assert!(dedup.young.len <= 50 && dedup.old.len <= 50);
        }
    }
}
