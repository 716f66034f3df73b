//! Floors: the least possible cost of each row, measured in the same run.

use crate::measure::{Case, Run, Who, looped, on_threads};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// The row for values that belong to no other row.
pub const NO_ROW: &str = "";

thread_local! {
    static TOTAL: Cell<u64> = const { Cell::new(0) };
    /// Memory of this thread that is not in its thread-local block.
    static PLACE: Cell<&'static AtomicU64> = Cell::new(Box::leak(Box::default()));
}

static VALUE: AtomicU64 = AtomicU64::new(0);

static GATE: AtomicU32 = AtomicU32::new(u32::MAX);

/// The lowest possible cost of a count.
const ADD: &str = "thread-local add";

pub fn cases() -> Vec<Case> {
    let case = |row, name, run: Run| Case::new(row, Who::Floor(name), run);
    let twice = "counter read twice";
    vec![
        case(NO_ROW, "empty loop, ns", looped(|| {})),
        case(NO_ROW, "clock read twice, ns", looped(read_clock_twice)),
        // On some processors, repeated additions to one address are faster this way.
        case(NO_ROW, "add where a thread-local points, ns", looped(add_there)),
        case("count", ADD, looped(add)),
        case("time", twice, looped(read_counter_twice)),
        case("gauge", "store", looped(store)),
        case("unwanted", "load and branch", looped(load_and_branch)),
        case("handle", ADD, looped(add)),
        case("handle, looked up", ADD, looped(add)),
        case("tags", ADD, looped(add)),
        case("count, 2 threads", ADD, on_threads(2, add)),
        case("count, 4 threads", ADD, on_threads(4, add)),
        case("time, 2 threads", twice, on_threads(2, read_counter_twice)),
    ]
}

#[inline]
fn add() {
    TOTAL.set(TOTAL.get().wrapping_add(1));
}

#[inline]
fn add_there() {
    PLACE.with(|place| {
        let place = place.get();
        place.store(place.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    });
}

#[inline]
fn store() {
    VALUE.store(17, Ordering::Relaxed);
}

#[inline]
fn load_and_branch() {
    if GATE.load(Ordering::Relaxed) != u32::MAX {
        wanted();
    }
}

#[cold]
#[inline(never)]
fn wanted() {
    black_box(&GATE);
}

#[inline]
fn read_clock_twice() {
    let begun = Instant::now();
    black_box(begun.elapsed());
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn read_counter_twice() {
    use std::arch::x86_64::_rdtsc;
    // SAFETY: every x86-64 processor has this instruction, and it accesses no memory.
    let read = || unsafe { _rdtsc() };
    let begun = read();
    black_box(read().wrapping_sub(begun));
}

/// Without a known counter, the clock is the floor.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn read_counter_twice() {
    read_clock_twice();
}
