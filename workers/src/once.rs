//! What is logged once for each name, however many windows have it.

use std::collections::HashSet;

/// The most names that are remembered; further ones are not logged.
const MAX_NAMES: usize = 1_000;

/// The names of which something was logged.
#[derive(Debug, Default)]
pub(crate) struct Once {
    told: HashSet<(&'static str, String)>,
}

impl Once {
    /// Whether `event` has not been logged of `name` yet; from now on it has.
    pub(crate) fn is_news(&mut self, event: &'static str, name: &str) -> bool {
        self.told.len() < MAX_NAMES && self.told.insert((event, name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, Once};

    #[test]
    fn each_name_is_news_once_and_they_are_never_too_many() {
        let mut once = Once::default();
        assert!(once.is_news("renamed", "a") && !once.is_news("renamed", "a"));
        assert!(once.is_news("merged", "a") && once.is_news("renamed", "b"));
        let news = (0..2 * MAX_NAMES).filter(|n| once.is_news("x", &n.to_string())).count();
        assert_eq!(news, MAX_NAMES - 3);
    }
}
