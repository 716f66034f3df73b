//! What an attribute was put on, and why it can or cannot be measured.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Visibility};

use crate::args::{Args, When};
use crate::function::{Annotated, Function};
use crate::scope;

/// Reads the function, or says what else it is.
pub(crate) fn function(item: &TokenStream, attribute: &str) -> syn::Result<Annotated> {
    syn::parse2(item.clone()).map_err(|error| no_function(item, attribute, error))
}

/// Says why this function cannot be measured like this, if so.
pub(crate) fn check(annotated: &Annotated, args: &Args, attribute: &str, errors: &mut Vec<Error>) {
    let Annotated { function, body } = annotated;
    errors.extend(unmeasurable(function, attribute));
    if body.is_none() {
        let message = format!(
            "`{attribute}` measures the body of a function, and this declaration has none; \
             put it on the implementation"
        );
        errors.push(Error::new(function.signature.ident.span(), message));
    }
    check_args(function, args, errors);
}

/// Says why no attribute can stand on this function.
pub(crate) fn unmeasurable(function: &Function, attribute: &str) -> Option<Error> {
    if let Some(token) = &function.signature.constness {
        let message = format!(
            "a `const fn` may run in the compiler, where `{attribute}` cannot record; \
             remove `const`, or annotate the functions that call it"
        );
        return Some(Error::new(token.span, message));
    }
    if let Some(naked) = function.naked() {
        let message = format!("a naked function cannot contain the call that `{attribute}` adds");
        return Some(Error::new(naked, message));
    }
    None
}

/// Says what of the arguments does not go with the function.
pub(crate) fn check_args(function: &Function, args: &Args, errors: &mut Vec<Error>) {
    if let Some(on) = args.one_outcome()
        && function.output().is_none()
    {
        let message = match on.when {
            When::Result => {
                "the closure gets the result of the function, and this function returns \
                             nothing; remove `on`"
            }
            When::Always | When::Err | When::Ok => {
                "this needs a function that returns a `Result` or an `Option`; \
                  if it returns neither, remove `on`"
            }
        };
        errors.push(Error::new(on.span, message));
    }
    scope::check(function, args, errors);
}

/// Where it says that the result has to be an outcome.
pub(crate) fn needs_outcome(args: &Args) -> Option<Span> {
    let on = args.one_outcome().filter(|on| on.when != When::Result);
    on.map(|on| on.span).or_else(|| args.scope.err())
}

/// The keywords that begin what is no function, and what to say of them.
const OTHERS: [(&str, &str); 13] = [
    ("const", "a constant"),
    ("enum", "an enum; put it on its `impl`"),
    ("extern", "an extern block"),
    ("let", "a statement; use `count!` or `time!` inside the function"),
    ("macro", "a macro"),
    ("macro_rules", "a macro; put it on the functions that the macro generates"),
    ("mod", "a module in another file; put it on the functions"),
    ("static", "a static"),
    ("struct", "a struct; put it on its `impl`"),
    ("trait", "a trait alias"),
    ("type", "a type"),
    ("union", "a union; put it on its `impl`"),
    ("use", "an import; put it on the function itself"),
];

fn no_function(item: &TokenStream, attribute: &str, error: Error) -> Error {
    let Some((span, what)) = keyword(item) else {
        // The compiler could read it before it called us, so nobody else explains.
        let message = format!("`{attribute}` cannot parse this ({error})");
        return Error::new(error.span(), message);
    };
    Error::new(span, format!("`{attribute}` measures functions, and this is {what}"))
}

/// The first keyword after attributes and visibility, unless this is a function after all.
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
