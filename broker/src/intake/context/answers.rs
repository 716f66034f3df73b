//! Intakes that answer their clients once their measurements are on disk, and meanwhile go on.

use super::IntakeContext;
use crate::line_windows::FoldedBatch;
use std::sync::Arc;
use std::time::Duration;
use zibrato::daemon::Waker;

/// Maximum wait for room in the router's queue, in milliseconds. The router usually makes some within
/// microseconds.
const ROOM_MS: i32 = 5;

impl IntakeContext {
    /// Wakes `waker` whenever the broker acknowledges batches.
    pub(in crate::intake) fn wake_on_acks(&self, waker: Arc<Waker>) {
        self.link.wake_on_acks(waker);
    }

    /// Whether the windows have room for this number of further series.
    pub(in crate::intake) const fn has_room_for(&self, series: usize) -> bool {
        self.windows.has_room_for(series)
    }

    /// Whether the broker has acknowledged everything that was published until now. If so,
    /// [`publish_folded`](Self::publish_folded) publishes what was folded since.
    pub(in crate::intake) fn is_acknowledged(&mut self) -> bool {
        self.take_acks(Duration::ZERO);
        self.send_pending_soon();
        self.pending.is_empty() && self.unacknowledged.is_empty()
    }

    /// Whether rules change what is folded.
    pub(in crate::intake) fn has_rules(&mut self) -> bool {
        self.rules.current().is_some()
    }

    /// Publishes the windows, and then batches of this level that the intake has encoded itself. Call it
    /// only after everything before [is acknowledged](Self::is_acknowledged).
    pub(in crate::intake) fn publish_folded(&mut self, level: &str, bodies: Vec<Vec<u8>>) {
        self.flush();
        for body in bodies {
            match self.windows.next_id(level) {
                Ok(id) => self.pending.push_back(FoldedBatch { level: level.to_owned(), id, body }),
                Err(_) => self.reject("levels", level.as_bytes()),
            }
        }
        self.send_pending_soon();
    }

    /// Sends batches, and waits for the router while its queue is full.
    fn send_pending_soon(&mut self) {
        if self.pending.is_empty() || self.router.set_sndtimeo(ROOM_MS).is_err() {
            return;
        }
        while let Some(batch) = self.pending.pop_front() {
            if self.send(&batch, 0).is_err() {
                self.pending.push_front(batch);
                return;
            }
        }
    }
}
