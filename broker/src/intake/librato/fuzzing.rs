//! The entry point for the fuzz target `librato`.

use super::annotation::Fields;
use super::checked::{Clock, Measured, check};
use super::collectd::take;
use super::payload::{MAX_MEASUREMENTS, Payload};
use super::plain::{assert_same, plain_gauges};
use super::seen::Page;
use super::value_lists::ValueLists;
use crate::intake::collectd::Converter;
use zibrato::check_name;
use zibrato::wire::{BatchReader, BatchWriter, Entry, EntryError, MAX_TAGS, Value};

const CLOCK: Clock = Clock { now_ms: 1_700_000_042_000, max_age: 7_200 };

/// Reads any bytes as the body of each request: the first byte chooses which, and whether it is a form.
///
/// # Panics
/// If a measurement is accepted that the broker could not publish, or one is refused without a reason, or
/// a plain request is not read as the others are.
pub fn librato(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else { return };
    match choice % 6 {
        0 => {
            if let Ok(payload) = Payload::of_json(body) {
                measurements(&payload);
            }
            if let Some(plain) = plain_gauges(body, CLOCK) {
                assert_same(body, CLOCK, &plain);
            }
        }
        1 => measurements(&Payload::of_form(body)),
        2 => {
            if let Ok(fields) = serde_json::from_slice::<Fields<'_>>(body) {
                annotation(&fields);
            }
        }
        3 => annotation(&Fields::of_form(body)),
        5 => collectd(&String::from_utf8_lossy(body)),
        _ => {
            let page = std::str::from_utf8(body).map(Page::of_query);
            assert!(
                page.is_err() || page.is_ok_and(|p| p.is_err() || p.is_ok_and(|p| p.length <= 100))
            );
        }
    }
}

fn measurements(payload: &Payload<'_>) {
    assert!(payload.lists().iter().all(|(_, list)| list.entries.len() <= MAX_MEASUREMENTS));
    let readings = match check(payload, CLOCK) {
        Ok(readings) => readings,
        Err(faults) => return assert!(faults.count() > 0 && faults.body()["errors"].is_object()),
    };
    for reading in &readings.all {
        assert_eq!(check_name(&reading.name), Ok(()));
        assert!(reading.source.as_deref().is_none_or(|source| check_name(source).is_ok()));
        let tags = reading.tags.as_ref().unwrap_or(&readings.tags);
        assert!(tags.len() <= MAX_TAGS);
        assert!(
            tags.iter().all(|(tag, value)| check_name(tag).is_ok() && check_name(value).is_ok())
        );
        match reading.value {
            Measured::Total(total) => assert!(total.is_finite() && total >= 0.0),
            Measured::Gauge(gauge) => {
                let numbers = [gauge.last, gauge.sum, gauge.min, gauge.max];
                assert!(numbers.iter().all(|number| number.is_finite()));
                assert!(gauge.count > 0 && gauge.min <= gauge.max);
            }
        }
    }
}

fn collectd(body: &str) {
    let Ok(lists) = ValueLists::of_json(body) else { return };
    // Twice, so that there are rates.
    let mut converter = Converter::default();
    for _ in 0..2 {
        let taken = take(&mut converter, &lists, (CLOCK, 0), |sample| {
            assert!(sample.value.is_finite());
            Ok(())
        });
        if lists.values <= MAX_MEASUREMENTS {
            assert_eq!(taken.accepted + taken.unknown + taken.failed, lists.values);
            assert_eq!(taken.failed == 0, taken.faults.is_empty());
        }
    }
}

fn annotation(fields: &Fields<'_>) {
    match fields.check("stream", 1, CLOCK.now_ms / 1_000) {
        Ok(valid) => {
            assert!(valid.source.is_none_or(|source| check_name(&source).is_ok()));
            let mut batch = BatchWriter::new("source", CLOCK.now_ms, 1_000);
            batch.annotation(&valid.annotation);
            let (body, sent) = (batch.finish(), Value::Annotation(Box::new(valid.annotation)));
            let is_sent =
                |entry: Result<Entry<'_>, EntryError>| entry.is_ok_and(|e| e.value == sent);
            assert!(BatchReader::new(&body).is_ok_and(|batch| batch.entries().all(is_sent)));
        }
        Err(faults) => assert!(faults.count() > 0),
    }
}
