//! A configuration of bucky, which is a Python file, as assignments and everything else.

use super::literal::{Literal, NotLiteral, parse};

/// Maximum length of the shown start of a statement, in characters.
const SHOWN: usize = 60;

/// A statement of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    /// Its line, counted from 1.
    pub(super) line: usize,
    pub(super) what: What,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// `key = literal`.
    Assignment { key: String, value: Literal },
    /// `key = something else`; the text is its first line.
    Computed { key: String, text: String },
    /// Something that Python cannot read, and why. The key is empty unless something is assigned. It
    /// may hide the rest of the file.
    Faulty { key: String, text: String, why: String, hides_rest: bool },
    /// Any other Python; the text is its first line.
    Code { text: String },
}

/// Reads the statements of a file. Comments and strings alone are left out, and so is the body of
/// a function or class.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let (mut statements, mut rest, mut line) = (Vec::new(), &*text, 1);
    while !rest.is_empty() {
        let (what, after) = statement(rest, line);
        statements.extend(what.map(|what| Statement { line, what }));
        let used = rest.len() - after.len();
        line += rest.bytes().take(used).filter(|byte| *byte == b'\n').count();
        rest = after;
    }
    statements
}

/// The statement at the start of a line, unless there is none, and the text from the next line on.
fn statement(text: &str, line: usize) -> (Option<What>, &str) {
    let (first, next) = text.split_once('\n').unwrap_or((text, ""));
    if first.trim().is_empty() || first.trim_start().starts_with('#') {
        return (None, next);
    }
    let shown: String = first.trim().chars().take(SHOWN).collect();
    // What belongs to a function or a condition has been left out with it.
    if first.starts_with([' ', '\t']) {
        let key = assignment(first.trim()).map_or("", |(key, _)| key).to_owned();
        let why = "it is indented; begin it at the margin".to_owned();
        return (Some(What::Faulty { key, text: shown, why, hides_rest: false }), next);
    }
    if let Some((key, value)) = assignment(text) {
        let key = key.to_owned();
        if end(value).is_some() {
            let why = "a value is missing".to_owned();
            return (Some(What::Faulty { key, text: shown, why, hides_rest: false }), next);
        }
        let parsed = parse(value).map(|(value, rest)| (value, end(rest)));
        if let Ok((value, Some(rest))) = parsed {
            return (Some(What::Assignment { key, value }), rest);
        }
        let Code { after, unclosed, is_cut } = after_code(text, line);
        let why = match parsed {
            Err(NotLiteral::NoQuote) => Some(NO_QUOTE.to_owned()),
            Ok(_) | Err(NotLiteral::Other) => unclosed,
        };
        let hides_rest = is_cut && !next.trim().is_empty();
        let what = match why {
            Some(why) => What::Faulty { key, text: shown, why, hides_rest },
            None => What::Computed { key, text: shown },
        };
        return (Some(what), after);
    }
    // A string alone is a comment.
    if let Some((Literal::Text(_), rest)) = parse(text).ok()
        && let Some(rest) = end(rest)
    {
        return (None, rest);
    }
    let Code { after, unclosed, is_cut } = after_code(text, line);
    let hides_rest = is_cut && !next.trim().is_empty();
    let what = match unclosed.or(is_cut.then(|| NO_QUOTE.to_owned())) {
        Some(why) => What::Faulty { key: String::new(), text: shown, why, hides_rest },
        None => What::Code { text: shown },
    };
    (Some(what), after)
}

/// Why a string without an end is not read.
const NO_QUOTE: &str = "the closing quote is missing";

/// The key and what is assigned to it.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (key, rest) = text.split_at_checked(text.find(|c| !is_part(c))?)?;
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let is_name = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (is_name && !value.starts_with('=')).then_some((key, value))
}

/// The text after the end of a statement; `None` if the statement goes on. Another one may follow in
/// the same line.
fn end(rest: &str) -> Option<&str> {
    if let Some(next) = rest.trim_start_matches([' ', '\t']).strip_prefix(';') {
        return Some(next.trim_start_matches([' ', '\t']));
    }
    let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim_start_matches([' ', '\t', '\r']);
    (line.is_empty() || line.starts_with('#')).then_some(next)
}

/// Where code ends that is not read.
struct Code<'a> {
    /// The first later line that begins at the margin, and is not inside brackets or a string of
    /// several lines.
    after: &'a str,
    /// Which bracket is not closed, if one is not.
    unclosed: Option<String>,
    /// Whether the text ends inside a bracket or a string of several lines.
    is_cut: bool,
}

