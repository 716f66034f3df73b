//! `annotate!`, and what makes an annotation: its arguments, and the tokens that they become.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, LitStr};

use crate::args::Args;
use crate::expand::site;
use crate::function::Function;
use crate::hint::refused;
use crate::known;
use crate::parse;
use crate::place::{Kind, Place};
use crate::root;
use crate::spans::{here, private_at};
use crate::text::{self, What};

const USAGE: &str = r#"`annotate!("info", "deploys", "version {} is live", version)`"#;

/// The statement that records an annotation.
pub(crate) fn annotate(input: TokenStream) -> TokenStream {
    let (mut args, mut values, mut errors) = (Args::default(), Vec::new(), Vec::new());
    let parse = |input: ParseStream<'_>| {
        arguments(input, &mut args, &mut values, &mut errors);
        Ok(())
    };
    if let Err(error) = parse.parse2(input) {
        errors.push(error);
    }
    let given = args.stream.is_some() && args.title.is_some();
    if !given && errors.is_empty() {
        let message = format!("`annotate!` needs a level, a stream and a title; write {USAGE}");
        errors.push(Error::new(Span::call_site(), message));
    }
    check_tags(&args, &mut errors);
    if args.krate.is_none() {
        errors.extend(root::missing(|path| format!("crate = {path}")));
    }
    match &args.title {
        Some(title) if errors.is_empty() => {
            let record = private_at(args.krate.as_ref(), &["Draft", "record"], here(), here());
            let draft = draft(&args, title, &values, "");
            quote_spanned!(here()=>
                if let ::core::option::Option::Some(__zibrato_draft) = #draft {
                    #record(&__zibrato_draft)
                }
            )
        }
        _ => refused(&errors),
    }
}

/// Level, stream, title and the values in it, by position; then those with a name.
fn arguments(
    input: ParseStream<'_>,
    args: &mut Args,
    values: &mut Vec<Expr>,
    errors: &mut Vec<Error>,
) {
    let (mut seen, mut position) = (Vec::new(), 0);
    while !input.is_empty() {
        let entry = if parse::is_named(input) {
            parse::named(args, &mut seen, input, known::ANNOTATE)
        } else {
            position += 1;
            let span = input.span();
            input.parse().and_then(|expr| {
                match position {
                    _ if !seen.is_empty() => {
                        let message = "positional arguments come before named ones";
                        return Err(Error::new(span, message));
                    }
                    1 => args.level = Some(text::text(What::Level, expr)?),
                    2 => args.stream = Some(text::text(What::Stream, expr)?),
                    3 => args.title = Some(text::title(expr)?),
                    _ => values.push(expr),
                }
                Ok(())
            })
        };
        parse::end_entry(entry, input, errors);
    }
}

/// Says what an attribute for annotations lacks, or may not have.
pub(crate) fn check(args: &Args, errors: &mut Vec<Error>) {
    if args.stream.is_none() && errors.is_empty() {
        let message = "an annotation belongs to a stream: write `stream = \"deploys\"`";
        errors.push(Error::new(Span::call_site(), message));
    }
    check_tags(args, errors);
}

fn check_tags(args: &Args, errors: &mut Vec<Error>) {
    for closure in args.tags.iter().filter_map(|tag| tag.late()) {
        let message = "the tags of an annotation are known when the event begins, and not of the \
                       result; write an expression";
        errors.push(Error::new_spanned(closure, message));
    }
}

/// What records the call of a function, if somebody wants it; the default title is its name.
pub(crate) fn of_function(function: &Function, args: &Args) -> TokenStream {
    let title = args.title.clone();
    let title = title.unwrap_or_else(|| LitStr::new(&function.name, Span::mixed_site()));
    draft(args, &title, &[], &function.name)
}

/// `Some(draft)` if somebody wants the annotation. Only then are the values evaluated.
fn draft(args: &Args, title: &LitStr, values: &[Expr], function: &str) -> TokenStream {
    let krate = args.krate.as_ref();
    let private = |word| private_at(krate, &[word], here(), here());
    let (annotates, draft) = (private("annotates"), private("draft"));
    let site = site(&Place {
        kind: Kind::Counter,
        level: args.level.as_ref(),
        name: args.stream.as_ref(),
        source: args.source.as_ref(),
        unit: None,
        ending: "",
        tag: None,
        // They are texts of the annotation, and distinguish no series.
        tags: &[],
        max_series: None,
        function,
        krate,
    });
    let shown = |expr: &Expr| quote_spanned!(here()=> &(#expr) as &dyn ::core::fmt::Display);
    let optional = |expr: &Option<Expr>| match expr {
        Some(expr) => {
            let shown = shown(expr);
            quote_spanned!(here()=> ::core::option::Option::Some(#shown))
        }
        None => quote_spanned!(here()=> ::core::option::Option::None),
    };
    let (description, link) = (optional(&args.description), optional(&args.link));
    let tags = args.tags.iter().filter_map(|tag| {
        let value = tag.fixed().map(|text| &text.expr).or_else(|| tag.chosen())?;
        let (key, value) = (&tag.key, shown(value));
        Some(quote_spanned!(here()=> (#key, #value)))
    });
    let title = quote!(#title #(, #values)*);
    quote_spanned!(here()=> {
        let __zibrato_site = #site;
        if #annotates(__zibrato_site) {
            ::core::option::Option::Some(#draft(
                __zibrato_site,
                ::core::format_args!(#title),
                #description,
                #link,
                &[#(#tags),*],
            ))
        } else {
            ::core::option::Option::None
        }
    })
}
