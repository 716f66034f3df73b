//! Captured readings as lines, which tests compare completely.

use super::super::shapes::observe;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use zibrato::Kind;
use zibrato::testing::Capture;

/// Everything captured, in order: `level kind name{tags}`, and the value unless it is a time.
pub(super) fn lines(capture: &Capture) -> Vec<String> {
    let line = |m: &zibrato::Measurement| {
        let tags: Vec<_> = m.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let series = format!("{} {} {}{{{}}}", m.level, kind(m.kind), m.name, tags.join(","));
        if m.kind == Kind::Timer { series } else { format!("{series} {}", m.value) }
    };
    capture.measurements().iter().map(line).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Timer => "timer",
        _ => "set",
    }
}

/// Calls, and catches panics.
pub(super) fn survive<R: std::fmt::Debug>(call: impl FnOnce() -> R) {
    observe(call);
}

/// Polls a future once.
pub(super) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
