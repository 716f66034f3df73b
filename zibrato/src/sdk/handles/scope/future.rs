//! Measured futures, which contain the scope and the future that it measures; and calls that return
//! a future.
//!
//! This is a struct and not an async block, so it has the auto traits of the future and the scope,
//! its size is the sum of theirs, and no argument is stored twice.

use super::{CallTags, Phase, Recording, Scope};
use pin_project_lite::pin_project;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A future that is measured from its first poll until it is done or dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Measured<F, B, R: Recording, G, L> {
        // Dropped first, because dropping it is part of the call.
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
    /// The scope is dropped before the guards, which were created before it.
    Begun {
        scope: Scope<R>,
        _guards: G,
    },
    Over,
}

/// Measures `body`. `begin` is called at its first poll, and `failed` with its result and the tags that
/// depend on it.
#[inline]
pub fn measured<F, B, R, G, L>(begin: B, body: F, failed: L) -> Measured<F, B, R, G, L>
where
    F: Future,
    B: FnOnce() -> (R, G),
    R: Recording,
    L: Fn(&F::Output, Option<&mut CallTags>) -> bool,
{
    Measured { body, state: State::Before(begin), failed }
}

impl<B, R, G> State<B, R, G>
where
    B: FnOnce() -> (R, G),
    R: Recording,
{
    /// The scope, unless the future is done.
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
    L: Fn(&F::Output, Option<&mut CallTags>) -> bool,
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
            let failed = (this.failed)(result, scope.tags());
            scope.end_with(failed);
            // Also drops the guards.
            drop(polling);
        } else {
            mem::forget(polling);
        }
        polled
    }
}

/// A poll in progress. If it is dropped, it ends the call, because the future is done or panics.
/// The caller may keep the future longer than that.
struct Polling<'a, B, R: Recording, G>(&'a mut State<B, R, G>);

impl<B, R: Recording, G> Drop for Polling<'_, B, R, G> {
    #[inline]
    fn drop(&mut self) {
        *self.0 = State::Over;
    }
}

impl<R: Recording> Scope<R> {
    /// Calls the function, and returns its result.
    #[inline]
    pub fn make<T>(&mut self, body: impl FnOnce() -> T) -> T {
        self.recording.resume();
        let made = body();
        self.recording.pause();
        made
    }
}

/// Continues the measurement in `made`, a future that has been measured since the call that created
/// it.
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
    L: Fn(&F::Output, Option<&mut CallTags>) -> bool,
{
    scope.phase = Phase::Waiting;
    let state = State::<fn() -> (R, G), R, G>::Begun { scope, _guards: guards };
    Measured { body: made.into_future(), state, failed }
}

/// A result type that cannot be written in code, such as one with an `impl Trait` in it.
pub type Returned<T> = PhantomData<fn() -> T>;

/// Returns `None`, from which the compiler infers the type.
#[inline]
#[must_use]
pub const fn never<T>(_: Returned<T>) -> Option<T> {
    None
}

/// The result of a call, which may be a future. The compiler chooses between the methods
/// `__zibrato_end` where the type is known: for a boxed future, for another future, or for a value.
#[derive(Debug)]
pub struct Made<T>(PhantomData<fn() -> T>);

#[inline]
pub const fn made<T>(_: &T) -> Made<T> {
    Made(PhantomData)
}

/// The result of a call that has not been made yet.
#[inline]
pub const fn to_be_made<T>(_: Returned<T>) -> Made<T> {
    Made(PhantomData)
}

macro_rules! boxed_futures {
    ($([$($auto:ident)*])+) => {$(
        impl<'a, T> Made<Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'a>>> {
            /// Continues the measurement in another box.
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
                L: Fn(&T, Option<&mut CallTags>) -> bool $(+ $auto)* + 'a,
            {
                Box::pin(returned(scope, guards, made, failed))
            }

            /// Warns the author of a function whose type hides this one.
            #[deprecated(
                note = "the attribute measures only the call, not the future that it returns, \
                        because an alias hides that the type is a pinned box; write the type without \
                        the alias, or add `call` to the arguments of the attribute if this is intended"
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

/// A future of a type that cannot be wrapped. Its methods are deprecated, so that the compiler
/// warns.
#[derive(Debug)]
pub struct MadeFuture<T>(PhantomData<fn() -> T>);

impl<T: Future> MadeFuture<T> {
    /// Ends the call when it returns. The future is not measured.
    #[deprecated(note = "the attribute measures only the call, not the future that it returns; \
                        return `impl Future` or `Pin<Box<dyn Future + Send>>`, or add `call` to the \
                        arguments of the attribute if this is intended")]
    #[inline]
    pub fn __zibrato_end<R: Recording, G, L>(
        &self,
        scope: Scope<R>,
        guards: G,
        made: T,
        failed: L,
    ) -> T
    where
        L: Fn(&T::Output, Option<&mut CallTags>) -> bool,
    {
        drop(failed);
        let made = scope.finish(false, made);
        drop(guards);
        made
    }

    /// Warns the author of the function.
    #[deprecated(note = "the attribute measures only the call, not the future that it returns; \
                        return `impl Future` or `Pin<Box<dyn Future + Send>>`, or add `call` to the \
                        arguments of the attribute if this is intended")]
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

/// A value that is not a future.
#[derive(Debug)]
pub struct MadeValue<T>(PhantomData<fn() -> T>);

impl<T> MadeValue<T> {
    /// Ends the call.
    #[inline]
    pub fn __zibrato_end<R: Recording, G, L>(
        &self,
        mut scope: Scope<R>,
        guards: G,
        made: T,
        failed: L,
    ) -> T
    where
        L: FnOnce(&T, Option<&mut CallTags>) -> bool,
    {
        let failed = failed(&made, scope.tags());
        let made = scope.finish(failed, made);
        drop(guards);
        made
    }

    /// Does nothing, because there is nothing to warn about.
    #[inline]
    pub const fn __zibrato_check(&self) {}
}
