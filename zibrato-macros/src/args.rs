//! What stands between the parentheses, as typed values, with every mistake found on the way.
//!
//! Each argument is one row: its word, how it is written, and how it is read. The attributes and
//! the function-like macros differ only in the rows they know.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::token::Paren;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::check;
use crate::tags::{self, TAGS, Tag};

/// Everything that can be said about a call site; what was not said is `None`.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) krate: Option<Path>,
    pub(crate) level: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) source: Option<Text>,
    pub(crate) value: Option<Expr>,
    pub(crate) on: Option<On>,
    pub(crate) tags: Vec<Tag>,
    /// What the function is called where it has no name: an attribute on its block says so.
    pub(crate) called: Option<LitStr>,
}

/// A level, name, source or tag: a literal that passed the check, a constant that the compiler
/// checks when it evaluates the call site, or a name that is made when the call begins.
pub(crate) struct Text {
    pub(crate) expr: Expr,
    pub(crate) is_literal: bool,
    /// Only a name can be.
    pub(crate) is_run_time: bool,
}

impl Text {
    pub(crate) fn of_literal(text: &LitStr) -> Self {
        let expr = Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Str(text.clone()) });
        Self { expr, is_literal: true, is_run_time: false }
    }

    /// The text itself, if it is a literal.
    pub(crate) const fn literal(&self) -> Option<&LitStr> {
        match &self.expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
            _ => None,
        }
    }
}

