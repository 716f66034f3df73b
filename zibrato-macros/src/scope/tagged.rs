//! What the words become where tags are known only at run time, and one site does not do: families of
//! sites, and the values of their tags, which are noted when the call begins.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::around::First;
use super::parts::{Parts, in_flight_guard, nothing};
use crate::args::{Args, When};
use crate::expand::{self, like};
use crate::family::Family;
use crate::place::Place;
use crate::spans::here;
use crate::tags::Tag;

/// Whether tags are known only at run time, and one site does not do.
pub(super) fn is_needed(args: &Args) -> bool {
    let is_chosen = args.tags.iter().any(|tag| tag.chosen().is_some());
    args.has_late_tags() || (is_chosen && args.scope.has_several())
}

/// The function with a count in it, and what else was asked for.
pub(super) fn counted(mut parts: Parts<'_>) -> TokenStream {
    let args = parts.args;
    let amount = match &args.value {
        Some(value) => parts.at_the_call("__zibrato_amount", &value.to_token_stream()),
        None => expand::value(None),
    };
    let tags = note(&mut parts);
    let is_at_end =
        args.one_outcome().is_some() || args.scope.split().is_some() || args.has_late_tags();
    if is_at_end {
        let counted = parts.private(&["scope", "counted"]);
        return around(&parts, None, &quote_spanned!(here()=> #counted(#tags, #amount)));
    }
    let begin = parts.private(&["scope", "Tagged", "begin"]);
    let count = First::Statement(quote_spanned!(here()=> #begin(&#tags, #amount);));
    let has_guards = args.scope.in_flight.is_some() && parts.function.returns.is_measured();
    if args.scope.polls.is_some() || parts.body.is_made() || has_guards {
        return around(&parts, Some(count), &nothing());
    }
    parts.behind(in_flight(&parts), count)
}

/// The function with a reading of a histogram in it, at its end.
pub(super) fn sized(mut parts: Parts<'_>) -> TokenStream {
    let args = parts.args;
    let value = args.value.as_ref().filter(|_| args.reading().is_none());
    let value = value.map(|value| parts.at_the_call("__zibrato_value", &value.to_token_stream()));
    let tags = note(&mut parts);
    let read = parts.private(&["scope", "Tagged", if value.is_some() { "given" } else { "read" }]);
    around(&parts, None, &quote_spanned!(here()=> #read(#tags, #value)))
}

/// The function with a timer in it, and what else was asked for.
pub(super) fn timed(mut parts: Parts<'_>) -> TokenStream {
    let scope = &parts.args.scope;
    let tags = note(&mut parts);
    let word = if scope.busy.is_some() { "busy" } else { "wall" };
    let timer = parts.private(&["scope", word]);
    let recording = quote_spanned!(here()=> #timer(#tags, ::core::option::Option::None));
    let is_at_end = scope.split().is_some() || scope.busy.is_some() || parts.args.has_late_tags();
    let is_around =
        scope.polls.is_some() || parts.body.is_made() || parts.function.returns.is_measured();
    if is_at_end || (is_around && scope.slow.is_some()) {
        return around(&parts, None, &recording);
    }
    let guard = if scope.slow.is_some() {
        let call = parts.private(&["scope", "call"]);
        quote_spanned!(here()=> #call(#recording))
    } else {
        let time = parts.private(&["scope", "Tagged", "time"]);
        quote_spanned!(here()=> #time(&#tags))
    };
    let guard = First::Guard(Ident::new("__zibrato_time", here()), guard);
    if is_around {
        return around(&parts, Some(guard), &nothing());
    }
    parts.behind(in_flight(&parts), guard)
}

/// The name of the variable that holds the families and the values of their tags.
fn note(parts: &mut Parts<'_>) -> TokenStream {
    let one = |word| {
        let outcomes = parts.private(&["scope", "Outcomes", word]);
        let family = at_the_end(&parts.place());
        quote_spanned!(here()=> #outcomes(#family))
    };
    let outcomes = match parts.args.one_outcome().map(|on| on.when) {
        Some(When::Err) => one("failures"),
        Some(When::Ok | When::Always | When::Result) => one("successes"),
        None if parts.scope().split().is_some() => parts.outcomes_at(at_the_end),
        None => one("every"),
    };
    let slow = parts.scope().slow.as_ref().map(|slow| {
        let (family, seconds) = parts.slow_at(slow, at_the_end);
        quote_spanned!(here()=> (#family, #seconds))
    });
    let slow = option(slow);
    let (in_flight, polls) = (parts.in_flight_place(), parts.polls_place());
    let is_early = |_: &Place<'_>| has_early_tags(parts);
    let in_flight = option(in_flight.filter(is_early).as_ref().map(at_the_call));
    let polls = option(polls.filter(is_early).as_ref().map(at_the_call));
    let late = parts.args.tags.iter().filter(|tag| tag.late().is_some()).count();
    let late = Literal::usize_suffixed(late);
    let (tagged, more) = (parts.private(&["scope", "tagged"]), parts.private(&["scope", "More"]));
    let place = parts.place();
    let values = Family::at_the_call(&place).values();
    let noted = quote_spanned!(here()=> #tagged(
        #outcomes,
        #more { slow: #slow, in_flight: #in_flight, polls: #polls, late: #late },
        #values
    ));
    parts.at_the_call("__zibrato_noted", &noted)
}

/// `first`, and then the statements in a scope that tells `recording` how it goes.
fn around(parts: &Parts<'_>, first: Option<First>, recording: &TokenStream) -> TokenStream {
    let recording = if has_early_tags(parts) && parts.scope().polls.is_some() {
        let polls = parts.private(&["scope", "Tagged", "polls"]);
        quote_spanned!(here()=> (#polls(&__zibrato_noted), #recording))
    } else {
        parts.polled(recording)
    };
    parts.around_with([in_flight(parts), first].into_iter().flatten().collect(), &recording)
}

fn in_flight(parts: &Parts<'_>) -> Option<First> {
    if !has_early_tags(parts) {
        return parts.in_flight();
    }
    parts.scope().in_flight?;
    let in_flight = parts.private(&["scope", "Tagged", "in_flight"]);
    Some(in_flight_guard(quote_spanned!(here()=> #in_flight(&__zibrato_noted))))
}

/// Whether the value of a tag is evaluated when the call begins.
fn has_early_tags(parts: &Parts<'_>) -> bool {
    parts.args.tags.iter().any(|tag| Tag::chosen(tag).is_some())
}

fn at_the_call(place: &Place<'_>) -> TokenStream {
    Family::at_the_call(place).reference(&like(place))
}

fn at_the_end(place: &Place<'_>) -> TokenStream {
    Family::at_the_end(place).reference(&like(place))
}

fn option(given: Option<TokenStream>) -> TokenStream {
    match given {
        Some(given) => quote_spanned!(here()=> ::core::option::Option::Some(#given)),
        None => quote_spanned!(here()=> ::core::option::Option::None),
    }
}
