//! The installed instrument: one at a time, and exact whatever threads do.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use proptest::prelude::*;
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use zibrato::{Guard, InstallError, Loss, Stats, Zibrato, count, gauge, time, zmq};

/// There is one place for an instrument, and tests run side by side.
static PLACE: Mutex<()> = Mutex::new(());

fn place() -> MutexGuard<'static, ()> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An instrument to whose broker nobody listens: at its end it says how much it had.
fn alone() -> Guard {
    Zibrato::builder().port(1).flush_deadline(Duration::from_millis(20)).install().unwrap()
}

#[track_caller]
fn all_is_lost(stats: &Stats, readings: u64) {
    assert!(stats.balances(), "{stats:?}");
    let lost = if readings == 0 { [].into() } else { [(Loss::Deadline, readings)].into() };
    assert_eq!((stats.recorded, &stats.lost), (readings, &lost), "{stats:?}");
    assert_eq!(stats.lag, Duration::ZERO, "what is lost waits no longer");
}

#[test]
fn an_instrument_that_is_installed_while_another_ends_has_all_its_readings_and_no_others() {
    let _place = place();
    let site = || count!("info", "shared.site");
    // Nobody listens there, so the end of the first takes as long as it may.
    let deadline = Duration::from_millis(300);
    let builder = Zibrato::builder().port(1).flush_deadline(deadline);
    let first = builder.clone().install().unwrap();
    site();
    let ending = Builder::new().spawn(move || first.shutdown()).unwrap();
    let second = loop {
        match builder.clone().install() {
            Ok(guard) => break guard,
            Err(InstallError::AlreadyInstalled) => {}
            Err(error) => panic!("{error}"),
        }
    };
    (0..10).for_each(|_| site());
    all_is_lost(&ending.join().unwrap(), 1);
    site();
    all_is_lost(&second.shutdown(), 11);
}

#[test]
fn the_books_of_an_instrument_balance_while_the_next_one_is_installed() {
    let _place = place();
    let ends = AtomicBool::new(false);
    let current: Mutex<Option<Zibrato>> = Mutex::default();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let handle = current.lock().unwrap().clone();
                let stats = handle.map(|handle| handle.stats()).unwrap_or_default();
                assert!(stats.balances(), "{stats:?}");
            }
        });
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                count!("info", "many.ends");
            }
        });
        for _ in 0..500 {
            let guard = Zibrato::builder().port(1).flush_deadline(Duration::ZERO).install();
            let guard = guard.unwrap();
            *current.lock().unwrap() = Some(guard.handle());
        }
        ends.store(true, Ordering::Relaxed);
        watch.join().unwrap();
    });
}

#[test]
fn nothing_waits_any_more_when_an_instrument_has_ended() {
    let _place = place();
    let guard = alone();
    count!("info", "waiting");
    let handle = guard.handle();
    handle.flush(Duration::from_millis(5));
    all_is_lost(&guard.shutdown(), 1);
    assert_eq!(handle.stats().lag, Duration::ZERO);
}

#[test]
fn threads_that_come_and_go_lose_no_count() {
    let _place = place();
    let guard = alone();
    let threads: Vec<_> = (0..400)
        .map(|_| {
            let count = || (0..1000).for_each(|_| count!("info", "come.and.go"));
            Builder::new().spawn(count).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    all_is_lost(&guard.shutdown(), 400_000);
}

/// Counts when its thread ends.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        count!("info", "last.words", 3);
        let _time = time!("info", "last.moments");
        gauge!("info", "last.level", 1);
    }
}

#[test]
fn what_a_destructor_of_a_thread_measures_is_not_lost() {
    thread_local! {
        static BEFORE: Cell<Option<Last>> = const { Cell::new(None) };
        static AFTER: Cell<Option<Last>> = const { Cell::new(None) };
    }
    let _place = place();
    let guard = alone();
    let measure = || {
        BEFORE.set(Some(Last));
        count!("info", "last.words", 3);
        AFTER.set(Some(Last));
    };
    for _ in 0..20 {
        Builder::new().spawn(measure).unwrap().join().unwrap();
    }
    all_is_lost(&guard.shutdown(), 20 * 7);
}

#[test]
fn nothing_is_measured_while_nothing_is_installed() {
    let _place = place();
    let site = || {
        count!("info", "uninstalled");
        drop(time!("info", "uninstalled.time"));
        gauge!("info", "uninstalled.level", 1);
    };
    site();
    let guard = alone();
    site();
    all_is_lost(&guard.shutdown(), 3);
    site();
    let guard = alone();
    all_is_lost(&guard.shutdown(), 0);
}

#[test]
fn a_capture_takes_only_what_its_own_thread_measures() {
    let _place = place();
    let site = || {
        count!("info", "captured");
        drop(time!("debug", "captured.time"));
    };
    let guard = Zibrato::builder().port(1).levels(["info"]).flush_deadline(Duration::ZERO);
    let guard = guard.install().unwrap();
    site();
    let capture = zibrato::testing::capture();
    site();
    Builder::new().spawn(site).unwrap().join().unwrap();
    assert_eq!(capture.counter("info", "captured"), 1.0);
    assert_eq!(capture.timer("debug", "captured.time").len(), 1, "also a level that is closed");
    drop(capture);
    site();
    all_is_lost(&guard.shutdown(), 3);
}

