//! What a journal has handed out and what is made of it: batches that wait, the open window, and
//! the place behind all of it.

use crate::fold::{Ended, FoldCounts, ReplayFolder};
use zibrato::window::Window;
use zibrato::wire::{Fetched, Position, Stamp};

/// The batches of one answer, and the window that is open.
pub(super) struct Shelf {
    folder: ReplayFolder,
    /// After which place to ask; `None` before the first answer.
    position: Option<Position>,
    /// The frames of batches that are not folded yet, four each.
    waiting: std::vec::IntoIter<zmq::Message>,
    /// When they are, everything before this moment has been, and the offset that goes with it.
    complete: Option<(u64, u64)>,
    /// When the last batch that was folded was received.
    last_ms: u64,
    /// Everything that was in the journal when it last answered has been handed out.
    at_end: bool,
    /// The journal has lost its end, and hands out once more what was received until then.
    again_until_ms: Option<u64>,
}

impl Shelf {
    pub(super) fn new(folder: ReplayFolder) -> Self {
        let waiting = Vec::new().into_iter();
        let (position, complete, again_until_ms) = (None, None, None);
        let (last_ms, at_end) = (0, true);
        Self { folder, position, waiting, complete, last_ms, at_end, again_until_ms }
    }

    /// Takes the next answer. The one before it has to be folded.
    pub(super) fn take(&mut self, head: &Fetched, batches: Vec<zmq::Message>) {
        debug_assert!(self.is_empty());
        if let Some(before) = self.position {
            self.compare(before, head.next);
        }
        self.position = Some(head.next);
        self.at_end = head.next.offset >= head.end;
        self.waiting = batches.into_iter();
        self.complete = head.complete_until_ms.map(|until| (until, head.next.offset));
    }

    /// Looks whether the journal is still the one it was.
    fn compare(&mut self, before: Position, next: Position) {
        if before.journal != next.journal {
            if self.at_end {
                let why = "the broker started a new journal; every known batch of the previous one \
                           had been read";
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

    /// Whether a batch has been folded before.
    fn is_again(&mut self, frames: &[zmq::Message; 4]) -> bool {
        let Ok(stamp) = Stamp::decode(&frames[2]) else { return false };
        if self.again_until_ms.is_some_and(|until| stamp.received_ms <= until) {
            return true;
        }
        self.again_until_ms = None;
        self.last_ms = stamp.received_ms;
        false
    }

    /// Folds until a window ends with something in it, or everything is folded.
    pub(super) fn window(&mut self) -> Option<(Window, Position)> {
        let journal = self.position?.journal;
        loop {
            let ended = match next_four(&mut self.waiting) {
                Some(frames) if self.is_again(&frames) => None,
                Some(frames) => self.folder.take(&frames.each_ref().map(|frame| &**frame)),
                None => {
                    let (until, through) = self.complete.take()?;
                    self.folder.complete(until, through)
                }
            };
            if let Some(Ended { window, through }) = ended
                && !window.is_empty()
            {
                return Some((window, Position { journal, offset: through }));
            }
        }
    }

    /// Ends the open window and takes it, because its journal will hand out nothing more.
    pub(super) fn rest(&mut self) -> Option<Window> {
        self.folder.end(0).map(|ended| ended.window).filter(|window| !window.is_empty())
    }

    /// Whether everything that was handed out is folded.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.as_slice().is_empty() && self.complete.is_none()
    }

    /// Whether, besides, no window is open: nothing is left of what was handed out.
    pub(super) fn is_bare(&self) -> bool {
        self.is_empty() && !self.folder.is_open()
    }

    pub(super) const fn position(&self) -> Option<Position> {
        self.position
    }

    pub(super) fn take_counts(&mut self) -> FoldCounts {
        self.folder.take_counts()
    }
}

fn next_four(frames: &mut impl Iterator<Item = zmq::Message>) -> Option<[zmq::Message; 4]> {
    Some([frames.next()?, frames.next()?, frames.next()?, frames.next()?])
}

#[cfg(test)]
mod tests {
    use super::Shelf;
    use crate::fold::ReplayFolder;
    use std::time::Duration;
    use zibrato::window::Fold;
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

    fn sums(shelf: &mut Shelf) -> Vec<(u64, f64)> {
        std::iter::from_fn(|| shelf.window())
            .map(|(window, _)| {
                let start = window.start_ms();
                let Fold::Counter(sum) = window.into_series()[0].value else { panic!("a counter") };
                (start, sum)
            })
            .collect()
    }

    fn shelf() -> Shelf {
        Shelf::new(ReplayFolder::new(Duration::from_secs(1), 10))
    }

    #[test]
    fn an_answer_is_folded_to_its_end_before_the_next_is_asked_for() {
        let mut shelf = shelf();
        assert!(shelf.window().is_none() && shelf.is_bare() && shelf.position().is_none());
        shelf.take(&head(1, 4, Some(2_500)), batches(&[(1, 100), (2, 1_100), (4, 2_100)]));
        assert!(!shelf.is_empty());
        assert_eq!(sums(&mut shelf), [(0, 1.0), (1_000, 1.0)]);
        assert!(shelf.is_empty() && !shelf.is_bare());
        shelf.take(&head(1, 9, Some(3_000)), Vec::new());
        let (window, through) = shelf.window().unwrap();
        assert_eq!((window.start_ms(), through.offset), (2_000, 9));
        assert!(shelf.is_bare());
    }

    #[test]
    fn a_journal_that_has_lost_its_end_counts_nothing_twice() {
        let mut shelf = shelf();
        shelf.take(&head(1, 5, Some(400)), batches(&[(4, 100), (5, 300)]));
        assert!(shelf.window().is_none());
        // Offset 5 is gone, the reader begins at its cursor, and 5 is another batch now.
        shelf.take(&head(1, 4, Some(500)), batches(&[(4, 100)]));
        assert!(shelf.window().is_none());
        shelf.take(&head(1, 5, Some(1_000)), batches(&[(5, 600)]));
        assert_eq!(sums(&mut shelf), [(0, 3.0)]);
    }

    #[test]
    fn a_new_journal_is_read_whatever_its_offsets() {
        let mut shelf = shelf();
        shelf.take(&head(1, 5, Some(400)), batches(&[(5, 300)]));
        assert!(shelf.window().is_none());
        shelf.take(&head(2, 1, Some(1_000)), batches(&[(1, 600)]));
        let (_, through) = shelf.window().unwrap();
        assert_eq!(through, Position { journal: 2, offset: 1 });
    }
}
