//! Attributes on `impl`s, traits and modules: what is measured, and under which names.

use std::fmt;
use zibrato::testing::{Capture, capture};
use zibrato::{count_me, time_me};

struct Shop(u8);

#[count_me]
#[time_me(level = "debug")]
impl Shop {
    #![allow(clippy::unused_self, reason = "every receiver")]
    const MOST: u8 = Self::most();

    pub(crate) const fn most() -> u8 {
        3
    }

    fn new() -> Self {
        Self(Self::MOST)
    }

    #[must_use]
    fn sell(&mut self) -> Option<u8> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }

    async fn restock<'a>(&'a mut self, more: &'a [u8]) -> &'a mut u8 {
        self.0 += more.len() as u8;
        &mut self.0
    }

    #[time_me(skip)]
    fn quickly(&self) {}

    #[count_me(skip)]
    #[time_me(skip)]
    fn secretly(&self) {}

    #[count_me(name = "shop.closed")]
    #[count_me(level = "warn", on = "ok")]
    #[time_me]
    fn close(self) -> Result<(), ()> {
        Ok(())
    }

    extern "C" fn foreign(n: u8) -> u8 {
        n
    }
}

#[time_me]
impl<const N: usize> fmt::Display for Parcel<'_, Vec<u8>, { N }> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.len() + N)
    }
}

struct Parcel<'a, T, const N: usize>(&'a T);

#[count_me(name = "given", on = "ok", level = "info")]
impl Iterator for &'_ mut Shop {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.sell()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

struct MinMaxResult(u8);

trait Outcomes: Sized {
    type Result;

    fn associated() -> Self::Result;
    fn named() -> MinMaxResult;
    fn checked(n: u8) -> Result<Self, u8>;
}

/// Only a type whose name is `Result` or `Option` is recognized as one.
#[count_me(on = "err")]
#[time_me(err(level = "warn"), slow("1min"))]
impl Outcomes for MinMaxResult {
    type Result = u8;

    fn associated() -> Self::Result {
        7
    }

    fn named() -> MinMaxResult {
        Self(Self::associated())
    }

    fn checked(n: u8) -> Result<Self, u8> {
        if n == 0 { Err(n) } else { Ok(Self::named()) }
    }
}

#[count_me]
trait Price {
    const TAX: u8;

    fn net(&self) -> u8;

    fn gross(&self) -> u8 {
        self.net() + Self::TAX
    }
}

#[count_me]
impl Price for fn(u8) -> u8 {
    const TAX: u8 = 1;

    fn net(&self) -> u8 {
        self(1)
    }
}

#[count_me(level = "debug", tags(region = "eu"))]
mod yard {
    #![allow(dead_code, reason = "not all is called")]
    use super::{Shop, count_me};

    pub(super) struct Crane;

    pub(super) fn open() -> u8 {
        inner::lift(&Crane)
    }

    impl Crane {
        fn lift(&self) -> u8 {
            Shop::most()
        }
    }

    #[count_me(skip)]
    impl Crane {
        pub(super) fn lower(&self) {}
    }

    #[count_me]
    impl Crane {
        pub(super) fn turn(&self) {}
    }

    #[count_me(skip)]
    pub(super) fn shut() {}

    mod inner {
        pub(super) fn lift(crane: &super::Crane) -> u8 {
            crane.lift()
        }
    }

    macro_rules! make {
        ($name:ident) => {
            fn $name() {}
        };
    }
    make!(made);
}

