//! No lint fires on what the macros add, however many are switched on.
#![deny(warnings, future_incompatible, nonstandard_style, rust_2018_idioms, unused)]
#![deny(elided_lifetimes_in_paths, missing_debug_implementations, single_use_lifetimes)]
#![deny(missing_docs, let_underscore_drop, unused_qualifications, unused_results, unreachable_pub)]
#![deny(trivial_casts, trivial_numeric_casts, unit_bindings, unused_lifetimes, variant_size_differences)]
#![forbid(unsafe_code)]

use zibrato::{annotate, annotate_me, count, count_me, gauge, time, time_me};

#[count_me]
#[time_me]
fn flat(a: usize) -> usize {
    use std::cmp::max;
    max(a, 1)
}

#[time_me]
#[count_me(on = "err", value = text.len(), source = "unit")]
fn parse(text: &str, radix: u32) -> Result<u32, std::num::ParseIntError> {
    const FALLBACK: u32 = 7;
    if text == "x" {
        return Ok(FALLBACK);
    }
    u32::from_str_radix(text, radix)
}

#[count_me(on = "ok")]
#[time_me]
async fn first(mut numbers: Vec<u32>, _guard: String) -> Option<u32> {
    numbers.sort_unstable();
    std::future::ready(numbers.first().copied()).await
}

#[count_me(outcomes, in_flight, value = text.len())]
#[time_me(err(level = "error"), slow("1s"), in_flight)]
fn scoped(text: &str, radix: u32) -> Result<u32, std::num::ParseIntError> {
    const FALLBACK: u32 = 7;
    if text == "x" {
        return Ok(FALLBACK);
    }
    let number = u32::from_str_radix(text, radix)?;
    Ok(number)
}

#[count_me(outcomes)]
#[time_me(slow("1s"))]
#[time_me(sample = 10)]
fn nothing() {}

#[count_me(outcomes)]
#[time_me(panic, slow("1s"), in_flight)]
fn never() -> ! {
    std::process::exit(0)
}

#[count_me(outcomes, polls)]
#[time_me(busy, polls, slow("1s"), in_flight)]
#[time_me(err)]
async fn scoped_future(mut numbers: Vec<u32>, _guard: String) -> Option<u32> {
    numbers.sort_unstable();
    std::future::ready(numbers.first().copied()).await
}

#[count_me(outcomes)]
#[time_me(busy)]
async fn for_ever() -> ! {
    loop {
        std::future::ready(()).await;
    }
}

#[derive(Debug, Clone, Copy, zibrato::TagValue)]
enum Method {
    Get,
    #[tag(value = "put")]
    Put,
}

#[count_me(tags(method = method, region = "eu"), name = format!("shard.{shard}"))]
#[time_me(name = shard.to_string(), tags(method = Method::Put))]
fn named(method: Method, shard: u32) -> u32 {
    shard + u32::from(matches!(method, Method::Get))
}

#[annotate_me(stream = "jobs", title = "{name}", link = name, tags(name = name))]
fn annotated(name: &str) -> usize {
    name.len()
}

#[annotate_me(stream = "jobs")]
async fn annotated_future(name: String) -> usize {
    std::future::ready(name.len()).await
}

#[derive(Debug)]
struct Shop;

#[count_me(on = "err")]
#[time_me]
impl Shop {
    fn open(&self) -> Result<(), String> {
        Ok(())
    }

    #[time_me(skip)]
    #[must_use]
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

fn main() {
    assert_eq!(scoped("x", 10), Ok(7));
    nothing();
    drop(scoped_future(vec![1], String::new()));
    drop(for_ever());
    if flat(2) == 1 {
        never();
    }
    assert_eq!(named(Method::Get, 1) + named(Method::Put, 2), 4);
    assert_eq!(Shop.open(), Ok(()));
    assert_eq!(Shop.name(), "Shop");
    annotate!("info", "deploys", "{} of {}", annotated("a"), flat(2), description = flat(3));
    annotate!("info", "deploys", "live");
    drop(annotated_future(String::new()));
    let guard = time!("info", "main");
    assert_eq!(flat(0), 1);
    assert_eq!(parse("x", 10), Ok(7));
    count!("info", "seen", parse("3", 10).unwrap_or(1));
    gauge!("info", "depth", time!("info", "sum", flat(2)));
    drop(first(vec![1], String::new()));
    drop(guard);
}
