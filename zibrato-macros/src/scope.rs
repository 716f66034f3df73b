//! What an attribute measures around a call, beyond that it happened: as words, as typed values.
//!
//! `words` reads them, `check` says which do not go together or not with the function, `expand`
//! writes what they become, and `around` puts the body into it.

mod around;
mod check;
mod duration;
mod expand;
mod inline;
mod words;

use proc_macro2::Span;

use crate::text::Text;

pub(crate) use check::check;
pub(crate) use expand::{counted, timed};
pub(crate) use words::{BUSY, CANCELLED, ERR, IN_FLIGHT, OK, OUTCOMES, PANIC, POLLS, SAMPLE, SLOW};

/// What was asked for; the spans are those of the words.
#[derive(Default)]
pub(crate) struct Scope {
    outcomes: Option<Span>,
    ok: Option<Outcome>,
    err: Option<Outcome>,
    panic: Option<Outcome>,
    cancelled: Option<Outcome>,
    slow: Option<Slow>,
    in_flight: Option<Span>,
    sample: Option<Sample>,
    busy: Option<Span>,
    polls: Option<Span>,
}

/// An outcome that was named.
struct Outcome {
    span: Span,
    level: Option<Text>,
}

struct Slow {
    /// The time as it was written.
    text: String,
    seconds: f64,
    level: Option<Text>,
}

struct Sample {
    span: Span,
    every: u32,
}

impl Scope {
    /// Whether nothing was asked for that a plain attribute does not do.
    pub(crate) fn is_plain(&self) -> bool {
        self.split().is_none()
            && self.slow.is_none()
            && self.in_flight.is_none()
            && self.sample.is_none()
            && self.busy.is_none()
            && self.polls.is_none()
    }

    /// Where it says that the result has to be an outcome.
    pub(crate) fn err(&self) -> Option<Span> {
        self.err.as_ref().map(|err| err.span)
    }

    /// The levels that were given to outcomes and to slow calls.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &Text> {
        let outcomes = [&self.ok, &self.err, &self.panic, &self.cancelled];
        let outcomes = outcomes.into_iter().flatten().filter_map(|outcome| outcome.level.as_ref());
        outcomes.chain(self.slow.as_ref().and_then(|slow| slow.level.as_ref()))
    }

    /// The word that tells the outcomes apart, if any does.
    fn split(&self) -> Option<(&'static str, Span)> {
        let span = |outcome: &Option<Outcome>| outcome.as_ref().map(|outcome| outcome.span);
        let words = [
            ("outcomes", self.outcomes),
            ("ok", span(&self.ok)),
            ("err", span(&self.err)),
            ("panic", span(&self.panic)),
            ("cancelled", span(&self.cancelled)),
        ];
        words.into_iter().find_map(|(word, span)| Some((word, span?)))
    }
}
