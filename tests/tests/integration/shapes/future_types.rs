//! Measured futures have the same auto traits as plain ones, and are only slightly larger.

use async_trait::async_trait;
use std::cell::Cell;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;

struct Probe<T>(PhantomData<T>);

const fn probe<T>(_: &T) -> Probe<T> {
    Probe(PhantomData)
}

/// The auto traits of a value.
macro_rules! traits {
    ($value:expr, $($auto:ident)+) => {{
        let value = $value;
        let probe = probe(&value);
        let mut traits: Vec<&str> = Vec::new();
        $({
            #[allow(dead_code, reason = "one of the two is called")]
            trait Has { fn has(&self) -> bool { true } }
            #[allow(dead_code, reason = "one of the two is called")]
            trait HasNot { fn has(&self) -> bool { false } }
            impl<T: $auto> Has for Probe<T> {}
            impl<T> HasNot for &Probe<T> {}
            if (&probe).has() {
                traits.push(stringify!($auto));
            }
        })+
        traits
    }};
    ($value:expr) => { traits!($value, Send Sync Unpin UnwindSafe RefUnwindSafe) };
}

type Full<'a, T> = Pin<Box<dyn Future<Output = T> + Send + Sync + UnwindSafe + RefUnwindSafe + 'a>>;
type Outcome = Result<u8, String>;

#[async_trait]
trait Later {
    async fn later(&self, key: String) -> Outcome;
}

/// The same functions with different attributes, and the properties of their futures.
macro_rules! mode {
    ($mode:ident $($attribute:tt)*) => {
        mod $mode {
            use super::*;

            $($attribute)*
            async fn by_value(key: String, line: [u8; 64]) -> Outcome {
                ready(()).await;
                Ok(line[key.len()])
            }

            $($attribute)*
            async fn by_reference(key: &str) -> Outcome {
                ready(()).await;
                key.parse().map_err(|_| key.to_owned())
            }

            $($attribute)*
            async fn by_mutable_reference(key: &mut String, more: String) -> Option<usize> {
                ready(()).await;
                key.push_str(&more);
                Some(key.len())
            }

            $($attribute)*
            async fn not_sent(key: Rc<str>) -> Option<usize> {
                ready(()).await;
                Some(key.len())
            }

            $($attribute)*
            async fn not_shared(key: Cell<u8>) -> Option<u8> {
                ready(()).await;
                Some(key.get())
            }

            $($attribute)*
            fn a_block(key: String) -> impl Future<Output = Outcome> {
                async move {
                    ready(()).await;
                    Err(key)
                }
            }

            $($attribute)*
            fn unpin(key: u8) -> impl Future<Output = Option<u8>> {
                let key = key + 1;
                ready(Some(key))
            }

            $($attribute)*
            fn passed_on(key: Rc<str>) -> impl Future<Output = Option<usize>> {
                let copy = Rc::clone(&key);
                not_sent(copy)
            }

            $($attribute)*
            fn boxed<'a>(key: &'a str) -> Full<'a, Outcome> {
                Box::pin(async move { Err(key.to_owned()) })
            }

            struct Store;

            #[async_trait]
            impl Later for Store {
                $($attribute)*
                async fn later(&self, key: String) -> Outcome {
                    ready(()).await;
                    Err(key)
                }
            }

            pub(super) fn traits() -> Vec<(&'static str, Vec<&'static str>)> {
                let mut key = String::new();
                vec![
                    ("by_value", traits!(by_value(String::new(), [0; 64]))),
                    ("by_reference", traits!(by_reference(""))),
                    ("by_mutable_reference", traits!(by_mutable_reference(&mut key, String::new()))),
                    ("not_sent", traits!(not_sent("".into()))),
                    ("not_shared", traits!(not_shared(Cell::new(0)))),
                    ("a_block", traits!(a_block(String::new()))),
                    ("unpin", traits!(unpin(1))),
                    ("passed_on", traits!(passed_on("".into()))),
                    ("boxed", traits!(boxed(""))),
                    ("later", traits!(Store.later(String::new()))),
                ]
            }

            $($attribute)*
            async fn fourth(page: [u8; 1024]) -> Outcome {
                ready(()).await;
                Ok(page[1])
            }

            $($attribute)*
            async fn third(page: [u8; 1024]) -> Outcome {
                fourth(page).await
            }

            $($attribute)*
            async fn second(page: [u8; 1024]) -> Outcome {
                third(page).await
            }

            $($attribute)*
            async fn first(page: [u8; 1024]) -> Outcome {
                second(page).await
            }

            $($attribute)*
            async fn line(line: &[u8]) -> Outcome {
                ready(()).await;
                Ok(line[1])
            }

            pub(super) fn sizes() -> [usize; 2] {
                [size_of_val(&first([0; 1024])), size_of_val(&line(&[]))]
            }
        }
    };
}

