//! What attributes measure around a call, in an installed instrument: what is recorded when only
//! some of the levels are wanted.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::{Stats, Zibrato, count, count_me, time_me};

/// There is one place for an instrument, and tests run side by side.
static PLACE: Mutex<()> = Mutex::new(());

/// What an instrument that wants only `level` recorded of `calls`.
fn recorded(level: &str, calls: impl FnOnce()) -> Stats {
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = Zibrato::builder().port(1).levels([level]);
    let guard = builder.flush_deadline(Duration::from_millis(20)).install().unwrap();
    calls();
    let stats = guard.shutdown();
    assert!(stats.balances(), "{stats:?}");
    stats
}

fn spend(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        thread::yield_now();
    }
}

#[time_me(level = "debug", slow("100ms", level = "warn"))]
fn work(ms: u64) {
    spend(Duration::from_millis(ms));
}

#[test]
fn slow_calls_are_recorded_also_while_nobody_wants_the_others() {
    let calls = || [0, 100, 0, 110].into_iter().for_each(work);
    assert_eq!(recorded("warn", calls).recorded, 2);
    assert_eq!(recorded("debug", calls).recorded, 4);
    assert_eq!(recorded("info", calls).recorded, 0);
}

#[count_me(err(level = "warn"))]
#[time_me(err(level = "warn"))]
fn halves(n: u32) -> Option<u32> {
    n.is_multiple_of(2).then_some(n / 2)
}

#[test]
fn outcomes_are_recorded_exactly_by_every_thread() {
    let calls = || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..10_001).for_each(|n| assert_eq!(halves(n).is_some(), n % 2 == 0))
                });
            }
        });
    };
    assert_eq!(recorded("warn", calls).recorded, 2 * 4 * 5_000);
    assert_eq!(recorded("info", calls).recorded, 2 * 4 * 5_001);
}

#[time_me(level = "debug", busy, slow("100ms"), polls)]
async fn waits(ms: u64) {
    let mut polls = 0;
    std::future::poll_fn(|_| {
        spend(Duration::from_millis(ms));
        polls += 1;
        if polls < 4 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

#[test]
fn the_times_of_polls_are_added_up() {
    let calls = || {
        for ms in [0, 30] {
            let mut future = pin!(waits(ms));
            let mut context = Context::from_waker(Waker::noop());
            while future.as_mut().poll(&mut context).is_pending() {}
        }
    };
    // No poll of them was slow, but four together.
    assert_eq!(recorded("warn", calls).recorded, 1);
    assert_eq!(recorded("debug", calls).recorded, 2 + 8);
}

#[time_me(level = "debug", cancelled(level = "warn"))]
async fn never() {
    std::future::pending::<()>().await;
}

#[test]
fn cancelled_futures_are_timed_also_while_nobody_wants_the_others() {
    let calls = || {
        let mut future = pin!(never());
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    };
    assert_eq!(recorded("warn", calls).recorded, 1);
    assert_eq!(recorded("debug", calls).recorded, 0);
}

#[time_me(sample = 100)]
fn sampled() {}

#[time_me(name = format!("sampled.{n}"), sample = 100)]
fn sampled_by_name(n: u32) {}

#[time_me(tags(even = n.is_multiple_of(2)), sample = 100)]
fn sampled_by_tag(n: u32) {}

#[test]
fn a_sampled_timer_counts_every_call() {
    let calls = || (0..1_234).for_each(|_| sampled());
    assert_eq!(recorded("info", calls).recorded, 1_234);
    let calls = || (0..1_234).for_each(|n| sampled_by_name(n % 3));
    assert_eq!(recorded("info", calls).recorded, 1_234);
    let calls = || (0..1_234).for_each(sampled_by_tag);
    assert_eq!(recorded("info", calls).recorded, 1_234);
}

#[test]
fn a_counter_that_counted_nothing_is_not_below_zero() {
    let capture = zibrato::testing::capture();
    count!("info", "nothing", -0.0);
    assert_eq!(capture.counter("info", "nothing").to_string(), "0");
}
