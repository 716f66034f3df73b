//! Suggests the word that was probably meant.

/// The word with the smallest edit distance to `given`, if one is near. Ignores case, and the
/// difference between `_` and `-`.
pub fn nearest<'a>(given: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    let given = plain(given);
    // A third of the letters may be wrong; in a short word, one letter, or two that are swapped.
    let most = (given.chars().count() / 3).max(1);
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&given, &plain(word)), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_are_recognized_and_other_words_are_not() {
        let words = ["flush", "levels", "max-windows", "host", "port", "http"];
        for (given, expected) in [
            ("flsh", Some("flush")),
            ("FLUSH", Some("flush")),
            ("levles", Some("levels")),
            ("max_windows", Some("max-windows")),
            ("MAX_WINDWS", Some("max-windows")),
            ("prot", Some("port")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
    }
}