mode!(plain);
mode!(count #[zibrato::count_me]);
mode!(time #[zibrato::time_me]);
mode!(slow #[zibrato::time_me(slow("1s"))]);
mode!(in_flight #[zibrato::time_me(in_flight)]);
mode!(sample #[zibrato::time_me(sample = 10)]);
mode!(on_err #[zibrato::count_me(on = "err")]);
mode!(on_ok #[zibrato::count_me(on = "ok", value = 2)]);
mode!(count_outcomes #[zibrato::count_me(outcomes)]);
mode!(time_outcomes #[zibrato::time_me(outcomes)]);
mode!(err #[zibrato::time_me(err)]);
mode!(panic #[zibrato::count_me(panic)]);
mode!(cancelled #[zibrato::count_me(cancelled)]);
mode!(busy #[zibrato::time_me(busy)]);
mode!(polls #[zibrato::count_me(polls)]);
mode!(everything #[zibrato::time_me(outcomes, slow("1s"), in_flight, busy, polls)]);
mode!(tagged #[zibrato::count_me(on = "err", tags(odd = 2 > 1), name = "a".to_owned())]);
mode!(two #[zibrato::count_me(outcomes)] #[zibrato::time_me(outcomes)]);
mode!(three #[zibrato::count_me] #[zibrato::time_me(err)] #[zibrato::time_me]);
mode!(other_attributes #[zibrato::time_me(err)] #[allow(unused, reason = "any will do")] #[inline]);

macro_rules! each {
    ($($mode:ident)+ => $what:ident) => { [$((stringify!($mode), $mode::$what())),+] };
    ($what:ident) => {
        each!(count time slow in_flight sample on_err on_ok count_outcomes time_outcomes err panic
            cancelled busy polls everything tagged two three other_attributes => $what)
    };
}

#[test]
fn measured_futures_have_the_auto_traits_of_plain_ones() {
    let plain = plain::traits();
    assert_eq!(traits!(ready(1)).len(), 5);
    assert_eq!(traits!(async { ready(()).await }), ["Send", "Sync", "UnwindSafe", "RefUnwindSafe"]);
    for (mode, traits) in each!(traits) {
        assert_eq!(traits, plain, "{mode}");
    }
}

#[test]
fn measured_futures_are_larger_only_by_their_scopes() {
    // The parts of the largest scope: the sites, the slow site, two clocks, and guards.
    const SCOPE: usize = 176;
    let [chain, single] = plain::sizes();
    println!("plain {chain} {single}");
    for (mode, [measured_chain, measured_single]) in each!(sizes) {
        println!("{mode} {measured_chain} {measured_single}");
        let attributes = match mode {
            "two" => 2,
            "three" => 3,
            _ => 1,
        };
        assert!(measured_single <= single + attributes * SCOPE, "{mode}: {measured_single}");
        assert!(measured_chain <= chain + 4 * attributes * SCOPE, "{mode}: {measured_chain}");
    }
}
