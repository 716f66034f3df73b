//! Says in the log what is dropped, but not more often than people read.

use crate::counters::Counters;

/// How often the same complaint is made at most.
const EVERY_MS: u64 = 60_000;

/// Remembers what has been said, and when.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told: Counters,
    told_ms: Option<u64>,
    offender_ms: Option<u64>,
}

impl Complaints {
    /// Names what was dropped since the last time, if that is long enough ago.
    pub(crate) fn complain(&mut self, now: &Counters, now_ms: u64) {
        let drops = |counters: &Counters| -> u64 { counters.subscriber_drops.values().sum() };
        let slow = drops(now) - drops(&self.told);
        if (now.dropped == self.told.dropped && slow == 0) || !may(&mut self.told_ms, now_ms) {
            return;
        }
        for ((reason, now), (_, told)) in now.dropped.iter().zip(self.told.dropped.iter()) {
            if now > told {
                tracing::warn!(event = "dropped", reason, count = now - told);
            }
        }
        if slow > 0 {
            tracing::warn!(event = "slow_subscriber", times = slow);
        }
        self.told.clone_from(now);
    }

    /// Whether it is time again to name who has too many series.
    pub(crate) fn may_name_offender(&mut self, now_ms: u64) -> bool {
        may(&mut self.offender_ms, now_ms)
    }
}

/// Whether the last time is long enough ago; then this is the last time. A clock that was set back
/// does not silence anything.
fn may(last_ms: &mut Option<u64>, now_ms: u64) -> bool {
    let may = last_ms.is_none_or(|last| now_ms < last || now_ms - last >= EVERY_MS);
    if may {
        *last_ms = Some(now_ms);
    }
    may
}

#[cfg(test)]
mod tests {
    use super::Complaints;

    #[test]
    fn the_same_complaint_is_made_once_a_minute() {
        let mut complaints = Complaints::default();
        for (now_ms, may) in
            [(5_000, true), (5_001, false), (64_999, false), (65_000, true), (1_000, true)]
        {
            assert_eq!(complaints.may_name_offender(now_ms), may, "{now_ms}");
        }
    }
}
