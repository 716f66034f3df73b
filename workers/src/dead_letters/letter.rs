//! A dead letter as a file: a head for people, an empty line, and the body as it was sent.
//!
//! Pure.

use std::fmt::Write;
use zibrato::daemon::rfc3339;

/// First line of a dead letter; the number is the version.
const FIRST: &str = "zibrato dead letter 1";

/// Replaces the number of bytes in the head of a letter that was edited.
const EDITED: &str = "edited";

/// Maximum length of the answer, in characters.
const MAX_ANSWER: usize = 2_000;

/// Maximum length of the head.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// A rejected payload, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The worker.
    pub(crate) name: String,
    pub(crate) key: String,
    /// The window.
    pub(crate) start_ms: u64,
    pub(crate) length_ms: u64,
    pub(crate) series: usize,
    /// Names of some of the series; empty if they are not known.
    pub(crate) names: String,
    pub(crate) rejected_ms: u64,
    /// The answer of the backend.
    pub(crate) answer: String,
    pub(crate) body: Vec<u8>,
}

impl Letter {
    /// The contents of the file. `program` is the name of the worker's program.
    pub(crate) fn encode(&self, program: &str) -> Vec<u8> {
        let mut head = format!("{FIRST}\n");
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            writeln!(head, "{name}: {value}").ok();
        };
        line("program", &plain(program));
        line("name", &plain(&self.name));
        line("key", &plain(&self.key));
        line("window", &rfc3339(self.start_ms));
        line("window-start-ms", &self.start_ms);
        line("window-length-ms", &self.length_ms);
        line("series", &self.series);
        if !self.names.is_empty() {
            line("names", &plain(&self.names));
        }
        line("rejected", &rfc3339(self.rejected_ms));
        line("rejected-ms", &self.rejected_ms);
        line("answer", &plain(&self.answer));
        line("bytes", &self.body.len());
        head.push('\n');
        [head.as_bytes(), &self.body].concat()
    }

    /// Whether it is the same payload of the same window.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let of = |letter: &Self| (letter.start_ms, letter.length_ms);
        of(self) == of(other) && self.name == plain(&other.name) && self.body == other.body
    }

    /// Reads a file; also returns the program that wrote it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, String), LetterError> {
        let searched = bytes.get(..MAX_HEAD_BYTES).unwrap_or(bytes);
        let end = searched.windows(2).position(|pair| pair == b"\n\n").ok_or(LetterError::Head)?;
        let (head, rest) = bytes.split_at_checked(end).ok_or(LetterError::Head)?;
        let head = std::str::from_utf8(head).map_err(|_| LetterError::Head)?;
        let mut lines = head.lines();
        if lines.next() != Some(FIRST) {
            return Err(LetterError::Head);
        }
        let pairs: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let text = |name: &'static str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(LetterError::Missing { name })
        };
        let number = |name: &'static str| {
            text(name)?.parse::<u64>().map_err(|_| LetterError::Missing { name })
        };
        let body = rest.get(2..).unwrap_or_default();
        let (said, found) = (text("bytes")?, body.len() as u64);
        // An edited letter is marked, and its bytes need not be counted.
        if said != EDITED && number("bytes")? != found {
            return Err(LetterError::Cut { said, found });
        }
        let letter = Self {
            name: text("name")?,
            key: text("key")?,
            start_ms: number("window-start-ms")?,
            length_ms: number("window-length-ms")?,
            series: usize::try_from(number("series")?).unwrap_or(usize::MAX),
            // Letters of older versions have no names.
            names: text("names").unwrap_or_default(),
            rejected_ms: number("rejected-ms")?,
            answer: text("answer")?,
            body: body.to_vec(),
        };
        Ok((letter, text("program")?))
    }
}

/// A text that fits on one line of the head.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars().take(MAX_ANSWER) {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    if text.chars().nth(MAX_ANSWER).is_some() {
        plain.push('…');
    }
    // An empty value must differ from a missing one.
    if plain.is_empty() { "-".to_owned() } else { plain }
}

/// Why a file is not a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LetterError {
    #[error(
        "the head says that the body has {said} bytes, but it has {found}: if you have edited the \
         body, write `bytes: {EDITED}` in the head; otherwise the file was truncated"
    )]
    Cut {
        /// The number of bytes in the head, as text.
        said: String,
        /// The number of bytes that were found.
        found: u64,
    },
    #[error("is not a dead letter: it does not start with `{FIRST}` and a head")]
    Head,
    #[error("is not a complete dead letter: its head has no valid `{name}`")]
    Missing {
        /// The name of the line.
        name: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::{Letter, LetterError};
    use proptest::prelude::*;

    fn letter() -> Letter {
        Letter {
            name: "zibrato-librato".to_owned(),
            key: "zibrato-librato/1700000040000+60000/0-af63dc4c8601ec8c".to_owned(),
            start_ms: 1_700_000_040_000,
            length_ms: 60_000,
            series: 3,
            names: "a (web-1), b".to_owned(),
            rejected_ms: 1_700_000_101_250,
            answer: "Librato answered 400: bad".to_owned(),
            body: b"{\"gauges\":[]}\n\nmore".to_vec(),
        }
    }

    #[test]
    fn a_letter_is_readable_text_and_is_decoded_unchanged() {
        let file = letter().encode("zibrato-librato");
        let text = String::from_utf8(file.clone()).unwrap();
        assert_eq!(
            text,
            "zibrato dead letter 1\n\
             program: zibrato-librato\n\
             name: zibrato-librato\n\
             key: zibrato-librato/1700000040000+60000/0-af63dc4c8601ec8c\n\
             window: 2023-11-14T22:14:00.000Z\n\
             window-start-ms: 1700000040000\n\
             window-length-ms: 60000\n\
             series: 3\n\
             names: a (web-1), b\n\
             rejected: 2023-11-14T22:15:01.250Z\n\
             rejected-ms: 1700000101250\n\
             answer: Librato answered 400: bad\n\
             bytes: 19\n\
             \n\
             {\"gauges\":[]}\n\nmore"
        );
        let read = Letter::decode(&file);
        assert_eq!(read, Ok((letter(), "zibrato-librato".to_owned())));
    }

    #[test]
    fn a_letter_of_an_older_version_names_no_series() {
        let sent = Letter { names: String::new(), ..letter() };
        let file = sent.encode("p");
        assert!(!String::from_utf8_lossy(&file).contains("names: "));
        assert_eq!(Letter::decode(&file), Ok((sent, "p".to_owned())));
    }

    #[test]
    fn a_truncated_file_is_not_a_letter() {
        let file = letter().encode("p");
        for end in 0..file.len() {
            assert!(Letter::decode(&file[..end]).is_err(), "{end}");
        }
        let cut = LetterError::Cut { said: "19".to_owned(), found: 18 };
        assert_eq!(Letter::decode(&file[..file.len() - 1]), Err(cut));
    }

    proptest! {
        #[test]
        fn a_letter_with_any_answer_is_decoded_unchanged(
            answer in ".{0,200}",
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let sent = Letter { answer, body, ..letter() };
            let (read, _) = Letter::decode(&sent.encode("p")).unwrap();
            prop_assert_eq!(read.body, sent.body);
            prop_assert!(read.answer.chars().all(|c| !c.is_control()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Letter::decode(&bytes));
            drop(Letter::decode(&[b"zibrato dead letter 1\n", &bytes[..]].concat()));
        }
    }
}
