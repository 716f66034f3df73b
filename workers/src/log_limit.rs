//! Bounds the rate of a log line that a loop repeats: the first is written at once, later ones at
//! most once in an interval, with the number of those that were left out.

use std::time::{Duration, Instant};

/// The shortest time between two lines of one kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// The limit of one kind of line. Pure: times are arguments.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }

    /// The next line is written at once, because what it tells is news.
    pub(crate) const fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, LogLimit};
    use std::time::{Duration, Instant};

    #[test]
    fn the_first_line_is_written_at_once_and_the_rest_is_counted() {
        let (start, mut limit) = (Instant::now(), LogLimit::default());
        let admitted: Vec<_> =
            (0..21_u64).map(|second| limit.admit(start + Duration::from_secs(second))).collect();
        let written: Vec<_> =
            admitted.into_iter().enumerate().filter(|(_, a)| a.is_some()).collect();
        assert_eq!(written, [(0, Some(0)), (10, Some(9)), (20, Some(9))]);
        limit.reset();
        assert_eq!(limit.admit(start + INTERVAL * 2), Some(0));
    }
}
