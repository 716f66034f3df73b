//! The numbers that a program measures arrive exactly, with any number of threads.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of tests")]

use std::time::Duration;
use zibrato::testing::capture;
use zibrato::window::{Fold, Series, Window};
use zibrato::wire::{BatchReader, Message, message};
use zibrato::{CounterHandle, TimerHandle, Zibrato, count, gauge, histogram, zmq};

/// Lets 24 threads measure within one interval, and gives what a window makes of it: the counter
/// first.
fn measured(measure: impl Fn(&CounterHandle, &TimerHandle, usize) + Sync) -> Vec<Series> {
    let context = zmq::Context::new();
    let pull = context.socket(zmq::PULL).unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    pull.set_rcvtimeo(30_000).unwrap();
    let endpoint = pull.get_last_endpoint().unwrap().unwrap();
    let port = endpoint.rsplit_once(':').unwrap().1.parse().unwrap();
    let builder = Zibrato::builder().port(port).demand(false).interval(Duration::from_secs(60));
    let instrument = builder.build().unwrap();
    let (counter, timer) = (instrument.counter("info", "c"), instrument.timer("info", "t"));
    std::thread::scope(|scope| {
        for thread in 0..24 {
            let (counter, timer, measure) = (&counter, &timer, &measure);
            scope.spawn(move || measure(counter, timer, thread));
        }
    });
    instrument.flush(Duration::from_millis(1));
    let frames = pull.recv_multipart(0).unwrap();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let Ok(Message::Batch { body, .. }) = message(&frames) else { panic!("no batch") };
    let mut window = Window::new(0, 1000, 10);
    window.fold_batch(&BatchReader::new(body).unwrap(), |error| panic!("{error}"));
    window.into_series()
}

#[test]
fn a_constant_over_24_threads_does_not_deviate() {
    let series = measured(|counter, timer, thread| {
        counter.increment(1);
        (0..=thread).for_each(|_| timer.record(Duration::from_nanos(123_456_789)));
    });
    let Fold::Timer(timer) = &series[1].value else { panic!("{series:?}") };
    assert_eq!((timer.count(), timer.stddev()), (300, 0.0));
}

#[test]
fn a_microsecond_more_or_less_than_1000_seconds_is_seen() {
    let near = Duration::from_micros(999_999_999);
    let series = measured(|counter, timer, _| {
        counter.increment(1);
        (0..300).for_each(|n| timer.record(near + Duration::from_micros(n % 3)));
    });
    let Fold::Timer(timer) = &series[1].value else { panic!("{series:?}") };
    let exact = (2.0_f64 / 3.0).sqrt() * 1e-6;
    assert_eq!(timer.count(), 7_200);
    assert!((timer.stddev() / exact - 1.0).abs() < 1e-6, "{}", timer.stddev());
}

#[test]
fn counts_beyond_64_bits_do_not_wrap_around() {
    let most = 1_u64 << 53;
    let series = measured(|counter, timer, thread| {
        timer.record(Duration::MAX);
        (0..200).for_each(|_| counter.increment(most));
        counter.increment(thread as i64 - 12);
    });
    let sum = 24.0 * 200.0 * most as f64 - 12.0;
    let Fold::Counter(counted) = series[0].value else { panic!("{series:?}") };
    assert!((counted / sum - 1.0).abs() < 1e-15, "{counted} of {sum}");
    let Fold::Timer(timer) = &series[1].value else { panic!("{series:?}") };
    assert_eq!((timer.count(), timer.max()), (24, Duration::MAX.as_secs_f64()));
    assert_eq!(timer.stddev(), 0.0);
}

#[test]
fn a_capture_leaves_out_numbers_that_are_never_sent() {
    let capture = capture();
    let z = Zibrato::builder().port(1).flush_deadline(Duration::ZERO).build().unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        count!("info", "odd", value);
        gauge!("info", "odd", value);
        gauge!("info", "odd", value, each = true);
        histogram!("info", "odd", value);
        z.count("info", "odd", value);
        z.gauge("info", "odd").set(value);
    }
    assert!(!capture.has("info", "odd"), "{:?}", capture.measurements());
    assert_eq!(z.stats().recorded, 0);
}
