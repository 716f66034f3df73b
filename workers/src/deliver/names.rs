//! Some of the names in a payload, for log lines and dead letters.
//!
//! Pure.

/// Maximum number of names that are shown.
pub(super) const MOST_NAMES: usize = 5;

/// Maximum number of characters of each name.
const MAX_NAME: usize = 200;

/// The first names on one line; `None` if there are none. `series` is the number of series in the
/// payload.
pub(super) fn sample(names: &[String], series: usize) -> Option<String> {
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|name| cut(name)).collect();
    let more = if series > shown.len() { ", …" } else { "" };
    (!shown.is_empty()).then(|| shown.join(", ") + more)
}

fn cut(name: &str) -> String {
    let mut cut: String = name.chars().take(MAX_NAME).collect();
    if name.chars().nth(MAX_NAME).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn a_sample_is_short_and_says_that_there_are_more() {
        let names = |count: usize| vec!["a".to_owned(); count];
        assert_eq!(sample(&[], 7), None);
        assert_eq!(sample(&names(2), 2).as_deref(), Some("a, a"));
        assert_eq!(sample(&names(2), 3).as_deref(), Some("a, a, …"));
        assert_eq!(sample(&names(9), 9).as_deref(), Some("a, a, a, a, a, …"));
        let long = sample(&["ä".repeat(1_000)], 1).unwrap();
        assert_eq!(long.chars().count(), 201);
    }
}
