//! Parses the arguments into typed values, and collects all mistakes.
//!
//! Each argument is one row: its word, its syntax, and its parser. The attributes and the
//! function-like macros differ only in their rows.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::token::Paren;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::check;
use crate::hint;
use crate::known::{Known, Read};
use crate::scope::Scope;
use crate::tags::{self, Tag};

/// All arguments of a call site; `None` if an argument is not given.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) krate: Option<Path>,
    pub(crate) level: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) source: Option<Text>,
    pub(crate) value: Option<Expr>,
    pub(crate) on: Option<On>,
    /// Whether a gauge keeps every reading.
    pub(crate) each: bool,
    pub(crate) scope: Scope,
    pub(crate) tags: Vec<Tag>,
    /// The default name of the function, from the attribute on its block.
    pub(crate) called: Option<LitStr>,
    /// Whether only the call is measured, and not the returned future.
    pub(crate) call: Option<Span>,
}

impl Args {
    /// The single outcome that `on` counts, unless it counts all.
    pub(crate) fn one_outcome(&self) -> Option<&On> {
        self.on.as_ref().filter(|on| on.when != When::Always)
    }
}

/// A level, name, source or tag: a valid literal, a constant that the compiler checks when it
/// evaluates the call site, or a name that is evaluated when the call begins.
pub(crate) struct Text {
    pub(crate) expr: Expr,
    pub(crate) is_literal: bool,
    /// Only possible for names.
    pub(crate) is_run_time: bool,
}

impl Text {
    /// A text of the macro itself, which is valid.
    pub(crate) fn ours(text: &str) -> Self {
        Self::of_literal(&LitStr::new(text, Span::mixed_site()))
    }

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

/// Parses all arguments of an attribute, even if some of them are wrong.
pub(crate) fn attribute(input: ParseStream<'_>, known: &[Known], errors: &mut Vec<Error>) -> Args {
    let mut args = Args::default();
    let mut seen = Vec::new();
    while !input.is_empty() {
        let entry = if input.peek(Lit) {
            Err(hint::positional(input, known))
        } else {
            named(&mut args, &mut seen, input, known)
        };
        end_entry(entry, input, errors);
    }
    args
}

/// Whether `word =` comes next (not `word == …`), or `tags(` with such arguments or none.
pub(crate) fn is_named(input: ParseStream<'_>) -> bool {
    is_word_and_value(input) || tags::are_next(input)
}

/// Whether `word =` comes next, and not `word == …`.
pub(crate) fn is_word_and_value(input: ParseStream<'_>) -> bool {
    input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])
}

/// Parses one `word = …` or `word(…)`; each word is accepted once.
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
        return Err(hint::unknown(&word, known));
    };
    if seen.contains(&word) {
        return Err(Error::new(word.span(), format!("`{word}` is given twice; keep one")));
    }
    seen.push(word.clone());
    let usage = || Error::new(word.span(), format!("`{word}` is written `{}`", row.example));
    let ends = |input: ParseStream<'_>| input.is_empty() || input.peek(Token![,]);
    match row.read {
        Read::Value(_) if !input.peek(Token![=]) || input.peek(Token![==]) => Err(usage()),
        Read::Value(read) => {
            input.parse::<Token![=]>()?;
            if ends(input) { Err(usage()) } else { read(args, input) }
        }
        Read::List(read) | Read::WordOrList(read) if input.peek(Paren) => {
            let content;
            syn::parenthesized!(content in input);
            let read = read(args, word.span(), &content);
            // Tokens after a mistake are not reported as further mistakes.
            content.parse::<TokenStream>().and(read)
        }
        Read::WordOrList(read) if ends(input) => {
            let nothing = |input: ParseStream<'_>| read(args, word.span(), input);
            nothing.parse2(TokenStream::new())
        }
        Read::Word(read) if ends(input) => read(args, word.span()),
        Read::Word(_) => {
            let message = format!("`{word}` takes no value: write just `{word}`");
            Err(Error::new(word.span(), message))
        }
        Read::List(_) | Read::WordOrList(_) => Err(usage()),
    }
}

/// Parses the comma that ends an entry; after a mistake, skips everything before it.
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

/// The kind of a text.
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

/// Accepts a valid literal, or an expression that the compiler evaluates.
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
        let example = match (what, lit) {
            (What::TagValue, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)) => {
                lit.to_token_stream().to_string()
            }
            _ => what.example().to_owned(),
        };
        return Err(Error::new(
            lit.span(),
            format!("the {word} must be a text, such as `\"{example}\"`"),
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

/// Whether a path can be a constant: it does not depend on `Self`, and is not a variable.
fn is_constant(path: &Path) -> bool {
    let depends = path.segments.first().is_some_and(|first| first.ident == "Self");
    // A lone lower-case word is a variable.
    let variable =
        path.get_ident().is_some_and(|word| !word.unraw().to_string().contains(char::is_uppercase));
    !depends && !variable
}

/// The error for a path that is not a constant.
fn no_constant(what: What, path: &Path) -> Error {
    match path.get_ident() {
        // Reported here, because the compiler's error would be less clear.
        Some(variable) => run_time(what, variable.span(), &format!("`{variable}`")),
        None => {
            let message = format!(
                "all types share one call site, so its {} cannot depend on `Self`; name the \
                 constant by its type or module",
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

/// Accepts any expression except a literal that is not a number.
pub(crate) fn number(what: &str, expr: Expr) -> syn::Result<Expr> {
    let expr = bare(expr);
    match &expr {
        Expr::Lit(lit) if !matches!(lit.lit, Lit::Int(_) | Lit::Float(_)) => Err(Error::new(
            expr.span(),
            format!("the {what} must be a number, or an expression that gives one, such as `3`"),
        )),
        _ => Ok(expr),
    }
}

pub(crate) fn on(expr: &Expr) -> syn::Result<On> {
    let span = expr.span();
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else {
        let message = "`on` must be a text: write `on = \"ok\"`, `on = \"err\"` or `on = \
                       \"always\"`";
        return Err(Error::new(span, message));
    };
    let when = match text.value().as_str() {
        "always" => When::Always,
        "err" => When::Err,
        "ok" => When::Ok,
        other => {
            let message = format!("`on` must be \"ok\", \"err\" or \"always\", not {other:?}");
            return Err(Error::new(span, message));
        }
    };
    Ok(On { when, span })
}

pub(crate) fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    if input.peek(LitStr) {
        return Err(input.error("`crate` must be a path: write it without quotes"));
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
