//! Remembers the highest sequence of each publisher and level, so that a batch that is sent again
//! is not taken twice.

use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use zibrato::wire::PublisherId;

/// The most pairs of publisher and level that are remembered.
pub(crate) const MAX_PAIRS: usize = 100_000;

/// Whether a batch was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was, or a later one was.
    Duplicate {
        /// The highest sequence taken.
        highest: u64,
    },
    /// It is new, and remembered from now on.
    New,
}

/// The memory. When it is full, the tenth that has been idle longest is forgotten.
#[derive(Debug)]
pub(crate) struct Seen {
    pairs: HashTable<Pair>,
    hasher: RandomState,
    max_pairs: usize,
    /// Counts batches; tells which pair has been idle longest.
    clock: u64,
    forgotten: u64,
}

/// What is remembered of a publisher and level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) publisher: PublisherId,
    pub(crate) level: Box<str>,
    /// The highest sequence taken.
    pub(crate) highest: u64,
    /// Which batch, counted since the start, was the last of this pair.
    pub(crate) touched: u64,
}

impl Seen {
    /// An empty memory for at most `max_pairs` pairs of publisher and level.
    pub(crate) fn new(max_pairs: usize) -> Self {
        Self {
            pairs: HashTable::new(),
            hasher: RandomState::new(),
            max_pairs: max_pairs.max(1),
            clock: 0,
            forgotten: 0,
        }
    }

    /// Judges a batch, and remembers it.
    pub(crate) fn judge(&mut self, publisher: PublisherId, level: &str, sequence: u64) -> Verdict {
        self.clock += 1;
        let hash = self.hasher.hash_one((publisher, level));
        let found = self.pairs.find_mut(hash, |p| p.publisher == publisher && *p.level == *level);
        if let Some(pair) = found {
            pair.touched = self.clock;
            if sequence <= pair.highest {
                return Verdict::Duplicate { highest: pair.highest };
            }
            pair.highest = sequence;
            return Verdict::New;
        }
        if self.pairs.len() >= self.max_pairs {
            self.forget_the_idle();
        }
        let pair = Pair { publisher, level: level.into(), highest: sequence, touched: self.clock };
        let hasher = &self.hasher;
        self.pairs.insert_unique(hash, pair, |p| hasher.hash_one((p.publisher, &*p.level)));
        Verdict::New
    }

    /// The pairs, those first that have been idle longest.
    pub(crate) fn by_idleness(&self) -> Vec<&Pair> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_unstable_by_key(|pair| pair.touched);
        pairs
    }

    /// How many pairs of publisher and level are remembered.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// How many were forgotten because the memory was full.
    pub(crate) const fn forgotten(&self) -> u64 {
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
    use super::{Seen, Verdict};
    use proptest::prelude::*;
    use std::collections::HashMap;
    use zibrato::wire::PublisherId;

    const A: PublisherId = PublisherId([1; 16]);
    const B: PublisherId = PublisherId([2; 16]);

    #[test]
    fn what_was_taken_is_a_duplicate_for_this_publisher_and_level_only() {
        let mut seen = Seen::new(10);
        assert_eq!(seen.judge(A, "info", 7), Verdict::New);
        assert_eq!(seen.judge(A, "info", 7), Verdict::Duplicate { highest: 7 });
        assert_eq!(seen.judge(A, "info", 3), Verdict::Duplicate { highest: 7 });
        assert_eq!(seen.judge(A, "warn", 7), Verdict::New);
        assert_eq!(seen.judge(B, "info", 1), Verdict::New);
        assert_eq!(seen.judge(A, "info", 9), Verdict::New);
    }

    #[test]
    fn a_full_memory_forgets_those_that_were_idle_longest() {
        let mut seen = Seen::new(20);
        for n in 0..20 {
            seen.judge(PublisherId([n; 16]), "info", 1);
        }
        seen.judge(PublisherId([0; 16]), "info", 2);
        seen.judge(PublisherId([99; 16]), "info", 1);
        assert_eq!((seen.len(), seen.forgotten()), (18, 3));
        let kept = Verdict::Duplicate { highest: 2 };
        assert_eq!(seen.judge(PublisherId([0; 16]), "info", 2), kept);
        assert_eq!(seen.judge(PublisherId([1; 16]), "info", 1), Verdict::New);
    }

    #[test]
    fn a_memory_of_one_still_works() {
        let mut seen = Seen::new(0);
        assert_eq!(seen.judge(A, "info", 1), Verdict::New);
        assert_eq!(seen.judge(B, "info", 1), Verdict::New);
        assert_eq!(seen.judge(B, "info", 1), Verdict::Duplicate { highest: 1 });
        assert_eq!(seen.len(), 1);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_map(
            batches in prop::collection::vec((0..4_u8, "[ab]", 1..6_u64), 0..100),
        ) {
            let (mut seen, mut model) = (Seen::new(100), HashMap::new());
            for (publisher, level, sequence) in batches {
                let highest = model.entry((publisher, level.clone())).or_insert(0);
                let expected = if sequence <= *highest {
                    Verdict::Duplicate { highest: *highest }
                } else {
                    *highest = sequence;
                    Verdict::New
                };
                let publisher = PublisherId([publisher; 16]);
                prop_assert_eq!(seen.judge(publisher, &level, sequence), expected);
            }
        }
    }
}
