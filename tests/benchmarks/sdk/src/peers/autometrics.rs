//! `autometrics`: its attribute counts and times a function, into `prometheus`.

use crate::measure::{Case, Who, looped};
use autometrics::autometrics;
use std::hint::black_box;

pub fn cases() -> Vec<Case> {
    vec![Case::new("time", Who::Peer("autometrics, counts too"), looped(timed))]
}

#[autometrics]
fn timed() {
    black_box(());
}