fn recorded(capture: &Capture) -> Vec<String> {
    const MODULE: &str = "integration.shapes.blocks.";
    let line = |m: &zibrato::Measurement| {
        let name = m.name.as_str();
        format!("{:?} {} {}", m.kind, m.level, name.strip_prefix(MODULE).unwrap_or(name))
    };
    let mut lines: Vec<_> = capture.measurements().iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_method_is_named_after_its_type() {
    let capture = capture();
    let mut shop = Shop::new();
    assert_eq!(shop.sell(), Some(2));
    assert_eq!(super::shape::block_on(shop.restock(&[1])), &mut 3);
    assert_eq!(Shop::foreign(1), 1);
    let expected = ["foreign", "new", "restock", "sell"];
    let counted = expected.map(|name| format!("Counter info Shop.{name}"));
    let timed = expected.map(|name| format!("Timer debug Shop.{name}"));
    assert_eq!(recorded(&capture), [counted, timed].concat());
}

#[test]
fn a_method_can_be_skipped_or_have_its_own_attribute() {
    let capture = capture();
    let shop = Shop::new();
    shop.quickly();
    shop.secretly();
    assert_eq!(shop.close(), Ok(()));
    assert_eq!(
        recorded(&capture),
        [
            "Counter info Shop.new",
            "Counter info Shop.quickly",
            "Counter info shop.closed",
            "Counter warn Shop.close",
            "Timer debug Shop.new",
            "Timer info Shop.close",
        ]
    );
}

#[test]
fn a_method_of_a_trait_is_named_after_its_type() {
    let capture = capture();
    assert_eq!(Parcel::<_, 2>(&vec![1]).to_string(), "3");
    assert_eq!(recorded(&capture), ["Timer info Parcel.fmt"]);
}

#[test]
fn a_name_on_a_block_is_the_prefix_of_all_names() {
    let mut shop = Shop::new();
    let capture = capture();
    assert_eq!((&mut shop).by_ref().count(), 3);
    let mut recorded = recorded(&capture);
    recorded.retain(|line| !line.contains(".sell"));
    assert_eq!(recorded, ["Counter info given.Shop.next"; 3]);
}

#[test]
fn a_trait_measures_its_default_methods() {
    let capture = capture();
    let double: fn(u8) -> u8 = |n| 2 * n;
    assert_eq!(double.gross(), 3);
    assert_eq!(recorded(&capture), ["Counter info Price.gross", "Counter info net"]);
}

#[test]
fn a_module_measures_its_functions_methods_and_modules() {
    let capture = capture();
    assert_eq!(yard::open(), 3);
    yard::shut();
    yard::Crane.lower();
    yard::Crane.turn();
    assert_eq!(
        recorded(&capture),
        [
            "Counter debug yard.Crane.lift",
            "Counter debug yard.inner.lift",
            "Counter debug yard.open",
            "Counter info yard.Crane.turn",
        ]
    );
    assert_eq!(capture.measurements()[0].tags, [("region", "eu")]);
}

#[test]
fn on_a_block_only_results_and_options_have_outcomes() {
    let capture = capture();
    assert_eq!(MinMaxResult::checked(1).map(|found| found.0), Ok(7));
    assert!(MinMaxResult::checked(0).is_err());
    let counted = "Counter info MinMaxResult.checked";
    let timed = ["Timer info MinMaxResult.checked", "Timer warn MinMaxResult.checked"];
    assert_eq!(recorded(&capture), [counted, timed[0], timed[1]]);
}

struct Jobs;

/// Arguments for futures do not affect other functions.
#[count_me(polls)]
impl Jobs {
    async fn run(&self) -> u8 {
        super::shape::once_pending().await;
        self.size()
    }

    fn size(&self) -> u8 {
        1
    }
}

#[test]
fn on_a_block_arguments_for_futures_do_not_affect_other_functions() {
    let capture = capture();
    assert_eq!(super::shape::block_on(Jobs.run()), 1);
    assert_eq!(
        recorded(&capture),
        ["Counter info Jobs.run", "Counter info Jobs.run.polls", "Counter info Jobs.run.polls"]
    );
}

macro_rules! stores {
    ($store:ident, $fallible:ty, $nothing:ty, $on:literal, $every:literal) => {
        struct $store;

        #[count_me(name = "made", on = $on, level = "warn")]
        #[count_me(outcomes)]
        impl $store {
            fn take(n: u8) -> $fallible {
                n.checked_sub(1)
            }

            #[time_me(sample = $every)]
            fn close() -> $nothing {}
        }
    };
}

stores! { Store, Option<u8>, (), "err", 10 }

#[test]
fn types_and_literals_from_a_macro_are_recognized() {
    let capture = capture();
    assert_eq!((Store::take(0), Store::take(1)), (None, Some(0)));
    Store::close();
    let counted = "Counter info Store.take";
    assert_eq!(
        recorded(&capture),
        [
            "Counter info Store.close",
            counted,
            counted,
            "Counter warn made.Store.take",
            "Timer info close",
        ]
    );
}

struct Lamp;

#[count_me(name = "lamp")]
impl Lamp {
    #[cfg_attr(all(), count_me(name = "lamp.lit"))]
    fn light() {}

    fn dim() {}
}

#[test]
fn a_conditional_attribute_of_a_method_is_not_applied_twice() {
    let capture = capture();
    Lamp::light();
    Lamp::dim();
    assert_eq!(recorded(&capture), ["Counter info lamp.Lamp.dim", "Counter info lamp.lit"]);
}
