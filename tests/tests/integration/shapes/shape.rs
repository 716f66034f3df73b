//! `shape!` writes one function down once and compiles it with every set of attributes.
//!
//! What a call did is its value or panic, and what it dropped, in order.

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
/// `any` functions return anything; of `outcome` functions, which return a `Result` or an `Option`,
/// also the outcomes are counted. `in` gives the block that a method stands in, and `with` what
/// comes before it.
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
                shape!(@compare counted, timed, both, both_the_other_way, twice, chosen);
            }
        }
    };
    (@each outcome $name:ident $($rest:tt)+) => {
        mod $name {
            shape!(@always $($rest)+);
            shape!(@one on_err [#[zibrato::count_me(on = "err")] #[zibrato::time_me]] $($rest)+);
            shape!(@one on_ok [#[zibrato::time_me] #[zibrato::count_me(on = "ok")]] $($rest)+);
            shape!(@one on_each
                [#[zibrato::count_me(on = "ok")] #[zibrato::count_me(on = "err")]] $($rest)+);

            #[test]
            fn behaves_the_same_and_is_recorded() {
                shape!(@compare counted, timed, both, both_the_other_way, twice, chosen,
                    on_err, on_ok, on_each);
            }
        }
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
        )+
        assert!(!plain::MODULE.is_empty());
    };
}

/// What a call did, as far as its caller can tell.
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

/// How much was counted and how often it was timed, all under the one name `module.shape`.
pub(crate) fn recorded(capture: &zibrato::testing::Capture, module: &str) -> (f64, usize) {
    let name = format!("{}.shape", module.replace("::", "."));
    for measurement in capture.measurements() {
        assert_eq!(measurement.name.as_str(), name);
        assert_eq!(measurement.level.as_str(), "info");
        assert!(measurement.value >= 0.0);
        assert!(matches!(measurement.kind, Kind::Counter | Kind::Timer));
    }
    (capture.counter("info", &name), capture.timer("info", &name).len())
}

/// The same, as it should be.
pub(crate) fn expected(variant: &str, seen: &[Seen]) -> (f64, usize) {
    let calls = seen.len();
    let failed = seen.iter().filter(|seen| seen.failed()).count();
    let (counts, times) = match variant {
        "counted" | "on_each" => (calls, 0),
        "timed" => (0, calls),
        "both" | "both_the_other_way" | "chosen" => (calls, calls),
        "twice" => (2 * calls, 2 * calls),
        "on_err" => (failed, calls),
        "on_ok" => (calls - failed, calls),
        _ => unreachable!("no such variant"),
    };
    (counts as f64, times)
}

thread_local!(static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

/// Leaves its name behind when it is dropped.
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

/// Is ready the second time it is asked.
pub(crate) async fn once_pending() {
    let mut asked = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
