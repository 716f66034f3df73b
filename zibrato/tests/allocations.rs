//! Measuring again at the same call site in the same thread allocates nothing.

#![expect(unsafe_code, reason = "an allocator that counts is one, and those are declared unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};
use zibrato::{Zibrato, count, count_me, gauge, histogram, time};

thread_local! {
    /// Only this thread's, since the sender allocates when it likes.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: what the caller promised us is what it asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it came from `alloc` above, which is the system's, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(measure: impl Fn()) -> u64 {
    let before = ALLOCATIONS.get();
    (0..1000).for_each(|_| measure());
    ALLOCATIONS.get() - before
}

#[test]
fn what_has_been_measured_once_allocates_no_more() {
    let builder = Zibrato::builder().port(1).levels(["info"]).flush_deadline(Duration::ZERO);
    let guard = builder.install().unwrap();
    let z = guard.handle();
    let (counter, gauge) = (z.counter("info", "kept"), z.gauge("info", "kept.gauge"));
    let size = z.histogram("info", "kept.size").unit("bytes");
    let (timer, off) = (z.timer("info", "kept.time"), z.counter("debug", "kept.unwanted"));
    let counts = || count!("info", "counts");
    let amounts = || count!("info", "amounts", 0.5);
    let gauges = || gauge!("info", "gauges", 7);
    let times = || drop(time!("info", "times"));
    let histograms = || histogram!("info", "histograms", 7, unit = "rows");
    let histograms_of_handles = || size.record(-0.5);
    let unwanted = || {
        count!("debug", "unwanted");
        gauge!("debug", "unwanted.gauge", 1);
        histogram!("debug", "unwanted.histogram", 1);
        drop(time!("debug", "unwanted.time"));
        off.increment(1);
    };
    let handles = || counter.increment(1);
    let amounts_of_handles = || counter.increment(0.5);
    let gauges_of_handles = || gauge.set(7);
    let running = || running();
    let all: [&dyn Fn(); 10] = [
        &histograms,
        &histograms_of_handles,
        &counts,
        &amounts,
        &gauges,
        &unwanted,
        &handles,
        &amounts_of_handles,
        &gauges_of_handles,
        &running,
    ];
    for (number, measure) in all.into_iter().enumerate() {
        measure();
        assert_eq!(allocations_of(measure), 0, "the one at {number}");
    }
    // A duration of an order of magnitude that there was not yet takes memory, once; and so do the
    // first ones, until it is known how long a tick of the processor is.
    let begun = Instant::now();
    let times_of_handles = || drop(timer.start());
    for measure in [&times as &dyn Fn(), &times_of_handles] {
        while allocations_of(measure) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it never ends");
        }
        let again: u64 = (0..100).map(|_| allocations_of(measure)).sum();
        assert!(
            again < 64,
            "{again} allocations in 100,000 times; there are 64 orders of magnitude"
        );
    }
    // The length of a tick may become known only now; then one duration has one order of magnitude.
    let known = || timer.record(Duration::from_millis(3));
    while allocations_of(known) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never ends");
    }
    let again: u64 = (0..100).map(|_| allocations_of(known)).sum();
    assert!(again < 8, "{again} allocations in 100,000 times");
}

#[count_me(level = "info", in_flight)]
fn running() {
    std::hint::black_box(());
}
