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

use crate::tags::{self, TAGS, Tag};
use crate::text::bare;
pub(crate) use crate::text::{Text, What, text};

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