/// When a counted function counts.
pub(crate) struct On {
    pub(crate) when: When,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum When {
    Always,
    Err,
    Ok,
}

/// One argument that a macro knows.
pub(crate) struct Known {
    pub(crate) word: &'static str,
    pub(crate) example: &'static str,
    pub(crate) read: Read,
}

/// How an argument is written, and what it does.
pub(crate) enum Read {
    /// `word = …`
    Value(fn(&mut Args, ParseStream<'_>) -> syn::Result<()>),
    /// `word`
    Word(fn(&mut Args, Span) -> syn::Result<()>),
    /// `word(…)`
    List(fn(&mut Args, Span, ParseStream<'_>) -> syn::Result<()>),
}

const CRATE: Known = Known {
    word: "crate",
    example: "crate = path::to::zibrato",
    read: Read::Value(|args, input| {
        args.krate = Some(path(input)?);
        Ok(())
    }),
};
/// Not for users: an attribute on a block says it to those in it.
const CALLED: Known = Known {
    word: "__called",
    example: "__called = \"Type.method\"",
    read: Read::Value(|args, input| {
        args.called = Some(input.parse()?);
        Ok(())
    }),
};
const SKIP: Known = Known {
    word: "skip",
    example: "skip",
    read: Read::Word(|_, span| {
        let message = "`skip` leaves a function out of an `impl`, `trait` or `mod` that has this \
                       attribute, and here none has; remove it";
        Err(Error::new(span, message))
    }),
};
const LEVEL: Known = Known {
    word: "level",
    example: r#"level = "info""#,
    read: Read::Value(|args, input| {
        args.level = Some(text(What::Level, input.parse()?)?);
        Ok(())
    }),
};
const NAME: Known = Known {
    word: "name",
    example: r#"name = "db.query""#,
    read: Read::Value(|args, input| {
        args.name = Some(text(What::Name, input.parse()?)?);
        Ok(())
    }),
};
const ON: Known = Known {
    word: "on",
    example: r#"on = "err""#,
    read: Read::Value(|args, input| {
        args.on = Some(on(&input.parse()?)?);
        Ok(())
    }),
};
const SOURCE: Known = Known {
    word: "source",
    example: r#"source = "web-1""#,
    read: Read::Value(|args, input| {
        args.source = Some(text(What::Source, input.parse()?)?);
        Ok(())
    }),
};
const VALUE: Known = Known {
    word: "value",
    example: "value = 3",
    read: Read::Value(|args, input| {
        args.value = Some(number("value", input.parse()?)?);
        Ok(())
    }),
};

/// What `#[count_me]` knows.
pub(crate) const COUNT_ME: &[Known] = &[LEVEL, NAME, VALUE, SOURCE, TAGS, ON, CRATE, SKIP, CALLED];
/// What `#[time_me]` knows.
pub(crate) const TIME_ME: &[Known] = &[LEVEL, NAME, SOURCE, TAGS, CRATE, SKIP, CALLED];
/// What may follow the positional arguments of `count!`, `gauge!` and `time!`.
pub(crate) const CALL: &[Known] = &[SOURCE, TAGS, CRATE];

/// Reads the arguments of an attribute to the end, whatever is wrong with some of them.
pub(crate) fn attribute(input: ParseStream<'_>, known: &[Known], errors: &mut Vec<Error>) -> Args {
    let mut args = Args::default();
    let mut seen = Vec::new();
    while !input.is_empty() {
        let entry = if input.peek(Lit) {
            Err(positional(input, known))
        } else {
            named(&mut args, &mut seen, input, known)
        };
        end_entry(entry, input, errors);
    }
    args
}

/// Whether `word =` comes next, and not `word == …`, or `tags(` with such or nothing in it.
pub(crate) fn is_named(input: ParseStream<'_>) -> bool {
    is_word_and_value(input) || tags::are_next(input)
}

/// Whether `word =` comes next, and not `word == …`.
pub(crate) fn is_word_and_value(input: ParseStream<'_>) -> bool {
    input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])
}

/// Reads one `word = …` or `word(…)`; a word is taken once, whichever it is.
pub(crate) fn named(
    args: &mut Args,
    seen: &mut Vec<Ident>,
    input: ParseStream<'_>,
    known: &[Known],
) -> syn::Result<()> {
    let Ok(word) = input.call(Ident::parse_any) else {
        return Err(input.error(format!("expected an argument such as `{}`", known[0].example)));
    };
    let Some(row) = known.iter().find(|row| word == row.word) else {
        return Err(unknown(&word, known));
    };
    if seen.contains(&word) {
        return Err(Error::new(word.span(), format!("`{word}` is given twice; keep one")));
    }
    let usage = || Error::new(word.span(), format!("`{word}` is written `{}`", row.example));
    seen.push(word.clone());
    match row.read {
        Read::Value(read) => {
            if !input.peek(Token![=]) || input.peek(Token![==]) {
                return Err(usage());
            }
            input.parse::<Token![=]>()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(usage());
            }
            read(args, input)
        }
        Read::Word(read) => read(args, word.span()),
        Read::List(read) => {
            if !input.peek(Paren) {
                return Err(usage());
            }
            let content;
            syn::parenthesized!(content in input);
            let read = read(args, word.span(), &content);
            // After a mistake, what it left behind is not another one.
            content.parse::<TokenStream>()?;
            read
        }
    }
}

/// Takes the comma that ends an entry; after a mistake, whatever stands before it too.
pub(crate) fn end_entry(entry: syn::Result<()>, input: ParseStream<'_>, errors: &mut Vec<Error>) {
    match entry {
        Err(error) => errors.push(error),
        Ok(()) if input.is_empty() || input.peek(Token![,]) => {}
        Ok(()) => errors.push(input.error("expected `,` between the arguments")),
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
    if let Err(error) = input.parse::<Option<Token![,]>>() {
        errors.push(error);
    }
}

fn positional(input: ParseStream<'_>, known: &[Known]) -> Error {
    let Ok(lit) = input.parse::<Lit>() else { return input.error("expected an argument") };
    let takes_value = known.iter().any(|row| row.word == VALUE.word);
    let instead = match &lit {
        // Levels are words, names are dotted: a guess, and only for a message.
        Lit::Str(text) if text.value().contains('.') => format!("name = {}", text.token()),
        Lit::Str(text) => format!("level = {}", text.token()),
        Lit::Int(_) | Lit::Float(_) if takes_value => format!("value = {}", lit.to_token_stream()),
        _ => known[0].example.to_owned(),
    };
    Error::new(lit.span(), format!("the arguments have names: write `{instead}`"))
}

fn unknown(word: &Ident, known: &[Known]) -> Error {
    let typed = word.to_string();
    let known = || known.iter().filter(|row| ![CALLED.word, SKIP.word].contains(&row.word));
    let near = known().min_by_key(|row| distance(&typed, row.word));
    let hint = match near {
        Some(row) if distance(&typed, row.word) <= row.word.len() / 2 => {
            format!("did you mean `{}`?", row.word)
        }
        _ => {
            let words: Vec<_> = known().map(|row| format!("`{}`", row.word)).collect();
            format!("expected one of {}", words.join(", "))
        }
    };
    Error::new(word.span(), format!("unknown argument `{typed}`; {hint}"))
}

/// How many letters have to be put in, taken out or replaced to make one word of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// Which text is meant.
#[derive(Clone, Copy)]
pub(crate) enum What {
    Level,
    Name,
    Source,
    Tag,
    TagValue,
}

impl What {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Name => "name",
            Self::Source => "source",
            Self::Tag => "tag",
            Self::TagValue => "value of a tag",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Level => "info",
            Self::Name => "db.query",
            Self::Source => "web-1",
            Self::Tag => "region",
            Self::TagValue => "eu",
        }
    }

