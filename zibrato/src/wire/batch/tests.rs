//! Batches are read as they were written; invalid entries are rejected one by one.

use super::{BatchError, BatchReader, BatchWriter, EncodedSummary, Entry, EntryError, Value};
use crate::measurement::{Annotation, AnnotationError, Gauge};
use crate::summary::Summary;
use proptest::prelude::*;

/// The value of an entry in a test.
#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Annotation(Box<Annotation>),
    Counter(f64),
    Gauge(Gauge),
    GaugeReadings(Vec<(u64, f64)>),
    Histogram(Option<String>, Summary),
    HistogramReadings(Option<String>, Vec<f64>),
    Set(Vec<String>),
    Timer(Summary),
    TimerReadings(Vec<f64>),
}

type Tags = Vec<(String, String)>;

fn write(batch: &mut BatchWriter, name: &str, tags: &Tags, value: &Owned) {
    let tags: Vec<_> = tags.iter().map(|(k, v)| (&**k, &**v)).collect();
    match value {
        Owned::Annotation(annotation) => batch.annotation(annotation),
        Owned::Counter(sum) => batch.counter(name, &tags, *sum),
        Owned::Gauge(gauge) => batch.gauge(name, &tags, gauge),
        Owned::GaugeReadings(readings) => batch.gauge_readings(name, &tags, readings),
        Owned::Histogram(unit, summary) => {
            batch.histogram(name, &tags, unit.as_deref(), summary);
        }
        Owned::HistogramReadings(unit, readings) => {
            batch.histogram_readings(name, &tags, unit.as_deref(), readings);
        }
        Owned::Set(members) => batch.set(name, &tags, members.iter().map(|m| &**m)),
        Owned::Timer(summary) => batch.timer(name, &tags, summary),
        Owned::TimerReadings(seconds) => batch.timer_readings(name, &tags, seconds),
    }
}

fn read(entry: Entry<'_>) -> (String, Tags, Owned) {
    let tags = entry.tags.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let unit = entry.unit.map(str::to_owned);
    let merged = |summary: EncodedSummary<'_>| {
        let mut merged = Summary::new();
        summary.merge_into(&mut merged);
        merged
    };
    let value = match entry.value {
        Value::Annotation(annotation) => Owned::Annotation(annotation),
        Value::Counter(sum) => Owned::Counter(sum),
        Value::Gauge(gauge) => Owned::Gauge(gauge),
        Value::GaugeReadings(readings) => Owned::GaugeReadings(readings.collect()),
        Value::Set(members) => Owned::Set(members.map(str::to_owned).collect()),
        Value::Histogram(summary) => Owned::Histogram(unit, merged(summary)),
        Value::HistogramReadings(readings) => Owned::HistogramReadings(unit, readings.collect()),
        Value::Timer(timer) => Owned::Timer(merged(timer)),
        Value::TimerReadings(seconds) => Owned::TimerReadings(seconds.collect()),
    };
    (entry.name.to_owned(), tags, value)
}

/// A summary whose mean is computed from sum and count, as a reader does.
fn summary_of(readings: Vec<f64>) -> Summary {
    let summary: Summary = readings.into_iter().collect();
    let (count, sum, squares) = (summary.count(), summary.sum(), summary.sum_squares());
    let mut summary_of = Summary::folded(count, sum, summary.min(), summary.max(), squares)
        .with_squared_deviations(summary.squared_deviations());
    *summary_of.sketch_mut() = summary.sketch().clone();
    summary_of
}

fn unit() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-zµ%/ ]{1,16}")
}

fn value() -> impl Strategy<Value = Owned> {
    let number = || -1e12..1e12;
    let readings = prop::collection::vec((any::<u64>(), number()), 0..9);
    let folded = prop::collection::vec((0..9_u64, -1000..1000_i32), 1..9).prop_map(|readings| {
        let mut each = readings.iter().map(|(at, v)| Gauge::reading(f64::from(*v), *at));
        let first = each.next().unwrap();
        each.fold(first, |mut all, one| {
            all.merge(&one);
            all
        })
    });
    prop_oneof![
        number().prop_map(Owned::Counter),
        folded.prop_map(Owned::Gauge),
        (any::<u64>(), number()).prop_map(|(at_ms, last)| Owned::Gauge(Gauge::idle(last, at_ms))),
        readings.prop_map(Owned::GaugeReadings),
        (unit(), prop::collection::vec(number(), 1..99))
            .prop_map(|(unit, v)| Owned::Histogram(unit, summary_of(v))),
        (unit(), prop::collection::vec(number(), 0..9))
            .prop_map(|(unit, v)| Owned::HistogramReadings(unit, v)),
        prop::collection::vec("[a-z]{1,9}", 0..9).prop_map(Owned::Set),
        prop::collection::vec(number(), 1..99).prop_map(|v| Owned::Timer(summary_of(v))),
        prop::collection::vec(number(), 0..9).prop_map(Owned::TimerReadings),
    ]
}

