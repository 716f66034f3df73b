//! The attributes: each turns a function into one that measures.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::args::Args;
use crate::body::Body;
use crate::expand::{count, flat, guarded, time, unmeasured_future};
use crate::function::Function;
use crate::place::{Kind, Place};
use crate::scope;
use crate::spans::here;

/// Writes the function with what measures it.
pub(crate) type Expand = fn(&Function, &Body, &Args) -> TokenStream;

/// The function as it is.
pub(crate) fn unmeasured(function: &Function, body: &Body, _: &Args) -> TokenStream {
    let (head, body) = (function.head(), &body.whole);
    quote!(#head #body)
}

/// The function with a count in it.
pub(crate) fn counted(function: &Function, body: &Body, args: &Args) -> TokenStream {
    if !args.scope.is_plain() || args.one_outcome().is_some() || args.has_late_tags() {
        return scope::counted(function, body, args);
    }
    if body.is_made() {
        return scope::counted(function, body, args);
    }
    let count = count(&Place::of(Kind::Counter, function, args), args.value.as_ref());
    flat(function, body, &count)
}

/// The function with a reading of a histogram in it.
pub(crate) fn sized(function: &Function, body: &Body, args: &Args) -> TokenStream {
    if args.reading().is_some() || args.has_late_tags() || body.is_made() {
        return scope::sized(function, body, args);
    }
    let record = count(&Place::of(Kind::Histogram, function, args), args.value.as_ref());
    flat(function, body, &record)
}

/// The function with a timer in it.
pub(crate) fn timed(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let is_plain = args.scope.is_plain() && !args.has_late_tags();
    if !is_plain || body.is_made() || function.returns.is_measured() {
        return scope::timed(function, body, args);
    }
    let guard = time(&Place::of(Kind::Timer, function, args));
    let warning = unmeasured_future(function, args.krate.as_ref());
    guarded(function, body, &quote_spanned!(here()=> #warning let __zibrato_time = #guard;))
}
