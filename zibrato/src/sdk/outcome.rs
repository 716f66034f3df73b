//! Counting by outcome: only what went well, or only what went wrong.

use super::amount::Amount;
use super::site::{Site, count};
use std::thread;

/// What `on`, `outcomes` and `err` look at: whether a function's result is an error.
///
/// `Err` is one, and so is `None`, as with `?`. Implement it for a result type of your own:
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
    note = "leave `on` or `err` away, or implement `zibrato::Outcome` for `{Self}`"
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

/// Which outcome is counted. A panic counts as an error; a future dropped half way as neither.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Err,
    Ok,
}

/// Runs `body` and counts it if its outcome is `on`.
#[doc(hidden)]
#[inline]
pub fn count_on<A: Amount, R: Outcome>(
    site: &'static Site,
    on: On,
    amount: A,
    body: impl FnOnce() -> R,
) -> R {
    let scope = count_scope(site, on, amount);
    scope.finish(body())
}

/// Begins a scope that counts when it is finished with the outcome `on`.
#[doc(hidden)]
#[inline]
pub const fn count_scope<A: Amount>(site: &'static Site, on: On, amount: A) -> CountScope<A> {
    CountScope { site, on, amount, finished: false }
}

/// Counts by outcome when it is finished, or when a panic drops it.
#[doc(hidden)]
#[derive(Debug)]
pub struct CountScope<A: Amount> {
    site: &'static Site,
    on: On,
    amount: A,
    finished: bool,
}

impl<A: Amount> CountScope<A> {
    /// Looks at the outcome, and passes it through.
    #[inline]
    pub fn finish<R: Outcome>(mut self, result: R) -> R {
        self.finished = true;
        if result.is_err() == (self.on == On::Err) {
            count(self.site, self.amount);
        }
        result
    }
}

impl<A: Amount> Drop for CountScope<A> {
    fn drop(&mut self) {
        if !self.finished && self.on == On::Err && thread::panicking() {
            count(self.site, self.amount);
        }
    }
}
