//! Checks the lines of a dead letter, which an operator may have edited.
//!
//! Pure. Carbon ignores a last line without a line feed, and drops some invalid lines without a word
//! and others with the connection. So each line is read before it is sent.

/// Maximum number of bytes of a line in an error.
const SHOWN: usize = 200;

/// Maximum length of a name, as in the lines of windows.
const MAX_NAME_BYTES: usize = 16_000;

/// A line that Carbon would not store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditedError {
    #[error("line {number} of the body, `{shown}`: {why}; correct or remove it")]
    Line { number: usize, shown: String, why: &'static str },
    #[error("the body has no line; delete the letter with `deadletter drop`")]
    Nothing,
}

/// The lines, each as `NAME VALUE TIME` with a line feed. Empty lines are omitted.
pub(super) fn lines(body: &[u8]) -> Result<Vec<u8>, EditedError> {
    let mut lines = Vec::with_capacity(body.len() + 1);
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let text = String::from_utf8_lossy(line);
        let fields: Vec<_> = text.split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        if let Some(why) = mistake(line, &fields) {
            let shown = text.trim();
            let shown = shown.split_at(shown.floor_char_boundary(SHOWN)).0.to_owned();
            return Err(EditedError::Line { number, shown, why });
        }
        lines.extend_from_slice(fields.join(" ").as_bytes());
        lines.push(b'\n');
    }
    if lines.is_empty() { Err(EditedError::Nothing) } else { Ok(lines) }
}

/// What is wrong with a line, if anything is.
fn mistake(line: &[u8], fields: &[&str]) -> Option<&'static str> {
    let [name, value, time] = fields else {
        return Some("write NAME VALUE TIME, separated by one blank each");
    };
    if std::str::from_utf8(line).is_err() {
        Some("it is not a text in UTF-8")
    } else if name.len() > MAX_NAME_BYTES {
        Some("the name has more than 16000 bytes")
    } else if !value.parse().is_ok_and(f64::is_finite) {
        Some("the value must be a finite number, such as 3.5")
    } else if !time.parse::<u64>().is_ok_and(|time| i64::try_from(time).is_ok()) {
        Some("the time must be Unix time in whole seconds, such as 1700000000")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{EditedError, lines};

    #[test]
    fn valid_lines_are_sent_with_one_blank_and_a_line_feed() {
        for (body, expected) in [
            ("a 1 60\n", "a 1 60\n"),
            ("a 1 60", "a 1 60\n"),
            ("a;b=c\t-1.5e3  60\r\n\r\n\nb 0 0\r\n", "a;b=c -1.5e3 60\nb 0 0\n"),
        ] {
            assert_eq!(lines(body.as_bytes()).unwrap(), expected.as_bytes(), "{body:?}");
        }
    }

    #[test]
    fn a_line_that_carbon_would_not_store_is_named() {
        for (bad, part) in [
            ("a nan 60", "finite"),
            ("a -inf 60", "finite"),
            ("a 1e999 60", "finite"),
            ("a 99% 60", "finite"),
            ("a 1 -1", "whole seconds"),
            ("a 1 N", "whole seconds"),
            ("a 1 1.5", "whole seconds"),
            ("a 1 nan", "whole seconds"),
            ("a 1 18446744073709551615", "whole seconds"),
            ("my name 1 60", "NAME VALUE TIME"),
            ("a 1", "NAME VALUE TIME"),
            (&format!("{} 1 60", "n".repeat(16_001)), "more than 16000"),
        ] {
            let why = lines(format!("a 1 60\n\n{bad}\n").as_bytes()).unwrap_err().to_string();
            assert!(why.starts_with("line 3 of the body, `") && why.contains(part), "{why}");
            assert!(why.len() < 400, "{why}");
        }
        assert!(lines(b"a 1 60\n\xff 1 60\n").unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(lines(b" \r\n\n"), Err(EditedError::Nothing));
    }
}
