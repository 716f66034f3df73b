//! The arguments of an attribute about outcomes, slow calls, polls and the like, as typed values.
//!
//! `words` parses them, `check` reports invalid combinations, `expand` and `tagged` generate the code
//! out of `parts`, and `around` puts the body into it.

mod around;
mod check;
mod duration;
mod expand;
mod inline;
mod parts;
mod tagged;
mod words;

use proc_macro2::Span;

use crate::text::Text;

pub(crate) use check::check;
pub(crate) use expand::{annotated, counted, sized, timed};
pub(crate) use inline::ends_at_its_end;
pub(crate) use words::{BUSY, CANCELLED, ERR, IN_FLIGHT, OK, OUTCOMES, PANIC, POLLS, SAMPLE, SLOW};

/// The arguments that were given; the spans are those of the words.
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

/// An outcome that was given.
struct Outcome {
    span: Span,
    level: Option<Text>,
}

struct Slow {
    /// The original text of the time.
    text: String,
    seconds: f64,
    level: Option<Text>,
}

struct Sample {
    span: Span,
    every: u32,
}

impl Scope {
    /// Whether it makes several measurements of a call.
    fn has_several(&self) -> bool {
        self.split().is_some()
            || self.slow.is_some()
            || self.in_flight.is_some()
            || self.polls.is_some()
    }

    /// Whether no such argument was given.
    pub(crate) fn is_plain(&self) -> bool {
        self.split().is_none()
            && self.slow.is_none()
            && self.in_flight.is_none()
            && self.sample.is_none()
            && self.busy.is_none()
            && self.polls.is_none()
    }

    /// The span of the argument that requires an `Outcome`.
    pub(crate) fn err(&self) -> Option<Span> {
        self.err.as_ref().map(|err| err.span)
    }

    /// The levels of outcomes and slow calls.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &Text> {
        let outcomes = [&self.ok, &self.err, &self.panic, &self.cancelled];
        let outcomes = outcomes.into_iter().flatten().filter_map(|outcome| outcome.level.as_ref());
        outcomes.chain(self.slow.as_ref().and_then(|slow| slow.level.as_ref()))
    }

    /// The argument that distinguishes outcomes, if there is one.
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
