//! Windows: every entry of any batch is in the window or was rejected, the limit on series holds,
//! and adding in two steps gives the same result as in one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::Kind;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BatchReader, lines};

const LIMIT: usize = 8;

/// More entries than this only cost time.
const ENTRIES: usize = 2_000;

fuzz_target!(|input: &[u8]| {
    let Ok(batch) = BatchReader::new(input) else { return fold_lines(input) };
    let entries: Vec<_> = batch.entries().take(ENTRIES).collect();
    let mut window = Window::new(0, 1_000, LIMIT);
    let mut taken = 0;
    for entry in entries.into_iter().flatten() {
        window.fold_entry(batch.source(), &entry);
        taken += 1;
    }
    finish(window, taken);
});

fn fold_lines(input: &[u8]) {
    let mut window = Window::new(0, 1_000, LIMIT);
    let mut taken = 0;
    for line in lines(input).flatten() {
        window.fold_line(&line);
        taken += 1;
    }
    finish(window, taken);
}

fn finish(window: Window, taken: u64) {
    assert_eq!(window.folded(), taken);
    let annotations = window.annotations().len() as u64 + window.omitted_annotations();
    assert!(window.overflowed() + annotations <= taken);
    assert_eq!(window.omitted_annotations() > 0, window.annotation_offender().is_some());
    assert_eq!(window.overflowed() > 0, window.offender().is_some());
    // Beyond the limit there is one overflow series of each kind.
    assert!(window.len() <= LIMIT + Kind::ALL.len());
    let series = window.into_series();
    assert!(series.is_sorted_by_key(|one| (
        one.name.clone(),
        one.source.clone(),
        one.value.kind()
    )));
    for one in series {
        if let Some(summary) = one.value.summary() {
            assert!(summary.is_empty() || summary.min() <= summary.max());
            assert!(summary.sum().is_finite() && summary.sum_squares().is_finite());
            let median = summary.quantile(0.5);
            assert!(median.is_none_or(|m| summary.min() <= m && m <= summary.max()));
        }
        match one.value {
            Fold::Counter(sum) => assert!(sum.is_finite()),
            Fold::Gauge(gauge) => assert!(gauge.is_none_or(|g| g.sum.is_finite())),
            _ => {}
        }
    }
}
