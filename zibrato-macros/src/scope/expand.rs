//! What the words become: guards in front of the body, and a scope around it where its end is
//! looked at or its polls are.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::around::{Around, Failed, First};
use super::{Outcome, Scope, Slow};
use crate::args::{Args, When};
use crate::body::Body;
use crate::expand::{self, site};
use crate::function::{Function, Output};
use crate::place::{Kind, Place};
use crate::spans::{here, private_at};
use crate::tags::Tag;
use crate::text::Text;

/// How a call may end.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Ok,
    Err,
    Panic,
    Cancelled,
}

/// The function with a count in it, and what else was asked for.
pub(crate) fn counted(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let mut parts = Parts::of(Kind::Counter, function, body, args);
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

/// The function with a timer in it, and what else was asked for.
pub(crate) fn timed(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let scope = &args.scope;
    let kind = scope.sample.as_ref().map_or(Kind::Timer, |sample| Kind::Sampled(sample.every));
    let mut parts = Parts::of(kind, function, body, args);
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

/// What records nothing at the end.
fn nothing() -> TokenStream {
    quote_spanned!(here()=> ())
}

/// One annotated function.
struct Parts<'a> {
    function: &'a Function,
    body: &'a Body,
    args: &'a Args,
    kind: Kind,
    /// What is evaluated when the function is called, because the body may move its arguments.
    at_the_call: TokenStream,
}

impl<'a> Parts<'a> {
    fn of(kind: Kind, function: &'a Function, body: &'a Body, args: &'a Args) -> Self {
        Self { function, body, args, kind, at_the_call: TokenStream::new() }
    }

    fn scope(&self) -> &'a Scope {
        &self.args.scope
    }

    fn place(&self) -> Place<'a> {
        Place::of(self.kind, self.function, self.args)
    }

    fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.args.krate.as_ref(), words, here(), here())
    }

    /// The name of a variable that holds `value`.
    fn at_the_call(&mut self, name: &str, value: &TokenStream) -> TokenStream {
        let name = Ident::new(name, here());
        self.at_the_call.extend(quote_spanned!(here()=> let #name = #value;));
        name.into_token_stream()
    }

    /// The one site.
    fn site(&mut self) -> TokenStream {
        let site = site(&self.place());
        let name = self.args.name.as_ref();
        let is_fixed = self.args.tags.iter().all(|tag| Tag::fixed(tag).is_some())
            && !name.is_some_and(|name| name.is_run_time);
        if is_fixed { site } else { self.at_the_call("__zibrato_site", &site) }
    }

    /// `first` in front of the statements.
    fn in_front(&self, first: First) -> TokenStream {
        let in_flight = self.in_flight();
        let at_the_call = &self.at_the_call;
        let warning = expand::unmeasured_future(self.function, self.args.krate.as_ref());
        let first = quote_spanned!(here()=> #warning #at_the_call #in_flight #first);
        expand::guarded(self.function, self.body, &first)
    }

    /// `first`, and then the statements in a scope that tells `recording` how it goes.
    fn around(&self, first: Option<First>, recording: &TokenStream) -> TokenStream {
        let recording = self.polled(recording);
        let around = Around {
            function: self.function,
            body: self.body,
            krate: self.args.krate.as_ref(),
            at_the_call: &self.at_the_call,
            first: [self.in_flight(), first].into_iter().flatten().collect(),
            recording: &recording,
            output: Output::of(self.function),
            failed: self.failed(),
        };
        around.measured()
    }

    fn failed(&self) -> Failed {
        if self.function.never_returns() {
            return Failed::Unreachable;
        }
        let one = self.args.one_outcome().is_some();
        if (self.scope().split().is_none() && !one) || self.function.output().is_none() {
            return Failed::Never;
        }
        // The outcome would be that of the future, if it were measured.
        let is_call_alone = self.function.returns.is_unwrappable();
        if (self.scope().err.is_some() || one) && !is_call_alone {
            Failed::Outcome
        } else {
            Failed::IfItCan
        }
    }

    fn in_flight(&self) -> Option<First> {
        self.scope().in_flight?;
        let place = Place { kind: Kind::InFlight, ending: ".in_flight", ..self.place() };
        let (in_flight, site) = (self.private(&["in_flight"]), site(&place));
        let guard = quote_spanned!(here()=> #in_flight(#site));
        Some(First::Guard(Ident::new("__zibrato_in_flight", here()), guard))
    }

    fn polled(&self, recording: &TokenStream) -> TokenStream {
        if self.scope().polls.is_none() {
            return recording.clone();
        }
        let place = Place { kind: Kind::Counter, ending: ".polls", ..self.place() };
        let site = site(&place);
        quote_spanned!(here()=> (#site, #recording))
    }

    /// The sites of the outcomes that there can be.
    fn outcomes(&self) -> TokenStream {
        let outcomes = self.private(&["scope", "Outcomes"]);
        let scope = self.scope();
        let ok = self.outcome(Ending::Ok, scope.ok.as_ref());
        let err = self.outcome(Ending::Err, scope.err.as_ref());
        let panic = self.outcome(Ending::Panic, scope.panic.as_ref());
        let cancelled = self.outcome(Ending::Cancelled, scope.cancelled.as_ref());
        quote_spanned!(here()=> #outcomes {
            ok: #ok,
            err: #err,
            panic: #panic,
            cancelled: #cancelled,
        })
    }

    /// The one site, for the outcomes that are counted there.
    fn one_outcome(&mut self, when: When) -> TokenStream {
        let word = if when == When::Err { "failures" } else { "successes" };
        let (only, site) = (self.private(&["scope", word]), self.site());
        quote_spanned!(here()=> #only(#site))
    }

    fn outcome(&self, ending: Ending, given: Option<&'a Outcome>) -> TokenStream {
        let (value, possible) = match ending {
            Ending::Ok => ("ok", !self.function.never_returns()),
            Ending::Err => ("err", self.function.output().is_some()),
            Ending::Panic => ("panic", true),
            Ending::Cancelled => {
                ("cancelled", self.function.is_async() || self.function.returns.is_unlikely())
            }
        };
        if !possible {
            return quote_spanned!(here()=> ::core::option::Option::None);
        }
        let place = self.place();
        let level = given.and_then(|outcome| outcome.level.as_ref()).or(place.level);
        let site = site(&Place { level, tag: Some(("outcome", value)), ..place });
        quote_spanned!(here()=> ::core::option::Option::Some(#site))
    }

    fn slow(&self, slow: &Slow) -> TokenStream {
        let slow_type = self.private(&["scope", "Slow"]);
        let warn = Text::ours("warn");
        let level = Some(slow.level.as_ref().unwrap_or(&warn));
        let tag = Some(("slow", slow.text.as_str()));
        let site = site(&Place { kind: Kind::Timer, level, tag, ..self.place() });
        let seconds = Literal::f64_suffixed(slow.seconds);
        quote_spanned!(here()=>
            ::core::option::Option::Some(#slow_type { site: #site, seconds: #seconds })
        )
    }
}
