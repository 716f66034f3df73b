//! Intakes that keep series themselves, and the end of an intake: what the broker has not acknowledged
//! by then is counted.

use super::IntakeContext;
use crate::line_windows::FoldedBatch;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

impl IntakeContext {
    /// Counts lines that the intake keeps itself until they are [folded](Self::folded).
    pub(in crate::intake) const fn received_lines(&mut self, lines: u64) {
        self.counters.lines += lines;
    }

    /// Counts lines in the series that are folded before or after this call, so that they are counted
    /// if nobody acknowledges them.
    pub(in crate::intake) const fn folded(&mut self, lines: u64) {
        self.folded += lines;
    }

    /// Reports the memory of the series that the intake keeps. It does not count as memory that closing
    /// connections would give back.
    pub(in crate::intake) const fn holds(&mut self, bytes: usize) {
        self.counters.held_bytes = bytes as u64;
    }

    /// When the thread should have ended. `None` if the broker does not stop.
    pub(in crate::intake) fn end_by(&self) -> Option<Instant> {
        self.end_by.get().copied()
    }

    /// Reports the counters to the router, and the batches that are lost if the thread ends now.
    pub(in crate::intake) fn tell(&mut self) {
        self.take_acks(Duration::ZERO);
        self.link.store(&self.counters);
        self.link.leave(self.outstanding(), self.in_batches);
    }

    /// The highest sequence of each level that was not acknowledged, whether it was sent or not.
    fn outstanding(&self) -> BTreeMap<String, u64> {
        let mut all = self.unacknowledged.clone();
        for FoldedBatch { level, id, .. } in &self.pending {
            all.insert(level.clone(), id.sequence);
        }
        all
    }

    /// Publishes the rest. The router counts the lines of batches that it does not acknowledge.
    pub(in crate::intake) fn finish(&mut self, timeout: Duration) {
        self.clocks.read();
        self.tell();
        self.close_windows();
        self.link.leave(self.outstanding(), self.in_batches);
        let until = Instant::now() + timeout;
        while let Some(batch) = self.pending.pop_front() {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let is_sent = self
                .router
                .set_sndtimeo(i32::try_from(left).unwrap_or(i32::MAX))
                .and_then(|()| self.send(&batch, 0));
            if is_sent.is_err() {
                break;
            }
        }
        self.rejections.log(self.name);
        self.link.store(&self.counters);
    }
}
