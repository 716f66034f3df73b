//! Reads the configuration files of Carbon, such as `relay-rules.conf`: sections of `key = value`.
//!
//! Pure. The form is that of Python's `configparser`, with which Carbon reads them: `[section]`,
//! `key = value` or `key: value`, comment lines that begin with `#` or `;`, and lines that continue a
//! value because they are indented further than its key. Keys are compared without case. There are no comments after a value, because a
//! pattern may contain `#` and `;`.

/// A section and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    /// The line of its head, from 1.
    pub(super) line: usize,
    values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    key: String,
    text: String,
    line: usize,
}

/// A line that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(super) struct IniError {
    pub(super) line: usize,
    pub(super) why: String,
}

impl IniError {
    pub(super) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

impl Section {
    /// The value of a key, and its line.
    pub(super) fn value(&self, key: &str) -> Option<(&str, usize)> {
        let value = self.values.iter().find(|value| value.key == key)?;
        Some((&value.text, value.line))
    }

    /// Keys that are not among `known`, with their lines.
    pub(super) fn unknown<'a>(
        &'a self,
        known: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, usize)> {
        let unknown = |value: &&Value| !known.contains(&&*value.key);
        self.values.iter().filter(unknown).map(|value| (&*value.key, value.line))
    }

    /// Whether a key has a value that means true, as Python reads it. `None` without the key.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, IniError> {
        let Some((text, line)) = self.value(key) else { return Ok(None) };
        match &*text.to_lowercase() {
            "1" | "yes" | "true" | "on" => Ok(Some(true)),
            "0" | "no" | "false" | "off" => Ok(Some(false)),
            _ => Err(IniError::new(line, format!("`{key} = {text}`: write true or false"))),
        }
    }
}

/// All sections, in their order.
pub(super) fn sections(text: &str) -> Result<Vec<Section>, IniError> {
    let mut sections: Vec<Section> = Vec::new();
    // The indentation of the last key or section.
    let mut indent = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let bare = text.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let own = text.len() - text.trim_start().len();
        let last = sections.last_mut().and_then(|section| section.values.last_mut());
        if own > indent
            && let Some(last) = last
        {
            last.text.push('\n');
            last.text.push_str(bare);
            continue;
        }
        indent = own;
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if let Some(first) = sections.iter().find(|section| section.name == name) {
                let why = format!("a second section [{name}]; the first is in line {}", first.line);
                return Err(IniError::new(line, why));
            }
            sections.push(Section { name: name.to_owned(), line, values: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else {
            return Err(IniError::new(line, format!("`{bare}` stands before the first [section]")));
        };
        let Some((key, value)) = bare.split_once(['=', ':']) else {
            return Err(IniError::new(
                line,
                format!("`{bare}` is neither `key = value` nor [section]"),
            ));
        };
        let key = key.trim().to_lowercase();
        if let Some((_, first)) = section.value(&key) {
            return Err(IniError::new(
                line,
                format!("a second `{key}`; the first is in line {first}"),
            ));
        }
        section.values.push(Value { key, text: value.trim().to_owned(), line });
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn sections_are_read_as_python_reads_them() {
        let text = "# comment\n\n[a]\nPattern = ^x=[#;]\\.y$\n; comment\ndestinations: h:1:a,\n   h:2:b\n\n[b c]\ndefault=TRUE\n";
        let all = sections(text).unwrap();
        assert_eq!(
            all.iter().map(|one| (&*one.name, one.line)).collect::<Vec<_>>(),
            [("a", 3), ("b c", 9)]
        );
        assert_eq!(all[0].value("pattern"), Some(("^x=[#;]\\.y$", 4)));
        assert_eq!(all[0].value("destinations"), Some(("h:1:a,\nh:2:b", 6)));
        assert_eq!((all[1].flag("default"), all[1].flag("continue")), (Ok(Some(true)), Ok(None)));
        let unknown: Vec<_> = all[0].unknown(&["pattern"]).collect();
        assert_eq!(unknown, [("destinations", 6)]);
    }

    #[test]
    fn a_line_continues_a_value_if_it_is_indented_further_than_the_key() {
        for text in [
            "[a]\npattern = x\ndestinations = h:1,\n h:2\n[b]\n",
            "[a]\n  pattern = x\n  destinations = h:1,\n    h:2\n[b]\n",
            "  [a]\n  pattern = x\n  destinations = h:1,\n   h:2\n  [b]\n",
            "[a]\n    pattern = x\n  destinations = h:1,\n     h:2\n  [b]\n",
        ] {
            let all = sections(text).unwrap();
            let values = ["pattern", "destinations"].map(|key| all[0].value(key).unwrap().0);
            assert_eq!((values, all.len()), (["x", "h:1,\nh:2"], 2), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, why) in [
            ("a = 1", "line 1: `a = 1` stands before the first [section]"),
            ("[a]\nb", "line 2: `b` is neither"),
            ("[a]\n[b]\n[a]", "line 3: a second section [a]; the first is in line 1"),
            ("[a]\nb=1\nB=2", "line 3: a second `b`; the first is in line 2"),
        ] {
            let error = sections(text).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
        let error = sections("[a]\ndefault = ja").unwrap()[0].flag("default").unwrap_err();
        assert_eq!(error.to_string(), "line 2: `default = ja`: write true or false");
    }
}
