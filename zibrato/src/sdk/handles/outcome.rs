//! Which results are errors.

use std::ops::Deref;

/// Whether a function's result is an error, for `on`, `outcomes` and `err`.
///
/// `Err` and `None` are errors, as with `?`. Implement it for your own result type:
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
    note = "remove `on` or `err`, or implement `zibrato::Outcome` for `{Self}`"
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

/// Looks whether a result is an error: one that is no [`Outcome`] never is. Which of the two
/// `__zibrato_failed` is meant, the compiler decides where the type is known: the inherent one comes
/// first. No trait of the user's has a method of that name.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "generated code makes it")]
pub struct Look<'a, T>(pub &'a T);

impl<T: Outcome> Look<'_, T> {
    /// Whether it is one.
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

/// What a result of any other type is taken for.
#[derive(Debug)]
#[non_exhaustive]
pub struct NeverFails;

impl NeverFails {
    /// Never.
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
