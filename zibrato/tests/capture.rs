//! Captures see what they should: on one thread, on several, in tasks, and whatever goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod panics;
mod tasks;

use panics::panic_of;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use zibrato::testing::{Capture, capture, capture_process, capture_process_within};
use zibrato::{CountMe, TimeMe, Zibrato, count, count_me, gauge, time, time_me};

/// How long a test waits for another thread.
const DEADLINE: Duration = Duration::from_secs(30);

/// There is one place for an instrument, and tests run side by side.
static PLACE: Mutex<()> = Mutex::new(());

fn place() -> MutexGuard<'static, ()> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `act` on another thread and returns its result.
fn elsewhere<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(act).join().unwrap())
}

#[count_me(level = "mine", name = "attribute", tags(kind = kind))]
#[time_me(level = "mine", name = "attribute.time")]
fn annotated(kind: &str) {}

#[test]
fn everything_that_goes_through_an_installed_instrument_is_captured_and_not_delivered() {
    let _place = place();
    // A level of its own, because other tests measure without a capture.
    let builder = Zibrato::builder().port(1).source("web-1").levels(["mine"]);
    let guard = builder.flush_deadline(Duration::ZERO).install().unwrap();
    let z = zibrato::installed().unwrap();
    let (counter, depth, timer) =
        (z.counter("mine", "n"), z.gauge("mine", "depth"), z.timer("mine", "took"));
    // The gates are open when the capture begins.
    counter.increment(1);
    z.count("mine", "by.name", 1);
    count!("mine", "macro");
    let before = z.stats().recorded;
    assert_eq!(before, 3);

    let capture = capture();
    counter.increment(2);
    counter.with("tenant", "acme").increment(3);
    depth.set(4);
    timer.record(Duration::from_secs(5));
    drop(timer.start());
    z.count("mine", "by.name", 6);
    z.count("debug", "by.name", 7); // a level that is not measured
    z.set_gauge("mine", "depth.by.name", 8);
    z.time("mine", "took.by.name", Duration::from_secs(9));
    drop(z.count_me("mine", "guard"));
    drop(z.time_me("mine", "guard.time"));
    z.with_source("web-2").unwrap().count("mine", "other.source", 10);
    count!("mine", "macro", 11);
    gauge!("mine", "macro.depth", 12);
    time!("mine", "macro.time", ());
    annotated("a");
    drop(CountMe::new("mine", "scope"));
    drop(TimeMe::new("mine", "scope.time"));

    assert_eq!(z.stats().recorded, before, "nothing of it is delivered");
    assert_eq!(capture.counter("mine", "n"), 5.0);
    assert_eq!(capture.tagged("tenant", "acme").counter("mine", "n"), 3.0);
    assert_eq!(capture.gauge("mine", "depth"), [4.0]);
    assert_eq!(capture.timer("mine", "took").len(), 2);
    assert_eq!(capture.counter("mine", "by.name"), 6.0);
    assert_eq!(capture.counter("debug", "by.name"), 7.0);
    assert_eq!(capture.gauge("mine", "depth.by.name"), [8.0]);
    assert_eq!(capture.timer("mine", "took.by.name"), [9.0]);
    assert_eq!(capture.counter("mine", "guard"), 1.0);
    assert_eq!(capture.timer("mine", "guard.time").len(), 1);
    assert_eq!(capture.counter("mine", "other.source"), 10.0);
    assert_eq!(capture.counter("mine", "macro"), 11.0);
    assert_eq!(capture.gauge("mine", "macro.depth"), [12.0]);
    assert_eq!(capture.timer("mine", "macro.time").len(), 1);
    assert_eq!(capture.tagged("kind", "a").counter("mine", "attribute"), 1.0);
    assert_eq!(capture.timer("mine", "attribute.time").len(), 1);
    assert_eq!(capture.counter("mine", "scope"), 1.0);
    assert_eq!(capture.timer("mine", "scope.time").len(), 1);
    for m in capture.measurements() {
        let source = if m.name.as_str() == "other.source" { "web-2" } else { "web-1" };
        assert_eq!(m.source.as_str(), source, "{m:?}");
    }

    drop(capture);
    counter.increment(1);
    count!("mine", "macro");
    assert_eq!(guard.shutdown().recorded, before + 2, "after the capture all is delivered");
}

#[test]
fn a_capture_of_the_process_sees_every_thread_but_those_with_their_own() {
    let all = capture_process();
    count!("info", "threads");
    let own = elsewhere(|| {
        count!("info", "threads");
        let own = capture();
        count!("info", "threads", 10);
        own
    });
    assert_eq!(own.counter("info", "threads"), 10.0);
    elsewhere(|| count!("info", "threads"));
    assert_eq!(all.counter("info", "threads"), 3.0);
    drop(all);
    count!("info", "threads");
    assert!(!capture_process().has("info", "threads"));
}

#[test]
fn of_nested_captures_the_last_one_records() {
    let one = capture();
    count!("info", "nested");
    let two = capture();
    count!("info", "nested", 10);
    let all = capture_process();
    count!("info", "nested", 100);
    drop(two); // in whatever order they end
    count!("info", "nested", 100);
    drop(all);
    count!("info", "nested");
    let three = capture();
    drop(one);
    count!("info", "nested", 1000);
    assert_eq!(three.counter("info", "nested"), 1000.0);
}

