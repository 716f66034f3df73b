//! `shape!` compiles one function with every set of attributes.
//!
//! The result of a call is its value or panic, and what it dropped, in order.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use zibrato::Kind;

/// Compiles a function called `shape` with each set of attributes, and compares.
///
/// `any` functions may return any type; `outcome` functions return a `Result` or an `Option`, and
/// their outcomes are counted too. `future` and `future_outcome` functions are async. `in` gives
/// the block that contains a method, and `with` the code before it.
macro_rules! shape {
    ($kind:ident $name:ident { $($function:tt)* } calls { $($call:expr),+ $(,)? }) => {
        shape!(@each $kind $name with [] in [] { $($function)* } calls { $($call),+ });
    };
    ($kind:ident $name:ident with { $($with:tt)* } { $($function:tt)* }
        calls { $($call:expr),+ $(,)? }) => {
        shape!(@each $kind $name with [$($with)*] in [] { $($function)* } calls { $($call),+ });
    };
    ($kind:ident $name:ident with { $($with:tt)* } in { $($head:tt)+ } { $($function:tt)* }
        calls { $($call:expr),+ $(,)? }) => {
        shape!(@each $kind $name with [$($with)*] in [$($head)+] { $($function)* }
            calls { $($call),+ });
    };

    (@each any $name:ident $($rest:tt)+) => {
        mod $name {
            shape!(@always $($rest)+);

            #[test]
            fn behaves_the_same_and_is_recorded() {
                shape!(@compare counted, timed, both, both_the_other_way, twice,
                    count_each_outcome, time_each_outcome, everything, chosen);
            }
        }
    };
    (@each outcome $name:ident $($rest:tt)+) => {
        mod $name {
            shape!(@always $($rest)+);
            shape!(@outcomes $($rest)+);

            #[test]
            fn behaves_the_same_and_is_recorded() {
                shape!(@compare counted, timed, both, both_the_other_way, twice,
                    on_err, on_ok, on_each, count_each_outcome, time_each_outcome, everything,
                    with_err, chosen);
            }
        }
    };
    (@each future $name:ident $($rest:tt)+) => {
        mod $name {
            shape!(@always $($rest)+);
            shape!(@polled $($rest)+);

            #[test]
            fn behaves_the_same_and_is_recorded() {
                shape!(@compare counted, timed, both, both_the_other_way, twice,
                    count_each_outcome, time_each_outcome, everything, polled, busy, chosen);
            }
        }
    };
    (@each future_outcome $name:ident $($rest:tt)+) => {
        mod $name {
            shape!(@always $($rest)+);
            shape!(@outcomes $($rest)+);
            shape!(@polled $($rest)+);

            #[test]
            fn behaves_the_same_and_is_recorded() {
                shape!(@compare counted, timed, both, both_the_other_way, twice,
                    on_err, on_ok, on_each, count_each_outcome, time_each_outcome, everything,
                    with_err, polled, busy, chosen);
            }
        }
    };
    (@outcomes $($rest:tt)+) => {
        shape!(@one on_err [#[zibrato::count_me(on = "err")] #[zibrato::time_me]] $($rest)+);
        shape!(@one on_ok [#[zibrato::time_me] #[zibrato::count_me(on = "ok")]] $($rest)+);
        shape!(@one on_each
            [#[zibrato::count_me(on = "ok")] #[zibrato::count_me(on = "err")]] $($rest)+);
        shape!(@one with_err
            [#[zibrato::time_me(err, slow("1min"))] #[zibrato::count_me(err)]] $($rest)+);
    };
    (@polled $($rest:tt)+) => {
        shape!(@one polled [#[zibrato::count_me(polls)] #[zibrato::time_me(polls)]] $($rest)+);
        shape!(@one busy [#[zibrato::time_me(busy)] #[zibrato::time_me(busy, polls, outcomes)]
            #[zibrato::count_me(polls, cancelled)]] $($rest)+);
    };
    (@always $($rest:tt)+) => {
        shape!(@one plain [] $($rest)+);
        shape!(@one counted [#[zibrato::count_me]] $($rest)+);
        shape!(@one timed [#[zibrato::time_me]] $($rest)+);
        shape!(@one both [#[zibrato::count_me] #[zibrato::time_me]] $($rest)+);
        shape!(@one both_the_other_way [#[zibrato::time_me] #[zibrato::count_me]] $($rest)+);
        shape!(@one twice [#[zibrato::count_me] #[zibrato::time_me]
            #[zibrato::count_me] #[zibrato::time_me]] $($rest)+);
        shape!(@one chosen [
            #[zibrato::count_me(name = format!("{}.shape", module_path!().replace("::", ".")),
                tags(odd = 2 > 1))]
            #[zibrato::time_me(name = format!("{}.shape", module_path!().replace("::", ".")),
                tags(odd = 2 > 1, region = "eu"))]] $($rest)+);
        shape!(@one count_each_outcome [#[zibrato::count_me(outcomes)]] $($rest)+);
        shape!(@one time_each_outcome [#[zibrato::time_me(outcomes)]] $($rest)+);
        shape!(@one everything [#[zibrato::count_me(ok, in_flight)] #[zibrato::time_me]
            #[zibrato::time_me(panic, slow("1min"), in_flight)]
            #[zibrato::time_me(sample = 7, in_flight)] #[zibrato::time_me(slow("1min"))]]
            $($rest)+);
    };
    (@one $variant:ident [$($attributes:tt)*] with [$($with:tt)*] in [$($head:tt)*]
        { $($function:tt)* } calls { $($call:expr),+ }) => {
        mod $variant {
            #[allow(unused_imports, reason = "not every shape needs everything")]
            use crate::shapes::shape::*;

            $($with)*
            shape!(@place [$($head)*] $($attributes)* $($function)*);

            pub(super) fn calls() -> Vec<Seen> {
                vec![$(observe(|| $call)),+]
            }

            pub(super) const MODULE: &str = module_path!();
        }
    };
    (@place [] $($function:tt)*) => { $($function)* };
    (@place [$($head:tt)+] $($function:tt)*) => { $($head)+ { $($function)* } };
    (@compare $($variant:ident),+) => {
        let plain = plain::calls();
        $(
            let capture = zibrato::testing::capture();
            let annotated = $variant::calls();
            assert_eq!(annotated, plain, stringify!($variant));
            let recorded = crate::shapes::shape::recorded(&capture, $variant::MODULE);
            let expected = crate::shapes::shape::expected(stringify!($variant), &plain);
            assert_eq!(recorded, expected, stringify!($variant));
            crate::shapes::shape::check_outcomes(&capture, stringify!($variant), &plain);
        )+
        assert!(!plain::MODULE.is_empty());
    };
}

/// The result of a call, as far as its caller can observe it.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) result: String,
    pub(crate) dropped: Vec<&'static str>,
}

impl Seen {
    fn failed(&self) -> bool {
        self.result.starts_with("Err(")
            || self.result == "None"
            || self.result.starts_with("panic ")
    }
}

pub(crate) fn observe<R: Debug>(call: impl FnOnce() -> R) -> Seen {
    DROPPED.take();
    let result = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => format!("{value:?}"),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let number = payload.downcast_ref::<u32>();
            format!("panic {text:?} {number:?}")
        }
    };
    Seen { result, dropped: DROPPED.take() }
}

/// The sum of counts and the number of timings, all with the name `module.shape`.
pub(crate) fn recorded(capture: &zibrato::testing::Capture, module: &str) -> (f64, usize) {
    let name = format!("{}.shape", module.replace("::", "."));
    let (mut counts, mut times) = (0.0, 0);
    for measurement in capture.measurements() {
        let ending = measurement.name.as_str().strip_prefix(&name);
        match measurement.kind {
            Kind::Gauge => assert_eq!(ending, Some(".in_flight")),
            Kind::Counter if ending == Some(".polls") => {}
            Kind::Counter => {
                assert_eq!(ending, Some(""));
                counts += measurement.value;
            }
            Kind::Timer => {
                assert_eq!(ending, Some(""));
                times += 1;
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(measurement.level.as_str(), "info");
        assert!(measurement.value >= 0.0);
    }
    (counts, times)
}

/// The expected values of [`recorded`].
pub(crate) fn expected(variant: &str, seen: &[Seen]) -> (f64, usize) {
    let calls = seen.len();
    let failed = seen.iter().filter(|seen| seen.failed()).count();
    let (counts, times) = match variant {
        "counted" | "count_each_outcome" | "on_each" => (calls, 0),
        "timed" | "time_each_outcome" => (0, calls),
        "both" | "both_the_other_way" | "with_err" | "polled" | "chosen" => (calls, calls),
        "busy" => (calls, 2 * calls),
        "everything" => (calls, 4 * calls),
        "twice" => (2 * calls, 2 * calls),
        "on_err" => (failed, calls),
        "on_ok" => (calls - failed, calls),
        _ => unreachable!("no such variant"),
    };
    (counts as f64, times)
}

/// Checks that every attribute with outcomes distinguishes panics from returned values.
pub(crate) fn check_outcomes(capture: &zibrato::testing::Capture, variant: &str, seen: &[Seen]) {
    let splits = match variant {
        "count_each_outcome" | "time_each_outcome" => 1,
        "everything" | "with_err" | "busy" => 2,
        _ => 0,
    };
    let measurements = capture.measurements();
    let times = |wanted: &[&str]| {
        let of = measurements.iter().filter(|m| {
            m.tags.iter().any(|(tag, value)| {
                assert!(["odd", "outcome", "region"].contains(&tag));
                tag == "outcome" && wanted.contains(&value)
            })
        });
        of.count()
    };
    let panics = seen.iter().filter(|seen| seen.result.starts_with("panic ")).count();
    assert_eq!(times(&["panic"]), splits * panics, "{variant}");
    assert_eq!(times(&["ok", "err"]), splits * (seen.len() - panics), "{variant}");
    if variant == "with_err" {
        let failed = seen.iter().filter(|seen| seen.failed()).count();
        assert_eq!(times(&["err"]), splits * (failed - panics), "{variant}");
    }
}

thread_local!(static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

/// Records its name when it is dropped.
#[derive(Debug)]
pub(crate) struct Noisy(pub(crate) &'static str);

impl Noisy {
    pub(crate) fn length(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

/// Runs a future that wakes itself, on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Nobody));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// A future that is ready the second time it is polled.
pub(crate) async fn once_pending() {
    let mut asked = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
