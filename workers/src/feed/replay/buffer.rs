//! Batches that were fetched from the journal but not read by the worker yet.

use crate::feed::Event;
use crate::progress::Checkpoint;
use zibrato::wire::{Fetched, Position, Stamp};

/// The rest of a fetch result.
#[derive(Default)]
pub(super) struct ReplayBuffer {
    /// The position after the fetch result; `None` before the first one.
    position: Option<Position>,
    /// The frames of the batches, four each.
    batches: std::vec::IntoIter<zmq::Message>,
    /// The frames of the batch that was returned last.
    frames: Option<[zmq::Message; 4]>,
    /// The offset of that batch.
    taken: u64,
    /// The watermark to return after the last batch.
    watermark: Option<Option<u64>>,
    /// The time when the last returned batch was received.
    last_ms: u64,
    /// Whether the whole journal has been fetched.
    at_end: bool,
    /// After the end of the journal was lost: batches received up to this time are skipped, because
    /// they were already read.
    again_until_ms: Option<u64>,
}

impl ReplayBuffer {
    /// Fills the buffer, which must be empty, with a fetch result.
    pub(super) fn fill(&mut self, head: &Fetched, batches: Vec<zmq::Message>) {
        debug_assert!(self.is_empty());
        if let Some(before) = self.position {
            self.compare(before, head.next);
        }
        self.taken = self.position.map_or(0, |before| before.offset);
        self.position = Some(head.next);
        self.at_end = head.next.offset >= head.end;
        self.batches = batches.into_iter();
        self.watermark = Some(head.complete_until_ms);
    }

    /// Checks whether the journal is still the same.
    fn compare(&mut self, before: Position, next: Position) {
        if before.journal != next.journal {
            if self.at_end {
                let why = "the broker started a new journal; all known batches of the previous one \
                           were read";
                tracing::warn!(event = "journal_changed", why);
            } else {
                let why = "the broker started a new journal; batches of the previous one that were \
                           not read are lost";
                tracing::error!(event = "journal_changed", why);
            }
        } else if next.offset < before.offset {
            let why = "the end of the journal was lost; batches that were already processed are \
                       skipped";
            tracing::error!(event = "journal_went_back", why);
            self.again_until_ms = Some(self.last_ms);
        }
    }

    /// The next batch, or the watermark after the last one; [`Event::Idle`] if the buffer is empty.
    pub(super) fn next(&mut self) -> Event<'_> {
        let Some(Position { journal, offset }) = self.position else { return Event::Idle };
        while let Some(frames) = next_four(&mut self.batches) {
            if let Ok(stamp) = Stamp::decode(&frames[2]) {
                if self.again_until_ms.is_some_and(|until| stamp.received_ms <= until) {
                    continue;
                }
                self.again_until_ms = None;
                self.last_ms = stamp.received_ms;
                self.taken = stamp.offset.saturating_sub(1);
            }
            let at = checkpoint(Position { journal, offset: self.taken });
            let frames = self.frames.insert(frames).iter().map(|frame| &**frame).collect();
            return Event::Batch { frames, at };
        }
        match self.watermark.take() {
            Some(until_ms) => {
                let at = checkpoint(Position { journal, offset });
                Event::Watermark { at, until_ms }
            }
            None => Event::Idle,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.as_slice().is_empty() && self.watermark.is_none()
    }

    pub(super) const fn position(&self) -> Option<Position> {
        self.position
    }
}

fn next_four(frames: &mut impl Iterator<Item = zmq::Message>) -> Option<[zmq::Message; 4]> {
    Some([frames.next()?, frames.next()?, frames.next()?, frames.next()?])
}

/// A position in a journal as a checkpoint.
fn checkpoint(Position { journal, offset }: Position) -> Checkpoint {
    Checkpoint::new([journal.to_be_bytes(), offset.to_be_bytes()].concat())
}

/// The position in a checkpoint.
pub(super) fn position(checkpoint: &Checkpoint) -> Option<Position> {
    let (journal, offset) = checkpoint.as_bytes().split_first_chunk()?;
    let offset = u64::from_be_bytes(offset.try_into().ok()?);
    Some(Position { journal: u64::from_be_bytes(*journal), offset })
}

#[cfg(test)]
mod tests {
    use super::{ReplayBuffer, position};
    use crate::feed::Event;
    use crate::fold::Folder;
    use crate::idle_gauges::IdleGauges;
    use std::time::Duration;
    use zibrato::window::{Fold, Window};
    use zibrato::wire::{BatchId, BatchWriter, Fetched, Position, PublisherId, Stamp};

