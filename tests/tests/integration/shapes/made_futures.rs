//! Functions that do some work and return a future: they are measured from the call until the
//! future is done.

use super::shape::{block_on, observe, once_pending};
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use zibrato::testing::{Capture, capture};

type Outcome = Result<u8, String>;
type Boxed<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;
type Sent = Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>;

/// A function, and its name.
type Made = (&'static str, Box<dyn Fn(u8) -> Boxed<'static>>);

/// As in `futures`.
trait FutureExt: Future + Sized {
    fn boxed(self) -> Pin<Box<dyn Future<Output = Self::Output> + Send>>
    where
        Self: Send + 'static,
    {
        Box::pin(self)
    }
}

impl<F: Future> FutureExt for F {}

/// As in `tower`.
trait Service {
    type Future;
    fn call(&mut self, n: u8) -> Self::Future;
}

const WORK: Duration = Duration::from_millis(2);

fn spend(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Is polled twice, and fails for an even number.
async fn work(n: u8) -> Outcome {
    spend(WORK);
    once_pending().await;
    if n == 7 {
        panic!("seven");
    }
    if n % 2 == 1 { Ok(n) } else { Err(String::from("even")) }
}

/// The same functions with different attributes.
macro_rules! mode {
    ($mode:ident $($attribute:tt)*) => {
        mod $mode {
            use super::*;

            $($attribute)*
            fn behind_a_let(n: u8) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
                let m = n;
                Box::pin(async move { work(m).await })
            }

            $($attribute)*
            fn in_a_variable(n: u8) -> Boxed<'static> {
                let future: Boxed<'static> = Box::pin(work(n));
                assert!(n < 100);
                future
            }

            $($attribute)*
            fn by_a_method(n: u8) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'static>> {
                async move { work(n).await }.boxed()
            }

            $($attribute)*
            fn by_a_method_behind_an_alias(n: u8) -> Sent {
                let future = Box::pin(async move { work(n).await });
                future
            }

            $($attribute)*
            fn early(n: u8) -> Boxed<'static> {
                if n == 2 {
                    return Box::pin(work(4));
                }
                match n {
                    3 => Box::pin(async { work(3).await }),
                    n => {
                        let other = Box::pin(work(n));
                        other
                    }
                }
            }

            $($attribute)*
            fn from_a_box(n: &u8) -> Boxed<'_> {
                Pin::from(Box::new(async move { work(*n).await }) as Box<dyn Future<Output = Outcome>>)
            }

            $($attribute)*
            fn of_another_function(n: u8) -> impl Future<Output = Outcome> + Send {
                let future = work(n);
                future
            }

            $($attribute)*
            fn by_hand(n: u8) -> impl Future<Output = Outcome> {
                let mut future = Box::pin(work(n));
                poll_fn(move |context| future.as_mut().poll(context))
            }

            $($attribute)*
            fn in_a_box_alone(n: u8) -> Box<dyn Future<Output = Outcome> + Unpin> {
                let future = Box::pin(work(n));
                Box::new(future)
            }

            $($attribute)*
            fn generic<F: Future<Output = Outcome>>(n: u8, make: impl Fn(u8) -> F) -> impl Future<Output = Outcome> {
                let future = make(n);
                async move { future.await.inspect(|n| assert!(*n < 100)) }
            }

            struct Shop(u8);

            impl Service for Shop {
                type Future = Pin<Box<dyn Future<Output = Outcome> + Send>>;

                $($attribute)*
                fn call(&mut self, n: u8) -> Self::Future {
                    self.0 += 1;
                    Box::pin(work(n))
                }
            }

            pub(super) fn all() -> Vec<Made> {
                vec![
                    ("behind_a_let", Box::new(|n| behind_a_let(n))),
                    ("in_a_variable", Box::new(in_a_variable)),
                    ("by_a_method", Box::new(|n| by_a_method(n))),
                    ("by_a_method_behind_an_alias", Box::new(|n| by_a_method_behind_an_alias(n))),
                    ("early", Box::new(early)),
                    ("from_a_box", Box::new(|n| from_a_box(Box::leak(Box::new(n))))),
                    ("of_another_function", Box::new(|n| Box::pin(of_another_function(n)))),
                    ("by_hand", Box::new(|n| Box::pin(by_hand(n)))),
                    ("in_a_box_alone", Box::new(|n| Box::pin(in_a_box_alone(n)))),
                    ("generic", Box::new(|n| Box::pin(generic(n, work)))),
                    ("call", Box::new(|n| Shop(0).call(n))),
                ]
            }
        }
    };
}

