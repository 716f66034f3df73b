//! `fastrace`: spans, with a reporter that drops them.

use crate::measure::{Case, Run, Who, looped, time};
use fastrace::Span;
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::local::LocalSpan;
use std::time::Duration;

/// A root holds no more than some thousand local spans; further ones would be dropped.
const SPANS_PER_ROOT: u64 = 1000;

struct Dropping;

impl Reporter for Dropping {
    fn report(&mut self, _: Vec<SpanRecord>) {}
}

pub fn cases() -> Vec<Case> {
    fastrace::set_reporter(Dropping, Config::default());
    let span = || drop(LocalSpan::enter_with_local_parent("fastrace"));
    let spans = Run::by(move |times: u64| {
        let mut took = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let some = left.min(SPANS_PER_ROOT);
            let root = Span::root("root", SpanContext::random());
            let parent = root.set_local_parent();
            took += time(some, &span);
            drop(parent);
            drop(root);
            left -= some;
        }
        took
    });
    vec![
        Case::new("time", Who::Peer("fastrace, local span"), spans).settle(fastrace::flush),
        Case::new("unwanted", Who::Peer("fastrace, no parent"), looped(span)),
    ]
}
