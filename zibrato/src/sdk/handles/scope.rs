//! What an attribute measures of a call: its outcome, its duration, and its polls.
//!
//! A [`Scope`] that is dropped while its code runs has panicked. One that is dropped between two polls
//! is cancelled. The [`Recording`] of the scope records the outcome.

use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::points::measure;
use crate::sdk::points::noted::CallTags;
use crate::sdk::points::site::Site;
use std::pin::Pin;
use std::task::{Context, Poll};

mod annotated;
mod future;
mod places;
mod reading;
mod tagged;
#[cfg(test)]
mod tests;
pub use super::outcome::{Look, NeverFails, fails, is_err};
pub use annotated::{Annotated, annotated};
pub use future::{
    Made, MadeFuture, MadeValue, Measured, Returned, made, measured, never, returned, to_be_made,
};
pub use places::{One, Outcomes, Places, every, failures, successes};
pub use reading::{Read, record};
pub use tagged::{More, Polls, Tagged, TaggedInFlight, tagged};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A future was dropped before it was done.
    Cancelled,
    Err,
    Ok,
    Panic,
}

impl Ending {
    /// The value of the tag `outcome`, and of tags over a result that there is not.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Err => "err",
            Self::Ok => "ok",
            Self::Panic => "panic",
        }
    }
}

/// Records one call.
pub trait Recording {
    /// A future is about to be polled.
    #[inline]
    fn poll(&mut self) {}

    /// The code of the call starts or continues.
    #[inline]
    fn resume(&mut self) {}

    /// The code of the call has returned, possibly only until the next poll.
    #[inline]
    fn pause(&mut self) {}

    /// The tags, if some of them depend on the result. They are completed before the end.
    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        None
    }

    /// The call is over. Called once.
    fn end(&mut self, ending: Ending);
}

/// A call from its beginning to its end.
#[derive(Debug)]
#[must_use = "it measures until it is finished or dropped"]
pub struct Scope<R: Recording> {
    recording: R,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Ended,
    /// The code of the call is running, so only a panic can drop the scope.
    Running,
    /// Between two polls.
    Waiting,
}

/// A plain call.
#[inline]
pub const fn call<R: Recording>(recording: R) -> Scope<R> {
    Scope { recording, phase: Phase::Running }
}

/// Calls a function's body.
#[inline]
pub fn run<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Calls a function's body whose result has the type of the function.
#[inline]
pub fn run_typed<T>(_: Returned<T>, body: impl FnOnce() -> T) -> T {
    body()
}

impl<R: Recording> Scope<R> {
    /// Polls the measured future.
    #[inline]
    fn poll<F: Future>(&mut self, body: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.phase = Phase::Running;
        self.recording.poll();
        self.recording.resume();
        let polled = body.poll(context);
        self.recording.pause();
        if polled.is_pending() {
            self.phase = Phase::Waiting;
        }
        polled
    }

    /// The tags that depend on the result, if anybody would take a reading.
    #[inline]
    pub fn tags(&mut self) -> Option<&mut CallTags> {
        self.recording.tags()
    }

    /// Ends the call, and returns its result.
    #[inline]
    pub fn finish<T>(mut self, failed: bool, result: T) -> T {
        self.end_with(failed);
        result
    }

    #[inline]
    fn end_with(&mut self, failed: bool) {
        self.end(if failed { Ending::Err } else { Ending::Ok });
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        self.phase = Phase::Ended;
        self.recording.end(ending);
    }
}

impl<R: Recording> Drop for Scope<R> {
    #[inline]
    fn drop(&mut self) {
        match self.phase {
            Phase::Ended => {}
            Phase::Running => self.end(Ending::Panic),
            Phase::Waiting => self.end(Ending::Cancelled),
        }
    }
}

/// The site at which slow calls are recorded.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct Slow {
    pub site: &'static Site,
    /// A call of at least this many seconds is slow.
    pub seconds: f64,
}

/// Nothing is recorded at the end.
impl Recording for () {
    #[inline]
    fn end(&mut self, _: Ending) {}
}

/// Counts at the end, when the outcome is known.
#[derive(Debug)]
pub struct Counted<P: Places, A: Amount> {
    places: P,
    amount: A,
}

#[inline]
pub const fn counted<P: Places, A: Amount>(places: P, amount: A) -> Counted<P, A> {
    Counted { places, amount }
}

impl<P: Places, A: Amount> Recording for Counted<P, A> {
    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        self.places.tags()
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        self.places.count(ending, self.amount);
    }
}

/// Records the duration of the call.
#[derive(Debug)]
pub struct Timed<P: Places> {
    places: P,
    slow: Option<Slow>,
    /// `None` if no site is wanted.
    clock: Option<Clock>,
}

#[derive(Debug)]
enum Clock {
    /// The ticks inside polls: of finished polls, and the start of the running one.
    Busy { before: i64, since: Option<Moment> },
    /// The time since this moment.
    Wall(Moment),
}

/// Times from now until the end, including the time between polls.
#[inline]
pub fn wall<P: Places>(places: P, slow: Option<Slow>) -> Timed<P> {
    timed(places, slow, || Clock::Wall(Moment::now()))
}

/// Times only the polls.
#[inline]
pub fn busy<P: Places>(places: P, slow: Option<Slow>) -> Timed<P> {
    timed(places, slow, || Clock::Busy { before: 0, since: None })
}

#[inline]
fn timed<P: Places>(places: P, slow: Option<Slow>, begin: impl FnOnce() -> Clock) -> Timed<P> {
    let measured =
        places.are_measured() || slow.is_some_and(|slow| measure::is_measured(slow.site));
    Timed { places, slow, clock: measured.then(begin) }
}

impl<P: Places> Recording for Timed<P> {
    #[inline]
    fn resume(&mut self) {
        if let Some(Clock::Busy { since, .. }) = &mut self.clock {
            *since = Some(Moment::now());
        }
    }

    #[inline]
    fn pause(&mut self) {
        if let Some(Clock::Busy { before, since }) = &mut self.clock
            && let Some(since) = since.take()
        {
            *before += since.elapsed();
        }
    }

    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        self.places.tags()
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        // A poll that panics has not called `pause`.
        self.pause();
        // Read once, so that all sites get the same duration.
        let ticks = match &self.clock {
            None => return,
            Some(Clock::Busy { before, .. }) => *before,
            Some(Clock::Wall(begun)) => begun.elapsed(),
        };
        self.places.record(ending, ticks);
        if let Some(slow) = self.slow
            && ticks::seconds(ticks) >= slow.seconds
        {
            measure::record(slow.site, ticks);
        }
    }
}

/// Where polls are counted.
pub trait CountsPolls {
    /// Counts a poll.
    fn count_poll(&self);
}

impl CountsPolls for &'static Site {
    #[inline]
    fn count_poll(&self) {
        measure::count(*self, 1_u64);
    }
}

/// Also counts the polls.
impl<C: CountsPolls, R: Recording> Recording for (C, R) {
    #[inline]
    fn poll(&mut self) {
        self.0.count_poll();
    }

    #[inline]
    fn resume(&mut self) {
        self.1.resume();
    }

    #[inline]
    fn pause(&mut self) {
        self.1.pause();
    }

    #[inline]
    fn tags(&mut self) -> Option<&mut CallTags> {
        self.1.tags()
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        self.1.end(ending);
    }
}
