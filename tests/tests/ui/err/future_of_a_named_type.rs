#![deny(deprecated)]

use std::future::{Ready, ready};
use zibrato::{count_me, time_me};

#[time_me]
fn measured(n: u8) -> Ready<u8> {
    ready(n)
}

#[count_me(outcomes)]
fn split(n: u8) -> Ready<Option<u8>> {
    let future = async { 1 };
    drop(future);
    ready(Some(n))
}

#[time_me(call)]
fn call(n: u8) -> Ready<u8> {
    ready(n)
}

fn main() {
    drop((measured(1), split(1), call(1)));
}
