//! `tags(..)`, as typed values.

use proc_macro2::{Punct, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::token::Paren;
use syn::{Error, Expr, ExprClosure, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::text::{self, Text, What};

/// Maximum number of tags.
const MAX_TAGS: usize = 50;

/// Maximum number of tags whose values are known only at the call.
const MAX_CHOSEN: usize = 8;

/// How `tags` is written.
pub(crate) const EXAMPLE: &str = r#"tags(region = "eu")"#;

/// A tag and its value.
pub(crate) struct Tag {
    pub(crate) key: LitStr,
    pub(crate) value: Value,
}

/// The value of a tag.
pub(crate) enum Value {
    Fixed(Text),
    /// An expression, evaluated when the call begins.
    Chosen(Expr),
    /// A closure, called with a reference to the result.
    Late(ExprClosure),
}

impl Tag {
    /// Its value, if that is fixed.
    pub(crate) const fn fixed(&self) -> Option<&Text> {
        match &self.value {
            Value::Fixed(text) => Some(text),
            Value::Chosen(_) | Value::Late(_) => None,
        }
    }

    /// Its value, if that is evaluated when the call begins.
    pub(crate) const fn chosen(&self) -> Option<&Expr> {
        match &self.value {
            Value::Chosen(expr) => Some(expr),
            Value::Fixed(_) | Value::Late(_) => None,
        }
    }

    /// Its value, if that depends on the result.
    pub(crate) const fn late(&self) -> Option<&ExprClosure> {
        match &self.value {
            Value::Late(closure) => Some(closure),
            Value::Fixed(_) | Value::Chosen(_) => None,
        }
    }
}

/// Whether `tags(` comes next, with a tag or nothing in it, or `tag(` with a tag: not a call of the
/// user's.
pub(crate) fn are_next(input: ParseStream<'_>) -> bool {
    let is_tags = |input: ParseStream<'_>| -> syn::Result<bool> {
        let ahead = input.fork();
        let word = ahead.call(Ident::parse_any)?;
        let content;
        syn::parenthesized!(content in ahead);
        let text = content.peek(LitStr) && content.peek2(Token![=]) && !content.peek2(Token![==]);
        let has_tag =
            text || text::is_word_and_value(&content) || several_words(&content).is_some();
        Ok(match &*word.to_string() {
            "tags" => has_tag || content.is_empty(),
            "tag" => has_tag,
            _ => false,
        })
    };
    input.peek(Ident) && input.peek2(Paren) && is_tags(input).unwrap_or(false)
}

pub(crate) fn read(span: Span, input: ParseStream<'_>) -> syn::Result<Vec<Tag>> {
    let mut tags: Vec<Tag> = Vec::new();
    if input.is_empty() {
        return Err(Error::new(span, format!("`tags` is written `{EXAMPLE}`")));
    }
    while !input.is_empty() {
        let tag = tag(input)?;
        if tags.iter().any(|other| other.key.value() == tag.key.value()) {
            let message = format!("the tag `{}` is given twice; keep one", tag.key.value());
            return Err(Error::new(tag.key.span(), message));
        }
        tags.push(tag);
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            return Err(input.error("expected `,` between the tags"));
        }
    }
    if tags.len() > MAX_TAGS {
        let message = format!("a call site has at most {MAX_TAGS} tags");
        return Err(Error::new(span, message));
    }
    if let Some(tag) = tags.iter().filter(|tag| tag.fixed().is_none()).nth(MAX_CHOSEN) {
        let message = format!(
            "at most {MAX_CHOSEN} tags of a call site may have values that are known only at run time"
        );
        return Err(Error::new(tag.key.span(), message));
    }
    Ok(tags)
}

