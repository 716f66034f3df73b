//! The attributes and macros of [zibrato](https://docs.rs/zibrato), which re-exports them.
//!
//! They are documented there, with examples that run: this crate is built first and knows nothing
//! of the instrument. `parse`, `call` and `annotate` read the arguments, `function` and `body` the function; `check`
//! and `target` report what is not allowed; `measure` and `expand` write the tokens, which cannot fail.

mod annotate;
mod args;
mod block;
mod body;
mod call;
mod check;
mod derive;
mod erase;
mod expand;
mod family;
mod function;
mod hint;
mod known;
mod lint;
mod measure;
mod parse;
mod place;
mod returns;
mod root;
mod scope;
mod spans;
mod tags;
mod target;
mod text;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse::{ParseStream, Parser};

use args::{Args, Known};
use block::Measure;
use function::Annotated;
use measure::Expand;

/// Records each call of a function as an annotation.
#[proc_macro_attribute]
pub fn annotate_me(args: TokenStream, item: TokenStream) -> TokenStream {
    let (args, item) = (args.into(), item.into());
    attribute("annotate_me", known::ANNOTATE_ME, scope::annotated, args, item).into()
}

/// Counts the calls of a function.
#[proc_macro_attribute]
pub fn count_me(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute("count_me", known::COUNT_ME, measure::counted, args.into(), item.into()).into()
}

/// Records a number of each call of a function in a histogram.
#[proc_macro_attribute]
pub fn histogram_me(args: TokenStream, item: TokenStream) -> TokenStream {
    let (args, item) = (args.into(), item.into());
    attribute("histogram_me", known::HISTOGRAM_ME, measure::sized, args, item).into()
}

/// Times a function.
#[proc_macro_attribute]
pub fn time_me(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute("time_me", known::TIME_ME, measure::timed, args.into(), item.into()).into()
}

/// Derives `TagValue`: gives the variants of an enum names, for the values of a tag.
#[proc_macro_derive(TagValue, attributes(tag))]
pub fn tag_value(item: TokenStream) -> TokenStream {
    derive::tag_value(item.into()).into()
}

/// Replaces the item below by the item in parentheses.
///
/// Only generated code uses it: see `lint`.
#[proc_macro_attribute]
pub fn linted(args: TokenStream, _: TokenStream) -> TokenStream {
    args
}

/// Records an annotation.
#[proc_macro]
pub fn annotate(input: TokenStream) -> TokenStream {
    annotate::annotate(input.into()).into()
}

/// Adds to a counter.
#[proc_macro]
pub fn count(input: TokenStream) -> TokenStream {
    call::count(input.into()).into()
}

/// Sets a gauge.
#[proc_macro]
pub fn gauge(input: TokenStream) -> TokenStream {
    call::gauge(input.into()).into()
}

/// Records a reading of a histogram.
#[proc_macro]
pub fn histogram(input: TokenStream) -> TokenStream {
    call::histogram(input.into()).into()
}

/// Times an expression, or the rest of a scope.
#[proc_macro]
pub fn time(input: TokenStream) -> TokenStream {
    call::time(input.into()).into()
}

/// Parses, checks and expands. If there are mistakes, returns all errors and the unchanged item.
fn attribute(
    word: &'static str,
    known: &[Known],
    expand: Expand,
    args: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Vec::new();
    let mut read = read(args.clone(), known, &mut errors);
    if word == "histogram_me" && read.value.is_none() && errors.is_empty() {
        let message = "a histogram needs a value: write `value = |r| ..` for a number of the result, or \
                       `value = ..` for one of the arguments";
        errors.push(syn::Error::new(proc_macro2::Span::call_site(), message));
    }
    if word == "annotate_me" {
        annotate::check(&read, &mut errors);
    }
    let krate = read.krate.clone();
    if krate.is_none() {
        errors.extend(root::missing(|path| format!("crate = {path}")));
    }
    let measured = written(word, expand, &mut read, &item, &mut errors);
    if !errors.is_empty() {
        let errors = errors.iter().map(hint::refusal);
        return quote!(#(#errors)* #measured);
    }
    let mut read = self::read(args, known, &mut errors);
    let linted = written(word, lint::form(word), &mut read, &item, &mut errors);
    lint::instead(krate.as_ref(), &linted, &measured)
}

/// Parses the arguments.
fn read(args: proc_macro2::TokenStream, known: &[Known], errors: &mut Vec<syn::Error>) -> Args {
    let parse = |input: ParseStream<'_>| Ok(parse::attribute(input, known, errors));
    parse.parse2(args).unwrap_or_else(|error| {
        errors.push(error);
        Args::default()
    })
}

/// The item as `expand` writes it, or unchanged.
fn written(
    word: &'static str,
    expand: Expand,
    args: &mut Args,
    item: &proc_macro2::TokenStream,
    errors: &mut Vec<syn::Error>,
) -> proc_macro2::TokenStream {
    match block::block(item) {
        Some(block) => {
            // Even after a mistake, `skip` attributes of its functions must be removed.
            let expand = if errors.is_empty() { expand } else { measure::unmeasured };
            Measure { word, args, expand }.block(&block, errors)
        }
        None => function(word, expand, args, item, errors).unwrap_or_else(|| item.clone()),
    }
}

/// The measured function, if it can be measured.
fn function(
    word: &str,
    expand: Expand,
    args: &mut Args,
    item: &proc_macro2::TokenStream,
    errors: &mut Vec<syn::Error>,
) -> Option<proc_macro2::TokenStream> {
    let mut annotated = match target::function(item, word) {
        Ok(annotated) => annotated,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    if args.call.is_some() {
        annotated.measure_the_call();
    }
    target::check(&annotated, args, word, errors);
    if let Some(called) = args.called.take() {
        annotated.function.name = called.value();
    }
    match annotated {
        Annotated { function, body: Some(body) } if errors.is_empty() => {
            Some(expand(&function, &body, args))
        }
        _ => None,
    }
}
