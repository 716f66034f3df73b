//! The keys that a configuration of bucky gives, read as the types that they must have.

use super::file::{Statement, What};
use super::literal::Literal;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

/// A comment about something that is not translated, or not as it looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    /// The line of the file; 0 for a default.
    pub(super) line: usize,
    /// The key that it is about; empty for other code.
    pub(super) key: String,
    pub(super) text: String,
    /// Whether something is not translated. Otherwise it is a hint.
    pub(super) is_loss: bool,
}

/// The keys of a file. A key that is assigned twice has the last value.
#[derive(Debug)]
pub(super) struct Given {
    values: BTreeMap<String, (usize, Literal)>,
    notes: RefCell<Vec<Note>>,
}

impl Given {
    /// The assignments of a file. For each other statement there is a note, whose text `explain`
    /// gives for a key.
    pub(super) fn new(
        statements: Vec<Statement>,
        explain: impl Fn(&str) -> Option<&'static str>,
    ) -> Self {
        let (mut values, mut notes) = (BTreeMap::new(), Vec::new());
        for Statement { line, what } in statements {
            let (key, text) = match what {
                What::Assignment { key, value } => {
                    values.insert(key, (line, value));
                    continue;
                }
                What::Faulty { key, text, why, .. } => {
                    values.remove(&key);
                    (key, format!("`{text}` is a syntax error: {why}"))
                }
                What::Computed { key, text } => {
                    // What was assigned before no longer counts.
                    values.remove(&key);
                    let advice = explain(&key).unwrap_or(
                        "give its value in the form of a literal; until then, bucky's default is used",
                    );
                    (key, format!("`{text}` is computed: {advice}"))
                }
                What::Code { text } => {
                    (String::new(), format!("`{text}` is Python code, which is not translated"))
                }
            };
            notes.push(Note { line, key, text, is_loss: true });
        }
        Self { values, notes: RefCell::new(notes) }
    }

    /// The keys that are given, with their lines.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        self.values.iter().map(|(key, (line, _))| (&**key, *line))
    }

    /// Whether it is given, be it as `None`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The value, unless it is not given or `None`.
    pub(super) fn value(&self, key: &str) -> Option<&Literal> {
        let (_, value) = self.values.get(key)?;
        (*value != Literal::None).then_some(value)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.expect(key, "a string", |value| match value {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        })?;
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        let value = self.expect(key, "True or False", |value| match value {
            Literal::Bool(value) => Some(*value),
            Literal::Integer(value) => Some(*value != 0),
            _ => None,
        });
        value.unwrap_or(default)
    }

    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        self.expect(key, "a whole number", |value| match value {
            Literal::Integer(value) => Some(*value),
            _ => None,
        })
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.expect(key, "a number", as_number)
    }

    /// The address that two keys give.
    pub(super) fn address(&self, ip: &str, port: &str, default: i64) -> String {
        let default_host = "127.0.0.1".to_owned();
        let mut host = self.text(ip).unwrap_or_else(|| default_host.clone());
        if host == "*" {
            self.note(
                ip,
                format!("`*` is no address; {default_host} is used; give 0.0.0.0 for all"),
            );
            host = default_host;
        }
        let expected = format!("a port up to 65535 (bucky's default here is {default})");
        let port = self.expect(port, &expected, |value| match value {
            Literal::Integer(value) => u16::try_from(*value).ok().map(i64::from),
            _ => None,
        });
        let port = port.unwrap_or(default);
        match host.parse::<Ipv6Addr>() {
            Ok(host) => format!("[{host}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        }
    }

    /// A list of texts; one text is a list of it.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let texts = self.expect(key, "a list of strings", |value| match value {
            Literal::Text(text) => Some(vec![text.clone()]),
            Literal::List(items) => items
                .iter()
                .map(|item| match item {
                    Literal::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        });
        texts.unwrap_or_default()
    }

    /// The value as `read` understands it. If it does not, there is a note.
    pub(super) fn expect<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Literal) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.value(key)?);
        if read.is_none() {
            self.note(key, format!("expected {expected}; bucky's default is used"));
        }
        read
    }

    /// Notes that something about a key is not translated.
    pub(super) fn note(&self, key: &str, text: impl AsRef<str>) {
        self.add(key, format!("{key}: {}", text.as_ref()), true);
    }

    /// Notes something about a key, although it is translated.
    pub(super) fn hint(&self, key: &str, text: impl Into<String>) {
        self.add(key, text.into(), false);
    }

    fn add(&self, key: &str, text: String, is_loss: bool) {
        let line = self.values.get(key).map_or(0, |(line, _)| *line);
        self.notes.borrow_mut().push(Note { line, key: key.to_owned(), text, is_loss });
    }

    /// The keys that are assigned, be it by a value that is not translated.
    pub(super) fn assigned(&self) -> BTreeSet<String> {
        let noted = self.notes.borrow();
        let noted = noted.iter().map(|note| &note.key).filter(|key| !key.is_empty());
        self.values.keys().chain(noted).cloned().collect()
    }

    /// All notes by line.
    pub(super) fn into_notes(self) -> Vec<Note> {
        let mut notes = self.notes.into_inner();
        notes.sort();
        notes.dedup();
        notes
    }
}

/// An integer or a float as a number.
pub(super) fn as_number(value: &Literal) -> Option<f64> {
    match value {
        Literal::Integer(value) => Some(*value as f64),
        Literal::Float(value) => Some(*value),
        _ => None,
    }
}
