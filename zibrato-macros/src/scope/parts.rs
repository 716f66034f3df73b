//! The parts that an attribute measures of a call: sites, guards in front of the body, and a scope around it.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::around::{Around, Failed, First, Reading};
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

/// What records nothing at the end.
pub(super) fn nothing() -> TokenStream {
    quote_spanned!(here()=> ())
}

/// One annotated function.
pub(super) struct Parts<'a> {
    pub(super) function: &'a Function,
    pub(super) body: &'a Body,
    pub(super) args: &'a Args,
    kind: Kind,
    /// What is evaluated when the function is called, because the body may move its arguments.
    at_the_call: TokenStream,
}

impl<'a> Parts<'a> {
    pub(super) fn of(kind: Kind, function: &'a Function, body: &'a Body, args: &'a Args) -> Self {
        Self { function, body, args, kind, at_the_call: TokenStream::new() }
    }

    pub(super) fn scope(&self) -> &'a Scope {
        &self.args.scope
    }

    pub(super) fn place(&self) -> Place<'a> {
        Place::of(self.kind, self.function, self.args)
    }

    pub(super) fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.args.krate.as_ref(), words, here(), here())
    }

    /// The name of a variable that holds `value`.
    pub(super) fn at_the_call(&mut self, name: &str, value: &TokenStream) -> TokenStream {
        let name = Ident::new(name, here());
        self.at_the_call.extend(quote_spanned!(here()=> let #name = #value;));
        name.into_token_stream()
    }

    /// The one site.
    pub(super) fn site(&mut self) -> TokenStream {
        let site = site(&self.place());
        let name = self.args.name.as_ref();
        let is_fixed = self.args.tags.iter().all(|tag| Tag::fixed(tag).is_some())
            && !name.is_some_and(|name| name.is_run_time);
        if is_fixed { site } else { self.at_the_call("__zibrato_site", &site) }
    }

    /// `first` in front of the statements.
    pub(super) fn in_front(&self, first: First) -> TokenStream {
        let in_flight = self.in_flight();
        self.behind(in_flight, first)
    }

    /// `first` in front of the statements, and behind the guard of calls in flight.
    pub(super) fn behind(&self, in_flight: Option<First>, first: First) -> TokenStream {
        let at_the_call = &self.at_the_call;
        let warning = expand::unmeasured_future(self.function, self.args.krate.as_ref());
        let first = quote_spanned!(here()=> #warning #at_the_call #in_flight #first);
        expand::guarded(self.function, self.body, &first)
    }

    /// `first`, and then the statements in a scope that tells `recording` how it goes.
    pub(super) fn around(&self, first: Option<First>, recording: &TokenStream) -> TokenStream {
        let recording = self.polled(recording);
        let first = [self.in_flight(), first].into_iter().flatten().collect();
        self.around_with(first, &recording)
    }

    pub(super) fn around_with(&self, first: Vec<First>, recording: &TokenStream) -> TokenStream {
        let around = Around {
            function: self.function,
            body: self.body,
            krate: self.args.krate.as_ref(),
            at_the_call: &self.at_the_call,
            first,
            recording,
            output: Output::of(self.function),
            failed: self.failed(),
            late: self.args.tags.iter().filter_map(Tag::late).collect(),
            reading: self.args.reading().map(|closure| Reading {
                closure,
                site: (!self.has_noted_reading()).then(|| site(&self.place())),
            }),
        };
        around.measured()
    }

    /// Whether a histogram's series depends on the call, so that its reading is noted with its tags.
    pub(super) fn has_noted_reading(&self) -> bool {
        let has_tags = |chosen: fn(&Tag) -> bool| self.args.tags.iter().any(chosen);
        has_tags(|tag| tag.late().is_some())
            || (self.args.reading().is_some() && has_tags(|tag| tag.chosen().is_some()))
    }

    fn failed(&self) -> Failed<'a> {
        if self.function.never_returns() {
            return Failed::Unreachable;
        }
        if let Some(look) = self.args.on.as_ref().and_then(|on| on.look.as_ref()) {
            return Failed::Unless(look);
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

    pub(super) fn in_flight(&self) -> Option<First> {
        let place = self.in_flight_place()?;
        let (in_flight, site) = (self.private(&["in_flight"]), site(&place));
        let guard = quote_spanned!(here()=> #in_flight(#site));
        Some(in_flight_guard(guard))
    }

    pub(super) fn in_flight_place(&self) -> Option<Place<'a>> {
        self.scope().in_flight?;
        Some(Place { kind: Kind::InFlight, ending: ".in_flight", ..self.place() })
    }

    pub(super) fn polled(&self, recording: &TokenStream) -> TokenStream {
        let Some(place) = self.polls_place() else { return recording.clone() };
        let site = site(&place);
        quote_spanned!(here()=> (#site, #recording))
    }

    pub(super) fn polls_place(&self) -> Option<Place<'a>> {
        self.scope().polls?;
        Some(Place { kind: Kind::Counter, ending: ".polls", ..self.place() })
    }

    /// The sites of the outcomes that there can be.
    pub(super) fn outcomes(&self) -> TokenStream {
        self.outcomes_at(site)
    }

    /// What `at` writes for the outcomes that there can be.
    pub(super) fn outcomes_at(&self, at: fn(&Place<'_>) -> TokenStream) -> TokenStream {
        let outcomes = self.private(&["scope", "Outcomes"]);
        let scope = self.scope();
        let ok = self.outcome(Ending::Ok, scope.ok.as_ref(), at);
        let err = self.outcome(Ending::Err, scope.err.as_ref(), at);
        let panic = self.outcome(Ending::Panic, scope.panic.as_ref(), at);
        let cancelled = self.outcome(Ending::Cancelled, scope.cancelled.as_ref(), at);
        quote_spanned!(here()=> #outcomes {
            ok: #ok,
            err: #err,
            panic: #panic,
            cancelled: #cancelled,
        })
    }

    /// The one site, for the outcomes that are counted there.
    pub(super) fn one_outcome(&mut self, when: When) -> TokenStream {
        let word = if when == When::Err { "failures" } else { "successes" };
        let (only, site) = (self.private(&["scope", word]), self.site());
        quote_spanned!(here()=> #only(#site))
    }

    fn outcome(
        &self,
        ending: Ending,
        given: Option<&'a Outcome>,
        at: fn(&Place<'_>) -> TokenStream,
    ) -> TokenStream {
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
        let site = at(&Place { level, tag: Some(("outcome", value)), ..place });
        quote_spanned!(here()=> ::core::option::Option::Some(#site))
    }

    pub(super) fn slow(&self, slow: &Slow) -> TokenStream {
        let slow_type = self.private(&["scope", "Slow"]);
        let (site, seconds) = self.slow_at(slow, site);
        quote_spanned!(here()=>
            ::core::option::Option::Some(#slow_type { site: #site, seconds: #seconds })
        )
    }

    /// What `at` writes for slow calls, and their least time.
    pub(super) fn slow_at(
        &self,
        slow: &Slow,
        at: fn(&Place<'_>) -> TokenStream,
    ) -> (TokenStream, Literal) {
        let warn = Text::ours("warn");
        let level = Some(slow.level.as_ref().unwrap_or(&warn));
        let tag = Some(("slow", slow.text.as_str()));
        let site = at(&Place { kind: Kind::Timer, level, tag, ..self.place() });
        (site, Literal::f64_suffixed(slow.seconds))
    }
}

pub(super) fn in_flight_guard(guard: TokenStream) -> First {
    First::Guard(Ident::new("__zibrato_in_flight", here()), guard)
}
