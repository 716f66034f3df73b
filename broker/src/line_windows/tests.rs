//! Lines are published once, in valid batches, within the limits.

use super::{FEW_READINGS, Flushed, Limits, LineWindows, TooManyLevels, WINDOW_MS};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zibrato::window::{Fold, Window};
use zibrato::wire::{BATCH_TARGET_BYTES, BatchReader, Line, MAX_FRAME_BYTES, PublisherId, Value};

const NOW: u64 = 1_700_000_000_250;
const OWN: PublisherId = PublisherId([9; 16]);

fn windows() -> LineWindows {
    LineWindows::new(OWN, Limits::default())
}

fn fold(windows: &mut LineWindows, line: &str) -> Result<(), TooManyLevels> {
    windows.fold(&Line::decode(line.as_bytes()).unwrap(), NOW)
}

/// The counters in the batches, by level, source and name.
fn counters(flushed: &Flushed) -> BTreeMap<(String, String, String), f64> {
    let mut sums = BTreeMap::new();
    for batch in &flushed.batches {
        let reader = BatchReader::new(&batch.body).unwrap();
        for entry in reader.entries().map(Result::unwrap) {
            let key = (batch.level.to_string(), reader.source().to_owned(), entry.name.to_owned());
            if let Value::Counter(sum) = entry.value {
                *sums.entry(key).or_default() += sum;
            }
        }
    }
    sums
}

#[test]
fn lines_become_one_batch_for_each_level_and_source() {
    let mut windows = windows();
    for line in ["a|c|n|1|1|s", "a|c|n|2|1|s", "a|c|n|4|1|r", "b|c|n|8|1|s"] {
        fold(&mut windows, line).unwrap();
    }
    let flushed = windows.flush(NOW);
    let of = |level: &str, source: &str| (level.into(), source.into(), "n".to_owned());
    let expected = [(of("a", "r"), 4.0), (of("a", "s"), 3.0), (of("b", "s"), 8.0)];
    assert_eq!(counters(&flushed), expected.into());
    assert_eq!(flushed.batches.len(), 3);
    for batch in &flushed.batches {
        let reader = BatchReader::new(&batch.body).unwrap();
        assert_eq!((reader.start_ms(), reader.length_ms()), (NOW - 250, WINDOW_MS));
        assert_eq!(batch.id.publisher, OWN);
    }
    assert!(windows.flush(NOW).batches.is_empty(), "flushed twice");
}

