//! `value = …`, and `count!`, `gauge!` and `time!` inside functions.

use super::shape::{Noisy, Seen, block_on, observe, once_pending};
use std::cell::Cell;
use zibrato::testing::capture;
use zibrato::{count, count_me, gauge, time};

#[count_me(name = "value.moved", value = items.len())]
fn moves(items: Vec<u8>) -> Vec<u8> {
    items
}

#[count_me(name = "value.changed", value = *n, on = "ok")]
fn changes(n: &mut u64) -> Option<u64> {
    *n += 1;
    n.checked_sub(2)
}

#[count_me(name = "value.later", value = items.len(), on = "err")]
async fn moves_later(items: Vec<u8>) -> Result<(), Vec<u8>> {
    once_pending().await;
    Err(items)
}

#[test]
fn the_value_is_evaluated_on_entry() {
    let capture = capture();
    moves(vec![1, 2]);
    let mut n = 1;
    changes(&mut n);
    changes(&mut n);
    block_on(moves_later(vec![1, 2, 3])).unwrap_err();
    assert_eq!(capture.counter("info", "value.moved"), 2.0);
    assert_eq!(capture.counter("info", "value.changed"), 3.0);
    assert_eq!(capture.counter("info", "value.later"), 3.0);
}

thread_local!(static ASKED: Cell<u32> = const { Cell::new(0) });

fn asked() -> u32 {
    ASKED.set(ASKED.get() + 1);
    ASKED.get()
}

#[count_me(value = asked(), on = "err")]
fn fails() -> Result<(), ()> {
    Err(())
}

#[count_me(value = asked(), on = "err")]
fn succeeds() -> Result<(), ()> {
    Ok(())
}

#[test]
fn the_value_is_evaluated_once_per_call_for_every_outcome() {
    let _capture = capture();
    fails().unwrap_err();
    assert_eq!(ASKED.get(), 1);
    succeeds().unwrap();
    assert_eq!(ASKED.get(), 2);
}

#[test]
fn counts_and_gauges_accept_every_amount() {
    let capture = capture();
    count!("info", "amount");
    count!("info", "amount", 2_u8);
    count!("info", "amount", -1_i64);
    count!("info", "amount", 0.5_f32);
    count!("info", "amount", "four".len());
    count!("info", "amount", if true { 3 } else { 4 },);
    assert_eq!(capture.counter("info", "amount"), 9.5);
    for depth in [3_i16, -2] {
        gauge!("debug", "depth", depth);
    }
    gauge!("debug", "depth", 0.25, source = "web-1");
    assert_eq!(capture.gauge("debug", "depth"), [3.0, -2.0, 0.25]);
}

#[test]
fn a_call_has_its_source() {
    let capture = capture();
    count!("info", "sourced", source = "a");
    count!("info", "sourced", 2, source = concat!("b", 1));
    let sources: Vec<_> =
        capture.measurements().iter().map(|m| m.source.as_str().to_owned()).collect();
    assert_eq!(sources, ["a", "b1"]);
}

#[test]
fn a_guard_times_until_it_is_dropped() {
    let capture = capture();
    let guard = time!("info", "guard", source = "web");
    assert!(!capture.has("info", "guard"));
    drop(guard);
    assert_eq!(capture.timer("info", "guard").len(), 1);
    assert_eq!(capture.measurements()[0].source.as_str(), "web");
}

fn timed_question_mark(text: &str) -> Result<u8, std::num::ParseIntError> {
    Ok(time!("info", "parse", text.parse::<u8>()?) + 1)
}

fn timed_return(n: u8) -> u8 {
    time!("info", "return", {
        if n == 0 {
            return 9;
        }
        n
    })
}

fn timed_break(values: &[u8]) -> usize {
    let mut taken = 0;
    'values: for value in values {
        time!("info", "break", {
            match value {
                0 => break 'values,
                1 => continue,
                _ => taken += 1,
            }
        });
    }
    taken
}

#[test]
fn a_timed_expression_may_leave_the_function_and_is_timed() {
    let capture = capture();
    assert_eq!(timed_question_mark("3"), Ok(4));
    timed_question_mark("x").unwrap_err();
    assert_eq!((timed_return(0), timed_return(1)), (9, 1));
    assert_eq!(timed_break(&[5, 1, 5, 0, 5]), 2);
    assert_eq!(capture.timer("info", "parse").len(), 2);
    assert_eq!(capture.timer("info", "return").len(), 2);
    assert_eq!(capture.timer("info", "break").len(), 4);
    observe(|| {
        time!("info", "panic", {
            assert_eq!(1, 2);
        })
    });
    assert_eq!(capture.timer("info", "panic").len(), 1);
}

#[test]
fn a_timed_expression_may_await() {
    let capture = capture();
    let answer = block_on(async {
        time!("info", "wait", {
            once_pending().await;
            7
        })
    });
    assert_eq!(answer, 7);
    assert_eq!(capture.timer("info", "wait").len(), 1);
}

#[test]
fn a_timed_expression_coerces_and_borrows_like_any_other() {
    let boxed: Box<dyn Fn(u8) -> u8> = time!("info", "coerced", Box::new(|n| n + 1));
    let pointer: fn(u8) -> u8 = time!("info", "coerced", |n| n + 2);
    let list: Vec<u8> =
        time!("info", "inferred", ["1", "2"].iter().map(|word| word.parse().unwrap()).collect());
    assert_eq!((boxed(1), pointer(1), list), (2, 3, vec![1, 2]));
    let temporary = std::sync::Mutex::new(vec![1]);
    let sum: u8 = time!("info", "borrowed", temporary.lock().unwrap().iter()).sum();
    assert_eq!(sum, 1);
}

#[test]
fn a_timed_expression_ends_before_the_surrounding_code_continues() {
    let capture = capture();
    let timers = |_: usize| capture.timer("info", "inner").len();
    assert_eq!(timers(time!("info", "inner", 3)), 1);
}

#[test]
fn temporaries_of_a_timed_expression_live_as_long_as_without_it() {
    let plain = observe(|| (Noisy("a").length(), Noisy("b")).0);
    let timed = observe(|| time!("info", "t", (Noisy("a").length(), Noisy("b"))).0);
    assert_eq!(plain, timed);
    assert_ne!(plain, Seen { result: String::from("1"), dropped: vec![] });
}

#[test]
fn a_macro_may_be_used_as_an_expression() {
    let capture = capture();
    let hit = Some(3);
    match hit {
        Some(n) => count!("info", "hit", n),
        None => count!("info", "miss"),
    }
    let () = if hit.is_some() { gauge!("info", "level", 1) } else { count!("info", "miss") };
    let count = || count!("info", "hit");
    count();
    assert_eq!(capture.counter("info", "hit"), 4.0);
    assert!(!capture.has("info", "miss"));
}
