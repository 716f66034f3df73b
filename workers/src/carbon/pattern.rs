//! The patterns in Carbon's configuration files.
//!
//! Pure. They are Python's regular expressions, which may look around, and are found anywhere in a
//! name. A search that takes too long finds nothing, because names come from elsewhere.

use super::ini::IniError;
use fancy_regex::{Regex, RegexBuilder};

/// Maximum size of a compiled pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// Maximum number of steps back in the search for a pattern with look-around.
const STEPS_BACK: usize = 10_000;

/// Whether upper case differs from lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Differs,
    Ignored,
}

/// A valid pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Reads the value of a key, which is in this line.
    pub(super) fn read((text, line): (&str, usize), case: Case) -> Result<Self, IniError> {
        let text = percents(text).ok_or_else(|| {
            IniError::new(line, "write `%%` for a percent sign, as Python reads `%(name)s`")
        })?;
        let mut builder = RegexBuilder::new(&text);
        builder.case_insensitive(case == Case::Ignored);
        builder.backtrack_limit(STEPS_BACK).delegate_size_limit(PATTERN_BYTES);
        let built = builder.build().map_err(|why| {
            let why = brief(&why.to_string());
            IniError::new(line, format!("the pattern `{text}` is not valid: {why}"))
        });
        built.map(Self)
    }

    pub(super) fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }
}

/// A value in which `%%` is a percent sign; `None` if one is alone.
fn percents(value: &str) -> Option<String> {
    let is_escaped = !value.replace("%%", "").contains('%');
    is_escaped.then(|| value.replace("%%", "%"))
}

/// The last line of an error of several lines.
fn brief(why: &str) -> String {
    let last = why.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Case, Pattern};

    fn read(text: &str, case: Case) -> Result<Pattern, String> {
        Pattern::read((text, 7), case).map_err(|why| why.to_string())
    }

    #[test]
    fn a_pattern_is_found_anywhere_and_may_look_around() {
        for (text, case, found, not_found) in [
            ("cpu", Case::Ignored, "hosts.CPU.x", "hosts.mem"),
            ("cpu", Case::Differs, "hosts.cpu.x", "hosts.CPU.x"),
            ("^(?!carbon\\.)", Case::Differs, "carbonx", "carbon.x"),
            ("100%%", Case::Differs, "a.100%", "a.100"),
        ] {
            let pattern = read(text, case).unwrap();
            assert!(pattern.is_in(found) && !pattern.is_in(not_found), "{text}");
        }
    }

    #[test]
    fn a_search_without_end_finds_nothing() {
        let pattern = read("(?=x)(x+x+)+y", Case::Differs).unwrap();
        assert!(pattern.is_in("xxxy") && !pattern.is_in(&"x".repeat(1_000)));
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        for (text, expected) in [
            ("(", "line 7: the pattern `(` is not valid: "),
            ("[b-a]", "line 7: the pattern `[b-a]` is not valid: "),
            ("%(x)s", "line 7: write `%%` for a percent sign"),
        ] {
            let why = read(text, Case::Ignored).unwrap_err();
            assert!(why.starts_with(expected) && !why.contains('\n'), "{why}");
        }
    }
}
