//! Names, sources and tags as Librato permits them.
//!
//! Pure.

use std::borrow::Cow;

/// Maximum length of a name, a source or the value of a tag.
pub(super) const MAX_LENGTH: usize = 255;

/// Maximum length of a tag.
const MAX_TAG_LENGTH: usize = 64;

/// A legal name or source: each run of other characters than ASCII letters, digits and `.:-_` becomes
/// one `-`, and the rest after 255 characters is cut. This is what Librato's clients do.
pub(super) fn legal_name(name: &str) -> Cow<'_, str> {
    legal(name, MAX_LENGTH, |char| char.is_ascii_alphanumeric() || ".:-_".contains(char))
}

/// Whether a byte is a character that is legal in names and sources.
pub(super) const fn is_legal_in_names(byte: u8) -> bool {
    LEGAL_IN_NAMES[byte as usize]
}

/// Looking a byte up is faster than comparing it.
static LEGAL_IN_NAMES: [bool; 256] = {
    let (mut legal, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        legal[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'_');
        byte += 1;
    }
    legal
};

/// A legal tag: it may also have letters of other alphabets.
pub(super) fn legal_tag(tag: &str) -> Cow<'_, str> {
    legal(tag, MAX_TAG_LENGTH, |char| char.is_alphanumeric() || ".:-_".contains(char))
}

/// A legal value of a tag: it may also have slashes, question marks and blanks.
pub(super) fn legal_tag_value(value: &str) -> Cow<'_, str> {
    legal(value, MAX_LENGTH, |char| char.is_alphanumeric() || ".:-_?\\/ ".contains(char))
}

fn legal(text: &str, max_bytes: usize, is_legal: impl Fn(char) -> bool) -> Cow<'_, str> {
    // The usual case needs no decoding of characters. They are legal in tags too.
    let is_plain = text.bytes().all(is_legal_in_names);
    if text.len() <= max_bytes && (is_plain || text.chars().all(&is_legal)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    let mut was_legal = true;
    for char in text.chars() {
        let is_legal = is_legal(char);
        let char = if is_legal { char } else { '-' };
        if clean.len() + char.len_utf8() > max_bytes {
            break;
        }
        if is_legal || was_legal {
            clean.push(char);
        }
        was_legal = is_legal;
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::{legal_name, legal_tag, legal_tag_value};
    use proptest::prelude::*;
    use zibrato::check_name;

    #[test]
    fn runs_of_illegal_characters_become_a_dash() {
        for (name, expected) in [
            ("", ""),
            ("cpu.load:1-min_2", "cpu.load:1-min_2"),
            ("a b/c", "a-b-c"),
            ("   \t\nbat$$$*[]()m#@%^&=`~an", "-bat-m-an"),
            ("café", "caf-"),
            ("a|b", "a-b"),
        ] {
            assert_eq!(legal_name(name), expected);
        }
        assert_eq!(legal_name(&"x".repeat(300)).len(), 255);
        assert_eq!(legal_tag("größe x"), "größe-x");
        assert_eq!(legal_tag(&"ä".repeat(40)).len(), 64);
        assert_eq!(legal_tag_value("/checkout page?"), "/checkout page?");
        assert_eq!(legal_tag_value("a|b\u{1}c"), "a-b-c");
    }

    proptest! {
        #[test]
        fn what_is_legal_for_librato_is_valid_and_stays_as_it_is(text in ".{1,300}") {
            for legal in [legal_name, legal_tag, legal_tag_value] {
                let once = legal(&text).into_owned();
                prop_assert_eq!(check_name(&once), Ok(()));
                prop_assert_eq!(&*legal(&once), &*once);
            }
        }
    }
}
