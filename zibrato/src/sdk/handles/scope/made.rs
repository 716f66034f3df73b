//! Calls that return a future: they begin where they are called, and go on in the future.

use super::future::{Measured, State};
use super::{Phase, Recording, Scope};
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

/// A future that is measured since the call that made it.
pub type Continued<F, R, G, L> = Measured<F, fn() -> (R, G), R, G, L>;

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

/// Goes on measuring in `made`.
#[inline]
pub fn returned<F, R, G, L>(
    mut scope: Scope<R>,
    guards: G,
    made: F,
    failed: L,
) -> Continued<F::IntoFuture, R, G, L>
where
    F: IntoFuture,
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    scope.phase = Phase::Waiting;
    Measured { body: made.into_future(), state: State::Begun { scope, _guards: guards }, failed }
}

/// The same in a box.
#[inline]
pub fn boxed<F, R, G, L>(
    scope: Scope<R>,
    guards: G,
    made: F,
    failed: L,
) -> Box<Continued<F, R, G, L>>
where
    F: Future,
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    Box::new(returned(scope, guards, made, failed))
}

/// The same in a box that is pinned.
#[inline]
pub fn pinned<F, R, G, L>(
    scope: Scope<R>,
    guards: G,
    made: F,
    failed: L,
) -> Pin<Box<Continued<F, R, G, L>>>
where
    F: Future,
    R: Recording,
    L: Fn(&F::Output) -> bool,
{
    Box::pin(returned(scope, guards, made, failed))
}

/// The type of a result that cannot be written down, such as one with an `impl Trait` in it.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    #[inline]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "generated code makes it")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// What is never there has the type too.
    #[inline]
    #[must_use]
    pub const fn never(self) -> Option<T> {
        None
    }
}

impl<T> Clone for Returned<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Returned<T> {}

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
                pinned(scope, guards, made, failed)
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
