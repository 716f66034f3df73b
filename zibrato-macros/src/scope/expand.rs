//! What the words become: guards in front of the body, and a scope around it where its end is
//! looked at or its polls are.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote_spanned;
use syn::Path;

use super::{Outcome, Scope, Slow};
use crate::args::{Args, Text, When};
use crate::expand::{self, Output, braced, here, hidden, keep_drop_order, private_at, site};
use crate::function::{Body, Function};
use crate::place::{Kind, Place};

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
    let parts = Parts { function, body, args, kind: Kind::Counter };
    let krate = args.krate.as_ref();
    let amount = expand::value(args.value.as_ref());
    let outcomes = match args.one_outcome() {
        Some(on) => Some(parts.one_outcome(on.when)),
        None => args.scope.split().map(|_| parts.outcomes()),
    };
    if let Some(outcomes) = outcomes {
        let counted = private_at(krate, &["scope", "counted"], here(), here());
        let recording = quote_spanned!(here()=> #counted(#outcomes, #amount));
        return parts.around(&TokenStream::new(), &recording);
    }
    let count = expand::count(&parts.place(), args.value.as_ref());
    if args.scope.polls.is_some() {
        return parts.around(&count, &quote_spanned!(here()=> ()));
    }
    parts.in_front(&count)
}

