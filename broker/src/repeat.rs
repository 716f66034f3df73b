//! Lines of the log that a loop would repeat: each kind at a bounded rate.

use std::time::{Duration, Instant};

/// How often a line is repeated while what it tells of lasts.
const EVERY: Duration = Duration::from_secs(60);

/// How long after a line the next may come when what it tells of ended in between and began anew.
const ANEW: Duration = Duration::from_secs(5);

/// Remembers when a line was logged last.
#[derive(Debug, Default)]
pub(crate) struct Repeat {
    last: Option<Instant>,
    /// Whether it has been said that it is so, and not yet that it is over.
    is_told: bool,
}

impl Repeat {
    /// It is so, or still so: whether that may be logged now.
    pub(crate) fn may_tell(&mut self) -> bool {
        self.may_tell_at(Instant::now())
    }

    fn may_tell_at(&mut self, now: Instant) -> bool {
        let least = if self.is_told { EVERY } else { ANEW };
        let may = self.last.is_none_or(|last| now.saturating_duration_since(last) >= least);
        if may {
            (self.last, self.is_told) = (Some(now), true);
        }
        may
    }

    /// It is over: whether that is to be logged, because it was logged that it began.
    pub(crate) const fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.is_told, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Repeat;
    use std::time::{Duration, Instant};

    #[test]
    fn what_lasts_is_told_once_a_minute_and_what_flickers_every_five_seconds() {
        let (mut repeat, begun) = (Repeat::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..130 {
            if repeat.may_tell_at(begun + Duration::from_secs(second)) {
                told.push(second);
            }
        }
        assert_eq!(told, [0, 60, 120]);
        assert_eq!([repeat.is_over(), repeat.is_over()], [true, false]);
        let mut lines = 0;
        for tenth in 0..600 {
            let now = begun + Duration::from_secs(200) + Duration::from_millis(100 * tenth);
            lines += u32::from(repeat.may_tell_at(now));
            lines += u32::from(repeat.is_over());
        }
        assert_eq!(lines, 24);
    }
}
