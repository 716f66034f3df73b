//! Futures that are measured: a future beside the scope that polls it; and calls that return one.
//!
//! A struct rather than an async block, so that the auto traits and the size are those of the
//! measured future and of the scope, and no argument is stored twice.

use super::{Phase, Recording, Scope};
use pin_project_lite::pin_project;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A future that is measured from when it is first polled until it is done or dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Measured<F, B, R: Recording, G, L> {
        // Dropped first: what it drops is part of the call.
        #[pin]
        body: F,
        state: State<B, R, G>,
        failed: L,
    }
}

#[derive(Debug)]
enum State<B, R: Recording, G> {
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
            let scope = Scope { recording, phase: Phase::Waiting };
            *self = Self::Begun { scope, _guards: guards };
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

impl<R: Recording> Scope<R> {
    /// Makes what the call returns.
    #[inline]
    pub fn make<T>(&mut self, body: impl FnOnce() -> T) -> T {
        self.recording.resume();
        let made = body();
        self.recording.pause();
        made
    }
}

/// Goes on measuring in `made`: a future that is measured since the call that made it.
#[inline]
pub fn returned<F, R, G, L>(
    mut scope: Scope<R>,
    guards: G,
    made: F,
    failed: L,
) -> impl Future<Output = F::Output>
where
    F: IntoFuture,
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    scope.phase = Phase::Waiting;
    let state = State::<fn() -> (R, G), R, G>::Begun { scope, _guards: guards };
    Measured { body: made.into_future(), state, failed }
}

/// The type of a result that cannot be written down, such as one with an `impl Trait` in it.
pub type Returned<T> = PhantomData<fn() -> T>;

/// What is never there has the type too.
#[inline]
#[must_use]
pub const fn never<T>(_: Returned<T>) -> Option<T> {
    None
}

/// What a call returned that may be a future. Which `__zibrato_end` is meant, the compiler decides
/// where the type is known: of a boxed future, of any other, or of a value.
#[derive(Debug)]
pub struct Made<T>(PhantomData<fn() -> T>);

#[inline]
pub const fn made<T>(_: &T) -> Made<T> {
    Made(PhantomData)
}

/// What a call will return.
#[inline]
pub const fn to_be_made<T>(_: Returned<T>) -> Made<T> {
    Made(PhantomData)
}

macro_rules! boxed_futures {
    ($([$($auto:ident)*])+) => {$(
        impl<'a, T> Made<Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'a>>> {
            /// Goes on measuring in another box.
            #[inline]
            pub fn __zibrato_end<R, G, L>(
                &self,
                scope: Scope<R>,
                guards: G,
                made: Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'a>>,
                failed: L,
            ) -> Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'a>>
            where
                T: 'a,
                R: Recording $(+ $auto)* + 'a,
                G: $($auto +)* 'a,
                L: Fn(&T) -> bool $(+ $auto)* + 'a,
            {
                Box::pin(returned(scope, guards, made, failed))
            }

            /// Tells the author of a function whose type hides this one.
            #[deprecated(
                note = "the attribute measures the call alone, and not the future that it returns, \
                        because an alias hides that the type is a pinned box; write the alias out, \
                        or write `call` among the arguments of the attribute if that is meant"
            )]
            #[inline]
            pub const fn __zibrato_check(&self) {}
        }
    )+};
}

boxed_futures!([] [Send] [Sync] [Send Sync]);

impl<T> Deref for Made<T> {
    type Target = MadeFuture<T>;

    #[inline]
    fn deref(&self) -> &MadeFuture<T> {
        &MadeFuture(PhantomData)
    }
}

/// A future of a type that nothing can be put around: its methods are deprecated, so that the compiler
/// warns of it.
#[derive(Debug)]
pub struct MadeFuture<T>(PhantomData<fn() -> T>);

impl<T: Future> MadeFuture<T> {
    /// Ends the call, of which no more is known than that it returned.
    #[deprecated(
        note = "the attribute measures the call alone, and not the future that it returns; \
                        return `impl Future` or `Pin<Box<dyn Future + Send>>`, or write `call` among the \
                        arguments of the attribute if that is meant"
    )]
    #[inline]
    pub fn __zibrato_end<R: Recording, G, L>(
        &self,
        scope: Scope<R>,
        guards: G,
        made: T,
        failed: L,
    ) -> T
    where
        L: Fn(&T::Output) -> bool,
    {
        drop(failed);
        let made = scope.finish(false, made);
        drop(guards);
        made
    }

    /// Tells the author of the function.
    #[deprecated(
        note = "the attribute measures the call alone, and not the future that it returns; \
                        return `impl Future` or `Pin<Box<dyn Future + Send>>`, or write `call` among the \
                        arguments of the attribute if that is meant"
    )]
    #[inline]
    pub const fn __zibrato_check(&self) {}
}

impl<T> Deref for MadeFuture<T> {
    type Target = MadeValue<T>;

    #[inline]
    fn deref(&self) -> &MadeValue<T> {
        &MadeValue(PhantomData)
    }
}

/// No future.
#[derive(Debug)]
pub struct MadeValue<T>(PhantomData<fn() -> T>);

impl<T> MadeValue<T> {
    /// Ends the call.
    #[inline]
    pub fn __zibrato_end<R: Recording, G, L>(
        &self,
        scope: Scope<R>,
        guards: G,
        made: T,
        failed: L,
    ) -> T
    where
        L: FnOnce(&T) -> bool,
    {
        let failed = failed(&made);
        let made = scope.finish(failed, made);
        drop(guards);
        made
    }

    /// Nothing is wrong with it.
    #[inline]
    pub const fn __zibrato_check(&self) {}
}
