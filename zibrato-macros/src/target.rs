//! What an attribute was put on, and why it can or cannot be measured.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Visibility};

use crate::args::{Args, When};
use crate::function::Annotated;

/// Reads the function, or says what else it is.
pub(crate) fn function(item: &TokenStream, attribute: &str) -> syn::Result<Annotated> {
    syn::parse2(item.clone()).map_err(|error| no_function(item, attribute, error))
}

/// Says why this function cannot be measured like this, if so.
pub(crate) fn check(annotated: &Annotated, args: &Args, attribute: &str, errors: &mut Vec<Error>) {
    let Annotated { function, body } = annotated;
    let signature = &function.signature;
    if let Some(token) = &signature.constness {
        let message = format!(
            "a `const fn` may run inside the compiler, where `{attribute}` cannot record; \
             remove `const`, or annotate the functions that call it"
        );
        errors.push(Error::new(token.span, message));
    }
    if body.is_none() {
        let message = format!(
            "`{attribute}` measures a body, and this declaration has none; \
             put it where the function is implemented"
        );
        errors.push(Error::new(signature.ident.span(), message));
    }
    if let Some(naked) = function.naked() {
        let message = format!("a naked function has no place for the call that `{attribute}` adds");
        errors.push(Error::new(naked, message));
    }
    if let Some(on) = args.on.as_ref().filter(|on| on.when != When::Always)
        && function.output().is_none()
    {
        let message = "this needs a function that returns a `Result` or an `Option`; \
                       for one that returns neither, leave `on` away";
        errors.push(Error::new(on.span, message));
    }
}

/// The keywords that begin what is no function, and what to say of them.
const OTHERS: [(&str, &str); 14] = [
    ("const", "a constant"),
    ("enum", "an enum"),
    ("extern", "an extern block"),
    ("impl", "an impl block; put it on the methods"),
    ("let", "a statement; use `count!` or `time!` inside the function"),
    ("macro", "a macro"),
    ("macro_rules", "a macro; put it on the functions that the macro makes"),
    ("mod", "a module; put it on the functions"),
    ("static", "a static"),
    ("struct", "a struct; put it on the methods"),
    ("trait", "a trait; put it on the methods of the implementations"),
    ("type", "a type"),
    ("union", "a union; put it on the methods"),
    ("use", "an import; put it on the function itself"),
];

fn no_function(item: &TokenStream, attribute: &str, error: Error) -> Error {
    let Some((span, what)) = keyword(item) else { return error };
    Error::new(span, format!("`{attribute}` measures a function, and this is {what}"))
}

/// The first keyword after attributes and visibility, unless this is a function after all: then
/// the mistake is inside it, and the compiler's to explain.
fn keyword(item: &TokenStream) -> Option<(Span, &'static str)> {
    let skip = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<TokenStream>()
    };
    let words = skip.parse2(item.clone()).ok()?.into_iter().take_while(|token| {
        // `extern "C" {`: what is in braces belongs to something else.
        !matches!(token, TokenTree::Group(_))
    });
    let words: Vec<_> = words
        .filter_map(|token| match token {
            TokenTree::Ident(word) => Some(word),
            _ => None,
        })
        .collect();
    if words.iter().any(|word| word == "fn") {
        return None;
    }
    words.iter().find_map(|word| {
        let (_, what) = OTHERS.iter().find(|(keyword, _)| word == keyword)?;
        Some((word.span(), *what))
    })
}
