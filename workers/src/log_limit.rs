//! Bounds the rate of log lines that a loop repeats: the first is written at once, later ones at
//! most once in an interval, with the number of those that were left out. If what they tell of comes
//! and goes, that is bounded too.

use std::time::{Duration, Instant};

/// The shortest time between two lines while what they tell of lasts.
const INTERVAL: Duration = Duration::from_secs(10);

/// The shortest time between two lines if it was over in between.
const ANEW: Duration = Duration::from_secs(5);

/// The limit of one kind of line. Pure: times are arguments.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<Instant>,
    left_out: u64,
    /// Whether a line was written since it was last over.
    is_told: bool,
}

impl LogLimit {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        let least = if self.is_told { INTERVAL } else { ANEW };
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < least) {
            self.left_out += 1;
            return None;
        }
        (self.last, self.is_told) = (Some(now), true);
        Some(std::mem::take(&mut self.left_out))
    }

    /// It is over: whether that is to be logged, because it was logged that it began.
    pub(crate) const fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.is_told, false)
    }
}

#[cfg(test)]
mod tests {
    use super::LogLimit;
    use std::time::{Duration, Instant};

    #[test]
    fn the_first_line_is_written_at_once_and_the_rest_is_counted() {
        let (start, mut limit) = (Instant::now(), LogLimit::default());
        let admitted: Vec<_> =
            (0..21_u64).map(|second| limit.admit(start + Duration::from_secs(second))).collect();
        let written: Vec<_> =
            admitted.into_iter().enumerate().filter(|(_, a)| a.is_some()).collect();
        assert_eq!(written, [(0, Some(0)), (10, Some(9)), (20, Some(9))]);
    }

    #[test]
    fn what_comes_and_goes_is_told_every_five_seconds_and_its_end_only_if_its_beginning_was() {
        let (start, mut limit) = (Instant::now(), LogLimit::default());
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for tenth in 0..200 {
            if let Some(left_out) = limit.admit(start + Duration::from_millis(100 * tenth)) {
                begins.push((tenth, left_out));
            }
            if limit.is_over() {
                ends.push(tenth);
            }
        }
        assert_eq!(begins, [(0, 0), (50, 49), (100, 49), (150, 49)]);
        assert_eq!(ends, [0, 50, 100, 150]);
    }
}
