//! `tags(..)`: fixed tags become part of the metadata, the others select a site of a family.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::token::Paren;
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Token};

use crate::args::{self, Text, What};
use crate::expand::{ends, here, hidden, private, private_at};
use crate::known::{Known, Read};
use crate::place::Place;

/// Maximum number of tags.
const MAX_TAGS: usize = 50;

/// Maximum number of tags whose values are known only at the call.
const MAX_CHOSEN: usize = 4;

/// What `tags` is, as one of the arguments.
pub(crate) const TAGS: Known = Known {
    word: "tags",
    example: r#"tags(region = "eu")"#,
    read: Read::List(|args, span, input| {
        args.tags = read(span, input)?;
        Ok(())
    }),
};

/// A tag and its value.
pub(crate) struct Tag {
    pub(crate) key: LitStr,
    value: Value,
}

enum Value {
    Fixed(Text),
    /// An expression of a type with few values.
    Chosen(Expr),
}

impl Tag {
    /// Its value, if that is fixed.
    pub(crate) const fn fixed(&self) -> Option<&Text> {
        match &self.value {
            Value::Fixed(text) => Some(text),
            Value::Chosen(_) => None,
        }
    }
}

/// Whether `tags(` comes next, with a tag or nothing in it: not a call of the user's.
pub(crate) fn are_next(input: ParseStream<'_>) -> bool {
    let is_tags = |input: ParseStream<'_>| -> syn::Result<bool> {
        let ahead = input.fork();
        let word = ahead.call(Ident::parse_any)?;
        let content;
        syn::parenthesized!(content in ahead);
        let text = content.peek(LitStr) && content.peek2(Token![=]) && !content.peek2(Token![==]);
        Ok(word == TAGS.word && (content.is_empty() || text || args::is_word_and_value(&content)))
    };
    input.peek(Ident) && input.peek2(Paren) && is_tags(input).unwrap_or(false)
}

fn read(span: Span, input: ParseStream<'_>) -> syn::Result<Vec<Tag>> {
    let mut tags: Vec<Tag> = Vec::new();
    if input.is_empty() {
        return Err(Error::new(span, format!("`tags` is written `{}`", TAGS.example)));
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
        let message = format!("at most {MAX_TAGS} tags can be given");
        return Err(Error::new(span, message));
    }
    if let Some(tag) = tags.iter().filter(|tag| tag.fixed().is_none()).nth(MAX_CHOSEN) {
        let message =
            format!("at most {MAX_CHOSEN} tags may have values that are known only at the call");
        return Err(Error::new(tag.key.span(), message));
    }
    Ok(tags)
}

fn tag(input: ParseStream<'_>) -> syn::Result<Tag> {
    let key = if input.peek(Lit) {
        let key: Lit = input.parse()?;
        args::literal(What::Tag, &key)?;
        LitStr::new(&text(&key), key.span())
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
    let expr = args::bare(input.parse()?);
    let value = match &expr {
        Expr::Path(path) if !is_in_capitals(&path.path) => Value::Chosen(expr),
        Expr::Lit(_) | Expr::Path(_) => Value::Fixed(args::text(What::TagValue, expr)?),
        Expr::Macro(call) if args::is_constant_macro(&call.mac.path) => {
            Value::Fixed(args::text(What::TagValue, expr)?)
        }
        _ => Value::Chosen(expr),
    };
    Ok(Tag { key, value })
}

fn text(lit: &Lit) -> String {
    match lit {
        Lit::Str(text) => text.value(),
        _ => String::new(),
    }
}

/// Whether it is written like a constant, and not like a variable or a variant.
fn is_in_capitals(path: &Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| !last.ident.to_string().contains(char::is_lowercase))
}

/// What stands in the place, ascending by tag: what was given, and one of ours.
pub(crate) fn fixed(tags: &[Tag], ours: Option<(&'static str, &str)>) -> TokenStream {
    let given = tags.iter().filter_map(|tag| {
        Some((tag.key.to_token_stream(), tag.key.value(), tag.fixed()?.expr.to_token_stream()))
    });
    let ours = ours.map(|(key, value)| {
        (quote_spanned!(here()=> #key), key.to_owned(), quote_spanned!(here()=> #value))
    });
    let mut pairs: Vec<_> = given.chain(ours).collect();
    pairs.sort_by(|one, other| one.1.cmp(&other.1));
    let pairs = pairs.iter().map(|(key, _, value)| quote_spanned!(here()=> (#key, #value)));
    quote_spanned!(here()=> &[#(#pairs),*])
}

/// A family of sites like `like`, and which of them is meant; `None` if one site does.
pub(crate) fn family(place: &Place<'_>, like: &TokenStream) -> Option<TokenStream> {
    let chosen = place.tags.iter().filter_map(|tag| match &tag.value {
        Value::Fixed(_) => None,
        Value::Chosen(expr) => Some((&tag.key, expr)),
    });
    let (keys, values): (Vec<_>, Vec<_>) = chosen.unzip();
    if keys.is_empty() {
        return None;
    }
    let family = private(place.krate, "Family", None::<&syn::Type>);
    let new = private_at(place.krate, &["Family", "new"], here(), here());
    let at = private_at(place.krate, &["Family", "at"], here(), here());
    let values = values.iter().map(|value| {
        // Where its type is no tag's, the caret belongs under it.
        let tag = private(place.krate, "tag", Some(value));
        let (_, to) = ends(value);
        quote_spanned!(hidden(to)=> #tag(&(#value)))
    });
    let values = quote!(#(#values,)*);
    Some(quote_spanned!(here()=> {
        static __ZIBRATO_SITES: #family = #new(#like, &[#(#keys),*]);
        #at(&__ZIBRATO_SITES, (#values))
    }))
}
