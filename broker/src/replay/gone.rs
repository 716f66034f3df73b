//! How many batches were gone before a reader got to them, each counted once, however often the
//! reader asks for the same place: one that is held up does so every two seconds.

use std::collections::HashMap;

/// Up to which offset has been counted, by reader.
#[derive(Debug, Default)]
pub(super) struct Gone {
    until: HashMap<String, u64>,
}

impl Gone {
    /// How many of the batches that were gone after an offset have not been counted before.
    pub(super) fn news(&mut self, name: &str, after: u64, gone: u64) -> u64 {
        if gone == 0 {
            return 0;
        }
        // What is gone is nearly always what would have come first.
        let until = after.saturating_add(gone);
        let counted = self.until.get(name).copied().unwrap_or(0);
        self.until.insert(name.to_owned(), counted.max(until));
        until.saturating_sub(counted.max(after))
    }

    /// The reader begins anew somewhere else, or is no more.
    pub(super) fn forget(&mut self, name: &str) {
        self.until.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::Gone;

    #[test]
    fn what_is_gone_is_counted_once() {
        let mut gone = Gone::default();
        assert_eq!((gone.news("a", 50, 0), gone.news("a", 50, 399)), (0, 399));
        // The reader asks for the same place; meanwhile more is deleted.
        assert_eq!((gone.news("a", 50, 399), gone.news("a", 50, 549)), (0, 150));
        assert_eq!(gone.news("b", 50, 549), 549);
        // Elsewhere, something is damaged.
        assert_eq!((gone.news("a", 700, 2), gone.news("a", 700, 2)), (2, 0));
        gone.forget("a");
        assert_eq!(gone.news("a", 50, 549), 549);
    }
}