    fn head(journal: u64, offset: u64, until_ms: Option<u64>) -> Fetched {
        let next = Position { journal, offset };
        Fetched { next, complete_until_ms: until_ms, end: offset, gone: 0, forgotten: false }
    }

    fn batches(received: &[(u64, u64)]) -> Vec<zmq::Message> {
        let one = |&(offset, received_ms): &(u64, u64)| {
            let mut body = BatchWriter::new("s", 0, 1000);
            body.counter("n", &[], 1.0);
            let id = BatchId { publisher: PublisherId([1; 16]), sequence: offset }.encode();
            let stamp = Stamp { offset, received_ms }.encode();
            [&b"zb1|info|"[..], &id, &stamp, &body.finish()].map(zmq::Message::from)
        };
        received.iter().flat_map(one).collect()
    }

    /// Start, sum and position of each window that ends.
    fn fold(buffer: &mut ReplayBuffer, folder: &mut Folder) -> Vec<(u64, f64, Position)> {
        let mut windows = Vec::new();
        let mut end = |window: Option<Window>, at| {
            let Some(window) = window else { return };
            let (start, at) = (window.start_ms(), position(&at).unwrap());
            let Fold::Counter(sum) = window.into_series()[0].value else { panic!("a counter") };
            windows.push((start, sum, at));
        };
        loop {
            match buffer.next() {
                Event::Batch { frames, at } => end(folder.take(&frames, 0), at),
                Event::Watermark { at, until_ms } => {
                    end(until_ms.and_then(|until| folder.complete(until)), at);
                }
                _ => return windows,
            }
        }
    }

    fn folder() -> Folder {
        Folder::by_stamps(Duration::from_secs(1), 10, IdleGauges::Repeat)
    }

    fn at(journal: u64, offset: u64) -> Position {
        Position { journal, offset }
    }

    #[test]
    fn each_batch_is_returned_with_the_position_before_it() {
        let (mut buffer, mut folder) = (ReplayBuffer::default(), folder());
        assert!(buffer.is_empty() && buffer.position().is_none());
        assert!(matches!(buffer.next(), Event::Idle));
        buffer.fill(&head(1, 5, Some(2_500)), batches(&[(1, 100), (2, 1_100), (4, 2_100)]));
        assert!(!buffer.is_empty());
        // Offsets up to the one before a batch were processed; they belong to other levels.
        let windows = fold(&mut buffer, &mut folder);
        assert_eq!(windows, [(0, 1.0, at(1, 1)), (1_000, 1.0, at(1, 3))]);
        assert!(buffer.is_empty() && folder.is_open());
        buffer.fill(&head(1, 9, Some(3_000)), Vec::new());
        assert_eq!(fold(&mut buffer, &mut folder), [(2_000, 1.0, at(1, 9))]);
        assert!(buffer.is_empty() && !folder.is_open());
    }

    #[test]
    fn nothing_is_counted_twice_after_the_end_of_the_journal_was_lost() {
        let (mut buffer, mut folder) = (ReplayBuffer::default(), folder());
        buffer.fill(&head(1, 5, Some(400)), batches(&[(4, 100), (5, 300)]));
        assert!(fold(&mut buffer, &mut folder).is_empty());
        // Offset 5 was lost. The reader starts at its cursor, and offset 5 is now a different
        // batch.
        buffer.fill(&head(1, 4, Some(500)), batches(&[(4, 100)]));
        assert!(fold(&mut buffer, &mut folder).is_empty());
        buffer.fill(&head(1, 5, Some(1_000)), batches(&[(5, 600)]));
        assert_eq!(fold(&mut buffer, &mut folder), [(0, 3.0, at(1, 5))]);
    }

    #[test]
    fn a_new_journal_is_read_even_if_its_offsets_are_lower() {
        let (mut buffer, mut folder) = (ReplayBuffer::default(), folder());
        buffer.fill(&head(1, 5, Some(400)), batches(&[(5, 300)]));
        assert!(fold(&mut buffer, &mut folder).is_empty());
        buffer.fill(&head(2, 1, Some(1_000)), batches(&[(1, 600)]));
        assert_eq!(fold(&mut buffer, &mut folder), [(0, 2.0, at(2, 1))]);
    }
}
