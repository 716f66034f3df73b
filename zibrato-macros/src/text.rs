//! The values of arguments: texts that are checked here or by the compiler, and numbers.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::check;

/// A level, name, source, tag or unit: a literal that passed the check, a constant that the compiler
/// checks when it evaluates the call site, or a name that is made when the call begins.
pub(crate) struct Text {
    pub(crate) expr: Expr,
    pub(crate) is_literal: bool,
    /// Only a name can be.
    pub(crate) is_run_time: bool,
}

impl Text {
    /// A text of our own, which is known to be right.
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

/// Which text is meant.
#[derive(Clone, Copy)]
pub(crate) enum What {
    Level,
    Name,
    Source,
    Stream,
    Tag,
    TagValue,
    Unit,
}

impl What {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Name => "name",
            Self::Source => "source",
            Self::Stream => "stream",
            Self::Tag => "tag",
            Self::TagValue => "value of a tag",
            Self::Unit => "unit",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Level => "info",
            Self::Name => "db.query",
            Self::Source => "web-1",
            Self::Stream => "deploys",
            Self::Tag => "region",
            Self::TagValue => "eu",
            Self::Unit => "bytes",
        }
    }

    fn problem(self, text: &str) -> Option<&'static str> {
        match self {
            Self::Level => check::level_problem(text),
            Self::Unit => check::unit_problem(text),
            Self::Name | Self::Source | Self::Stream | Self::Tag | Self::TagValue => {
                check::name_problem(text)
            }
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
        let example = match (what, lit) {
            (What::TagValue, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)) => {
                lit.to_token_stream().to_string()
            }
            _ => what.example().to_owned(),
        };
        return Err(Error::new(
            lit.span(),
            format!("the {word} must be a string, such as `\"{example}\"`"),
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

/// Takes the title of an annotation: a format string.
pub(crate) fn title(expr: Expr) -> syn::Result<LitStr> {
    let expr = bare(expr);
    let Expr::Lit(ExprLit { lit: Lit::Str(title), .. }) = expr else {
        let message = "the title must be a literal, like that of `println!`; write the values of variables \
                       into it: `\"version {version} is live\"`";
        return Err(Error::new(expr.span(), message));
    };
    match title_problem(&title.value()) {
        Some(problem) => Err(Error::new(title.span(), format!("the title {problem}"))),
        None => Ok(title),
    }
}

/// The problem with the title of an annotation as a predicate, to follow "the title …".
fn title_problem(title: &str) -> Option<&'static str> {
    let is_break = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    if title.trim().is_empty() {
        Some("is empty")
    } else if title.contains(is_break) {
        Some("contains a control character or a line break; `description = ..` may have lines")
    } else if title.len() > check::MAX_NAME_BYTES && !title.contains('{') {
        Some("is too long (it may have 255 bytes); `description = ..` may have 4,096")
    } else {
        None
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
        Some(variable) => {
            let message = format!(
                "`{variable}` is not known at compile time: if it is the {word} itself, write it \
                 in quotes: `\"{variable}\"`; otherwise {OTHERWISE}; {word}s {HANDLE}",
                word = what.word()
            );
            Error::new(variable.span(), message)
        }
        None => {
            let message = format!(
                "a call site is shared by all types, so its {} cannot depend on `Self`; \
                 write the name of the type or module instead",
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

const OTHERWISE: &str = "write a literal, a constant in capitals or `concat!(..)`";

const HANDLE: &str = "known at run time go through a handle (`zibrato::installed()`)";

fn run_time(what: What, span: Span, subject: &str) -> Error {
    let message =
        format!("{subject} is not known at compile time: {OTHERWISE}; {}s {HANDLE}", what.word());
    Error::new(span, message)
}

/// Takes any expression but a literal that is no number.
pub(crate) fn number(what: &str, expr: Expr) -> syn::Result<Expr> {
    let expr = bare(expr);
    match &expr {
        Expr::Lit(lit) if !matches!(lit.lit, Lit::Int(_) | Lit::Float(_)) => Err(Error::new(
            expr.span(),
            format!("the {what} must be a number or an expression, such as `3`"),
        )),
        _ => Ok(expr),
    }
}

/// Looks through the invisible group that a `macro_rules!` fragment comes in.
pub(crate) fn bare(mut expr: Expr) -> Expr {
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    expr
}

/// Whether `word =` comes next, and not `word == …`.
pub(crate) fn is_word_and_value(input: ParseStream<'_>) -> bool {
    input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])
}
