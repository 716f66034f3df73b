//! The attributes and macros of [zibrato](https://docs.rs/zibrato), which passes them on.
//!
//! They are documented there, with examples that run: this crate is built first and knows nothing
//! of the instrument. Arguments are read in `args` and `call`, the function in `function`; `check`
//! and `target` say what cannot be, and `expand` writes what is left, which cannot fail.

mod args;
mod call;
mod check;
mod erase;
mod expand;
mod function;
mod hint;
mod scope;
mod target;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse::{ParseStream, Parser};

use args::{Args, Known};
use function::{Annotated, Body, Function};

/// Counts the calls of a function.
#[proc_macro_attribute]
pub fn count_me(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute("count_me", args::COUNT_ME, expand::counted, args.into(), item.into()).into()
}

/// Times a function.
#[proc_macro_attribute]
pub fn time_me(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute("time_me", args::TIME_ME, expand::timed, args.into(), item.into()).into()
}

/// Counts at this place.
#[proc_macro]
pub fn count(input: TokenStream) -> TokenStream {
    call::count(input.into()).into()
}

/// Reads a gauge at this place.
#[proc_macro]
pub fn gauge(input: TokenStream) -> TokenStream {
    call::gauge(input.into()).into()
}

/// Times an expression, or what is left of a scope.
#[proc_macro]
pub fn time(input: TokenStream) -> TokenStream {
    call::time(input.into()).into()
}

/// Reads, checks and expands; after a mistake, all that was found and the item as it came.
fn attribute(
    word: &str,
    known: &[Known],
    expand: fn(&Function, &Body, &Args) -> proc_macro2::TokenStream,
    args: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Vec::new();
    let parse = |input: ParseStream<'_>| Ok(args::attribute(input, known, &mut errors));
    let args = parse.parse2(args).unwrap_or_else(|error| {
        errors.push(error);
        Args::default()
    });
    let annotated = target::function(&item, word);
    match &annotated {
        Ok(annotated) => {
            target::check(annotated, &args, word, &mut errors);
            scope::check(&annotated.function, &args, &mut errors);
        }
        Err(error) => errors.push(error.clone()),
    }
    match annotated {
        Ok(Annotated { function, body: Some(body) }) if errors.is_empty() => {
            expand(&function, &body, &args)
        }
        _ => {
            let errors = errors.iter().map(syn::Error::to_compile_error);
            quote!(#(#errors)* #item)
        }
    }
}
