//! Deduplication: the highest sequence of each publisher and level, so that a batch that is sent
//! again is counted once.

use crate::wire::PublisherId;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// Whether a batch is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Novelty {
    /// It or a later one of its publisher and level was inserted before.
    Duplicate {
        /// The highest sequence of that publisher and level.
        highest: u64,
    },
    /// It is new, and remembered from now on.
    New,
}

/// Remembers the highest sequence of each publisher and level, in bounded memory.
///
/// When it is full, the tenth of the pairs that has been idle longest is forgotten.
///
/// ```
/// use zibrato::window::{Dedup, Novelty};
/// use zibrato::wire::PublisherId;
/// let (mut dedup, publisher) = (Dedup::new(Dedup::MAX_PAIRS), PublisherId([7; 16]));
/// assert_eq!(dedup.insert(publisher, "info", 1), Novelty::New);
/// assert_eq!(dedup.insert(publisher, "info", 1), Novelty::Duplicate { highest: 1 });
/// ```
#[derive(Debug)]
pub struct Dedup {
    pairs: HashTable<Pair>,
    hasher: RandomState,
    max_pairs: usize,
    /// Number of batches so far; it determines which pair has been idle longest.
    clock: u64,
    forgotten: u64,
}

/// The state of a publisher and level.
#[derive(Debug)]
struct Pair {
    publisher: PublisherId,
    level: Box<str>,
    /// The highest sequence.
    highest: u64,
    /// The number of the last batch of this pair, counted from the start.
    touched: u64,
}

impl Dedup {
    /// The number of pairs that brokers and workers remember.
    pub const MAX_PAIRS: usize = 100_000;

    /// Remembers at most `max_pairs` pairs of publisher and level; at least one.
    #[must_use]
    pub fn new(max_pairs: usize) -> Self {
        Self {
            pairs: HashTable::new(),
            hasher: RandomState::new(),
            max_pairs: max_pairs.max(1),
            clock: 0,
            forgotten: 0,
        }
    }

    /// Returns whether a batch is new, and remembers it.
    pub fn insert(&mut self, publisher: PublisherId, level: &str, sequence: u64) -> Novelty {
        self.clock += 1;
        let hash = self.hasher.hash_one((publisher, level));
        let found = self.pairs.find_mut(hash, |p| p.publisher == publisher && *p.level == *level);
        if let Some(pair) = found {
            pair.touched = self.clock;
            if sequence <= pair.highest {
                return Novelty::Duplicate { highest: pair.highest };
            }
            pair.highest = sequence;
            return Novelty::New;
        }
        if self.pairs.len() >= self.max_pairs {
            self.forget_the_idle();
        }
        let pair = Pair { publisher, level: level.into(), highest: sequence, touched: self.clock };
        let hasher = &self.hasher;
        self.pairs.insert_unique(hash, pair, |p| hasher.hash_one((p.publisher, &*p.level)));
        Novelty::New
    }

    /// Each publisher and level with its highest sequence, longest idle first.
    pub fn by_idleness(&self) -> impl Iterator<Item = (PublisherId, &str, u64)> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_unstable_by_key(|pair| pair.touched);
        pairs.into_iter().map(|pair| (pair.publisher, &*pair.level, pair.highest))
    }

    /// Number of pairs of publisher and level that are remembered.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Number of pairs that were forgotten because the memory was full.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget_the_idle(&mut self) {
        let mut touched: Vec<_> = self.pairs.iter().map(|p| p.touched).collect();
        let (_, newest_gone, _) = touched.select_nth_unstable(self.max_pairs / 10);
        let newest_gone = *newest_gone;
        let before = self.pairs.len();
        self.pairs.retain(|p| p.touched > newest_gone);
        self.forgotten += (before - self.pairs.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::{Dedup, Novelty};
    use crate::wire::PublisherId;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const A: PublisherId = PublisherId([1; 16]);
    const B: PublisherId = PublisherId([2; 16]);

    #[test]
    fn a_batch_is_a_duplicate_only_for_its_publisher_and_level() {
        let mut dedup = Dedup::new(10);
        assert_eq!(dedup.insert(A, "info", 7), Novelty::New);
        assert_eq!(dedup.insert(A, "info", 7), Novelty::Duplicate { highest: 7 });
        assert_eq!(dedup.insert(A, "info", 3), Novelty::Duplicate { highest: 7 });
        assert_eq!(dedup.insert(A, "warn", 7), Novelty::New);
        assert_eq!(dedup.insert(B, "info", 1), Novelty::New);
        assert_eq!(dedup.insert(A, "info", 9), Novelty::New);
        assert_eq!(dedup.insert(B, "debug", 0), Novelty::New);
        assert_eq!(dedup.insert(B, "debug", 0), Novelty::Duplicate { highest: 0 });
        assert_eq!(dedup.insert(B, "debug", 1), Novelty::New);
    }

    #[test]
    fn a_full_memory_forgets_the_pairs_that_were_idle_longest() {
        let mut dedup = Dedup::new(20);
        for n in 0..20 {
            dedup.insert(PublisherId([n; 16]), "info", 1);
        }
        dedup.insert(PublisherId([0; 16]), "info", 2);
        dedup.insert(PublisherId([99; 16]), "info", 1);
        assert_eq!((dedup.pairs(), dedup.forgotten()), (18, 3));
        let kept = Novelty::Duplicate { highest: 2 };
        assert_eq!(dedup.insert(PublisherId([0; 16]), "info", 2), kept);
        assert_eq!(dedup.insert(PublisherId([1; 16]), "info", 1), Novelty::New);
    }

    #[test]
    fn a_memory_of_one_still_works() {
        let mut dedup = Dedup::new(0);
        assert_eq!(dedup.insert(A, "info", 1), Novelty::New);
        assert_eq!(dedup.insert(B, "info", 1), Novelty::New);
        assert_eq!(dedup.insert(B, "info", 1), Novelty::Duplicate { highest: 1 });
        assert_eq!(dedup.pairs(), 1);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_map(
            batches in prop::collection::vec((0..4_u8, "[ab]", 1..6_u64), 0..100),
        ) {
            let (mut dedup, mut model) = (Dedup::new(100), HashMap::new());
            for (publisher, level, sequence) in batches {
                let highest = model.entry((publisher, level.clone())).or_insert(0);
                let expected = if sequence <= *highest {
                    Novelty::Duplicate { highest: *highest }
                } else {
                    *highest = sequence;
                    Novelty::New
                };
                let publisher = PublisherId([publisher; 16]);
                prop_assert_eq!(dedup.insert(publisher, &level, sequence), expected);
            }
        }
    }

    #[test]
    fn active_publishers_are_never_forgotten() {
        let mut dedup = Dedup::new(100);
        assert_eq!(dedup.insert(A, "info", 7), Novelty::New);
        for n in 1..10_000_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            assert_eq!(dedup.insert(PublisherId(id), "info", 1), Novelty::New);
            let known = Novelty::Duplicate { highest: 7 };
            assert_eq!(dedup.insert(A, "info", 7), known, "after {n}");
            assert!(dedup.pairs() <= 100);
        }
    }
}
