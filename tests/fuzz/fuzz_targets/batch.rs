//! Batches: accepted entries are read as the same after they are written again, and every lost one
//! is counted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zibrato::wire::{BatchReader, BatchWriter, Entry, Value};
use zibrato::{Summary, check_name, check_unit};

/// More entries than this only cost time.
const ENTRIES: usize = 2_000;

fuzz_target!(|body: &[u8]| {
    let Ok(batch) = BatchReader::new(body) else { return };
    assert_eq!(check_name(batch.source()), Ok(()));
    let taken: Vec<_> = batch.entries().take(ENTRIES).filter_map(Result::ok).collect();

    let mut writer = BatchWriter::new(batch.source(), batch.start_ms(), batch.length_ms());
    taken.iter().for_each(|entry| write(&mut writer, entry));
    assert_eq!(writer.entries() as usize, taken.len());
    let written = writer.finish();

    let again = BatchReader::new(&written).expect("what we write, we read");
    assert_eq!(
        (again.source(), again.start_ms(), again.length_ms()),
        (batch.source(), batch.start_ms(), batch.length_ms())
    );
    let entries: Vec<_> = again.entries().collect();
    assert_eq!(entries.len(), taken.len());
    for (entry, taken) in entries.into_iter().zip(&taken) {
        same(&entry.expect("what we write, we read"), taken);
    }
});

fn write(writer: &mut BatchWriter, entry: &Entry<'_>) {
    let tags: Vec<_> = entry.tags.clone().collect();
    match &entry.value {
        Value::Annotation(annotation) => writer.annotation(annotation),
        Value::Counter(sum) => writer.counter(entry.name, &tags, *sum),
        Value::Gauge(gauge) => writer.gauge(entry.name, &tags, gauge),
        Value::GaugeReadings(readings) => {
            writer.gauge_readings(entry.name, &tags, &readings.clone().collect::<Vec<_>>());
        }
        Value::Histogram(histogram) => {
            writer.histogram(entry.name, &tags, entry.unit, &summary(histogram));
        }
        Value::HistogramReadings(readings) => {
            let readings: Vec<_> = readings.clone().collect();
            writer.histogram_readings(entry.name, &tags, entry.unit, &readings);
        }
        Value::Set(members) => {
            let members: Vec<_> = members.clone().collect();
            writer.set(entry.name, &tags, members.into_iter());
        }
        Value::Timer(timer) => writer.timer(entry.name, &tags, &summary(timer)),
        Value::TimerReadings(seconds) => {
            writer.timer_readings(entry.name, &tags, &seconds.clone().collect::<Vec<_>>());
        }
        _ => panic!("this target does not know the kind of the value"),
    }
}

fn same(got: &Entry<'_>, expected: &Entry<'_>) {
    assert_eq!((got.name, got.unit), (expected.name, expected.unit));
    assert!(got.unit.is_none_or(|unit| check_unit(unit).is_ok()));
    // The tags of an annotation are part of its value, in ascending order.
    let is_series = got.value.kind().is_some();
    assert!(!is_series || got.tags.clone().eq(expected.tags.clone()));
    match (&got.value, &expected.value) {
        (Value::Histogram(got), Value::Histogram(expected))
        | (Value::Timer(got), Value::Timer(expected)) => {
            assert_eq!(summary(got), summary(expected));
        }
        (Value::GaugeReadings(got), Value::GaugeReadings(expected)) => {
            assert!(got.clone().eq(expected.clone()));
        }
        (Value::Set(got), Value::Set(expected)) => assert!(got.clone().eq(expected.clone())),
        (Value::HistogramReadings(got), Value::HistogramReadings(expected))
        | (Value::TimerReadings(got), Value::TimerReadings(expected)) => {
            assert!(got.clone().eq(expected.clone()));
        }
        (got, expected) => assert_eq!(got, expected),
    }
}

fn summary(encoded: &zibrato::wire::EncodedSummary<'_>) -> Summary {
    let mut summary = Summary::new();
    encoded.merge_into(&mut summary);
    summary
}
