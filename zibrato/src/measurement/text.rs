//! Levels, names, sources and units: texts that are validated once, when they are created.
//!
//! The checks are `const`, so that a call site with a bad name does not compile.

use std::fmt;
use std::sync::Arc;

/// Maximum length of a name, source or tag, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Maximum length of a level, in bytes.
pub const MAX_LEVEL_BYTES: usize = 64;

/// Maximum length of a unit, in bytes.
pub const MAX_UNIT_BYTES: usize = 32;

/// The source of measurements whose publisher gives none.
pub const DEFAULT_SOURCE: &str = "not_specified";

/// Why a text is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextProblem {
    /// It contains the field separator `|`.
    Bar,
    /// It contains a control character or a line break.
    Control,
    /// It is empty.
    Empty,
    /// It is a level that is reserved for the protocol: `*`, `zb1` and its successors, `zb!…`.
    Reserved,
    /// It is longer than [`MAX_NAME_BYTES`], or, if a level, than [`MAX_LEVEL_BYTES`], or, if a
    /// unit, than [`MAX_UNIT_BYTES`].
    TooLong,
}

impl TextProblem {
    /// The problem as a predicate, to follow "the name …".
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Bar => "contains `|`, which separates fields on the wire; use `.` or `-`",
            Self::Control => "contains a control character or a line break",
            Self::Empty => "is empty",
            Self::Reserved => "is reserved for the protocol; choose another word",
            Self::TooLong => {
                "is too long (a level may have 64 bytes, a name or source 255, a unit 32)"
            }
        }
    }
}

impl fmt::Display for TextProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// A text is not a valid level, name, source or unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} {text:?} {problem}")]
#[non_exhaustive]
pub struct TextError {
    /// The intended use: `level`, `name`, `source` or `unit`.
    pub what: &'static str,
    /// The invalid text.
    pub text: String,
    /// What is wrong with it.
    pub problem: TextProblem,
}

/// Checks a name or a source: 1 to 255 bytes, without `|`, control characters or line breaks.
///
/// # Errors
/// The first problem found.
///
/// ```
/// use zibrato::{TextProblem, check_name};
/// assert_eq!(check_name("db.query"), Ok(()));
/// assert_eq!(check_name("db|query"), Err(TextProblem::Bar));
/// ```
pub const fn check_name(text: &str) -> Result<(), TextProblem> {
    check(text.as_bytes(), MAX_NAME_BYTES)
}

/// Checks a level: like a name, but at most 64 bytes and not a reserved word of the protocol.
///
/// # Errors
/// The first problem found.
///
/// ```
/// use zibrato::{TextProblem, check_level};
/// assert_eq!(check_level("billing"), Ok(()));
/// assert_eq!(check_level("zb!acks"), Err(TextProblem::Reserved));
/// ```
pub const fn check_level(text: &str) -> Result<(), TextProblem> {
    let bytes = text.as_bytes();
    if let Err(problem) = check(bytes, MAX_LEVEL_BYTES) {
        return Err(problem);
    }
    if bytes.len() == 1 && bytes[0] == b'*' {
        return Err(TextProblem::Reserved);
    }
    if bytes.len() >= 3 && bytes[0] == b'z' && bytes[1] == b'b' {
        // `zb!` begins the control topics, `zb1`, `zb2` … the batch topics of each version.
        let mut digits = 2;
        while digits < bytes.len() && bytes[digits].is_ascii_digit() {
            digits += 1;
        }
        if bytes[2] == b'!' || digits == bytes.len() {
            return Err(TextProblem::Reserved);
        }
    }
    Ok(())
}

/// Checks the unit of a histogram: like a name, but at most 32 bytes.
///
/// # Errors
/// The first problem found.
///
/// ```
/// use zibrato::{TextProblem, check_unit};
/// assert_eq!(check_unit("bytes"), Ok(()));
/// assert_eq!(check_unit("bytes|s"), Err(TextProblem::Bar));
/// ```
pub const fn check_unit(text: &str) -> Result<(), TextProblem> {
    check(text.as_bytes(), MAX_UNIT_BYTES)
}

