//! A crate that forbids lints takes the attributes: they emit no `allow`.
#![forbid(warnings, unused, unsafe_code, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]

use zibrato::{count_me, time_me};

#[count_me(outcomes, in_flight)]
#[time_me(slow("1s"), err(level = "error"))]
fn half(_guard: String, number: u32) -> Option<u32> {
    number.is_multiple_of(2).then_some(number / 2)
}

#[count_me(on = "err")]
#[time_me(busy, polls, outcomes)]
async fn later(_guard: String, number: u32) -> Option<u32> {
    std::future::ready(half(String::new(), number)).await
}

#[derive(zibrato::TagValue)]
enum Side {
    Left,
}

#[count_me(tags(side = Side::Left), name = format!("a.{number}"))]
fn tagged(number: u32) {
    assert_ne!(number, 0);
}

fn main() {
    drop(later(String::new(), 3));
    tagged(3);
}
