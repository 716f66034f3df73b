//! A cell agrees with a summary, and every reading is taken once.

use super::{HistogramCell, Octave, READING, place, slot};
use crate::summary::Summary;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

fn record(cell: &HistogramCell, value: f64) -> bool {
    cell.record(value) || (cell.make_room(value, |_| true) && cell.record(value))
}

#[test]
fn what_was_recorded_is_taken_once() {
    let cell = HistogramCell::default();
    assert!(cell.take().is_none());
    for _ in 0..3 {
        assert!([3.0, -1.0, 0.0, 3.0].into_iter().all(|value| record(&cell, value)));
        assert_eq!(cell.untaken(), 4);
        let summary = cell.take().unwrap();
        assert_eq!((summary.count(), summary.sum()), (4, 5.0));
        assert_eq!((summary.min(), summary.max(), summary.sum_squares()), (-1.0, 3.0, 19.0));
        let buckets: Vec<_> = summary.sketch().buckets().collect();
        let same: Summary = [3.0, -1.0, 0.0, 3.0].into_iter().collect();
        assert_eq!(buckets, same.sketch().buckets().collect::<Vec<_>>());
        assert!(cell.take().is_none() && cell.untaken() == 0);
    }
}

#[test]
fn numbers_that_are_too_large_are_refused_and_change_nothing() {
    let cell = HistogramCell::default();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN] {
        assert!(!record(&cell, bad), "{bad}");
    }
    assert!(cell.take().is_none());
    assert!(record(&cell, 1e308) && record(&cell, 1e308));
    assert!(!record(&cell, -1e308) && !record(&cell, 1.0));
    let summary = cell.take().unwrap();
    assert_eq!((summary.count(), summary.max(), summary.stddev()), (2, 1e308, 0.0));
    assert_eq!((summary.sum(), summary.sum_squares()), (f64::MAX, f64::MAX));
    assert_eq!(summary.sketch().count(), 2);
}

#[test]
fn without_memory_there_is_no_room() {
    let cell = HistogramCell::default();
    assert!(!cell.make_room(1.0, |_| false) && !cell.record(1.0));
    let mut bytes = 0;
    assert!(cell.make_room(1.0, |more| {
        bytes += more;
        true
    }));
    assert!(cell.record(1.0) && bytes > 0 && bytes <= 2048, "{bytes}");
}

#[test]
fn a_thread_that_is_interrupted_during_a_reading_holds_nothing_back() {
    let cell = HistogramCell::default();
    assert!(record(&cell, 1.0) && record(&cell, 2.0));
    // A third reading has been written, but not published.
    let state = cell.state.load(Relaxed);
    assert!(cell.slots[slot(state)].add(state / READING, 99.0));
    let summary = cell.take().unwrap();
    assert_eq!((summary.count(), summary.max(), summary.sketch().count()), (2, 2.0, 2));
    assert!(cell.take().is_none());
    // Another one has been published, but not counted in its bucket.
    assert!(record(&cell, 2.0));
    let state = cell.state.load(Relaxed);
    assert!(cell.slots[slot(state)].add(state / READING, 1.0));
    cell.state.store(state + READING, Relaxed);
    let summary = cell.take().unwrap();
    assert_eq!((summary.count(), summary.sum()), (2, 3.0));
    let both: Summary = [1.0, 2.0].into_iter().collect();
    assert_eq!(summary.sketch(), both.sketch());
    // It is counted there when the slot was taken already.
    cell.make_room(1.0, |_| true);
    let (group, octave, bucket) = place(1.0);
    let counts = cell.groups[group].get().unwrap().octaves[octave].get().unwrap();
    counts.0[slot(state)][bucket].fetch_add(1, Relaxed);
    for _ in 0..3 {
        assert!(record(&cell, 1.0));
        assert_eq!(cell.take().unwrap().sketch().count(), 1);
    }
}

#[test]
fn close_readings_keep_their_deviation_after_an_outlier() {
    let cell = HistogramCell::default();
    for n in 0..9000 {
        assert!(record(&cell, 1000.0 + f64::from(n % 3 - 1) * 1e-6));
    }
    let exact = (2.0_f64 / 3.0).sqrt() * 1e-6;
    let stddev = cell.take().unwrap().stddev();
    assert!((stddev / exact - 1.0).abs() < 1e-3, "{stddev}");
}

proptest! {
    #[test]
    fn it_agrees_with_a_summary(
        intervals in prop::collection::vec(
            prop::collection::vec(
                prop_oneof![prop::num::f64::NORMAL.prop_map(|v| v % 1e150), -1e3..1e3], 1..20,
            ),
            1..4,
        ),
    ) {
        let cell = HistogramCell::default();
        for readings in intervals {
            prop_assert!(readings.iter().all(|value| record(&cell, *value)));
            let wanted: Summary = readings.into_iter().collect();
            let got = cell.take().unwrap();
            prop_assert_eq!(
                (got.count(), got.min(), got.max(), got.sketch()),
                (wanted.count(), wanted.min(), wanted.max(), wanted.sketch())
            );
            let scale = wanted.max().abs().max(wanted.min().abs()) * got.count() as f64;
            prop_assert!((got.sum() - wanted.sum()).abs() <= scale * 1e-14);
            let (got, wanted) = (got.squared_deviations(), wanted.squared_deviations());
            prop_assert!((got - wanted).abs() <= wanted * 1e-9, "{} {}", got, wanted);
        }
    }
}

#[test]
fn a_sender_takes_every_reading_of_a_running_thread_once() {
    let cell = HistogramCell::default();
    assert!(cell.make_room(1.0, |_| true));
    let (mut count, mut sum) = (0, 0.0);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| (0..200_000).for_each(|_| assert!(cell.record(1.5))));
        while !thread.is_finished() || cell.untaken() > 0 {
            if let Some(taken) = cell.take() {
                assert_eq!(taken.count(), taken.sketch().count());
                count += taken.count();
                sum += taken.sum();
            }
        }
    });
    assert_eq!((count, sum), (200_000, 300_000.0));
}

#[test]
fn a_cell_begins_where_a_line_of_the_cache_does() {
    assert_eq!((align_of::<HistogramCell>(), size_of::<HistogramCell>()), (64, 704));
    assert_eq!(size_of::<Octave>(), 512);
}
