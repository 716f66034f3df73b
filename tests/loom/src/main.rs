//! Checks every order in which a thread, its successor and the sender can access the cells, and
//! every value that the memory model allows them to see, with a limited number of preemptions.
//!
//! The files of the SDK are compiled unchanged; only the atomics are those of the model checker.

#![expect(dead_code, reason = "models need only a part of the files")]

#[path = "../../../zibrato/src/sdk/cells/blocks.rs"]
mod blocks;
#[path = "../../../zibrato/src/sdk/cells/counter.rs"]
mod counter;
#[path = "../../../zibrato/src/sdk/cells/gauge.rs"]
mod gauge;
#[path = "../../../zibrato/src/sdk/cells/histogram.rs"]
mod histogram;
mod measurement;
mod models;
mod sketch;
mod summary;
mod sync;
mod ticks;
#[path = "../../../zibrato/src/sdk/cells/timer.rs"]
mod timer;
#[path = "../../../zibrato/src/sdk/cells/timer_buckets.rs"]
mod timer_buckets;
#[path = "../../../zibrato/src/sdk/cells/timer_totals.rs"]
mod timer_totals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A name, the maximum number of preemptions, and the model.
type Model = (&'static str, usize, fn());

fn main() {
    let only = std::env::args().nth(1);
    for (name, preemptions, model) in models::ALL {
        if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            check(name, *preemptions, *model);
        }
    }
}

fn check(name: &str, preemptions: usize, model: fn()) {
    let (begun, orders) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    let counted = Arc::clone(&orders);
    print!("model {name} ... ");
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let (orders, seconds) = (orders.load(Ordering::Relaxed), begun.elapsed().as_secs_f64());
    println!("ok, {orders} orders in {seconds:.1} s");
}
