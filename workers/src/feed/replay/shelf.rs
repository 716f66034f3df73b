//! What a journal has handed out and what is made of it: batches that wait, the open window, and
//! the place behind all of it.

use crate::fold::{Ended, FoldCounts, ReplayFolder};
use zibrato::window::Window;
use zibrato::wire::{Fetched, Position};

/// The batches of one answer, and the window that is open.
pub(super) struct Shelf {
    folder: ReplayFolder,
    /// After which place to ask; `None` before the first answer.
    position: Option<Position>,
    /// The frames of batches that are not folded yet, four each.
    waiting: std::vec::IntoIter<zmq::Message>,
    /// When they are, everything before this moment has been, and the offset that goes with it.
    complete: Option<(u64, u64)>,
}

impl Shelf {
    pub(super) fn new(folder: ReplayFolder) -> Self {
        Self { folder, position: None, waiting: Vec::new().into_iter(), complete: None }
    }

    /// Takes the next answer. The one before it has to be folded.
    pub(super) fn take(&mut self, head: &Fetched, batches: Vec<zmq::Message>) {
        debug_assert!(self.is_empty());
        if let Some(before) = self.position
            && before.journal != head.next.journal
        {
            let why = "the broker began a new journal; what it had not handed out is gone";
            tracing::error!(event = "journal_changed", why);
        }
        self.position = Some(head.next);
        self.waiting = batches.into_iter();
        self.complete = head.complete_until_ms.map(|until| (until, head.next.offset));
    }

    /// Folds until a window ends with something in it, or everything is folded.
    pub(super) fn window(&mut self) -> Option<(Window, Position)> {
        let journal = self.position?.journal;
        loop {
            let ended = match next_four(&mut self.waiting) {
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
