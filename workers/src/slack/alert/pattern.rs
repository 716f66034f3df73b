//! Patterns of alert rules: globs and regular expressions, written as in the broker's rules.
//!
//! Pure.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Maximum size of a compiled regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 18;

/// A glob, a regular expression, or a list of them of which one must match.
///
/// ```text
/// "web-*"                          a glob matches the whole text: * any characters, ? one character
/// { regex = '^web-(\d+)$' }        a regular expression matches anywhere in the text
/// ["web-*", { regex = '\.eu$' }]   any of these
/// ```
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Regex>);

impl Pattern {
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|regex| regex.is_match(text))
    }
}

fn glob(text: &str) -> Result<Regex, String> {
    let mut regex = String::from("^");
    for c in text.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    compile(&regex, true)
}

fn compile(text: &str, is_glob: bool) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    let built = builder.size_limit(MAX_REGEX_BYTES).dot_matches_new_line(is_glob).build();
    built.map_err(|error| {
        if let regex::Error::CompiledTooBig(_) = error {
            return "the pattern is too large; make it shorter".to_owned();
        }
        // The lines before the last one draw the expression with a mark.
        let text = error.to_string();
        let cause = text.lines().last().unwrap_or_default();
        format!("invalid regular expression: {}", cause.trim_start_matches("error: "))
    })
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PatternVisitor)
    }
}

struct PatternVisitor;

impl<'de> Visitor<'de> for PatternVisitor {
    type Value = Pattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a glob such as \"web-*\", { regex = '…' }, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Pattern, E> {
        glob(text).map(|regex| Pattern(vec![regex])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pattern, A::Error> {
        let mut all = Vec::new();
        while let Some(Pattern(some)) = list.next_element()? {
            all.extend(some);
        }
        if all.is_empty() {
            return Err(de::Error::custom("the list is empty, so that nothing matches"));
        }
        Ok(Pattern(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pattern, A::Error> {
        let mut regex = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "regex" {
                return Err(de::Error::unknown_field(&key, &["regex"]));
            }
            let text: String = map.next_value()?;
            regex = Some(compile(&text, false).map_err(de::Error::custom)?);
        }
        let regex = regex.ok_or_else(|| de::Error::missing_field("regex"))?;
        Ok(Pattern(vec![regex]))
    }
}
