//! Futures that cannot be wrapped, because their type has further traits, or because they are
//! inside another type: the function compiles, and only the call is measured.

#![allow(deprecated, reason = "the compiler warns of each of these functions")]

use super::shape::block_on;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use zibrato::Measurement;
use zibrato::testing::{Capture, capture};

type Outcome = Result<u8, String>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// As in `futures`.
trait FusedFuture: Future {
    fn is_terminated(&self) -> bool;
}

#[derive(Clone)]
struct Fused(u8);

impl Future for Fused {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(self.0.checked_sub(1).ok_or_else(|| String::from("none")))
    }
}

impl FusedFuture for Fused {
    fn is_terminated(&self) -> bool {
        false
    }
}

enum Either<A, B> {
    Left(A),
    Right(B),
}

/// The same functions with different attributes.
macro_rules! mode {
    ($mode:ident $($attribute:tt)*) => {
        mod $mode {
            use super::*;

            $($attribute)*
            fn fused(n: u8) -> impl FusedFuture<Output = Outcome> {
                Fused(n)
            }

            $($attribute)*
            fn cloned(n: u8) -> impl Future<Output = Outcome> + Clone + Send {
                Fused(n)
            }

            $($attribute)*
            fn fused_in_a_box(n: u8) -> Box<dyn FusedFuture<Output = Outcome> + Unpin> {
                Box::new(Fused(n))
            }

            $($attribute)*
            fn fused_in_a_pin(n: u8) -> Pin<Box<dyn FusedFuture<Output = Outcome>>> {
                Box::pin(Fused(n))
            }

            $($attribute)*
            fn not_unpin(n: u8) -> Box<dyn Future<Output = Outcome>> {
                Box::new(Fused(n))
            }

            $($attribute)*
            fn converted(n: u8) -> impl IntoFuture<Output = Outcome, IntoFuture = Fused> {
                Fused(n)
            }

            $($attribute)*
            fn either(n: u8) -> Either<impl Future<Output = Outcome>, impl Future<Output = Outcome>> {
                if n == 1 { Either::Left(Fused(n)) } else { Either::Right(async move { Ok(n) }) }
            }

            $($attribute)*
            fn pair(n: u8) -> (u8, BoxFuture<'static, Outcome>) {
                (n, Box::pin(Fused(n)))
            }

            $($attribute)*
            fn result(n: u8) -> Result<BoxFuture<'static, Outcome>, u8> {
                if n == 0 { return Err(n) }
                Ok(Box::pin(Fused(n)))
            }

            $($attribute)*
            fn option(n: u8) -> Option<impl Future<Output = Outcome>> {
                n.checked_sub(1)?;
                Some(Fused(n))
            }

            pub(super) fn call_each(n: u8) {
                let future = fused(n);
                assert!(!future.is_terminated());
                assert_eq!(block_on(future).is_ok(), n > 0);
                assert_eq!(block_on(cloned(n).clone()).is_ok(), n > 0);
                assert!(!fused_in_a_box(n).is_terminated());
                assert!(!fused_in_a_pin(n).is_terminated());
                assert_eq!(block_on(Box::into_pin(not_unpin(n))).is_ok(), n > 0);
                assert_eq!(block_on(converted(n).into_future()).is_ok(), n > 0);
                match either(n) {
                    Either::Left(future) => drop(block_on(future)),
                    Either::Right(future) => drop(block_on(future)),
                }
                drop(block_on(pair(n).1));
                assert_eq!(result(n).is_ok(), n > 0);
                assert_eq!(option(n).is_some(), n > 0);
            }
        }
    };
}

mode!(time #[zibrato::time_me(name = "f")]);
mode!(count #[zibrato::count_me(name = "f")]);
mode!(time_outcomes #[zibrato::time_me(outcomes, name = "f")]);
mode!(count_outcomes #[zibrato::count_me(outcomes, name = "f")]);
mode!(err #[zibrato::time_me(err, name = "f")]);
mode!(on_err #[zibrato::count_me(on = "err", name = "f")]);
mode!(in_flight #[zibrato::count_me(in_flight, name = "f")]);
mode!(slow #[zibrato::time_me(name = "f", slow("1min"))]);
mode!(two #[zibrato::count_me(outcomes, name = "n")] #[zibrato::time_me(name = "f")]);
mode!(call #[zibrato::time_me(name = "f", call)]);

/// Number of functions; two of them return a value that can be an error.
const CALLS: usize = 10;

fn outcomes(capture: &Capture, expected: &str) -> usize {
    let is_it = |m: &&Measurement| m.tags.get("outcome") == Some(expected);
    capture.measurements().iter().filter(is_it).count()
}

#[test]
fn only_the_call_is_measured() {
    for call_each in [time::call_each, slow::call_each, two::call_each, call::call_each] {
        let capture = capture();
        call_each(1);
        assert_eq!(capture.timer("info", "f").len(), CALLS);
    }
    for call_each in [count::call_each, in_flight::call_each] {
        let capture = capture();
        call_each(1);
        assert_eq!(capture.counter("info", "f"), CALLS as f64);
    }
}

#[test]
fn the_outcome_is_that_of_the_call() {
    for call_each in [time_outcomes::call_each, count_outcomes::call_each, err::call_each] {
        let capture = capture();
        call_each(1);
        assert_eq!((outcomes(&capture, "ok"), outcomes(&capture, "err")), (CALLS, 0));
        call_each(0);
        assert_eq!((outcomes(&capture, "ok"), outcomes(&capture, "err")), (2 * CALLS - 2, 2));
    }
    let capture = capture();
    on_err::call_each(1);
    on_err::call_each(0);
    assert_eq!(capture.counter("info", "f"), 2.0);
}

#[zibrato::time_me(name = "f", outcomes)]
fn followed(
    n: u8,
) -> impl Future<Output = Outcome> + Send + Sync + Unpin + Sized + 'static + use<> {
    assert!(n < 100);
    Fused(n)
}

#[zibrato::time_me(name = "f", outcomes)]
fn many(n: u8) -> impl Iterator<Item = Ready<u8>> + Clone {
    std::iter::once(ready(n))
}

#[test]
fn a_future_is_measured_if_its_bounds_are_kept() {
    let capture = capture();
    let future = followed(0);
    assert_eq!(capture.measurements().len(), 0);
    block_on(future).unwrap_err();
    assert_eq!((outcomes(&capture, "ok"), outcomes(&capture, "err")), (0, 1));
    assert_eq!(many(1).clone().count(), 1);
    assert_eq!(outcomes(&capture, "ok"), 1);
}
