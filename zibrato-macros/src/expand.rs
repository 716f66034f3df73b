//! The tokens that the attributes and macros turn into. Nothing in here can fail.
//!
//! All that is added are calls into `zibrato::__private`, by absolute paths, so that whatever the
//! user's code calls `Ok`, `core` or `zibrato_time` does not matter. Added tokens are resolved at
//! the definition of the macro, where no lint of the user's looks and no local of theirs is met.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;

use crate::body::Body;
use crate::family::{self, Family};
use crate::function::Function;
use crate::place::{Kind, Place};
use crate::spans::{braced, ends, here, hidden, is_mentioned, private, private_at};
use crate::tags::Tag;
use crate::text::Text;

/// The statement that counts, or records a reading of a histogram.
pub(crate) fn count(place: &Place<'_>, given: Option<&syn::Expr>) -> TokenStream {
    let count = record(place, given);
    quote_spanned!(here()=> #count;)
}

/// What the compiler warns of if the function returns a future, which is not measured.
pub(crate) fn unmeasured_future(function: &Function, krate: Option<&Path>) -> TokenStream {
    let is_certain = function.returns.is_unwrappable();
    let may_be = is_certain || function.returns.is_unlikely();
    let Some(output) = function.declared().filter(|_| may_be) else {
        return TokenStream::new();
    };
    let scope = |word| private_at(krate, &["scope", word], here(), here());
    let (never, made) = (scope("never"), scope("to_be_made"));
    // Where it is one, the caret belongs under the type.
    let check = Ident::new("__zibrato_check", hidden(ends(output).0));
    if is_certain {
        return quote_spanned!(here()=>
            #made(::core::marker::PhantomData::<fn() -> ::core::future::Ready<()>>).#check();
        );
    }
    quote_spanned!(here()=>
        let __zibrato_returned = ::core::marker::PhantomData::<fn() -> _>;
        if let ::core::option::Option::Some(__zibrato_never) = #never(__zibrato_returned) {
            return __zibrato_never;
        }
        #made(__zibrato_returned).#check();
    )
}

