//! The log lines about rejected input: for each reason a sample, at a limited rate.

use std::collections::BTreeMap;
use zibrato::daemon::{LogLimit, one_line};

/// Maximum size of a logged sample, in bytes.
const SAMPLE_BYTES: usize = 120;

/// What was rejected since the last log line, by reason. Reasons are constant words, so there are
/// few of them, and a flood with one reason does not hide the samples of others.
#[derive(Debug, Default)]
pub(super) struct Rejections(BTreeMap<&'static str, Rejection>);

#[derive(Debug, Default)]
struct Rejection {
    count: u64,
    /// The first sample since the last log line.
    sample: Option<String>,
    /// What is wrong with it, unless it says that itself.
    why: Option<String>,
    limit: LogLimit<60>,
}

impl Rejections {
    /// Takes note of inputs, of which `sample` is one.
    pub(super) fn note(
        &mut self,
        reason: &'static str,
        why: Option<&str>,
        count: u64,
        sample: &[u8],
    ) {
        let rejection = self.0.entry(reason).or_default();
        rejection.count += count;
        if rejection.sample.is_none() {
            let shown = sample.get(..SAMPLE_BYTES).unwrap_or(sample);
            rejection.sample = Some(one_line(&String::from_utf8_lossy(shown)));
            rejection.why = why.map(one_line);
        }
    }

    /// Writes the log lines that are due.
    pub(super) fn log(&mut self, intake: &'static str) {
        for (reason, rejection) in &mut self.0 {
            let Rejection { count, sample, why, limit } = rejection;
            if sample.is_some() && limit.admits() {
                let (count, sample, why) = (std::mem::take(count), sample.take(), why.take());
                tracing::warn!(event = "rejected_by_intake", intake, reason, why, count, sample);
            }
        }
    }
}
