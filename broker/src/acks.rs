//! Collects the acknowledgements of one round, so that each publisher gets one message.

use std::collections::HashMap;
use zibrato::wire::{Ack, PublisherId};

/// The acknowledgements of one round.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    waiting: HashMap<PublisherId, Ack>,
}

impl Acks {
    /// Acknowledges everything up to `highest`.
    pub(crate) fn add(&mut self, publisher: PublisherId, level: &str, highest: u64) {
        let ack = self.waiting.entry(publisher).or_default();
        match ack.sequences.get_mut(level) {
            Some(sequence) => *sequence = highest.max(*sequence),
            None => drop(ack.sequences.insert(level.to_owned(), highest)),
        }
    }

    /// Removes and returns the collected acknowledgements.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (PublisherId, Ack)> + '_ {
        self.waiting.drain()
    }
}

#[cfg(test)]
mod tests {
    use super::Acks;
    use zibrato::wire::PublisherId;

    #[test]
    fn a_publisher_hears_the_highest_of_each_level_once() {
        let mut acks = Acks::default();
        let (a, b) = (PublisherId([1; 16]), PublisherId([2; 16]));
        for (publisher, level, sequence) in
            [(a, "info", 1), (a, "info", 3), (a, "info", 2), (a, "warn", 9), (b, "info", 4)]
        {
            acks.add(publisher, level, sequence);
        }
        let mut drained: Vec<_> = acks.drain().collect();
        drained.sort_unstable_by_key(|(publisher, _)| *publisher);
        let of = |n: usize| drained[n].1.sequences.iter().map(|(l, s)| (&**l, *s)).collect();
        let (first, second): (Vec<_>, Vec<_>) = (of(0), of(1));
        assert_eq!(first, [("info", 3), ("warn", 9)]);
        assert_eq!(second, [("info", 4)]);
        assert_eq!(acks.drain().count(), 0);
    }
}