/// Finds the end of code; `line` is that of its beginning.
fn after_code(text: &str, line: usize) -> Code<'_> {
    let (mut rest, mut quote): (_, Option<&str>) = (text, None);
    let (mut open_brackets, mut unclosed) = (Vec::new(), None);
    let describe = |(bracket, at): (char, usize)| {
        let line = line + text.get(..at).unwrap_or_default().matches('\n').count();
        format!("the bracket {bracket} in line {line} is not closed")
    };
    loop {
        let Some(c) = rest.chars().next() else {
            let is_cut = !open_brackets.is_empty() || quote.is_some_and(|open| open.len() > 1);
            let why = unclosed.or(open_brackets.pop()).map(describe);
            let unclosed = why.map(|why| why + ", so what follows is not read");
            return Code { after: "", unclosed, is_cut };
        };
        let mut used = c.len_utf8();
        if let Some(open) = quote {
            if c == '\\' {
                used += rest.chars().nth(1).map_or(0, char::len_utf8);
            } else if rest.starts_with(open) {
                (used, quote) = (open.len(), None);
            } else if c == '\n' && open.len() == 1 {
                // The line break is looked at again.
                (used, quote) = (0, None);
            }
        } else {
            match c {
                '"' | '\'' => {
                    let triple = ["\"\"\"", "'''"].into_iter().find(|open| rest.starts_with(open));
                    quote = triple.or_else(|| rest.get(..1));
                    used = triple.map_or(1, str::len);
                }
                '(' | '[' | '{' => open_brackets.push((c, text.len() - rest.len())),
                ')' | ']' | '}' => {
                    let is_other = |(open, _): &(char, usize)| {
                        !matches!((open, c), ('(', ')') | ('[', ']') | ('{', '}'))
                    };
                    unclosed = unclosed.or(open_brackets.pop().filter(is_other));
                }
                '\\' => used += rest.chars().nth(1).map_or(0, char::len_utf8),
                '#' => used = rest.find('\n').unwrap_or(rest.len()),
                '\n' if open_brackets.is_empty() => {
                    let next = rest.get(1..).unwrap_or_default();
                    if !next.starts_with([' ', '\t', '\n', '#', ')', ']', '}']) {
                        let unclosed = unclosed.map(describe);
                        return Code { after: next, unclosed, is_cut: false };
                    }
                }
                _ => {}
            }
        }
        rest = rest.get(used..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Literal, Statement, What, statements};
    use proptest::prelude::*;

    fn set(line: usize, key: &str, value: Literal) -> Statement {
        Statement { line, what: What::Assignment { key: key.to_owned(), value } }
    }

    fn computed(line: usize, key: &str, text: &str) -> Statement {
        Statement { line, what: What::Computed { key: key.to_owned(), text: text.to_owned() } }
    }

    fn code(line: usize, text: &str) -> Statement {
        Statement { line, what: What::Code { text: text.to_owned() } }
    }

    #[test]
    fn assignments_are_read_and_the_rest_is_named_with_its_line() {
        let file = "\u{feff}\"\"\"The configuration\nof bucky.\"\"\"\r
# log
import os, re
log_level = \"INFO\"  # or DEBUG
collectd_types = [
    # two files
    '/a', \"/b\",
]
metricsd_handlers=[(r'a\\.b', 1.0, 2)]

@decorated
def memory(sample):
    \"\"\"
not at the margin
\"\"\"
    return [\"memory\",
sample['type']]

collectd_converters = {
    'memory': memory,
    'other': 'x',
}
graphite_port = 2000 + \\
3
if os.environ.get('X'):
    debug = True
else:
    debug = False
name_prefix = os.environ['NAME']
x.y = 1
a, b = 1, 2
a == 1
statsd_port = 8125";
        let two = Literal::List(vec![Literal::Text("/a".into()), Literal::Text("/b".into())]);
        let handler = Literal::List(vec![
            Literal::Text(r"a\.b".into()),
            Literal::Float(1.0),
            Literal::Integer(2),
        ]);
        assert_eq!(
            statements(file),
            [
                code(4, "import os, re"),
                set(5, "log_level", Literal::Text("INFO".into())),
                set(6, "collectd_types", two),
                set(10, "metricsd_handlers", Literal::List(vec![handler])),
                code(12, "@decorated"),
                code(13, "def memory(sample):"),
                computed(20, "collectd_converters", "collectd_converters = {"),
                computed(24, "graphite_port", "graphite_port = 2000 + \\"),
                code(26, "if os.environ.get('X'):"),
                code(28, "else:"),
                computed(30, "name_prefix", "name_prefix = os.environ['NAME']"),
                code(31, "x.y = 1"),
                code(32, "a, b = 1, 2"),
                code(33, "a == 1"),
                set(34, "statsd_port", Literal::Integer(8125)),
            ]
        );
    }

    #[test]
    fn a_file_that_is_cut_ends() {
        for file in
            ["a = [1,\n2", "a = \"\"\"x\ny", "def f():\n  x = (", "a = 'x\nb = 1", "a =", "a\\"]
        {
            assert!(!statements(file).is_empty(), "{file:?}");
        }
        assert_eq!(statements("a = 'x\nb = 1").len(), 2);
        assert_eq!(statements(""), []);
        assert_eq!(statements("# only\n\n   \n"), []);
    }

    #[test]
    fn statements_on_one_line_and_indented_ones_are_told_apart() {
        assert_eq!(
            statements("a = 1; b = 'x' ;c=[2] # ;\n d = 3\n  # e\nf = 4;"),
            [
                set(1, "a", Literal::Integer(1)),
                set(1, "b", Literal::Text("x".into())),
                set(1, "c", Literal::List(vec![Literal::Integer(2)])),
                Statement {
                    line: 2,
                    what: What::Faulty {
                        key: "d".into(),
                        text: "d = 3".into(),
                        why: "it is indented; begin it at the margin".into(),
                        hides_rest: false,
                    },
                },
                set(4, "f", Literal::Integer(4)),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z]|[=\\[\\](){}'\"\\\\#:,.\n -]|é)*") {
            let last = text.lines().count().max(1);
            for statement in statements(&text) {
                prop_assert!((1..=last).contains(&statement.line));
            }
        }
    }
}