/// The words before `=` that come next, such as `http.status`, if there are several.
fn several_words(input: ParseStream<'_>) -> Option<String> {
    let is_separator = |c: char| matches!(c, '.' | '-' | ':' | '/');
    let ahead = input.fork();
    let mut words = ahead.call(Ident::parse_any).ok()?.unraw().to_string();
    while !ahead.peek(Token![=]) || ahead.peek(Token![==]) {
        let separator = ahead.parse::<Punct>().ok()?.as_char();
        if !is_separator(separator) {
            return None;
        }
        words.push(separator);
        if let Ok(word) = ahead.call(Ident::parse_any) {
            words.push_str(&word.unraw().to_string());
        }
    }
    // `word -=` is none.
    (words.contains(is_separator) && !words.ends_with(is_separator)).then_some(words)
}

fn tag(input: ParseStream<'_>) -> syn::Result<Tag> {
    if let Some(words) = several_words(input) {
        let message =
            format!("the name of a tag is one word, or a text in quotes: write `\"{words}\" = ..`");
        return Err(input.error(message));
    }
    let is_quoted = input.peek(Lit);
    let key = if is_quoted {
        let key: Lit = input.parse()?;
        text::literal(What::Tag, &key)?;
        LitStr::new(&literal_text(&key), key.span())
    } else if input.peek(Ident::peek_any) {
        let word = input.call(Ident::parse_any)?;
        LitStr::new(&word.unraw().to_string(), word.span())
    } else {
        return Err(input.error("expected a tag and its value, such as `region = \"eu\"`"));
    };
    let usage = || {
        let message = format!("a tag needs a value, such as `{} = \"eu\"`", key.value());
        Error::new(key.span(), message)
    };
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Err(usage());
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(usage());
    }
    let expr = text::bare(input.parse()?);
    if !is_quoted && is_argument(&key.value(), &expr) {
        let word = key.value();
        let message = format!(
            "`{word}` is an argument of its own: write it after the parentheses of `tags(..)`; for a tag \
             of this name, write `\"{word}\" = ..`"
        );
        return Err(Error::new(key.span(), message));
    }
    let value = match &expr {
        // What depends on `Self` is not the same for all calls of the site.
        Expr::Path(path) if !is_in_capitals(&path.path) || depends_on_self(&path.path) => {
            Value::Chosen(expr)
        }
        Expr::Lit(ExprLit { lit, .. }) if displayed(lit).is_some() => {
            let text = LitStr::new(&displayed(lit).unwrap_or_default(), lit.span());
            Value::Fixed(text::text(What::TagValue, literal_expr(text))?)
        }
        Expr::Lit(_) | Expr::Path(_) => Value::Fixed(text::text(What::TagValue, expr)?),
        Expr::Macro(call) if text::is_constant_macro(&call.mac.path) => {
            Value::Fixed(text::text(What::TagValue, expr)?)
        }
        Expr::Closure(closure) if closure.inputs.len() != 1 => {
            let message = format!(
                "a closure as the value of a tag takes the result: write `{} = |r| ..`, where `r` is a \
                 reference to what the function returns",
                key.value()
            );
            return Err(Error::new_spanned(expr, message));
        }
        Expr::Closure(closure) => Value::Late(closure.clone()),
        _ => Value::Chosen(expr),
    };
    Ok(Tag { key, value })
}

/// Whether it is an argument of a macro, and not a tag, most probably.
fn is_argument(word: &str, value: &Expr) -> bool {
    let Expr::Lit(ExprLit { lit, .. }) = value else { return false };
    matches!((word, lit), ("each", Lit::Bool(_)) | ("max_series", Lit::Int(_)))
}

fn literal_text(lit: &Lit) -> String {
    match lit {
        Lit::Str(text) => text.value(),
        _ => String::new(),
    }
}

/// What a number, a `bool` or a character displays.
fn displayed(lit: &Lit) -> Option<String> {
    match lit {
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Bool(value) => Some(value.value.to_string()),
        Lit::Char(letter) => Some(letter.value().to_string()),
        _ => None,
    }
}

fn literal_expr(text: LitStr) -> Expr {
    Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Str(text) })
}

fn depends_on_self(path: &Path) -> bool {
    path.segments.first().is_some_and(|first| first.ident == "Self")
}

/// Whether it is written like a constant, and not like a variable or a variant.
fn is_in_capitals(path: &Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| !last.ident.to_string().contains(char::is_lowercase))
}
