//! Converts a batch to lines, for subscribers that support only lines.
//!
//! | entry | lines |
//! |---|---|
//! | counter | one, with the sum |
//! | gauge | one, with the last reading and its time; or one per reading; none if it was idle |
//! | timer, histogram | one per reading; if summarized, at most 1,000, sampled evenly by rank |
//! | set | one per member |
//! | annotation | none |
//!
//! An entry without a time of its own gets the end of the batch's interval. Tags and units are
//! omitted, because a line cannot contain them.

use zibrato::Sketch;
use zibrato::wire::{BatchError, BatchReader, EncodedSummary, Entry, Line, LineValue, Tags, Value};

/// Maximum number of lines for one summarized timer or histogram.
pub(crate) const MAX_TIMER_LINES: u64 = 1_000;

/// Maximum number of lines for one batch, so that a small batch cannot become a flood.
pub(crate) const MAX_BATCH_LINES: u64 = 100_000;

/// The latest time of a line, in Unix milliseconds: the end of the year 9999.
const MAX_TIME_MS: u64 = 253_402_300_800_000;

/// The result of an expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Expanded {
    /// Number of lines.
    pub(crate) lines: u64,
    /// Number of annotations, which have no line.
    pub(crate) annotations: u64,
    /// Number of entries that could not be decoded, and of lines beyond the maximum.
    pub(crate) refused: u64,
}

/// Calls `give` with each line of the batch with this level and body.
///
/// # Errors
/// [`BatchError`] if the body is not a batch.
pub(crate) fn expand(
    level: &str,
    body: &[u8],
    mut give: impl FnMut(&Line<'_>),
) -> Result<Expanded, BatchError> {
    expand_with_tags(level, body, |line, _| give(line))
}

/// Like [`expand`], but also passes the tags.
///
/// # Errors
/// [`BatchError`] if the body is not a batch.
pub(crate) fn expand_with_tags(
    level: &str,
    body: &[u8],
    give: impl FnMut(&Line<'_>, &Tags<'_>),
) -> Result<Expanded, BatchError> {
    let batch = BatchReader::new(body)?;
    let mut to = Lines {
        level,
        source: batch.source(),
        end_ms: batch.end_ms().min(MAX_TIME_MS - 1),
        give,
        done: Expanded::default(),
    };
    for entry in batch.entries() {
        match entry {
            Ok(entry) => to.entry(&entry),
            Err(error) => to.done.refused += u64::from(error.lost()),
        }
    }
    Ok(to.done)
}

/// The receiver of the lines of one batch.
struct Lines<'a, F> {
    level: &'a str,
    source: &'a str,
    end_ms: u64,
    give: F,
    done: Expanded,
}

impl<F: FnMut(&Line<'_>, &Tags<'_>)> Lines<'_, F> {
    fn entry(&mut self, entry: &Entry<'_>) {
        let end_ms = self.end_ms;
        match &entry.value {
            Value::Annotation(_) => self.done.annotations += 1,
            Value::Counter(sum) => self.number(entry, *sum, end_ms),
            // Subscribers to lines would take it for a new reading.
            Value::Gauge(gauge) if gauge.is_idle() => {}
            Value::Gauge(gauge) => self.number(entry, gauge.last, gauge.at_ms),
            Value::GaugeReadings(readings) => {
                readings.clone().for_each(|(at_ms, value)| self.number(entry, value, at_ms));
            }
            Value::Set(members) => {
                for member in members.clone() {
                    self.line(entry, LineValue::Member(member), end_ms);
                }
            }
            Value::Histogram(summary) | Value::Timer(summary) => {
                drawn(summary, |value| self.number(entry, value, end_ms));
            }
            Value::HistogramReadings(readings) | Value::TimerReadings(readings) => {
                readings.clone().for_each(|value| self.number(entry, value, end_ms));
            }
            // A kind of a later version of the protocol.
            _ => self.done.refused += 1,
        }
    }

    fn number(&mut self, entry: &Entry<'_>, value: f64, at_ms: u64) {
        self.line(entry, LineValue::Number(value), at_ms);
    }

    fn line(&mut self, entry: &Entry<'_>, value: LineValue<'_>, at_ms: u64) {
        let Some(kind) = entry.value.kind() else { return };
        if self.done.lines >= MAX_BATCH_LINES {
            self.done.refused += 1;
            return;
        }
        self.done.lines += 1;
        let at_ms = if at_ms < MAX_TIME_MS { at_ms } else { self.end_ms };
        let line = Line {
            level: self.level,
            kind,
            name: entry.name,
            value,
            timestamp: at_ms as f64 / 1e3,
            source: self.source,
        };
        (self.give)(&line, &entry.tags);
    }
}

/// Samples readings of a summary in ascending order, evenly by rank: as many as the summary has, up
/// to a limit. The first and the last are exactly the smallest and the largest. The others are
/// within 0.8 %.
fn drawn(summary: &EncodedSummary<'_>, mut give: impl FnMut(f64)) {
    let lines = summary.count.min(MAX_TIMER_LINES);
    let mut buckets = summary.buckets();
    let (mut value, mut seen) = (summary.min, 0_u64);
    for line in 0..lines {
        if line == 0 || line + 1 == lines {
            give(if line == 0 { summary.min } else { summary.max });
            continue;
        }
        let rank = rank(line, lines, summary.count);
        while seen < rank {
            let Some((bucket, times)) = buckets.next() else {
                // The publisher's buckets have fewer readings than its count.
                (value, seen) = (summary.max, u64::MAX);
                break;
            };
            seen = seen.saturating_add(times);
            let middle = Sketch::middle(bucket).unwrap_or(summary.max);
            value = middle.clamp(summary.min, summary.max);
        }
        give(value);
    }
}

/// The rank of the reading for this line, from 1 to `count`; `lines` is at least 3.
fn rank(line: u64, lines: u64, count: u64) -> u64 {
    let (line, last) = (u128::from(line), u128::from(lines - 1));
    let steps = (line * u128::from(count - 1) + last / 2) / last;
    1 + u64::try_from(steps).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests;