#[test]
fn a_thread_is_attached_until_its_guard_is_dropped() {
    let (one, two) = (capture(), capture());
    elsewhere(|| {
        count!("info", "attached", 1000);
        let outer = one.attach();
        let inner = two.attach();
        count!("info", "attached", 10);
        drop(outer);
        count!("info", "attached", 10);
        drop(inner);
        count!("info", "attached", 1000);
        std::mem::forget(one.attach()); // as long as the capture
        count!("info", "attached");
        let (ended, other) = (capture(), capture());
        let attached = ended.attach();
        drop((ended, other));
        count!("info", "attached");
        drop(attached);
        count!("info", "attached");
    });
    assert_eq!(one.counter("info", "attached"), 3.0);
    assert_eq!(two.counter("info", "attached"), 20.0);
}

#[test]
fn a_capture_may_end_on_another_thread() {
    let capture_here = capture();
    count!("info", "moved");
    let clone = capture_here.clone();
    elsewhere(move || drop(capture_here));
    count!("info", "moved");
    elsewhere(move || {
        count!("info", "moved");
        assert_eq!(clone.counter("info", "moved"), 2.0);
    });
    count!("info", "moved");
    let again = capture();
    count!("info", "moved", 7);
    assert_eq!(again.counter("info", "moved"), 7.0);

    let all = capture_process();
    elsewhere(move || drop(all));
    drop(capture_process());
}

#[test]
fn a_thread_waits_for_a_capture_that_it_has_given_to_another_one() {
    let all = capture_process();
    let (asks, asked) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            asked.recv().unwrap();
            count!("info", "given");
            assert_eq!(all.counter("info", "given"), 1.0);
        });
        asks.send(()).unwrap();
        let next = capture_process_within(DEADLINE);
        assert!(!next.has("info", "given"));
    });
}

#[test]
fn a_forgotten_capture_is_in_the_way_of_no_other() {
    std::mem::forget(capture());
    count!("info", "forgotten");
    let next = capture();
    count!("info", "forgotten", 2);
    assert_eq!(next.counter("info", "forgotten"), 2.0);
    assert!(!elsewhere(capture).has("info", "forgotten"));
}

#[test]
fn a_test_that_panics_while_it_captures_the_process_lets_the_next_one_capture() {
    let panics = || {
        let all = capture_process();
        count!("info", "panics");
        thread::scope(|scope| {
            scope.spawn(|| {
                let _attached = all.attach();
                let _time = time!("info", "panics.time");
                panic!("in a captured section");
            });
        });
    };
    let failed = thread::scope(|scope| scope.spawn(panics).join());
    failed.unwrap_err();
    let next = capture_process();
    count!("info", "panics", 2);
    assert_eq!(next.counter("info", "panics"), 2.0);
    assert!(!next.has("info", "panics.time"));
}

#[test]
fn a_panic_in_a_captured_section_is_captured_up_to_it() {
    #[count_me(name = "unwinds", outcomes)]
    fn unwinds() {
        panic!("on purpose");
    }
    let capture = capture();
    catch_unwind(unwinds).unwrap_err();
    assert_eq!(capture.tagged("outcome", "panic").counter("info", "unwinds"), 1.0);
    // A failed assertion does not end it.
    panic_of(|| capture.counter("info", "wind"));
    count!("info", "unwinds");
    assert_eq!(capture.counter("info", "unwinds"), 2.0);
}

#[test]
fn two_tests_that_capture_the_process_wait_for_each_other() {
    let inside = AtomicU32::new(0);
    let test = |number: u32| {
        let all = capture_process();
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
        elsewhere(|| count!("info", "exclusive", number));
        assert_eq!(all.counter("info", "exclusive"), f64::from(number));
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        for number in 1..=20 {
            scope.spawn(move || test(number));
        }
    });
}

#[test]
fn a_capture_of_the_process_that_is_never_free_is_named_with_the_way_out() {
    let line = line!() + 1;
    let all = capture_process();
    let place = format!("{}:{line}:15", file!());
    let this = thread::current().name().unwrap().to_owned();
    let holder = format!("thread `{this}`, which took it at {place}");
    let refused = elsewhere(|| panic_of(|| capture_process_within(Duration::from_millis(1))));
    assert_eq!(
        refused,
        format!(
            "the capture of the process was not free within 1ms: it is held by {holder}. A capture \
             is held until it and its clones are dropped. Is it in a static, was it forgotten, or \
             is a clone in a task that still runs? A test that needs longer is waited for with \
             `capture_process_within`. `cargo nextest run` runs each test in a process of its own, \
             where none waits."
        )
    );
    let refused = panic_of(|| capture_process_within(Duration::from_millis(1)));
    assert_eq!(
        refused,
        format!(
            "the capture of the process is held by {holder}. That is the thread that asks for \
             another one: it waits for itself. Drop the first capture before, or use a clone of it. \
             If another thread or a task has the capture now, it was not dropped within 1ms; \
             `capture_process_within` waits longer."
        )
    );
    // Neither took anything from the capture.
    elsewhere(|| count!("info", "kept"));
    assert_eq!(all.counter("info", "kept"), 1.0);
}

#[test]
fn no_reading_is_missed_while_other_threads_use_the_same_site() {
    static ENDS: AtomicBool = AtomicBool::new(false);
    fn site() {
        count!("info", "raced");
    }
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ENDS.load(Ordering::Relaxed) {
                    site();
                }
            });
        }
        for _ in 0..2000 {
            let capture = capture();
            site();
            let counted = capture.has("info", "raced");
            if !counted {
                ENDS.store(true, Ordering::Relaxed);
            }
            assert!(counted);
        }
        ENDS.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_capture_can_be_given_to_threads_and_tasks() {
    fn given<T: Send + Sync + Clone + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    given::<Capture>();
}
