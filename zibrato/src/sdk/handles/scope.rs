//! What an attribute measures of a call: its outcome, its duration, and its polls.
//!
//! A [`Scope`] that is dropped while its code runs has panicked. One that is dropped between two polls
//! is cancelled. The [`Recording`] of the scope records the outcome.

use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::ticks::{self, Moment};
use crate::sdk::points::measure;
use crate::sdk::points::site::Site;
use crate::sdk::points::target::Measures;
use std::pin::Pin;
use std::task::{Context, Poll};

mod future;
#[cfg(test)]
mod tests;
pub use super::outcome::{Look, NeverFails, is_err};
pub use future::{
    Made, MadeFuture, MadeValue, Measured, Returned, made, measured, never, returned, to_be_made,
};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A future was dropped before it was done.
    Cancelled,
    Err,
    Ok,
    Panic,
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

/// A site for each ending. Endings that are impossible for the function have none.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct Outcomes {
    pub ok: Option<&'static Site>,
    pub err: Option<&'static Site>,
    pub panic: Option<&'static Site>,
    pub cancelled: Option<&'static Site>,
}

/// Where calls are recorded, depending on how they end.
pub trait Places {
    type Place: Measures;

    /// Where a call that ended so is recorded.
    fn of(&self, ending: Ending) -> Option<&Self::Place>;

    /// Whether anybody would take a reading of any of them.
    fn are_measured(&self) -> bool;
}

impl Places for Outcomes {
    type Place = &'static Site;

    #[inline]
    fn of(&self, ending: Ending) -> Option<&&'static Site> {
        match ending {
            Ending::Cancelled => self.cancelled.as_ref(),
            Ending::Err => self.err.as_ref(),
            Ending::Ok => self.ok.as_ref(),
            Ending::Panic => self.panic.as_ref(),
        }
    }

    #[inline]
    fn are_measured(&self) -> bool {
        let sites = [self.ok, self.err, self.panic, self.cancelled];
        sites.into_iter().flatten().any(measure::is_measured)
    }
}

/// One place, for some of the endings.
#[derive(Debug)]
pub struct One<P> {
    place: P,
    ok: bool,
    failed: bool,
    cancelled: bool,
}

impl<P: Measures> Places for One<P> {
    type Place = P;

    #[inline]
    fn of(&self, ending: Ending) -> Option<&P> {
        let is_meant = match ending {
            Ending::Cancelled => self.cancelled,
            Ending::Err | Ending::Panic => self.failed,
            Ending::Ok => self.ok,
        };
        is_meant.then_some(&self.place)
    }

    #[inline]
    fn are_measured(&self) -> bool {
        self.place.is_measured()
    }
}

/// One place, however the call ends.
#[inline]
#[must_use]
pub const fn every<P: Measures>(place: P) -> One<P> {
    One { place, ok: true, failed: true, cancelled: true }
}

/// The same site for errors and panics.
#[inline]
#[must_use]
pub const fn failures<P: Measures>(place: P) -> One<P> {
    One { place, ok: false, failed: true, cancelled: false }
}

/// A site for results that are not errors.
#[inline]
#[must_use]
pub const fn successes<P: Measures>(place: P) -> One<P> {
    One { place, ok: true, failed: false, cancelled: false }
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
    fn end(&mut self, ending: Ending) {
        if let Some(place) = self.places.of(ending) {
            place.count(self.amount);
        }
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
    fn end(&mut self, ending: Ending) {
        // A poll that panics has not called `pause`.
        self.pause();
        // Read once, so that all sites get the same duration.
        let ticks = match &self.clock {
            None => return,
            Some(Clock::Busy { before, .. }) => *before,
            Some(Clock::Wall(begun)) => begun.elapsed(),
        };
        if let Some(place) = self.places.of(ending) {
            place.record(ticks);
        }
        if let Some(slow) = self.slow
            && ticks::seconds(ticks) >= slow.seconds
        {
            measure::record(slow.site, ticks);
        }
    }
}

/// Also counts the polls.
impl<R: Recording> Recording for (&'static Site, R) {
    #[inline]
    fn poll(&mut self) {
        measure::count(self.0, 1_u64);
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
    fn end(&mut self, ending: Ending) {
        self.1.end(ending);
    }
}
