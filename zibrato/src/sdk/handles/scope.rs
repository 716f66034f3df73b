//! What an attribute measures around a call: how it ended, for how long it ran, how often it was
//! polled.
//!
//! A [`Scope`] knows where a call or a future stands, and so what it means that it is dropped: one
//! that runs panics, one that waits is cancelled. What is recorded then is up to its [`Recording`].

use super::outcome::Outcome;
use crate::sdk::cells::amount::Amount;
use crate::sdk::cells::ticks::{Elapsed, Moment};
use crate::sdk::points::measure;
use crate::sdk::points::site::{Site, count};
use crate::sdk::points::timing;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

mod future;
mod join;
mod made;
#[cfg(test)]
mod tests;
pub use future::{Measured, measured};
pub use join::{join, joined_length, text};
pub use made::{
    Continued, Made, MadeFuture, MadeValue, Returned, boxed, made, pinned, returned, to_be_made,
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

/// What is recorded of one call.
pub trait Recording {
    /// A future is about to be polled.
    #[inline]
    fn poll(&mut self) {}

    /// The call's code begins to run, or goes on.
    #[inline]
    fn resume(&mut self) {}

    /// The call's code has returned, for now.
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
    /// The call's code is on the stack: only a panic drops it now.
    Running,
    /// Between two polls.
    Waiting,
}

/// A plain call.
#[inline]
pub const fn call<R: Recording>(recording: R) -> Scope<R> {
    Scope { recording, phase: Phase::Running }
}

/// A future that [`Scope::poll`] polls.
#[inline]
const fn future<R: Recording>(recording: R) -> Scope<R> {
    Scope { recording, phase: Phase::Waiting }
}

/// Calls a function's body.
#[inline]
pub fn run<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Calls a function's body, whose result has the type that is returned.
#[inline]
pub fn run_typed<T>(_: Returned<T>, body: impl FnOnce() -> T) -> T {
    body()
}

impl<R: Recording> Scope<R> {
    /// Polls what is measured.
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

    /// Ends the call, and passes its result through.
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

/// Where a call is recorded.
pub trait Sites: Copy {
    /// Where a call that ended so is recorded.
    fn of(self, ending: Ending) -> Option<&'static Site>;

    /// Whether anybody would take a reading of any of them.
    fn are_measured(self) -> bool;
}

/// One place, however the call ends.
impl Sites for &'static Site {
    #[inline]
    fn of(self, _: Ending) -> Option<&'static Site> {
        Some(self)
    }

    #[inline]
    fn are_measured(self) -> bool {
        measure::is_measured(self)
    }
}

/// A place for each ending. Endings that a function cannot come to have none.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Outcomes {
    pub ok: Option<&'static Site>,
    pub err: Option<&'static Site>,
    pub panic: Option<&'static Site>,
    pub cancelled: Option<&'static Site>,
}

impl Sites for Outcomes {
    #[inline]
    fn of(self, ending: Ending) -> Option<&'static Site> {
        match ending {
            Ending::Cancelled => self.cancelled,
            Ending::Err => self.err,
            Ending::Ok => self.ok,
            Ending::Panic => self.panic,
        }
    }

    #[inline]
    fn are_measured(self) -> bool {
        let sites = [self.ok, self.err, self.panic, self.cancelled];
        sites.into_iter().flatten().any(measure::is_measured)
    }
}

/// One place for errors, and for panics, which are such.
#[inline]
#[must_use]
pub const fn failures(site: &'static Site) -> Outcomes {
    Outcomes { ok: None, err: Some(site), panic: Some(site), cancelled: None }
}

/// One place for what is no error.
#[inline]
#[must_use]
pub const fn successes(site: &'static Site) -> Outcomes {
    Outcomes { ok: Some(site), err: None, panic: None, cancelled: None }
}

/// Where calls are recorded that took long.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Slow {
    pub site: &'static Site,
    /// So many seconds are slow, and any more.
    pub seconds: f64,
}

/// Nothing is recorded at the end.
impl Recording for () {
    #[inline]
    fn end(&mut self, _: Ending) {}
}

