//! Futures that are measured: a future beside the scope that polls it.
//!
//! A struct rather than an async block, so that the auto traits and the size are those of the
//! measured future and of the scope, and no argument is stored twice.

use super::{Recording, Scope, future};
use pin_project_lite::pin_project;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A future that is measured from when it is first polled until it is done or dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Measured<F, B, R: Recording, G, L> {
        // Dropped first: what it drops is part of the call.
        #[pin]
        pub(super) body: F,
        pub(super) state: State<B, R, G>,
        pub(super) failed: L,
    }
}

#[derive(Debug)]
pub(super) enum State<B, R: Recording, G> {
    /// Not polled yet.
    Before(B),
    /// The scope is dropped before the guards, which were made before it.
    Begun {
        scope: Scope<R>,
        _guards: G,
    },
    Over,
}

/// Measures `body`: `begin` is called when it is first polled, and `failed` with its result.
#[inline]
pub fn measured<F, B, R, G, L>(begin: B, body: F, failed: L) -> Measured<F, B, R, G, L>
where
    F: Future,
    B: FnOnce() -> (R, G),
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    Measured { body, state: State::Before(begin), failed }
}

impl<B, R, G> State<B, R, G>
where
    B: FnOnce() -> (R, G),
    R: Recording,
{
    /// The scope, unless the future was done before.
    #[inline]
    fn scope(&mut self) -> Option<&mut Scope<R>> {
        if let Self::Before(_) = self
            && let Self::Before(begin) = mem::replace(self, Self::Over)
        {
            let (recording, guards) = begin();
            *self = Self::Begun { scope: future(recording), _guards: guards };
        }
        match self {
            Self::Begun { scope, .. } => Some(scope),
            Self::Before(_) | Self::Over => None,
        }
    }
}

impl<F, B, R, G, L> Future for Measured<F, B, R, G, L>
where
    F: Future,
    B: FnOnce() -> (R, G),
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polling = Polling(this.state);
        let Some(scope) = polling.0.scope() else {
            mem::forget(polling);
            return this.body.poll(context);
        };
        let polled = scope.poll(this.body, context);
        if let Poll::Ready(result) = &polled {
            scope.end_with((this.failed)(result));
            // Ends the guards as well.
            drop(polling);
        } else {
            mem::forget(polling);
        }
        polled
    }
}

/// A poll. Dropped, it ends the call: the future is done, or its panic unwinds, and who polled may
/// keep the future for a while.
struct Polling<'a, B, R: Recording, G>(&'a mut State<B, R, G>);

impl<B, R: Recording, G> Drop for Polling<'_, B, R, G> {
    #[inline]
    fn drop(&mut self) {
        *self.0 = State::Over;
    }
}
