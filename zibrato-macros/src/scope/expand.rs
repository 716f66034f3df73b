//! What the words become: guards in front of the body, and a scope around it where its end is
//! looked at or its polls are.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::around::First;
use super::parts::{Parts, nothing};
use super::tagged;
use crate::annotate;
use crate::args::Args;
use crate::body::Body;
use crate::expand;
use crate::function::Function;
use crate::place::Kind;
use crate::spans::here;

/// The function, each call of which is an annotation with its beginning and its end.
pub(crate) fn annotated(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let mut parts = Parts::of(Kind::Counter, function, body, args);
    let draft = annotate::of_function(function, args);
    let draft = parts.at_the_call("__zibrato_draft", &draft);
    let annotated = parts.private(&["scope", "annotated"]);
    parts.around(None, &quote_spanned!(here()=> #annotated(#draft)))
}

/// The function with a count in it, and what else was asked for.
pub(crate) fn counted(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let mut parts = Parts::of(Kind::Counter, function, body, args);
    if tagged::is_needed(args) {
        return tagged::counted(parts);
    }
    let outcomes = match args.one_outcome() {
        Some(on) => Some(parts.one_outcome(on.when)),
        None => args.scope.split().map(|_| parts.outcomes()),
    };
    let amount = match &args.value {
        Some(value) => parts.at_the_call("__zibrato_amount", &value.to_token_stream()),
        None => expand::value(None),
    };
    if let Some(outcomes) = outcomes {
        let counted = parts.private(&["scope", "counted"]);
        return parts.around(None, &quote_spanned!(here()=> #counted(#outcomes, #amount)));
    }
    let (count, site) = (parts.private(&["count"]), parts.site());
    let count = quote_spanned!(here()=> #count(#site, #amount););
    let has_guards = args.scope.in_flight.is_some() && function.returns.is_measured();
    if args.scope.polls.is_some() || body.is_made() || has_guards {
        return parts.around(Some(First::Statement(count)), &nothing());
    }
    parts.in_front(First::Statement(count))
}

/// The function with a reading of a histogram in it, at its end.
pub(crate) fn sized(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let mut parts = Parts::of(Kind::Histogram, function, body, args);
    if parts.has_noted_reading() {
        return tagged::sized(parts);
    }
    let (None, Some(value)) = (args.reading(), &args.value) else {
        return parts.around(None, &nothing());
    };
    let value = parts.at_the_call("__zibrato_value", &value.to_token_stream());
    let (histogram, site) = (parts.private(&["histogram"]), parts.site());
    let record = quote_spanned!(here()=> #histogram(#site, #value););
    parts.around(Some(First::Statement(record)), &nothing())
}

/// The function with a timer in it, and what else was asked for.
pub(crate) fn timed(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let scope = &args.scope;
    let kind = scope.sample.as_ref().map_or(Kind::Timer, |sample| Kind::Sampled(sample.every));
    let mut parts = Parts::of(kind, function, body, args);
    if tagged::is_needed(args) {
        return tagged::timed(parts);
    }
    let word = if scope.busy.is_some() { "busy" } else { "wall" };
    let timer = parts.private(&["scope", word]);
    let is_split = scope.split().is_some();
    let site = if is_split { parts.outcomes() } else { parts.site() };
    let slow = match &scope.slow {
        Some(slow) => parts.slow(slow),
        None => quote_spanned!(here()=> ::core::option::Option::None),
    };
    let sites = if is_split {
        site.clone()
    } else {
        let every = parts.private(&["scope", "every"]);
        quote_spanned!(here()=> #every(#site))
    };
    let recording = quote_spanned!(here()=> #timer(#sites, #slow));
    if is_split || scope.busy.is_some() {
        return parts.around(None, &recording);
    }
    let guard = if scope.slow.is_some() {
        let call = parts.private(&["scope", "call"]);
        quote_spanned!(here()=> #call(#recording))
    } else {
        let time = parts.private(&["time"]);
        quote_spanned!(here()=> #time(#site))
    };
    let guard = First::Guard(Ident::new("__zibrato_time", here()), guard);
    if scope.polls.is_some() || body.is_made() || function.returns.is_measured() {
        return parts.around(Some(guard), &nothing());
    }
    parts.in_front(guard)
}