/// Counts at the end, when it is known as what.
#[derive(Debug)]
pub struct Counted<A: Amount> {
    sites: Outcomes,
    amount: A,
}

#[inline]
pub const fn counted<A: Amount>(sites: Outcomes, amount: A) -> Counted<A> {
    Counted { sites, amount }
}

impl<A: Amount> Recording for Counted<A> {
    #[inline]
    fn end(&mut self, ending: Ending) {
        if let Some(site) = self.sites.of(ending) {
            count(site, self.amount);
        }
    }
}

/// Records how long the call took.
#[derive(Debug)]
pub struct Timed<S: Sites> {
    sites: S,
    slow: Option<Slow>,
    /// `None` while nobody wants to know.
    clock: Option<Clock>,
}

#[derive(Debug)]
enum Clock {
    /// The time inside polls: those that have returned, and since when the one runs that has not.
    Busy { before: Elapsed, since: Option<Moment> },
    /// The time since then.
    Wall(Moment),
}

/// Times from now on until the end, waiting included.
#[inline]
pub fn wall<S: Sites>(sites: S, slow: Option<Slow>) -> Timed<S> {
    timed(sites, slow, || Clock::Wall(Moment::now()))
}

/// Times only the polls.
#[inline]
pub fn busy<S: Sites>(sites: S, slow: Option<Slow>) -> Timed<S> {
    timed(sites, slow, || Clock::Busy { before: Elapsed::default(), since: None })
}

#[inline]
fn timed<S: Sites>(sites: S, slow: Option<Slow>, begin: impl FnOnce() -> Clock) -> Timed<S> {
    let measured = sites.are_measured() || slow.is_some_and(|slow| measure::is_measured(slow.site));
    Timed { sites, slow, clock: measured.then(begin) }
}

impl<S: Sites> Recording for Timed<S> {
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
        // A poll that panics does not return.
        self.pause();
        // Read once, so that all places are told the same.
        let elapsed = match &self.clock {
            None => return,
            Some(Clock::Busy { before, .. }) => *before,
            Some(Clock::Wall(begun)) => begun.elapsed(),
        };
        if let Some(site) = self.sites.of(ending) {
            timing::record(site, elapsed);
        }
        if let Some(slow) = self.slow
            && elapsed.seconds() >= slow.seconds
        {
            timing::record(slow.site, elapsed);
        }
    }
}

/// Counts the polls too.
#[derive(Debug)]
pub struct Polled<R: Recording> {
    polls: &'static Site,
    recording: R,
}

#[inline]
pub const fn polled<R: Recording>(polls: &'static Site, recording: R) -> Polled<R> {
    Polled { polls, recording }
}

impl<R: Recording> Recording for Polled<R> {
    #[inline]
    fn poll(&mut self) {
        count(self.polls, 1_u64);
        self.recording.poll();
    }

    #[inline]
    fn resume(&mut self) {
        self.recording.resume();
    }

    #[inline]
    fn pause(&mut self) {
        self.recording.pause();
    }

    #[inline]
    fn end(&mut self, ending: Ending) {
        self.recording.end(ending);
    }
}

/// Looks whether a result is an error: one that is no [`Outcome`] never is. Which of the two
/// `__zibrato_failed` is meant, the compiler decides where the type is known: the inherent one comes
/// first. No trait of the user's has a method of that name.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Look<'a, T>(pub &'a T);

impl<T: Outcome> Look<'_, T> {
    #[inline]
    #[must_use]
    pub fn __zibrato_failed(self) -> bool {
        self.0.is_err()
    }
}

impl<T> Deref for Look<'_, T> {
    type Target = NeverFails;

    #[inline]
    fn deref(&self) -> &NeverFails {
        &NeverFails
    }
}

#[derive(Debug)]
#[non_exhaustive]
pub struct NeverFails;

impl NeverFails {
    #[inline]
    #[must_use]
    pub const fn __zibrato_failed(&self) -> bool {
        false
    }
}

/// Looks whether a result is an error, and insists that it can be one.
#[inline]
pub fn is_err<T: Outcome>(result: &T) -> bool {
    result.is_err()
}