    fn problem(self, text: &str) -> Option<&'static str> {
        match self {
            Self::Level => check::level_problem(text),
            Self::Name | Self::Source | Self::Tag | Self::TagValue => check::name_problem(text),
        }
    }
}

/// Takes a literal that passes the check, or something that the compiler evaluates.
pub(crate) fn text(what: What, expr: Expr) -> syn::Result<Text> {
    let expr = bare(expr);
    let (mut is_literal, mut is_run_time) = (false, false);
    match &expr {
        Expr::Lit(lit) => {
            literal(what, &lit.lit)?;
            is_literal = true;
        }
        Expr::Path(path) if is_constant(&path.path) => {}
        Expr::Macro(call) if is_constant_macro(&call.mac.path) => {}
        _ if matches!(what, What::Name) => is_run_time = true,
        Expr::Path(path) => return Err(no_constant(what, &path.path)),
        _ => return Err(run_time(what, expr.span(), &format!("this {}", what.word()))),
    }
    Ok(Text { expr, is_literal, is_run_time })
}

pub(crate) fn literal(what: What, lit: &Lit) -> syn::Result<()> {
    let word = what.word();
    let Lit::Str(text) = lit else {
        let example = what.example();
        return Err(Error::new(
            lit.span(),
            format!("the {word} is a text: write it as in `\"{example}\"`"),
        ));
    };
    if !text.suffix().is_empty() {
        return Err(Error::new(lit.span(), format!("the {word} has a suffix; remove it")));
    }
    match what.problem(&text.value()) {
        Some(problem) => Err(Error::new(lit.span(), format!("the {word} {problem}"))),
        None => Ok(()),
    }
}

/// Whether a path can be one of a constant: it does not depend on `Self`, and is no variable.
fn is_constant(path: &Path) -> bool {
    let depends = path.segments.first().is_some_and(|first| first.ident == "Self");
    // A lone lower-case word is a variable.
    let variable =
        path.get_ident().is_some_and(|word| !word.unraw().to_string().contains(char::is_uppercase));
    !depends && !variable
}

/// Why the path is none.
fn no_constant(what: What, path: &Path) -> Error {
    match path.get_ident() {
        // Say so before the compiler says something vaguer.
        Some(variable) => run_time(what, variable.span(), &format!("`{variable}`")),
        None => {
            let message = format!(
                "a call site is one for all types, so its {} cannot depend on `Self`; \
                 name the constant by its type or module",
                what.word()
            );
            Error::new(path.span(), message)
        }
    }
}

pub(crate) fn is_constant_macro(path: &Path) -> bool {
    const NAMES: [&str; 6] = ["concat", "env", "file", "include_str", "module_path", "stringify"];
    path.segments.last().is_some_and(|last| NAMES.iter().any(|name| last.ident == name))
}

fn run_time(what: What, span: Span, subject: &str) -> Error {
    let message = format!(
        "{subject} is not known at compile time: write a literal, a constant in capitals or \
         `concat!(..)`; {}s known at run time go through a handle (`zibrato::installed()`)",
        what.word()
    );
    Error::new(span, message)
}

/// Takes any expression but a literal that is no number.
pub(crate) fn number(what: &str, expr: Expr) -> syn::Result<Expr> {
    let expr = bare(expr);
    match &expr {
        Expr::Lit(lit) if !matches!(lit.lit, Lit::Int(_) | Lit::Float(_)) => Err(Error::new(
            expr.span(),
            format!("the {what} is a number, or an expression that gives one: write it as in `3`"),
        )),
        _ => Ok(expr),
    }
}

fn on(expr: &Expr) -> syn::Result<On> {
    let span = expr.span();
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else {
        let message = "`on` is a text: write `on = \"ok\"`, `on = \"err\"` or `on = \"always\"`";
        return Err(Error::new(span, message));
    };
    let when = match text.value().as_str() {
        "always" => When::Always,
        "err" => When::Err,
        "ok" => When::Ok,
        other => {
            let message = format!("`on` is \"ok\", \"err\" or \"always\", not {other:?}");
            return Err(Error::new(span, message));
        }
    };
    Ok(On { when, span })
}

fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    if input.peek(LitStr) {
        return Err(input.error("`crate` is a path: write it without quotes"));
    }
    input.call(Path::parse_mod_style)
}

/// Looks through the invisible group that a `macro_rules!` fragment comes in.
pub(crate) fn bare(mut expr: Expr) -> Expr {
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    expr
}
