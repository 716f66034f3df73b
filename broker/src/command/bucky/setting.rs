//! A line of a configuration file.

use std::fmt;

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) value: Value,
    /// The key of bucky that it comes from.
    pub(super) from: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    True,
    Texts(Vec<String>),
}

impl Setting {
    pub(super) const fn new(key: &'static str, value: Value, from: &'static str) -> Self {
        Self { key, value, from }
    }

    pub(super) fn text(key: &'static str, text: impl Into<String>, from: &'static str) -> Self {
        Self::new(key, Value::Text(text.into()), from)
    }
}

/// A line of TOML.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.key)?;
        match &self.value {
            Value::Text(text) => quote(f, text),
            Value::Number(number) => write!(f, "{number}"),
            Value::True => f.write_str("true"),
            Value::Texts(texts) => {
                f.write_str("[")?;
                for (at, text) in texts.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    quote(f, text)?;
                }
                f.write_str("]")
            }
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if !text.contains(|c: char| c == '\'' || c.is_control()) {
        // A literal string, in which a backslash needs no other.
        let quote = if text.contains(['"', '\\']) { '\'' } else { '"' };
        return write!(f, "{quote}{text}{quote}");
    }
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
