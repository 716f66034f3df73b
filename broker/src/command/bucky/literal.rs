//! Python literals: numbers, strings, `True`, `False`, `None`, lists, tuples and dicts.

/// The deepest nesting of lists, tuples and dicts.
const MAX_DEPTH: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A list or a tuple.
    List(Vec<Self>),
    Dict(Vec<(Self, Self)>),
}

/// The text is not a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotLiteral {
    /// A string has no end, which is an error in Python too.
    NoQuote,
    /// It is something else.
    Other,
}

type Parsed<T> = Result<T, NotLiteral>;

/// Reads a literal at the start of a text, and returns it with the rest of the text.
pub(super) fn parse(text: &str) -> Parsed<(Literal, &str)> {
    let mut parser = Parser { rest: text, brackets: 0 };
    let literal = parser.value()?;
    Ok((literal, parser.rest))
}

struct Parser<'a> {
    rest: &'a str,
    /// The number of open brackets. Inside them line breaks are blanks.
    brackets: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Parsed<Literal> {
        self.skip_blanks();
        match self.rest.chars().next().ok_or(NotLiteral::Other)? {
            '[' => Ok(Literal::List(self.items(']')?.0)),
            '(' => match self.items(')')? {
                // Parentheses around one value are not a tuple.
                (mut one, false) if one.len() == 1 => one.pop().ok_or(NotLiteral::Other),
                (items, _) => Ok(Literal::List(items)),
            },
            '{' => self.dict(),
            '+' | '-' | '.' | '0'..='9' => self.number(),
            _ => self.word_or_text(),
        }
    }

    /// The items up to the closing bracket, and whether there was a comma.
    fn items(&mut self, close: char) -> Parsed<(Vec<Literal>, bool)> {
        self.open()?;
        let (mut items, mut has_comma) = (Vec::new(), false);
        while !self.closes(close)? {
            items.push(self.value()?);
            self.skip_blanks();
            if self.takes(',') {
                has_comma = true;
            } else if !self.rest.starts_with(close) {
                return Err(NotLiteral::Other);
            }
        }
        Ok((items, has_comma))
    }

    fn dict(&mut self) -> Parsed<Literal> {
        self.open()?;
        let mut entries = Vec::new();
        while !self.closes('}')? {
            let key = self.value()?;
            self.skip_blanks();
            if !self.takes(':') {
                return Err(NotLiteral::Other);
            }
            entries.push((key, self.value()?));
            self.skip_blanks();
            if !self.takes(',') && !self.rest.starts_with('}') {
                return Err(NotLiteral::Other);
            }
        }
        Ok(Literal::Dict(entries))
    }

    fn open(&mut self) -> Parsed<()> {
        self.skip(1);
        self.brackets += 1;
        if self.brackets > MAX_DEPTH { Err(NotLiteral::Other) } else { Ok(()) }
    }

    fn closes(&mut self, close: char) -> Parsed<bool> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return Err(NotLiteral::Other);
        }
        let closes = self.takes(close);
        self.brackets -= usize::from(closes);
        Ok(closes)
    }

    fn number(&mut self) -> Parsed<Literal> {
        let is_negative = self.rest.starts_with('-');
        if self.rest.starts_with(['+', '-']) {
            self.skip(1);
            self.skip_blanks();
        }
        let mut end = 0;
        for (at, c) in self.rest.char_indices() {
            // The sign of an exponent belongs to the number.
            let is_exponent = self.rest.get(..at).is_some_and(|b| b.ends_with(['e', 'E']));
            let is_hex = self.rest.starts_with("0x") || self.rest.starts_with("0X");
            if !(c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_')
                || (matches!(c, '+' | '-') && is_exponent && !is_hex))
            {
                break;
            }
            end = at + 1;
        }
        let (digits, rest) = self.rest.split_at_checked(end).ok_or(NotLiteral::Other)?;
        self.rest = rest;
        let digits = digits.replace('_', "").to_ascii_lowercase();
        // Python 2 writes long integers with an L.
        let whole = digits.trim_end_matches('l');
        let radix = |prefix, radix| {
            whole.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok())
        };
        let integer = whole.parse().ok().or_else(|| radix("0x", 16));
        if let Some(integer) = integer.or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)) {
            return Ok(Literal::Integer(if is_negative { -integer } else { integer }));
        }
        let has_digit = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let number: f64 = digits.parse().map_err(|_| NotLiteral::Other)?;
        if !has_digit || !number.is_finite() {
            return Err(NotLiteral::Other);
        }
        Ok(Literal::Float(if is_negative { -number } else { number }))
    }

    fn word_or_text(&mut self) -> Parsed<Literal> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let (word, rest) =
            self.rest.split_at_checked(end.unwrap_or(self.rest.len())).ok_or(NotLiteral::Other)?;
        let prefix = word.to_ascii_lowercase();
        if rest.starts_with(['"', '\''])
            && matches!(&*prefix, "" | "b" | "r" | "u" | "br" | "rb" | "ur")
        {
            return self.texts();
        }
        let literal = match word {
            "None" => Literal::None,
            "True" => Literal::Bool(true),
            "False" => Literal::Bool(false),
            _ => return Err(NotLiteral::Other),
        };
        self.rest = rest;
        Ok(literal)
    }

    /// Strings that follow each other are one.
    fn texts(&mut self) -> Parsed<Literal> {
        let mut whole = String::new();
        loop {
            let quote = self.rest.find(['"', '\'']).ok_or(NotLiteral::Other)?;
            let (prefix, rest) = self.rest.split_at_checked(quote).ok_or(NotLiteral::Other)?;
            let is_raw = prefix.contains(['r', 'R']);
            self.rest = rest;
            self.text(is_raw, &mut whole)?;
            let before = self.rest;
            self.skip_blanks();
            let next = self.rest.trim_start_matches(['b', 'B', 'r', 'R', 'u', 'U']);
            if !next.starts_with(['"', '\'']) || self.rest.len() - next.len() > 2 {
                self.rest = before;
                return Ok(Literal::Text(whole));
            }
        }
    }

    /// Reads one string, which begins with its quote, and appends it.
    fn text(&mut self, is_raw: bool, into: &mut String) -> Parsed<()> {
        let triple = ["\"\"\"", "'''"].into_iter().find(|quote| self.rest.starts_with(quote));
        let quote = triple.or_else(|| self.rest.get(..1)).ok_or(NotLiteral::Other)?;
        self.skip(quote.len());
        loop {
            if self.rest.starts_with(quote) {
                self.skip(quote.len());
                return Ok(());
            }
            let c = self.next().ok_or(NotLiteral::NoQuote)?;
            match c {
                '\\' if is_raw => {
                    into.push('\\');
                    into.push(self.next().ok_or(NotLiteral::NoQuote)?);
                }
                '\\' => self.escape(into)?,
                '\n' if triple.is_none() => return Err(NotLiteral::NoQuote),
                c => into.push(c),
            }
        }
    }

    fn escape(&mut self, into: &mut String) -> Parsed<()> {
        let c = self.next().ok_or(NotLiteral::Other)?;
        let escaped = match c {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => c,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            'a' | 'b' | 'f' | 'v' | 'N' | '0'..='7' => return Err(NotLiteral::Other),
            // Python keeps the backslash before any other character.
            c => {
                into.push('\\');
                c
            }
        };
        into.push(escaped);
        Ok(())
    }

    fn code(&mut self, digits: usize) -> Parsed<char> {
        let (code, rest) = self.rest.split_at_checked(digits).ok_or(NotLiteral::Other)?;
        self.rest = rest;
        let code = u32::from_str_radix(code, 16).map_err(|_| NotLiteral::Other)?;
        char::from_u32(code).ok_or(NotLiteral::Other)
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn takes(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Skips blanks; inside brackets line breaks and comments too.
    fn skip_blanks(&mut self) {
        loop {
            let before = self.rest;
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\u{c}']);
            if let Some(rest) = self.rest.strip_prefix("\\\n") {
                self.rest = rest;
            }
            if self.brackets > 0 {
                self.rest = self.rest.trim_start_matches('\n');
                if self.rest.starts_with('#') {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.skip(end);
                }
            }
            if self.rest == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Literal, parse};

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn numbers_are_read() {
        for (given, expected) in [
            ("0", Literal::Integer(0)),
            ("8125", Literal::Integer(8125)),
            ("-3", Literal::Integer(-3)),
            ("+3", Literal::Integer(3)),
            ("1_000", Literal::Integer(1_000)),
            ("12L", Literal::Integer(12)),
            ("0x1F", Literal::Integer(31)),
            ("0o17", Literal::Integer(15)),
            ("0b11", Literal::Integer(3)),
            ("10.0", Literal::Float(10.0)),
            (".5", Literal::Float(0.5)),
            ("5.", Literal::Float(5.0)),
            ("-1.5e-3", Literal::Float(-0.0015)),
            ("1E3", Literal::Float(1000.0)),
        ] {
            assert_eq!(parse(given), Ok((expected, "")), "{given}");
        }
        for bad in
            ["1x", "1e", "-", "-x", "1.2.3", "0x", "--1", "inf", "nan", "1e999", "e5", "+inf"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strings_are_read() {
        for (given, expected) in [
            (r#""a b""#, "a b"),
            ("'a\"b'", "a\"b"),
            (r"'it\'s'", "it's"),
            (r"'a\nb\\c\x41\u00e9\U0001f600\d'", "a\nb\\cAé😀\\d"),
            (r"r'a\.b\'c'", r"a\.b\'c"),
            (r"u'é'", "é"),
            (r"b'x'", "x"),
            (r"ur'\w'", r"\w"),
            ("\"\"\"a\n'\"b\"\"\"", "a\n'\"b"),
            ("''", ""),
            ("'a\\\nb'", "ab"),
            ("'a' 'b' r'\\c'", "ab\\c"),
        ] {
            assert_eq!(parse(given), Ok((text(expected), "")), "{given}");
        }
        for bad in ["'a", "'a\nb'", "\"\"\"a", "'\\x4'", "'\\ud800'", "f'{x}'", "x'a'", "'\\"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_tuples_and_dicts_are_read() {
        let one = || Literal::Integer(1);
        for (given, expected) in [
            ("[]", Literal::List(vec![])),
            ("()", Literal::List(vec![])),
            ("(1)", one()),
            ("(1,)", Literal::List(vec![one()])),
            (
                "[1, 'a', None, True, False,]",
                Literal::List(vec![
                    one(),
                    text("a"),
                    Literal::None,
                    Literal::Bool(true),
                    Literal::Bool(false),
                ]),
            ),
            (
                "[ # one\n  1, # two\n\n  (1, 1),\n]",
                Literal::List(vec![one(), Literal::List(vec![one(), one()])]),
            ),
            ("{}", Literal::Dict(vec![])),
            (
                "{'a': [1], 1: {}}",
                Literal::Dict(vec![
                    (text("a"), Literal::List(vec![one()])),
                    (one(), Literal::Dict(vec![])),
                ]),
            ),
            ("('a'\n 'b')", text("ab")),
        ] {
            assert_eq!(parse(given), Ok((expected, "")), "{given}");
        }
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        let very_deep = "[".repeat(1_000_000);
        for bad in
            ["[1 2]", "[1", "{1}", "{1: 2", "{'a' 1}", "[x]", "[1,,]", "(,)", "", &deep, &very_deep]
        {
            assert!(parse(bad).is_err(), "{:?}", bad.get(..20));
        }
    }

    #[test]
    fn what_follows_is_returned() {
        assert_eq!(parse("None  # why"), Ok((Literal::None, "  # why")));
        assert_eq!(parse("60 * 5"), Ok((Literal::Integer(60), " * 5")));
        assert_eq!(parse("'a'\nb = 1"), Ok((text("a"), "\nb = 1")));
        assert_eq!(parse("'a' +'b'"), Ok((text("a"), " +'b'")));
        assert!(parse("none").is_err() && parse("Nonesuch").is_err());
    }
}
