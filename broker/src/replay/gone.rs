//! Counts batches that were deleted before a reader read them. Each batch is counted once, even if
//! the reader repeats its request. (A reader whose queue is full does so every two seconds.)

use std::collections::HashMap;
use zibrato::daemon::LogLimit;

/// What has been counted, by reader.
#[derive(Debug, Default)]
pub(super) struct Gone {
    by_name: HashMap<String, Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// Batches up to this offset are counted.
    until: u64,
    /// Batches that were not logged yet.
    untold: u64,
    /// Batches that are not in the count of the cursor yet.
    pending: u64,
    repeat: LogLimit<60>,
}

impl Gone {
    /// Counts the `gone` batches after an offset, and returns the number of those that were not
    /// counted before.
    pub(super) fn news(&mut self, name: &str, after: u64, gone: u64) -> u64 {
        if gone == 0 {
            return 0;
        }
        // Nearly always the batches right after the offset are missing.
        let until = after.saturating_add(gone);
        let counted = self.by_name.entry(name.to_owned()).or_default();
        let news = until.saturating_sub(counted.until.max(after));
        counted.until = counted.until.max(until);
        counted.untold += news;
        counted.pending += news;
        news
    }

    /// The number of counted batches that are not in the count of the cursor yet.
    pub(super) fn pending(&self, name: &str) -> u64 {
        self.by_name.get(name).map_or(0, |counted| counted.pending)
    }

    /// Returns the number of batches to add to the count of the cursor, because its reader has passed
    /// them. The count is saved together with the offset. A broker that is killed before that counts
    /// them again from the earlier offset.
    pub(super) fn take_passed(&mut self, name: &str, offset: u64) -> u64 {
        let counted = self.by_name.get_mut(name).filter(|counted| offset >= counted.until);
        counted.map_or(0, |counted| std::mem::take(&mut counted.pending))
    }

    /// Logs missing batches.
    pub(super) fn tell(&mut self) {
        for (cursor, batches) in self.take_untold() {
            tracing::warn!(
                event = "batches_gone",
                cursor,
                batches,
                why = "before they were read, they were deleted because of their age or the \
                       journal's size, deleted by hand, or damaged"
            );
        }
    }

    /// Readers and their numbers of missing batches that are due to be logged. The interval is limited,
    /// because a slow reader may miss batches repeatedly.
    fn take_untold(&mut self) -> Vec<(String, u64)> {
        let untold = self.by_name.iter_mut().filter(|(_, counted)| counted.untold > 0);
        let due = untold.filter_map(|(name, counted)| {
            let may = counted.repeat.admits();
            may.then(|| (name.clone(), std::mem::take(&mut counted.untold)))
        });
        due.collect()
    }

    /// Forgets a cursor that was reset or deleted.
    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::Gone;

    #[test]
    fn what_is_gone_is_counted_once() {
        let mut gone = Gone::default();
        assert_eq!((gone.news("a", 50, 0), gone.news("a", 50, 399)), (0, 399));
        // The reader requests the same position again, and meanwhile more batches are deleted.
        assert_eq!((gone.news("a", 50, 399), gone.news("a", 50, 549)), (0, 150));
        assert_eq!(gone.news("b", 50, 549), 549);
        assert_eq!((gone.take_passed("a", 598), gone.pending("a")), (0, 549));
        assert_eq!((gone.take_passed("a", 599), gone.pending("a")), (549, 0));
        assert_eq!((gone.take_passed("a", 600), gone.take_passed("c", 1)), (0, 0));
        // Batches at another position are damaged.
        assert_eq!((gone.news("a", 700, 2), gone.news("a", 700, 2)), (2, 0));
        let mut told = gone.take_untold();
        told.sort();
        assert_eq!(told, [("a".to_owned(), 551), ("b".to_owned(), 549)]);
        assert_eq!(gone.news("a", 800, 5), 5);
        assert_eq!(gone.take_untold(), [], "it was told a moment ago");
        gone.forget("a");
        assert_eq!(gone.news("a", 50, 549), 549);
    }
}
