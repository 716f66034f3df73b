//! Which results are errors.

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