#[test]
fn captures_may_end_in_any_order() {
    let _place = place();
    let guard = alone();
    let site = || count!("info", "in.any.order");
    let (first, second) = (zibrato::testing::capture(), zibrato::testing::capture());
    site();
    drop(first);
    site();
    assert_eq!(second.counter("info", "in.any.order"), 2.0);
    drop(second);
    site();
    all_is_lost(&guard.shutdown(), 1);
}

#[test]
fn amounts_that_are_no_whole_ones_are_added_too() {
    let _place = place();
    let guard = alone();
    count!("info", "amounts", 0.5);
    count!("info", "amounts", -7);
    count!("info", "amounts", u64::MAX);
    count!("info", "amounts", f64::NAN);
    let stats = guard.shutdown();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(stats.recorded, 4);
    assert_eq!(stats.lost[&Loss::NotFinite], 1);
}

#[test]
fn timers_measure_what_the_clock_says() {
    let _place = place();
    let guard = alone();
    let capture = zibrato::testing::capture();
    // The sender compares the processor's counter with the clock meanwhile.
    for _ in 0..3 {
        let begun = Instant::now();
        {
            let _time = time!("info", "spin");
            while begun.elapsed() < Duration::from_millis(30) {
                black_box(());
            }
        }
        let most = begun.elapsed().as_secs_f64();
        let measured = *capture.timer("info", "spin").last().unwrap();
        assert!((0.0299..=most * 1.01 + 1e-3).contains(&measured), "{measured} of {most}");
    }
    drop(capture);
    all_is_lost(&guard.shutdown(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// Whatever threads do, and whenever they end, as much is there as was measured.
    #[test]
    fn the_sum_of_differences_is_what_was_recorded(
        rounds in prop::collection::vec(prop::collection::vec((0..300_u64, 0..40_u64), 1..9), 1..6),
    ) {
        let _place = place();
        let guard = alone();
        let handle = guard.handle();
        let mut made = 0;
        for threads in &rounds {
            let started: Vec<_> = threads
                .iter()
                .map(|(counts, times)| {
                    let (counts, times) = (*counts, *times);
                    let measure = move || {
                        (0..counts).for_each(|n| count!("info", "differences", n as i64 - 3));
                        (0..times).for_each(|_| drop(time!("info", "differences.time")));
                    };
                    Builder::new().spawn(measure).unwrap()
                })
                .collect();
            // Takes what has gathered while the threads go on.
            let stats = handle.flush(Duration::ZERO);
            prop_assert!(stats.recorded <= made + threads.iter().map(|(c, t)| c + t).sum::<u64>());
            started.into_iter().for_each(|thread| thread.join().unwrap());
            made += threads.iter().map(|(counts, times)| counts + times).sum::<u64>();
            prop_assert_eq!(handle.stats().recorded, made);
        }
        drop(handle);
        let stats = guard.shutdown();
        prop_assert!(stats.balances(), "{:?}", stats);
        prop_assert_eq!(stats.recorded, made);
    }
}

#[test]
fn a_timer_that_has_to_wait_keeps_its_extremes() {
    use std::collections::BTreeMap;
    use zibrato::wire::{Ack, BatchReader, Message, Value, ack_topic, message};

    let _place = place();
    let context = zmq::Context::new();
    let open = |kind| {
        let socket = context.socket(kind).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        let port: u16 = endpoint.rsplit_once(':').unwrap().1.parse().unwrap();
        (socket, port)
    };
    let ((pull, port), (publish, control_port)) = (open(zmq::PULL), open(zmq::XPUB));
    let interval = Duration::from_millis(10);
    let builder = Zibrato::builder().port(port).control_port(control_port).interval(interval);
    let builder = builder.flush_deadline(interval);
    let guard = builder.install().unwrap();
    let spin = |least: Duration| {
        let _time = time!("info", "waits");
        let begun = Instant::now();
        while begun.elapsed() < least {
            black_box(());
        }
    };
    let mut batches = BTreeMap::new();
    let mut receive = || {
        let frames = pull.recv_multipart(0).unwrap();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let Ok(Message::Batch { id, body, .. }) = message(&frames) else { panic!("no batch") };
        let mut all = zibrato::Summary::new();
        for entry in BatchReader::new(body).unwrap().entries() {
            match entry.unwrap().value {
                Value::Timer(summary) => summary.merge_into(&mut all),
                Value::TimerReadings(seconds) => seconds.for_each(|value| all.record(value)),
                other => panic!("{other:?}"),
            }
        }
        batches.insert(id.sequence, all);
        (batches.len(), id.publisher)
    };
    // By then the sender knows how long a tick is, and the first batch is on its way.
    spin(Duration::from_millis(40));
    let (received, publisher) = receive();
    assert_eq!(received, 1);
    let longest = Duration::from_millis(60);
    spin(longest);
    (0..20).for_each(|_| spin(Duration::from_millis(5)));
    // The second batch waits behind the first until that is acknowledged.
    let topic = ack_topic(publisher);
    let subscribed = || publish.recv_bytes(0).unwrap()[1..] == *topic.as_bytes();
    while !subscribed() {}
    let ack = Ack { sequences: [("info".to_owned(), 1)].into() }.encode();
    publish.send_multipart([topic.as_bytes(), &ack], 0).unwrap();
    while receive().0 < 2 {}
    let second = &batches[&2];
    assert_eq!(second.count(), 21);
    assert!(second.max() >= longest.as_secs_f64() * 0.999, "{second:?}");
    let least = longest.as_secs_f64().powi(2) * 0.998 + 20.0 * 25e-6 * 0.998;
    assert!(second.sum_squares() >= least, "{} of {least}", second.sum_squares());
    drop(guard);
}
