//! What intakes count, and what they reject.

use super::context::IntakeContext;

impl IntakeContext {
    /// Counts lines, or other single measurements, that are or will be part of a series.
    pub const fn taken(&mut self, lines: u64) {
        self.received_lines(lines);
        self.folded(lines);
    }

    /// Counts lines that an intake has folded into the series for further ones.
    pub(super) const fn overflowed(&mut self, lines: u64) {
        self.counters.overflowed += lines;
    }

    /// Counts invalid input by `reason`, a constant word, and logs a sample of each reason at a
    /// limited rate.
    pub fn reject(&mut self, reason: &'static str, sample: &[u8]) {
        self.reject_many(reason, 1, sample);
    }

    /// Counts several invalid inputs with the same reason, of which `sample` is one. If it is empty,
    /// they are only counted.
    pub fn reject_many(&mut self, reason: &'static str, count: u64, sample: &[u8]) {
        self.reject_because(reason, None, count, sample);
    }

    /// Like [`reject_many`](Self::reject_many), with a sentence for the log that says what is wrong.
    pub(super) fn reject_because(
        &mut self,
        reason: &'static str,
        why: Option<&str>,
        count: u64,
        sample: &[u8],
    ) {
        if count == 0 {
            return;
        }
        self.counters.reject(reason, count);
        if !sample.is_empty() {
            self.rejections.note(reason, why, count, sample);
        }
    }
}
