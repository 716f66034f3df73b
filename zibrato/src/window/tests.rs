//! All forms of measurements aggregate to the same sums; each window is flushed once.

use super::{
    Fold, MAX_ALL_READINGS, MAX_READINGS, MAX_SET_MEMBERS, OVERFLOW_NAME, Window, Windows,
};
use crate::Summary;
use crate::measurement::Gauge;
use crate::wire::{BatchReader, BatchWriter, Line};
use proptest::prelude::*;
use std::time::Duration;

fn window() -> Window {
    Window::new(60_000, 60_000, 1000)
}

fn fold(window: &mut Window, line: &str) {
    window.fold_line(&Line::decode(line.as_bytes()).unwrap());
}

fn fold_body(window: &mut Window, batch: BatchWriter) {
    let body = batch.finish();
    window.fold_batch(&BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
}

#[test]
fn a_series_is_kind_name_source_and_tags() {
    let mut window = window();
    for line in ["a|c|n|1|1|s", "b|c|n|1|1|s", "a|g|n|1|1|s", "a|c|m|1|1|s", "a|c|n|1|1|r"] {
        fold(&mut window, line);
    }
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.counter("n", &[("x", "1"), ("y", "2")], 1.0);
    batch.counter("n", &[("y", "2"), ("x", "1")], 1.0);
    batch.counter("n", &[("x", "1")], 1.0);
    fold_body(&mut window, batch);
    let got: Vec<_> = window
        .into_series()
        .into_iter()
        .map(|s| (s.name.to_string(), s.source.to_string(), s.tags.len(), s.value))
        .filter(|(.., value)| matches!(value, Fold::Counter(_)))
        .collect();
    let series = |name: &str, source: &str, tags, sum| {
        (name.to_owned(), source.to_owned(), tags, Fold::Counter(sum))
    };
    assert_eq!(
        got,
        [
            series("m", "s", 0, 1.0),
            series("n", "r", 0, 1.0),
            series("n", "s", 0, 2.0),
            series("n", "s", 1, 1.0),
            series("n", "s", 2, 2.0),
        ]
    );
}

#[test]
fn a_gauge_keeps_the_latest_reading_and_folds_all() {
    let mut window = window();
    fold(&mut window, "a|g|n|4|20|s");
    fold(&mut window, "a|g|n|1|10|s");
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.gauge_readings("n", &[], &[(15_000, 7.0)]);
    fold_body(&mut window, batch);
    let Fold::Gauge(Some(gauge)) = window.into_series()[0].value else { panic!("no gauge") };
    assert_eq!(
        (gauge.last, gauge.count, gauge.sum, gauge.min, gauge.max),
        (4.0, 3, 12.0, 1.0, 7.0)
    );
}

#[test]
fn in_one_millisecond_the_gauge_of_the_later_batch_is_the_last() {
    let mut window = window();
    for (at_ms, value) in [(15_000, 1.0), (15_000, 2.0), (14_999, 3.0)] {
        let mut batch = BatchWriter::new("s", 0, 1000);
        batch.gauge("n", &[], &Gauge::reading(value, at_ms));
        fold_body(&mut window, batch);
    }
    fold(&mut window, "a|g|m|1|15|s");
    fold(&mut window, "a|g|m|2|15.0004|s");
    for series in window.into_series() {
        let Fold::Gauge(Some(gauge)) = series.value else { panic!("no gauge") };
        assert_eq!((gauge.last, gauge.at_ms), (2.0, 15_000));
    }
}

#[test]
fn deviations_of_many_batches_are_those_of_all_readings() {
    let readings: Vec<f64> = (0..9000).map(|n| 1000.0 + f64::from(n % 3 - 1) * 1e-6).collect();
    let mut window = window();
    for chunk in readings.chunks(7) {
        let mut batch = BatchWriter::new("s", 0, 1000);
        batch.timer("n", &[], &chunk.iter().copied().collect());
        batch.timer_readings("n", &[], &chunk[..1]);
        fold_body(&mut window, batch);
    }
    let Fold::Timer(timer) = &window.into_series()[0].value else { panic!("no timer") };
    assert_eq!(timer.count(), 9000 + 1286);
    let exact = (2.0_f64 / 3.0).sqrt() * 1e-6;
    assert!((timer.stddev() / exact - 1.0).abs() < 1e-3, "{}", timer.stddev());
}

#[test]
fn a_histogram_is_folded_from_lines_readings_and_summaries() {
    let mut window = window();
    fold(&mut window, "a|h|n|-2|1|s");
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.histogram_readings("n", &[], None, &[1e308, 3.0]);
    batch.histogram("n", &[], None, &[5.0, 7.0].into_iter().collect());
    fold_body(&mut window, batch);
    let series = window.into_series();
    assert_eq!(series.len(), 1);
    let Fold::Histogram(histogram) = &series[0].value else { panic!("{series:?}") };
    let summary = &histogram.summary;
    assert_eq!((summary.count(), summary.min(), summary.max()), (5, -2.0, 1e308));
    assert_eq!(summary.quantile(0.5).map(f64::round), Some(5.0));
    assert!(summary.sum().is_finite() && summary.stddev().is_finite());
}

#[test]
fn readings_in_different_units_are_never_added_up() {
    let mut window = window();
    for (unit, value) in [(Some("bytes"), 1.0), (None, 2.0), (Some("ms"), 4.0)] {
        for _ in 0..2 {
            let mut batch = BatchWriter::new("s", 0, 1000);
            batch.histogram_readings("n", &[], unit, &[value]);
            fold_body(&mut window, batch);
        }
    }
    fold(&mut window, "a|t|n|8|1|s");
    let all = window.into_series();
    let got: Vec<_> =
        all.iter().map(|s| (s.value.unit(), s.value.summary().unwrap().sum())).collect();
    assert_eq!(got, [(None, 4.0), (Some("bytes"), 2.0), (Some("ms"), 8.0), (None, 8.0)]);
}

#[test]
fn sets_keep_distinct_members() {
    let mut window = window();
    for line in ["a|s|n|x|1|s", "a|s|n|y|1|s", "a|s|n|x|1|s"] {
        fold(&mut window, line);
    }
    assert_eq!(window.omitted_members(), 0);
    let Fold::Set(members) = &window.into_series()[0].value else { panic!("no set") };
    assert_eq!(members.len(), 2);
}

#[test]
fn members_of_a_full_set_are_counted() {
    let mut window = window();
    let members = |from: usize| (from..from + 60_000).map(|n| Box::from(n.to_string())).collect();
    for from in [0, 30_000, 60_000] {
        window.fold_series("s", "n", &[], &Fold::Set(members(from)));
    }
    // Members that are known already have room.
    for line in ["a|s|n|1|1|s", "a|s|n|new|1|s"] {
        fold(&mut window, line);
    }
    let mut batch = BatchWriter::new("s", 0, 1_000);
    batch.set("n", &[], ["2", "newer", "newest"].into_iter());
    fold_body(&mut window, batch);
    assert_eq!(window.omitted_members(), 20_003);
    let Fold::Set(members) = &window.into_series()[0].value else { panic!("no set") };
    assert_eq!(members.len(), MAX_SET_MEMBERS);
}

#[test]
fn a_full_window_merges_new_names_and_reports_the_first_one() {
    let mut window = Window::new(0, 1000, 2);
    for name in ["a", "b", "c", "d", "a", "c"] {
        fold(&mut window, &format!("i|c|{name}|1|1|s"));
    }
    assert_eq!((window.overflowed(), window.offender()), (3, Some(("s", "c"))));
    let got: Vec<_> =
        window.into_series().into_iter().map(|s| (s.name.to_string(), s.value)).collect();
    let of = |name: &str, sum| (name.to_owned(), Fold::Counter(sum));
    assert_eq!(got, [of(OVERFLOW_NAME, 3.0), of("a", 2.0), of("b", 1.0)]);
}

#[test]
fn a_late_message_goes_to_the_oldest_open_window() {
    let mut windows = Windows::new(Duration::from_secs(10), 100);
    fold(windows.at(9_999, 10_000), "i|c|n|1|1|s");
    assert_eq!(windows.due(10_249).len(), 0);
    assert_eq!(windows.next_due_ms(10_249), 10_250);
    assert_eq!(windows.due(10_250)[0].start_ms(), 0);
    assert_eq!(windows.at(9_999, 10_300).start_ms(), 10_000);
    assert_eq!(windows.late(), 1);
    assert_eq!(windows.next_due_ms(10_300), 20_250);
}

#[test]
fn a_message_from_the_far_future_goes_to_the_current_window() {
    let mut windows = Windows::new(Duration::from_secs(10), 100);
    assert_eq!(windows.at(u64::MAX, 15_000).start_ms(), 10_000);
    assert_eq!(windows.at(20_001, 19_999).start_ms(), 20_000);
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let mut windows = Windows::new(Duration::from_secs(10), 100);
    windows.at(3_600_000, 3_600_000);
    assert_eq!(windows.due(3_611_000).len(), 1);
    assert_eq!(windows.at(5_000, 5_000).start_ms(), 0);
    assert_eq!(windows.due(10_250).len(), 1);
    // Nor does it delay a window that was open then.
    windows.at(3_600_000, 3_600_000);
    windows.at(20_000, 20_000);
    windows.at(30_000, 20_000);
    let starts: Vec<_> = windows.due(20_100).iter().map(Window::start_ms).collect();
    assert_eq!(starts, [3_600_000]);
}

proptest! {
    /// Each reading is in exactly one window, however the windows are cut.
    #[test]
    fn no_reading_is_lost_or_counted_twice(
        readings in prop::collection::vec((0..3_u8, 0..2_000_u64, 0..3_000_u64), 1..200),
    ) {
        let mut windows = Windows::new(Duration::from_secs(1), 2);
        let (mut now, mut flushed) = (1_700_000_000_000, Vec::new());
        for (name, late, step) in &readings {
            now += step;
            flushed.extend(windows.due(now));
            fold(windows.at(now - late, now), &format!("i|c|n{name}|1|1|s"));
        }
        flushed.extend(windows.drain());
        let starts: Vec<_> = flushed.iter().map(Window::start_ms).collect();
        prop_assert!(starts.is_sorted_by(|a, b| a < b), "flushed once, in order: {:?}", starts);
        let sum: f64 = flushed
            .into_iter()
            .flat_map(Window::into_series)
            .map(|s| if let Fold::Counter(sum) = s.value { sum } else { 0.0 })
            .sum();
        prop_assert_eq!(sum, readings.len() as f64);
    }
}

#[test]
fn sketches_of_invalid_data_are_kept_small_and_losses_are_counted() {
    let wide = |from: i32, to: i32| (from..to).map(|power| 2_f64.powi(power)).collect::<Vec<_>>();
    let fold = |window: &mut Window, name: &str, readings: &[f64]| {
        let mut batch = BatchWriter::new("s", 0, 1_000);
        if name.starts_with("mad.1") {
            batch.histogram_readings(name, &[], Some("rows"), readings);
        } else {
            batch.timer_readings(name, &[], readings);
        }
        fold_body(window, batch);
    };
    let mut window = Window::new(0, 60_000, 100);
    fold(&mut window, "sane", &wide(-30, 20));
    assert_eq!(window.collapsed(), 0);
    fold(&mut window, "mad", &wide(-500, 500));
    fold(&mut window, "mad", &wide(-1_000, -900));
    assert_eq!(window.collapsed(), 1_000 - 64 + 100);
    for n in 0..200 {
        fold(&mut window, &format!("mad.{n}"), &wide(-500, 500));
    }
    let sketches = window.series.iter().filter_map(|series| series.value.summary());
    let octaves = sketches.map(|summary| summary.sketch().octaves()).sum::<usize>();
    assert_eq!(octaves, window.octaves);
    assert!(octaves <= 100 * (2 + 2) + 64, "{octaves}");
    let all = window.into_series();
    let of = |name: &str| match &all.iter().find(|series| &*series.name == name).unwrap().value {
        Fold::Timer(summary) => (**summary).clone(),
        other => panic!("{other:?}"),
    };
    let (sane, mad) = (of("sane"), of("mad"));
    assert_eq!((sane.count(), sane.sketch().octaves()), (50, 50));
    // Exact parts stay exact, and the longest times keep their buckets.
    assert_eq!((mad.count(), mad.min(), mad.max()), (1_100, 2_f64.powi(-1_000), 2_f64.powi(499)));
    assert_eq!(mad.quantile(1.0), Some(2_f64.powi(499)));
    assert_eq!(mad.sketch().buckets().map(|(_, n)| n).sum::<u64>(), 1_100);
}

#[test]
fn counts_near_the_largest_integer_saturate() {
    let most = u64::MAX - 100;
    let mut summary = Summary::folded(most, 1.0, 0.0, 1.0, 1.0);
    // One octave more than a sketch may have.
    (1..=64).for_each(|octave| summary.sketch_mut().add_to_bucket(octave * 64, 1));
    summary.sketch_mut().add_to_bucket(0, most);
    let mut window = window();
    for name in ["a", "b"] {
        let mut batch = BatchWriter::new("s", 0, 1_000);
        batch.timer(name, &[], &summary);
        fold_body(&mut window, batch);
        assert!(window.collapsed() >= most, "{}", window.collapsed());
    }
    assert_eq!(window.collapsed(), u64::MAX);
    for series in window.into_series() {
        let Fold::Timer(timer) = series.value else { panic!("{series:?}") };
        assert_eq!((timer.count(), timer.sketch().count()), (most, most + 64));
    }
}

#[test]
fn readings_are_kept_within_bounds_if_they_are_wanted() {
    let readings = |window: Window| {
        let all = window.into_series().into_iter();
        all.map(|series| series.value.summary().unwrap().readings().map(<[f64]>::len))
            .collect::<Vec<_>>()
    };
    let fold = |window: &mut Window, name: &str, count: usize| {
        let mut batch = BatchWriter::new("s", 0, 1_000);
        batch.timer_readings(name, &[], &vec![1.0; count]);
        fold_body(window, batch);
    };
    let mut plain = window();
    fold(&mut plain, "a", 1);
    assert_eq!(readings(plain), [None]);

    let mut kept = window().keep_readings(true);
    fold(&mut kept, "a", MAX_READINGS);
    fold(&mut kept, "b", MAX_READINGS + 1);
    fold(&mut kept, "c", 0);
    assert_eq!(kept.kept, MAX_READINGS);
    // The window is nearly full.
    kept.kept = MAX_ALL_READINGS - 1;
    fold(&mut kept, "d", 2);
    fold(&mut kept, "e", 1);
    assert_eq!(kept.kept, MAX_ALL_READINGS);
    assert_eq!(readings(kept), [Some(MAX_READINGS), None, Some(0), None, Some(1)]);
}