mode!(time_outcomes #[zibrato::time_me(outcomes, name = "f")]);
mode!(count_outcomes #[zibrato::count_me(outcomes, name = "f")]);
mode!(err #[zibrato::time_me(err, name = "f")]);
mode!(time #[zibrato::time_me(name = "f")]);
mode!(slow #[zibrato::time_me(name = "f", slow("1ms"))]);
mode!(on_err #[zibrato::count_me(on = "err", name = "f")]);
mode!(on_ok #[zibrato::count_me(on = "ok", name = "f", value = 2)]);
mode!(busy #[zibrato::time_me(busy, polls, name = "f")]);
mode!(in_flight #[zibrato::count_me(in_flight, name = "f")]);
mode!(two #[zibrato::count_me(outcomes, name = "f")] #[zibrato::time_me(outcomes, name = "f")]);

fn outcomes(capture: &Capture) -> Vec<String> {
    let all = capture.measurements();
    all.iter().filter_map(|m| m.tags.get("outcome")).map(str::to_owned).collect()
}

/// The readings recorded when the future was created, when it was dropped unpolled, and when it was
/// done.
#[test]
fn a_future_is_measured_until_it_is_done() {
    for (name, make) in time_outcomes::all().into_iter().chain(err::all()) {
        for (n, expected) in [(1, "ok"), (2, "err"), (3, "ok"), (7, "panic")] {
            let capture = capture();
            let future = make(n);
            assert_eq!(capture.measurements().len(), 0, "{name}");
            drop(observe(|| block_on(future)));
            assert_eq!(outcomes(&capture), [expected], "{name} {n}");
            let times = capture.timer("info", "f");
            assert!(times[0] >= WORK.as_secs_f64(), "{name} took {times:?}");
        }
    }
}

#[test]
fn a_dropped_future_is_cancelled_even_if_it_was_never_polled() {
    for (name, make) in time_outcomes::all().into_iter().chain(count_outcomes::all()) {
        let capture = capture();
        drop(make(1));
        let mut future = make(1);
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(future);
        // A body that is only a future begins when it is polled, like an `async fn`.
        let expected: &[_] = if name == "by_a_method" { &["cancelled"] } else { &["cancelled"; 2] };
        assert_eq!(outcomes(&capture), expected, "{name}");
    }
}

#[test]
fn every_mode_follows_the_future() {
    let each = |all: Vec<Made>, check: &dyn Fn(&str, &Capture)| {
        for (name, make) in all {
            let capture = capture();
            assert_eq!(block_on(make(1)), Ok(1));
            block_on(make(2)).unwrap_err();
            check(name, &capture);
        }
    };
    each(time::all(), &|name, capture| {
        let times = capture.timer("info", "f");
        assert_eq!(times.len(), 2, "{name}");
        assert!(times.iter().all(|time| *time >= WORK.as_secs_f64()), "{name}: {times:?}");
    });
    each(slow::all(), &|name, capture| {
        assert_eq!(capture.timer("info", "f").len(), 2, "{name}");
        assert_eq!(capture.timer("warn", "f").len(), 2, "{name}");
    });
    each(count_outcomes::all(), &|name, capture| {
        assert_eq!(outcomes(capture), ["ok", "err"], "{name}");
    });
    each(on_err::all(), &|name, capture| {
        assert_eq!(capture.counter("info", "f"), 1.0, "{name}");
    });
    each(on_ok::all(), &|name, capture| assert_eq!(capture.counter("info", "f"), 2.0, "{name}"));
    each(busy::all(), &|name, capture| {
        let times = capture.timer("info", "f");
        assert!(times.iter().all(|time| *time >= WORK.as_secs_f64()), "{name}: {times:?}");
        assert_eq!(capture.counter("info", "f.polls"), 4.0, "{name}");
    });
    each(in_flight::all(), &|name, capture| {
        assert_eq!(capture.counter("info", "f"), 2.0, "{name}");
        assert_eq!(capture.gauge("info", "f.in_flight"), [1.0, 0.0, 1.0, 0.0], "{name}");
    });
    each(two::all(), &|name, capture| {
        assert_eq!(outcomes(capture).len(), 4, "{name}");
        let times = capture.timer("info", "f");
        assert!(times.iter().all(|time| *time >= WORK.as_secs_f64()), "{name}: {times:?}");
    });
}

#[zibrato::time_me(outcomes, name = "making")]
fn panics_while_it_makes(n: u8) -> Boxed<'static> {
    assert!(n > 0, "none");
    Box::pin(work(n))
}

#[zibrato::time_me(name = "late", busy)]
fn works_before(n: u8) -> impl Future<Output = Outcome> {
    spend(WORK);
    ready(Ok(n))
}

#[zibrato::time_me(name = "alone", outcomes, call)]
fn is_measured_alone(n: u8) -> impl Future<Output = Outcome> {
    work(n)
}

#[zibrato::time_me(name = "named", call)]
fn is_of_a_named_type(n: u8) -> std::future::Ready<u8> {
    ready(n)
}

#[test]
fn the_creation_is_part_of_the_call() {
    let capture = capture();
    drop(observe(|| {
        panics_while_it_makes(0).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }));
    assert_eq!(outcomes(&capture), ["panic"]);
    assert_eq!(block_on(works_before(1)), Ok(1));
    assert!(capture.timer("info", "late")[0] >= WORK.as_secs_f64());
}

#[test]
fn call_measures_only_the_call() {
    let capture = capture();
    let future = is_measured_alone(2);
    assert_eq!(outcomes(&capture), ["ok"]);
    block_on(future).unwrap_err();
    assert_eq!(outcomes(&capture), ["ok"]);
    assert_eq!(block_on(is_of_a_named_type(1)), 1);
    assert_eq!(capture.timer("info", "named").len(), 1);
}

/// Looks like a future, but is not one.
struct Settings(u8);

#[zibrato::count_me(outcomes, name = "settings")]
fn waits_for_a_future(n: u8) -> Settings {
    Settings(block_on(async { n }))
}

#[zibrato::time_me(name = "other")]
fn has_a_type_of_its_own(n: u8) -> Settings {
    if n == 1 {
        return Settings(0);
    }
    Settings(n)
}

type Aliased = Option<u8>;

#[zibrato::count_me(outcomes, name = "aliased")]
fn waits_for_another(n: u8) -> Aliased {
    block_on(async { n.checked_sub(1) })
}

#[test]
fn values_are_not_mistaken_for_futures() {
    let capture = capture();
    assert_eq!(waits_for_a_future(3).0 + has_a_type_of_its_own(1).0, 3);
    assert_eq!(outcomes(&capture), ["ok"]);
    assert_eq!(capture.timer("info", "other").len(), 1);
    assert_eq!(waits_for_another(0), None);
    assert_eq!(outcomes(&capture), ["ok", "err"]);
}

#[zibrato::time_me(outcomes, name = "polled")]
fn polled_by_hand(n: u8) -> impl Future<Output = Outcome> {
    assert!(n > 0);
    work(n)
}

#[test]
fn a_panic_is_recorded_when_it_unwinds_and_not_when_the_future_is_dropped() {
    let capture = capture();
    let mut future = pin!(polled_by_hand(7));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
    drop(observe(|| future.as_mut().poll(&mut context)));
    assert_eq!(outcomes(&capture), ["panic"]);
}
