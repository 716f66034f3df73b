//! Does one thing very often, so that its instructions can be counted: `hot_paths OPERATION TIMES`.

use std::hint::black_box;
use std::time::Duration;
use zibrato::{Zibrato, count, gauge, histogram, time};

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let [_, operation, times] = &args[..] else { panic!("an operation, and how often") };
    let times = times.parse().unwrap_or(1);
    let guard = Zibrato::builder()
        // Nobody listens there, and the sender has nothing to do.
        .port(1)
        .interval(Duration::from_millis(200))
        .levels(["info"])
        .flush_deadline(Duration::ZERO)
        .install();
    let Ok(guard) = guard else { return };
    // By then the sender knows how long a tick is.
    std::thread::sleep(Duration::from_secs(1));
    let counter = guard.handle().counter("info", "handle");
    match operation.as_str() {
        "count" => repeat(times, || count!("info", "count")),
        // The compiler is not to know the amount.
        "count_n" => repeat(times, || count!("info", "count_n", black_box(17))),
        "time" => repeat(times, || time!("info", "time", ())),
        "gauge" => repeat(times, || gauge!("info", "gauge", 17)),
        // The compiler is not to know the reading.
        "histogram" => repeat(times, || histogram!("info", "histogram", black_box(17))),
        "unwanted" => repeat(times, || count!("debug", "unwanted")),
        "handle" => repeat(times, || counter.increment(1)),
        other => panic!("no operation {other:?}"),
    }
}

fn repeat(times: u64, operation: impl Fn()) {
    // The first times find out what the others know.
    (0..1000).for_each(|_| operation());
    counted(times, &operation);
}

/// Callgrind counts in here, and in what is called from here.
#[inline(never)]
fn counted(times: u64, operation: &impl Fn()) {
    for _ in 0..times {
        operation();
        black_box(());
    }
}
