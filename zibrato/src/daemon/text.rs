//! Sanitizes external texts for the log.

/// Sanitizes an external text for one log line: no control characters, at most 300 characters.
#[must_use]
pub fn one_line(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.take(300).collect();
    if text.trim().chars().count() > 300 {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn an_external_text_becomes_one_line() {
        assert_eq!(one_line(" a\nb\u{1b}[1m "), "a b [1m");
        assert_eq!(one_line(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
        assert_eq!(one_line(&"é".repeat(300)), "é".repeat(300));
    }
}
