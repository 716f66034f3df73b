//! Rate limits for log lines that a loop would repeat.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The number of lines that were suppressed since the last one. `None` if there was none, so that a
/// line omits the field.
pub type LeftOut = Option<NonZeroU64>;

/// The rate limit of one kind of line. The first line is written immediately, later ones at most
/// every `EVERY` seconds, with the number of suppressed lines. If the condition has ended in
/// between, the next line may be written `ANEW` seconds after the last.
///
/// ```
/// use std::time::Instant;
/// use zibrato::daemon::LogLimit;
/// let (mut limit, now) = (LogLimit::<60>::default(), Instant::now());
/// assert_eq!([limit.admit(now), limit.admit(now)], [Some(None), None]);
/// ```
#[derive(Debug, Default)]
pub struct LogLimit<const EVERY: u64 = 10, const ANEW: u64 = 5> {
    last: Option<Instant>,
    left_out: u64,
    /// Whether the condition has been logged, and its end has not.
    lasts: bool,
}

impl<const EVERY: u64, const ANEW: u64> LogLimit<EVERY, ANEW> {
    /// Whether a line may be written now; if so, the number of lines suppressed since the last one.
    pub fn admit(&mut self, now: Instant) -> Option<LeftOut> {
        let least = Duration::from_secs(if self.lasts { EVERY } else { ANEW });
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < least) {
            self.left_out += 1;
            return None;
        }
        (self.last, self.lasts) = (Some(now), true);
        Some(NonZeroU64::new(std::mem::take(&mut self.left_out)))
    }

    /// Whether a line may be written now.
    pub fn admits(&mut self) -> bool {
        self.admit(Instant::now()).is_some()
    }

    /// The condition has ended. Returns whether to log that, because its begin was logged.
    pub const fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.lasts, false)
    }
}

#[cfg(test)]
mod tests {
    use super::LogLimit;
    use std::num::NonZeroU64;
    use std::time::{Duration, Instant};

    #[test]
    fn the_first_line_is_written_immediately_and_others_are_counted() {
        let (start, mut limit) = (Instant::now(), LogLimit::<10>::default());
        let admitted: Vec<_> =
            (0..21_u64).map(|second| limit.admit(start + Duration::from_secs(second))).collect();
        let written: Vec<_> =
            admitted.into_iter().enumerate().filter(|(_, a)| a.is_some()).collect();
        let nine = Some(NonZeroU64::new(9));
        assert_eq!(written, [(0, Some(None)), (10, nine), (20, nine)]);
    }

    #[test]
    fn an_intermittent_condition_is_logged_every_five_seconds_with_its_end() {
        let (start, mut limit) = (Instant::now(), LogLimit::<10>::default());
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for tenth in 0..200 {
            if let Some(left_out) = limit.admit(start + Duration::from_millis(100 * tenth)) {
                begins.push((tenth, left_out));
            }
            if limit.is_over() {
                ends.push(tenth);
            }
        }
        let left_out = NonZeroU64::new(49);
        assert_eq!(begins, [(0, None), (50, left_out), (100, left_out), (150, left_out)]);
        assert_eq!(ends, [0, 50, 100, 150]);
    }

    #[test]
    fn a_lasting_condition_is_logged_once_a_minute() {
        let (mut limit, begun) = (LogLimit::<60>::default(), Instant::now());
        let mut logged = Vec::new();
        for second in 0..130 {
            if limit.admit(begun + Duration::from_secs(second)).is_some() {
                logged.push(second);
            }
        }
        assert_eq!(logged, [0, 60, 120]);
        assert_eq!([limit.is_over(), limit.is_over()], [true, false]);
        let mut lines = 0;
        for tenth in 0..600 {
            let now = begun + Duration::from_secs(200) + Duration::from_millis(100 * tenth);
            lines += u32::from(limit.admit(now).is_some());
            lines += u32::from(limit.is_over());
        }
        assert_eq!(lines, 24);
    }
}