#[test]
fn few_readings_of_a_timer_are_told_exactly() {
    let mut windows = windows();
    for line in ["a|t|one|0.1|1|s", "a|t|two|0.3|1|s", "a|t|two|0.2|1|s"] {
        fold(&mut windows, line).unwrap();
    }
    let flushed = windows.flush(NOW);
    let reader = BatchReader::new(&flushed.batches[0].body).unwrap();
    let readings: Vec<Vec<f64>> = reader
        .entries()
        .map(|entry| match entry.unwrap().value {
            Value::TimerReadings(seconds) => seconds.collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(readings, [vec![0.1], vec![0.2, 0.3]]);
}

#[test]
fn histograms_of_lines_become_entries_without_a_unit() {
    let mut windows = windows();
    for value in ["-1", "2", "3", "1e308"] {
        fold(&mut windows, &format!("a|h|many|{value}|1|s")).unwrap();
    }
    fold(&mut windows, "a|Histogram|one|0.5|1|s").unwrap();
    let flushed = windows.flush(NOW);
    let reader = BatchReader::new(&flushed.batches[0].body).unwrap();
    let entries: Vec<_> = reader.entries().map(Result::unwrap).collect();
    assert!(entries.iter().all(|entry| entry.unit.is_none()));
    let Value::Histogram(many) = &entries[0].value else { panic!("{entries:?}") };
    assert_eq!((many.count, many.min, many.max), (4, -1.0, 1e308));
    let Value::HistogramReadings(one) = &entries[1].value else { panic!("{entries:?}") };
    assert_eq!(one.clone().collect::<Vec<_>>(), [0.5]);
}

#[test]
fn sequences_of_a_level_ascend_without_a_gap_and_share_them_with_own_batches() {
    let mut windows = windows();
    fold(&mut windows, "a|c|n|1|1|s").unwrap();
    assert_eq!(windows.next_id("a").unwrap().sequence, 1);
    assert_eq!(windows.flush(NOW).batches[0].id.sequence, 2);
    assert_eq!(windows.next_id("a").unwrap().sequence, 3);
    assert_eq!(windows.next_id("b").unwrap().sequence, 1);
}

#[test]
fn large_windows_are_split_and_nothing_is_lost() {
    let mut windows = windows();
    for n in 0..20_000 {
        fold(&mut windows, &format!("a|c|a.rather.long.name.of.a.counter.{n}|1|1|s")).unwrap();
        fold(&mut windows, &format!("a|s|users|user-number-{n}|1|s")).unwrap();
    }
    let flushed = windows.flush(NOW);
    assert!(flushed.batches.len() > 4);
    let (mut sum, mut members) = (0.0, BTreeSet::new());
    for batch in &flushed.batches {
        assert!(batch.body.len() < 2 * BATCH_TARGET_BYTES && batch.body.len() < MAX_FRAME_BYTES);
        for entry in BatchReader::new(&batch.body).unwrap().entries().map(Result::unwrap) {
            match entry.value {
                Value::Counter(more) => sum += more,
                Value::Set(more) => members.extend(more.map(str::to_owned)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((sum, members.len()), (20_000.0, 20_000));
}

#[test]
fn an_intake_publishes_few_readings_one_by_one() {
    for (limits, count, expected) in [
        (Limits::default(), 3, None),
        (Limits::of_intake(), 3, Some(3)),
        (Limits::of_intake(), FEW_READINGS, Some(FEW_READINGS)),
        (Limits::of_intake(), FEW_READINGS + 1, None),
    ] {
        let mut windows = LineWindows::new(OWN, limits);
        for n in 0..count {
            fold(&mut windows, &format!("l|t|query|{n}|1|s")).unwrap();
        }
        let flushed = windows.flush(NOW);
        let batch = BatchReader::new(&flushed.batches[0].body).unwrap();
        let found = match batch.entries().next().unwrap().unwrap().value {
            Value::TimerReadings(readings) => Some(readings.count()),
            Value::Timer(_) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{count}");
    }
}

#[test]
fn a_level_with_too_many_series_folds_them_together_and_names_the_offender() {
    let mut windows = LineWindows::new(OWN, Limits { series: 2, ..Limits::default() });
    for name in ["a", "b", "c", "d"] {
        fold(&mut windows, &format!("l|c|{name}|1|1|s")).unwrap();
    }
    let flushed = windows.flush(NOW);
    assert_eq!(flushed.overflowed, 2);
    assert_eq!(flushed.offender, Some(["l", "s", "c"].map(str::to_owned)));
    assert_eq!(counters(&flushed).values().sum::<f64>(), 4.0);
}

#[test]
fn too_many_levels_are_refused_until_one_is_idle() {
    let mut windows = LineWindows::new(OWN, Limits { levels: 2, ..Limits::default() });
    fold(&mut windows, "a|c|n|1|1|s").unwrap();
    fold(&mut windows, "a|c|n|1|1|r").unwrap();
    fold(&mut windows, "b|c|n|1|1|s").unwrap();
    assert_eq!(fold(&mut windows, "c|c|n|1|1|s"), Err(TooManyLevels));
    assert_eq!(windows.flush(NOW).batches.len(), 3);
    fold(&mut windows, "b|c|n|1|1|s").unwrap();
    fold(&mut windows, "c|c|n|1|1|s").unwrap();
    windows.flush(NOW);
    // `a` was forgotten at sequence 2. When it returns, its batch must not look like an old one.
    assert!(windows.next_id("a").unwrap().sequence > 2);
}

#[test]
fn many_series_over_all_levels_are_due_early() {
    let mut windows = LineWindows::new(OWN, Limits { all_series: 3, ..Limits::default() });
    for (line, full) in [("a|c|n|1|1|s", false), ("a|c|n|1|1|s", false), ("b|c|n|1|1|s", false)] {
        fold(&mut windows, line).unwrap();
        assert_eq!(windows.is_full(), full, "{line}");
    }
    fold(&mut windows, "b|c|m|1|1|s").unwrap();
    assert!(windows.is_full());
    windows.flush(NOW);
    assert!(!windows.is_full());
}

#[test]
fn what_would_add_up_to_no_number_is_sent_as_the_largest() {
    let mut windows = windows();
    for line in ["a|c|n|1e308|1|s", "a|c|n|1e308|1|s", "a|t|t|1e200|1|s", "a|c|ok|1|1|s"] {
        fold(&mut windows, line).unwrap();
    }
    let flushed = windows.flush(NOW);
    assert_eq!(flushed.not_finite, 0);
    let sent: Vec<_> = counters(&flushed).into_iter().map(|((.., n), sum)| (n, sum)).collect();
    assert_eq!(sent, [("n".to_owned(), f64::MAX), ("ok".to_owned(), 1.0)]);
}

proptest! {
    #[test]
    fn the_sum_of_counters_is_kept_whatever_the_order(
        lines in prop::collection::vec(("[ab]", "[a-c]", "[rst]", 1..100_u32, any::<bool>()), 0..200),
    ) {
        let mut windows = windows();
        let (mut expected, mut got) = (BTreeMap::new(), BTreeMap::new());
        let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
        let mut flush = |windows: &mut LineWindows| {
            let flushed = windows.flush(NOW);
            for batch in &flushed.batches {
                let last = sequences.entry(batch.level.to_string()).or_default();
                assert_eq!(batch.id.sequence, *last + 1);
                *last += 1;
            }
            for (key, sum) in counters(&flushed) {
                *got.entry(key).or_insert(0.0) += sum;
            }
        };
        for (level, name, source, value, flush_now) in lines {
            fold(&mut windows, &format!("{level}|c|{name}|{value}|1|{source}")).unwrap();
            *expected.entry((level, source, name)).or_insert(0.0) += f64::from(value);
            if flush_now {
                flush(&mut windows);
            }
        }
        flush(&mut windows);
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn aggregated_series_keep_their_tags_and_are_merged() {
    let mut windows = windows();
    for tags in [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]] {
        let fold = |window: &mut Window| window.fold_series("s", "n", &tags, &Fold::Counter(2.0));
        windows.fold_with("info", NOW, fold).unwrap();
    }
    let flushed = windows.flush(NOW);
    let reader = BatchReader::new(&flushed.batches[0].body).unwrap();
    let entries: Vec<_> = reader.entries().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].value, Value::Counter(4.0));
    assert!(entries[0].tags.clone().eq([("a", "1"), ("b", "2")]));
}