fn annotation() -> impl Strategy<Value = Annotation> {
    let link = || ("[a-z]{1,9}", "[a-z:/?é]{1,99}", prop::option::of("[a-z |]{1,9}"));
    let tags = prop::collection::vec(("[a-z]{1,9}", "[a-z]{1,9}"), 0..4);
    (
        ("[a-zé. ]{1,80}", "[a-z|é]{1,99}", 0..9_u64, prop::option::of(9..99_u64)),
        prop::option::of("[a-z\n\t|é]{0,300}"),
        prop::collection::vec(link(), 0..4),
        tags,
    )
        .prop_map(|((stream, title, start_ms, end_ms), description, links, tags)| {
            let tags = tags.iter().map(|(tag, value)| (&**tag, &**value));
            let mut one = Annotation::new(&stream, &title, start_ms).unwrap();
            one = one.with_tags(tags).unwrap();
            one = one.with_description(&description.unwrap_or_default()).unwrap();
            for (rel, href, label) in links {
                one = one.clone().with_link(&rel, &href, label.as_deref()).unwrap_or(one);
            }
            end_ms.map_or(one.clone(), |end_ms| one.with_end(end_ms).unwrap())
        })
}

proptest! {
    #[test]
    fn annotations_are_read_as_they_were_written(
        all in prop::collection::vec(annotation(), 0..9),
    ) {
        let mut batch = BatchWriter::new("s", 0, 1_000);
        all.iter().for_each(|annotation| batch.annotation(annotation));
        batch.counter("after", &[], 1.0);
        let body = batch.finish();
        let mut entries: Vec<_> =
            BatchReader::new(&body).unwrap().entries().map(Result::unwrap).collect();
        prop_assert_eq!(entries.pop().unwrap().value, Value::Counter(1.0));
        for (entry, annotation) in entries.into_iter().zip(all) {
            prop_assert_eq!((entry.name, entry.value.kind()), (annotation.stream(), None));
            prop_assert_eq!(entry.value, Value::Annotation(Box::new(annotation)));
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        source in "[a-z.-]{1,255}", start in any::<u64>(), length in 0..100_000_u64,
        entries in prop::collection::vec(
            ("[a-zé. ]{1,80}", prop::collection::vec(("[a-z]{1,9}", "[a-z]{1,9}"), 0..4), value()),
            0..20,
        ),
    ) {
        let mut batch = BatchWriter::new(&source, start, length);
        entries.iter().for_each(|(name, tags, value)| write(&mut batch, name, tags, value));
        prop_assert_eq!(batch.entries() as usize, entries.len());
        let body = batch.finish();
        let batch = BatchReader::new(&body).unwrap();
        prop_assert_eq!((batch.source(), batch.start_ms(), batch.length_ms()), (&*source, start, length));
        let back: Vec<_> = batch.entries().map(|e| read(e.unwrap())).collect();
        prop_assert_eq!(back, entries);
    }

    #[test]
    fn a_truncated_batch_gives_its_complete_entries_and_no_others(
        values in prop::collection::vec(value(), 1..9), cut in any::<prop::sample::Index>(),
    ) {
        let mut batch = BatchWriter::new("s", 0, 1000);
        values.iter().for_each(|value| write(&mut batch, "n", &vec![], value));
        let body = batch.finish();
        let cut = &body[..cut.index(body.len())];
        let Ok(batch) = BatchReader::new(cut) else { return Ok(()) };
        let mut got = 0;
        let mut lost = 0;
        for entry in batch.entries() {
            match entry {
                Ok(entry) => {
                    prop_assert_eq!(&read(entry).2, &values[got]);
                    got += 1;
                }
                Err(error) => lost += error.lost() as usize,
            }
        }
        prop_assert!(lost > 0);
        prop_assert_eq!(got + lost, values.len());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        mut body in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec(any::<(u16, u8)>(), 0..9),
    ) {
        let mut batch = BatchWriter::new("s", 0, 1000);
        batch.timer("t", &[("a", "b")], &[0.1, 0.2].into_iter().collect());
        batch.gauge_readings("g", &[], &[(1, 2.0)]);
        batch.histogram("h", &[], Some("rows"), &[-0.1, 0.2].into_iter().collect());
        let deploy = Annotation::new("d", "t", 1).unwrap().with_link("a", "b", Some("c"));
        batch.annotation(&deploy.unwrap().with_description("e").unwrap().with_end(2).unwrap());
        let mut good = batch.finish();
        for (at, byte) in flips {
            let at = usize::from(at) % good.len();
            good[at] = byte;
        }
        for bytes in [&mut good, &mut body] {
            if let Ok(batch) = BatchReader::new(bytes) {
                batch.entries().take(1000).filter_map(Result::ok).for_each(|e| drop(read(e)));
            }
        }
    }
}

/// A body of one entry, from MessagePack written by hand.
fn body_with(entry: &[u8]) -> Vec<u8> {
    let mut body = b"\x84\xa1s\xa1s\xa1t\x01\xa1l\x01\xa1e\x92".to_vec();
    body.extend_from_slice(entry);
    body.extend_from_slice(b"\x83\xa1k\xa1c\xa1n\xa1z\xa1v\x01");
    body
}

#[test]
fn an_invalid_entry_does_not_affect_others() {
    use crate::measurement::TextProblem::{Bar, Control, Empty};
    let nan = b"\x83\xa1k\xa1c\xa1n\xa1a\xa1v\xcb\x7f\xf8\0\0\0\0\0\0";
    for (entry, error) in [
        (&b"\x80"[..], EntryError::Missing { key: "n" }),
        (b"\xc0", EntryError::Malformed { lost: 1 }),
        (b"\x81\xa1n\x01", EntryError::Malformed { lost: 1 }),
        (b"\x81\xa1n\xa1a", EntryError::Missing { key: "k" }),
        (b"\x82\xa1n\xa1|\xa1k\xa1c", EntryError::Name(Bar)),
        (b"\x82\xa1n\xa0\xa1k\xa1c", EntryError::Name(Empty)),
        (b"\x82\xa1n\xa1a\xa1k\xa1x", EntryError::Kind),
        (b"\x83\xa1k\xa1a\xa1n\xa1a\xa1w\x01", EntryError::Missing { key: "t" }),
        (b"\x83\xa1k\xa1a\xa1n\xa1a\xa1t\xa1a", EntryError::Missing { key: "w" }),
        (b"\x84\xa1k\xa1a\xa1n\xa1a\xa1t\x07\xa1w\x01", EntryError::Malformed { lost: 1 }),
        (b"\x84\xa1k\xa1a\xa1n\xa1a\xa1t\xa1\n\xa1w\x01", AnnotationError::Title(Empty).into()),
        (
            b"\x85\xa1k\xa1a\xa1n\xa1a\xa1t\xa1a\xa1w\x02\xa1y\x01",
            EntryError::Annotation(AnnotationError::End),
        ),
        (
            b"\x85\xa1k\xa1a\xa1n\xa1a\xa1t\xa1a\xa1w\x02\xa1h\x91\x81\xa3rel\xa1a",
            EntryError::Missing { key: "href" },
        ),
        (
            b"\x85\xa1k\xa1a\xa1n\xa1a\xa1t\xa1a\xa1w\x02\xa1h\x9b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
            AnnotationError::TooManyLinks.into(),
        ),
        // As a reader without histograms sees one: an unknown kind with an unknown key.
        (b"\x85\xa1k\xa1y\xa1n\xa1a\xa1j\xa1b\xa1r\x91\x01\xa1z\x81\xa1a\xc0", EntryError::Kind),
        (b"\x82\xa1n\xa1a\xa1k\xa1c", EntryError::Missing { key: "v" }),
        (nan, EntryError::NotFinite),
        (b"\x83\xa1k\xa1s\xa1n\xa1a\xa1u\x91\xa1|", EntryError::Member(Bar)),
        (b"\x83\xa1k\xa1c\xa1n\xa1a\xa1g\x81\xa1a\xa0", EntryError::Tag(Empty)),
        (b"\x83\xa1k\xa1g\xa1n\xa1a\xa1r\x91\x01", EntryError::Inconsistent),
        (b"\x83\xa1k\xa1h\xa1n\xa1a\xa1i\xa1b", EntryError::Missing { key: "c" }),
        (b"\x84\xa1k\xa1h\xa1n\xa1a\xa1i\xa1|\xa1r\x91\x01", EntryError::Unit(Bar)),
        (b"\x84\xa1k\xa1h\xa1n\xa1a\xa1i\xa1\x07\xa1r\x91\x01", EntryError::Unit(Control)),
        (b"\x84\xa1k\xa1h\xa1n\xa1a\xa1i\xa0\xa1r\x91\x01", EntryError::Unit(Empty)),
        (b"\x84\xa1k\xa1h\xa1n\xa1a\xa1i\x05\xa1r\x91\x01", EntryError::Malformed { lost: 1 }),
        (b"\x84\xa1k\xa1h\xa1n\xa1a\xa1i\xc0\xa1r\x91\x01", EntryError::Malformed { lost: 1 }),
        (b"\x83\xa1k\xa1h\xa1n\xa1a\xa1r\x91\xcb\x7f\xf0\0\0\0\0\0\0", EntryError::NotFinite),
        (b"\x83\xa1k\xa1g\xa1n\xa1a\xa1v\x01", EntryError::Missing { key: "w" }),
        (
            b"\x88\xa1k\xa1t\xa1n\xa1a\xa1c\0\xa1s\0\xa1m\0\xa1x\0\xa1q\0\xa1b\x90",
            EntryError::Inconsistent,
        ),
    ] {
        let body = body_with(entry);
        let batch = BatchReader::new(&body).unwrap();
        let got: Vec<_> = batch.entries().map(|e| e.map(|e| e.name)).collect();
        assert_eq!(got, [Err(error), Ok("z")], "{entry:?}");
    }
}

#[test]
fn the_deviations_of_an_old_publisher_are_computed_from_squares() {
    let entry = |more: &[u8]| {
        let mut entry = vec![0x88 + u8::from(!more.is_empty())];
        entry.extend_from_slice(
            b"\xa1k\xa1t\xa1n\xa1a\xa1c\x04\xa1s\x08\xa1m\x01\xa1x\x03\xa1q\x13",
        );
        entry.extend_from_slice(more);
        entry.extend_from_slice(b"\xa1b\x90");
        entry
    };
    for (more, deviations) in [
        (&b""[..], Ok(3.0)),
        (b"\xa1d\x02", Ok(2.0)),
        // More than possible between 1 and 3, and less.
        (b"\xa1d\x63", Ok(4.0)),
        (b"\xa1d\x00", Ok(2.0)),
        (b"\xa1d\xff", Err(EntryError::Inconsistent)),
        (b"\xa1d\xcb\x7f\xf0\0\0\0\0\0\0", Err(EntryError::Inconsistent)),
    ] {
        let body = body_with(&entry(more));
        let first = BatchReader::new(&body).unwrap().entries().next().unwrap();
        let got = first.map(|entry| match read(entry).2 {
            Owned::Timer(summary) => summary.squared_deviations(),
            other => panic!("{other:?}"),
        });
        assert_eq!(got, deviations, "{more:?}");
    }
}

#[test]
fn a_unit_of_a_megabyte_costs_only_its_entry() {
    let unit = "u".repeat(1 << 20);
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.histogram_readings("a", &[], Some(&unit), &[1.0]);
    batch.histogram_readings("b", &[], Some("rows"), &[-1.5, 1e308]);
    let body = batch.finish();
    let entries: Vec<_> = BatchReader::new(&body).unwrap().entries().collect();
    let too_long = EntryError::Unit(crate::measurement::TextProblem::TooLong);
    assert_eq!(entries[0], Err(too_long));
    let (_, _, value) = read(entries[1].clone().unwrap());
    assert_eq!(value, Owned::HistogramReadings(Some("rows".to_owned()), vec![-1.5, 1e308]));
}

#[test]
fn entries_of_other_kinds_have_no_unit() {
    let body = body_with(b"\x84\xa1k\xa1c\xa1n\xa1a\xa1v\x01\xa1i\xa1|");
    let entry = BatchReader::new(&body).unwrap().entries().next().unwrap().unwrap();
    assert_eq!((entry.unit, entry.value), (None, Value::Counter(1.0)));
}

#[test]
fn unknown_keys_are_skipped() {
    let body = b"\x86\xa3new\x92\x01\x81\xa1a\xc0\xa1e\x91\x84\xa1k\xa1c\xa1n\xa1z\xa1v\x01\xa5later\xc3\xa1s\xa1s\xa1t\x01\xa1l\x02\xa4more\xc4\x01x";
    let batch = BatchReader::new(body).unwrap();
    assert_eq!(batch.end_ms(), 3);
    assert_eq!(
        batch.entries().map(|e| e.unwrap().value).collect::<Vec<_>>(),
        [Value::Counter(1.0)]
    );
}

#[test]
fn bodies_without_a_head_are_rejected() {
    for (body, error) in [
        (&b""[..], BatchError::Malformed),
        (b"\x90", BatchError::Malformed),
        (b"\x80", BatchError::Missing { key: "s" }),
        (b"\x81\xa1s\x01", BatchError::Malformed),
        (b"\x83\xa1s\xa1s\xa1t\x01\xa1l\x01", BatchError::Missing { key: "e" }),
        (b"\x84\xa1s\xa1s\xa1t\xff\xa1l\x01\xa1e\x90", BatchError::Malformed),
    ] {
        assert_eq!(BatchReader::new(body).err(), Some(error), "{body:?}");
    }
}

#[test]
fn a_million_promised_entries_cost_nothing() {
    let body = b"\x84\xa1s\xa1s\xa1t\x01\xa1l\x01\xa1e\xdd\xff\xff\xff\xff";
    let batch = BatchReader::new(body).unwrap();
    let got: Vec<_> = batch.entries().collect();
    assert_eq!(got, [Err(EntryError::Malformed { lost: u32::MAX })]);
}
