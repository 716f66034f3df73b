//! When a program looks for its broker, and when it reports that it cannot reach it.

use std::time::{Duration, Instant};

/// How long the broker may be silent before the program reports it, unless a test changes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long the broker may be silent before the program first looks for the reason.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Interval of further looks.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Interval of reports.
const REPORT_AGAIN: Duration = Duration::from_secs(3600);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Find out the reason.
    Look,
    /// Report the reason that was found last.
    Report { away: Duration },
    /// Report that the broker is back.
    Back { away: Duration },
}

/// The contact with the broker.
#[derive(Debug)]
pub(super) struct Contact {
    patience: Duration,
    /// The last message of the broker, or the start.
    last: Instant,
    /// How long the broker has been away at the next look.
    next_look: Duration,
    /// Whether a look that began late enough has found a reason.
    is_explained: bool,
    /// Whether a look that is late enough for a report was begun.
    is_looking: bool,
    reported: Option<Instant>,
}

impl Contact {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            last: now,
            next_look: patience.min(FIRST_LOOK),
            is_explained: false,
            is_looking: false,
            reported: None,
        }
    }

    /// A look has found a reason.
    pub(super) const fn explain(&mut self) {
        self.is_explained = self.is_looking;
    }

    /// The next step. `last_received` is the time of the broker's last message.
    pub(super) fn step(
        &mut self,
        now: Instant,
        is_connected: bool,
        last_received: Option<Instant>,
    ) -> Option<Step> {
        if is_connected {
            let back = self.reported.map(|_| Step::Back { away: now.duration_since(self.last) });
            *self = Self::new(self.patience, last_received.unwrap_or(now));
            return back;
        }
        let away = now.saturating_duration_since(self.last);
        if away >= self.next_look {
            self.is_looking = away >= self.patience;
            let again = away + LOOK_AGAIN;
            self.next_look = if self.is_looking { again } else { again.min(self.patience) };
            return Some(Step::Look);
        }
        let is_due = self.reported.is_none_or(|last| now.duration_since(last) >= REPORT_AGAIN);
        if self.is_explained && is_due {
            self.reported = Some(now);
            return Some(Step::Report { away });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Contact, PATIENCE, Step};
    use std::time::{Duration, Instant};

    /// The steps in `seconds` without a broker; each look finds a reason within a second.
    fn steps(
        contact: &mut Contact,
        begun: Instant,
        seconds: std::ops::Range<u64>,
    ) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        for second in seconds {
            let now = begun + Duration::from_secs(second);
            while let Some(step) = contact.step(now, false, None) {
                steps.push((second, step));
            }
            if steps.last().is_some_and(|(at, step)| (*at, *step) == (second, Step::Look)) {
                contact.explain();
            }
        }
        steps
    }

    #[test]
    fn an_outage_is_reported_after_ten_seconds_and_then_hourly_until_it_ends() {
        let begun = Instant::now();
        let mut contact = Contact::new(PATIENCE, begun);
        let day = steps(&mut contact, begun, 0..2 * 3600 + 60);
        let looks = day.iter().filter(|(_, step)| *step == Step::Look).map(|(second, _)| *second);
        assert_eq!(looks.take(4).collect::<Vec<_>>(), [2, 10, 70, 130]);
        let reports = day.iter().filter(|(_, step)| *step != Step::Look);
        let report = |second| (second, Step::Report { away: Duration::from_secs(second) });
        let reports: Vec<_> = reports.copied().collect();
        assert_eq!(reports, [report(11), report(3611), report(7211)]);
        let back = begun + Duration::from_secs(8000);
        let away = Duration::from_secs(8000);
        assert_eq!(contact.step(back, true, Some(back)), Some(Step::Back { away }));
        assert_eq!(contact.step(back, true, Some(back)), None);
        // The next outage begins with the last message.
        let next = steps(&mut contact, back, 5..20);
        assert_eq!(next[..2], [(5, Step::Look), (10, Step::Look)]);
        assert_eq!(next[2], (11, Step::Report { away: Duration::from_secs(11) }));
    }

    #[test]
    fn a_short_outage_is_not_reported() {
        let begun = Instant::now();
        let mut contact = Contact::new(PATIENCE, begun);
        assert_eq!(steps(&mut contact, begun, 0..10), [(2, Step::Look)]);
        let now = begun + Duration::from_secs(10);
        assert_eq!(contact.step(now, true, Some(now)), None);
    }

    #[test]
    fn an_outage_without_a_known_reason_is_reported_when_one_is_found() {
        let begun = Instant::now();
        let mut contact = Contact::new(PATIENCE, begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(contact.step(at(30), false, None), Some(Step::Look));
        assert_eq!(contact.step(at(40), false, None), None);
        contact.explain();
        let away = Duration::from_secs(41);
        assert_eq!(contact.step(at(41), false, None), Some(Step::Report { away }));
    }
}
