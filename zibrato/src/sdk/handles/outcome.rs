//! Decides whether a result is an error.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether a function's result is an error, for `on`, `outcomes` and `err`.
///
/// `Err` and `None` are errors, as with `?`. Implement it for your own result type. For a type of another
/// crate, give `#[count_me]` a closure: `on = |r| ..`.
///
/// ```
/// struct Status(u16);
///
/// impl zibrato::Outcome for Status {
///     fn is_err(&self) -> bool {
///         self.0 >= 400
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`on` and `err` need a function that returns a `Result` or an `Option`, not `{Self}`",
    label = "neither `Result` nor `Option`",
    note = "remove `on` or `err`, or implement `zibrato::Outcome` if the type is your own; for a type of \
            another crate, `#[count_me(on = |r| ..)]` counts if the closure says so of the result"
)]
pub trait Outcome {
    /// Whether the result is an error.
    fn is_err(&self) -> bool;
}

impl<T, E> Outcome for Result<T, E> {
    fn is_err(&self) -> bool {
        self.is_err()
    }
}

impl<T> Outcome for Option<T> {
    fn is_err(&self) -> bool {
        self.is_none()
    }
}

/// Decides whether a result is an error. A type that does not implement [`Outcome`] is never one.
/// The compiler chooses between the two methods `__zibrato_failed` where the type is known: the
/// inherent method comes first. No trait of the user has a method of this name.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "generated code creates it")]
pub struct Look<'a, T>(pub &'a T);

impl<T: Outcome> Look<'_, T> {
    /// Whether it is an error.
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

/// A result of any other type.
#[derive(Debug)]
#[non_exhaustive]
pub struct NeverFails;

impl NeverFails {
    /// Always false.
    #[inline]
    #[must_use]
    pub const fn __zibrato_failed(&self) -> bool {
        false
    }
}

/// Decides with a closure of the user's whether a result is one that is not counted. If the closure
/// panics, it is not counted: the function has returned already.
#[inline]
pub fn fails<'a, R: ?Sized>(result: &'a R, is_counted: impl FnOnce(&'a R) -> bool) -> bool {
    let look = AssertUnwindSafe(|| is_counted(result));
    !catch_unwind(look).unwrap_or(false)
}

/// Decides whether a result is an error. Its type must implement [`Outcome`].
#[inline]
pub fn is_err<T: Outcome>(result: &T) -> bool {
    result.is_err()
}