const fn check(bytes: &[u8], longest: usize) -> Result<(), TextProblem> {
    if bytes.is_empty() {
        return Err(TextProblem::Empty);
    }
    if bytes.len() > longest {
        return Err(TextProblem::TooLong);
    }
    let mut i = 0;
    while i < bytes.len() {
        let next = if i + 1 < bytes.len() { bytes[i + 1] } else { 0 };
        let after = if i + 2 < bytes.len() { bytes[i + 2] } else { 0 };
        match bytes[i] {
            b'|' => return Err(TextProblem::Bar),
            0..0x20 | 0x7f => return Err(TextProblem::Control),
            // U+0080 to U+009F, and the line and paragraph separators U+2028 and U+2029.
            0xc2 if next < 0xa0 => return Err(TextProblem::Control),
            0xe2 if next == 0x80 && (after == 0xa8 || after == 0xa9) => {
                return Err(TextProblem::Control);
            }
            _ => i += 1,
        }
    }
    Ok(())
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        // Invariant: the text has passed the check; only `new` makes one.
        pub struct $type(Arc<str>);

        impl $type {
            /// Creates it from a valid text. Cloning is cheap.
            ///
            /// # Errors
            /// [`TextError`] with the text and what is wrong with it.
            pub fn new(text: &str) -> Result<Self, TextError> {
                match $check(text) {
                    Ok(()) => Ok(Self(Arc::from(text))),
                    Err(problem) => {
                        Err(TextError { what: $what, text: text.to_owned(), problem })
                    }
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }
    };
}

checked_text! {
    /// An arbitrary label that routes measurements: `debug`, `info`, `billing` …. Levels have no
    /// order.
    ///
    /// ```
    /// use zibrato::Level;
    /// assert_eq!(Level::new("info").unwrap().as_str(), "info");
    /// assert!(Level::new("info|warn").is_err());
    /// ```
    Level, "level", check_level
}

checked_text! {
    /// The name of a series, such as `shop.checkout.paid`.
    Name, "name", check_name
}

checked_text! {
    /// The origin of a measurement: a program, class or host. Defaults to [`DEFAULT_SOURCE`].
    Source, "source", check_name
}

checked_text! {
    /// The unit of a histogram, such as `bytes` or `rows`. It is part of the identity of a series.
    Unit, "unit", check_unit
}

impl Default for Source {
    fn default() -> Self {
        Self(Arc::from(DEFAULT_SOURCE))
    }
}

#[cfg(test)]
mod tests {
    use super::{TextProblem, check_level, check_name, check_unit};

    #[test]
    fn names_may_contain_all_but_bars_and_control_characters() {
        for good in ["a", "a b", "café.温度", "a;dc=x", "π", "zb1", "*", &"n".repeat(255)] {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
        for (bad, problem) in [
            ("", TextProblem::Empty),
            ("a|b", TextProblem::Bar),
            ("a\nb", TextProblem::Control),
            ("a\u{7f}", TextProblem::Control),
            ("a\u{85}", TextProblem::Control),
            ("a\u{2028}", TextProblem::Control),
            (&"n".repeat(256), TextProblem::TooLong),
        ] {
            assert_eq!(check_name(bad), Err(problem), "{bad:?}");
        }
    }

    #[test]
    fn the_check_agrees_with_the_standard_library_on_every_character() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let refused = c == '|' || c.is_control() || c == '\u{2028}' || c == '\u{2029}';
            assert_eq!(check_name(c.encode_utf8(&mut [0; 4])).is_err(), refused, "{c:?}");
        }
    }

    #[test]
    fn a_unit_is_a_short_name() {
        for good in ["bytes", "%", "µs", "requests/s", &"u".repeat(32)] {
            assert_eq!(check_unit(good), Ok(()), "{good:?}");
        }
        for (bad, problem) in [
            ("", TextProblem::Empty),
            ("a|b", TextProblem::Bar),
            ("a\nb", TextProblem::Control),
            (&*"u".repeat(33), TextProblem::TooLong),
            (&*"u".repeat(1 << 20), TextProblem::TooLong),
        ] {
            assert_eq!(check_unit(bad), Err(problem), "{} bytes", bad.len());
        }
    }

    #[test]
    fn reserved_words_are_not_levels() {
        for good in ["info", "z", "zb", "zba", "zb1x", "zibrato", &"l".repeat(64)] {
            assert_eq!(check_level(good), Ok(()), "{good:?}");
        }
        for bad in ["*", "zb1", "zb22", "zb!", "zb!levels"] {
            assert_eq!(check_level(bad), Err(TextProblem::Reserved), "{bad:?}");
        }
        assert_eq!(check_level(&"l".repeat(65)), Err(TextProblem::TooLong));
    }
}