/// `count(site, value)`, `gauge(site, value)` or `histogram(site, value)`.
pub(crate) fn record(place: &Place<'_>, given: Option<&syn::Expr>) -> TokenStream {
    let word = match place.kind {
        Kind::Each | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Counter | Kind::InFlight | Kind::Sampled(_) | Kind::Timer => "count",
    };
    let value = value(given);
    if let Some(family) = Family::of(place)
        && let Some(call) = family.call(&like(place), &["Family", word], Some(&value))
    {
        return call;
    }
    let record = private(place.krate, word, given);
    let site = site(place);
    quote_spanned!(here()=> #record(#site, #value))
}

/// A guard that records when it is dropped.
pub(crate) fn time(place: &Place<'_>) -> TokenStream {
    if let Some(family) = Family::of(place)
        && let Some(call) = family.call(&like(place), &["time_chosen"], None)
    {
        return call;
    }
    let time = private(place.krate, "time", None::<&syn::Expr>);
    let site = site(place);
    quote_spanned!(here()=> #time(#site))
}

/// `timed(guard, expression)`: arguments are evaluated in order, temporaries live as long as they
/// would without us, and `?`, `return`, `break` and `.await` drop the guard on their way.
pub(crate) fn time_expression(place: &Place<'_>, expression: &syn::Expr) -> TokenStream {
    let timed = private(place.krate, "timed", None::<&syn::Expr>);
    let guard = time(place);
    // The parentheses keep `unused_braces` away from an expression that is a block.
    quote_spanned!(here()=> #timed(#guard, (#expression)))
}

/// The body as it is, with `first` in front of its statements: `return`, `?`, borrows and `Self`
/// keep their meaning because nothing is wrapped around them.
pub(crate) fn flat(function: &Function, body: &Body, first: &TokenStream) -> TokenStream {
    let Body { items, statements, .. } = body;
    rebuilt(function, body, quote!(#items #first #statements))
}

/// The body in a block of its own, behind the guards in `first`.
///
/// The block around it is of our edition, in which the temporaries of its last expression are
/// dropped before the guards are, whatever the user's is: they are measured, and no lint finds that
/// another edition would change their order.
pub(crate) fn guarded(function: &Function, body: &Body, first: &TokenStream) -> TokenStream {
    let Body { items, statements, .. } = body;
    // A block with one expression alone would be called needless.
    let inner = braced(body.braces, quote_spanned!(here()=> let _ = (); #items #statements));
    rebuilt(function, body, quote_spanned!(here()=> { #first #inner }))
}

/// Mentions the arguments, last first: a closure drops what it captured in the order of mention,
/// a function drops its arguments from the last to the first.
///
/// One that the body does not use stays out, so that the compiler still says so, unless its
/// underscore says that it is there to be dropped.
pub(crate) fn keep_drop_order(function: &Function, body: &Body) -> TokenStream {
    if body.around.is_some() {
        // The future of the user's captures what it mentions, in that order, and so does ours.
        return TokenStream::new();
    }
    let mut bindings = function.bindings();
    bindings.retain(|binding| {
        binding.to_string().starts_with('_') || is_mentioned(binding, body.statements.clone())
    });
    bindings.reverse();
    if bindings.is_empty() {
        return TokenStream::new();
    }
    quote_spanned!(here()=> let _ = (#(&#bindings,)*);)
}

pub(crate) fn rebuilt(function: &Function, body: &Body, content: TokenStream) -> TokenStream {
    let head = function.head();
    let inner_attributes = &body.inner_attributes;
    let mut block = braced(body.braces, quote!(#(#inner_attributes)* #content));
    if let Some(around) = &body.around {
        let async_word = &around.head;
        block = braced(around.braces(), around.wrap(&quote!(#async_word #block)));
    }
    quote!(#head #block)
}

/// A block that holds the static, so that the name of one is not in the way of another.
pub(crate) fn site(place: &Place<'_>) -> TokenStream {
    let new = like(place);
    if let Some(family) = Family::of(place) {
        return family.target(&new);
    }
    let site = private(place.krate, "Site", None::<&syn::Type>);
    quote_spanned!(here()=> {
        static __ZIBRATO_SITE: #site = #new;
        &__ZIBRATO_SITE
    })
}

/// The site, or that which all of a family are like.
pub(crate) fn like(place: &Place<'_>) -> TokenStream {
    // What the compiler evaluates may fail there; then the caret belongs under the constant.
    let texts = [place.name, place.level, place.source, place.unit];
    let texts = texts.into_iter().flatten().chain(place.tags.iter().filter_map(Tag::fixed));
    let constant = texts.into_iter().find(|text| !text.is_literal && !text.is_run_time);
    let (from, to) = constant.map_or_else(|| (here(), here()), |text| ends(&text.expr));

    let (shape, argument) = match place.kind {
        Kind::Counter => ("Counter", None),
        Kind::Each => ("Each", None),
        Kind::Gauge => ("Gauge", None),
        Kind::Histogram => ("Histogram", Some(option(place.unit))),
        Kind::InFlight => ("InFlight", None),
        Kind::Sampled(every) if every > 1 => ("Sampled", Some(quote_spanned!(here()=> #every))),
        Kind::Sampled(_) | Kind::Timer => ("Timer", None),
    };
    let argument = argument.map(|argument| quote_spanned!(here()=> (#argument)));
    let shape = private_at(place.krate, &["Shape", shape], here(), here());
    let new = private_at(place.krate, &["Site", "new"], from, to);
    let place_type = private(place.krate, "Metadata", None::<&syn::Type>);
    let level = place.level.map_or_else(|| quote!("info"), |text| text.expr.to_token_stream());
    let name = match place.name {
        // What is called so has no name of its own.
        Some(text) if text.is_run_time => {
            let overflow = private(place.krate, "OVERFLOW_NAME", None::<&syn::Type>);
            quote_spanned!(here()=> ::core::option::Option::Some(#overflow))
        }
        _ => name(place),
    };
    let tags = family::fixed_tags(place);
    let source = option(place.source);
    let function = format!("{}{}", place.function, place.ending);
    let place_value = quote_spanned!(here()=> #place_type {
        level: #level,
        name: #name,
        module: ::core::module_path!(),
        function: #function,
        source: #source,
        tags: #tags,
    });
    quote_spanned!(hidden(to)=> #new(#shape #argument, #place_value))
}

/// The name as it was given, with what is put behind it.
fn name(place: &Place<'_>) -> TokenStream {
    let Some(given) = place.name.filter(|_| !place.ending.is_empty()) else {
        return option(place.name);
    };
    let (expr, ending) = (&given.expr, place.ending);
    if let Some(literal) = given.literal() {
        let mut longer = Literal::string(&format!("{}{ending}", literal.value()));
        longer.set_span(literal.span());
        return quote_spanned!(here()=> ::core::option::Option::Some(#longer));
    }
    let private = |word| private_at(place.krate, &[word], here(), here());
    let (length, join, text) = (private("joined_length"), private("join"), private("text"));
    quote_spanned!(here()=> ::core::option::Option::Some({
        const __ZIBRATO_NAME: &::core::primitive::str = #expr;
        static __ZIBRATO_JOINED: [::core::primitive::u8; #length(__ZIBRATO_NAME, #ending)] =
            #join(__ZIBRATO_NAME, #ending);
        #text(&__ZIBRATO_JOINED)
    }))
}

fn option(text: Option<&Text>) -> TokenStream {
    match text {
        Some(Text { expr, .. }) => quote_spanned!(here()=> ::core::option::Option::Some(#expr)),
        None => quote_spanned!(here()=> ::core::option::Option::None),
    }
}

pub(crate) fn value(given: Option<&syn::Expr>) -> TokenStream {
    given.map_or_else(|| quote_spanned!(here()=> 1u64), ToTokens::to_token_stream)
}