/// The function with a timer in it, and what else was asked for.
pub(crate) fn timed(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let scope = &args.scope;
    let kind = scope.sample.as_ref().map_or(Kind::Timer, |sample| Kind::Sampled(sample.every));
    let parts = Parts { function, body, args, kind };
    let word = if scope.busy.is_some() { "busy" } else { "wall" };
    let timer = private_at(args.krate.as_ref(), &["scope", word], here(), here());
    let sites = if scope.split().is_some() { parts.outcomes() } else { site(&parts.place()) };
    let slow = match &scope.slow {
        Some(slow) => parts.slow(slow),
        None => quote_spanned!(here()=> ::core::option::Option::None),
    };
    let recording = quote_spanned!(here()=> #timer(#sites, #slow));
    if scope.split().is_some() || scope.busy.is_some() {
        return parts.around(&TokenStream::new(), &recording);
    }
    let guard = if scope.slow.is_some() {
        let call = private_at(args.krate.as_ref(), &["scope", "call"], here(), here());
        quote_spanned!(here()=> #call(#recording))
    } else {
        expand::time(&parts.place())
    };
    let guard = quote_spanned!(here()=> let __zibrato_time = #guard;);
    if scope.polls.is_some() {
        return parts.around(&guard, &quote_spanned!(here()=> ()));
    }
    parts.in_front(&guard)
}

/// One annotated function.
struct Parts<'a> {
    function: &'a Function,
    body: &'a Body,
    args: &'a Args,
    kind: Kind,
}

impl<'a> Parts<'a> {
    fn scope(&self) -> &'a Scope {
        &self.args.scope
    }

    fn place(&self) -> Place<'a> {
        Place::of(self.kind, self.function, self.args)
    }

    fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.args.krate.as_ref(), words, here(), here())
    }

    /// `first` in front of the statements.
    fn in_front(&self, first: &TokenStream) -> TokenStream {
        let in_flight = self.in_flight();
        expand::guarded(self.function, self.body, &quote_spanned!(here()=> #in_flight #first))
    }

    /// `first`, and then the statements in a scope that tells `recording` how it goes.
    fn around(&self, first: &TokenStream, recording: &TokenStream) -> TokenStream {
        let in_flight = self.in_flight();
        let recording = self.polled(recording);
        let around = Around {
            krate: self.args.krate.as_ref(),
            recording: &recording,
            keep: keep_drop_order(self.function, self.body),
            output: Output::of(self.function),
            failed: self.failed(),
        };
        let measured = if self.function.is_async() {
            around.future(self.body)
        } else {
            around.call(self.body)
        };
        let content = quote_spanned!(here()=> #in_flight #first #measured);
        expand::rebuilt(self.function, self.body, content)
    }

    fn failed(&self) -> Failed {
        if self.function.never_returns() {
            return Failed::Unreachable;
        }
        let one = self.args.one_outcome().is_some();
        if (self.scope().split().is_none() && !one) || self.function.output().is_none() {
            return Failed::Never;
        }
        if self.scope().err.is_some() || one { Failed::Outcome } else { Failed::IfItCan }
    }

    fn in_flight(&self) -> TokenStream {
        if self.scope().in_flight.is_none() {
            return TokenStream::new();
        }
        let place = Place { kind: Kind::InFlight, ending: ".in_flight", ..self.place() };
        let (in_flight, site) = (self.private(&["in_flight"]), site(&place));
        quote_spanned!(here()=> let __zibrato_in_flight = #in_flight(#site);)
    }

    fn polled(&self, recording: &TokenStream) -> TokenStream {
        if self.scope().polls.is_none() {
            return recording.clone();
        }
        let place = Place { kind: Kind::Counter, ending: ".polls", ..self.place() };
        let (polled, site) = (self.private(&["scope", "polled"]), site(&place));
        quote_spanned!(here()=> #polled(#site, #recording))
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
    fn one_outcome(&self, when: When) -> TokenStream {
        let word = if when == When::Err { "failures" } else { "successes" };
        let (only, site) = (self.private(&["scope", word]), site(&self.place()));
        quote_spanned!(here()=> #only(#site))
    }

    fn outcome(&self, ending: Ending, given: Option<&'a Outcome>) -> TokenStream {
        let (value, possible) = match ending {
            Ending::Ok => ("ok", !self.function.never_returns()),
            Ending::Err => ("err", self.function.output().is_some()),
            Ending::Panic => ("panic", true),
            Ending::Cancelled => ("cancelled", self.function.is_async()),
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

/// What tells whether a call that returned has failed.
#[derive(Clone, Copy)]
enum Failed {
    /// The type of the result, which may or may not be an outcome.
    IfItCan,
    /// Nobody asks, or there is no result.
    Never,
    /// The result, which has to be an outcome.
    Outcome,
    /// It does not return.
    Unreachable,
}

/// See [`Around::typed`].
#[derive(Default)]
struct Typed {
    /// Goes in front of the closure or block.
    outside: TokenStream,
    /// Goes into the async block.
    inside: TokenStream,
    /// Goes in front of the closure that is an argument.
    argument: TokenStream,
}

/// A body that is to run in a scope.
struct Around<'a> {
    krate: Option<&'a Path>,
    recording: &'a TokenStream,
    keep: TokenStream,
    output: Output,
    failed: Failed,
}

impl Around<'_> {
    fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.krate, words, here(), here())
    }

    /// A closure, so that `return` and `?` end there.
    fn call(&self, body: &Body) -> TokenStream {
        let Self { recording, keep, output, .. } = self;
        let call = self.private(&["scope", "call"]);
        let run = if output.is_whole { "run" } else { "run_typed" };
        let run = self.private(&["scope", run]);
        let Body { items, statements, .. } = body;
        let block = braced(body.braces, quote_spanned!(here()=> #keep #items #statements));
        let tokens = &output.tokens;
        let closure = quote_spanned!(body.braces=> move || -> #tokens #block);
        let Typed { outside, argument, .. } = self.typed();
        let run = quote_spanned!(here()=> #run(#argument #closure));
        let finished = self.finished(&run);
        quote_spanned!(here()=>
            #outside
            let __zibrato_scope = #call(#recording);
            #finished
        )
    }

    /// An async block, which is polled by hand.
    fn future(&self, body: &Body) -> TokenStream {
        let Self { recording, keep, .. } = self;
        let future = self.private(&["scope", "future"]);
        let poll = self.private(&["scope", "Scope", "poll"]);
        let Typed { outside, inside, .. } = self.typed();
        let Body { items, statements, .. } = body;
        let block = braced(body.braces, quote_spanned!(here()=> #inside #keep #items #statements));
        // Inside a future that borrows, so does this one.
        let head = match &body.around {
            Some(around) => around.head.clone(),
            None => quote_spanned!(here()=> async move),
        };
        let polled = quote_spanned!(here()=>
            ::core::future::poll_fn(|__zibrato_context| {
                #poll(
                    &mut __zibrato_scope,
                    ::core::pin::Pin::as_mut(&mut __zibrato_body),
                    __zibrato_context,
                )
            })
            .await
        );
        let finished = self.finished(&polled);
        quote_spanned!(here()=>
            #outside
            let mut __zibrato_scope = #future(#recording);
            let mut __zibrato_body = ::core::pin::pin!(#head #block);
            #finished
        )
    }

    /// What tells a closure or an async block the type of its result, where it cannot be written:
    /// a return that is never taken has the type of the function.
    fn typed(&self) -> Typed {
        let Output { tokens, is_whole, from, .. } = &self.output;
        let mut typed = Typed::default();
        if matches!(self.failed, Failed::Unreachable) {
            return typed;
        }
        let never = if *is_whole {
            quote_spanned!(hidden(*from)=> ::core::option::Option::<#tokens>::None)
        } else {
            let returned = self.private(&["scope", "Returned", "new"]);
            let never = self.private(&["scope", "Returned", "never"]);
            let never = quote_spanned!(here()=> #never(__zibrato_returned));
            typed.outside = quote_spanned!(here()=>
                let __zibrato_returned = #returned();
                if let ::core::option::Option::Some(__zibrato_never) = #never {
                    return __zibrato_never;
                }
            );
            typed.argument = quote_spanned!(here()=> __zibrato_returned,);
            never
        };
        typed.inside = quote_spanned!(hidden(*from)=>
            if let ::core::option::Option::Some(__zibrato_never) = #never {
                return __zibrato_never;
            }
        );
        typed
    }

    /// `result`, which the scope is told of.
    fn finished(&self, result: &TokenStream) -> TokenStream {
        let Output { tokens: output, from, to, .. } = &self.output;
        let finish = self.private(&["scope", "Scope", "finish"]);
        let named = Ident::new("__zibrato_result", hidden(*from));
        let failed = match self.failed {
            // What is dropped has panicked or was cancelled.
            Failed::Unreachable => return result.clone(),
            Failed::Never => quote_spanned!(here()=> false),
            Failed::IfItCan => {
                let look = self.private(&["scope", "Look"]);
                quote_spanned!(here()=> #look(&#named).__zibrato_failed())
            }
            // Where the type is no outcome, rustc underlines this.
            Failed::Outcome => {
                let is_err = private_at(self.krate, &["scope", "is_err"], *from, *to);
                quote_spanned!(hidden(*to)=> #is_err(&#named))
            }
        };
        quote_spanned!(here()=>
            let #named: #output = #result;
            #finish(__zibrato_scope, #failed, #named)
        )
    }
}
