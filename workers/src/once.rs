//! Events that are logged once per name, however often they occur.

use std::collections::HashSet;

/// Maximum number of names that are remembered; further ones are not logged.
const MAX_NAMES: usize = 1_000;

/// The names for which an event was logged.
#[derive(Debug, Default)]
pub(crate) struct Once {
    seen: HashSet<(&'static str, String)>,
}

impl Once {
    /// Returns whether `event` is new for `name`, and records it.
    pub(crate) fn is_news(&mut self, event: &'static str, name: &str) -> bool {
        self.seen.len() < MAX_NAMES && self.seen.insert((event, name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, Once};

    #[test]
    fn each_name_is_new_once_and_their_number_is_bounded() {
        let mut once = Once::default();
        assert!(once.is_news("renamed", "a") && !once.is_news("renamed", "a"));
        assert!(once.is_news("merged", "a") && once.is_news("renamed", "b"));
        let news = (0..2 * MAX_NAMES).filter(|n| once.is_news("x", &n.to_string())).count();
        assert_eq!(news, MAX_NAMES - 3);
    }
}
