//! Every hex dump in `docs/protocol.md` has the meaning that the page says.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use std::collections::BTreeMap;
use zibrato::wire::{
    self, Ack, BatchId, BatchReader, BatchWriter, Commit, EncodedSummary, Fetch, Fetched,
    LEVELS_TOPIC, Line, LineValue, Position, PublisherId, Reader, ReplayAnswer, ReplayRequest,
    Reset, ResetTo, Stamp, Value, WantedLevels, ack_topic, batch_topic,
};
use zibrato::{Annotation, Gauge, Kind, Sketch, Summary};

const PAGE: &str = include_str!("../../docs/protocol.md");

const PUBLISHER: PublisherId = PublisherId([
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
]);

/// Every block that begins with `hex <name>`: its name and its lines.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let blocks = PAGE.split("```hex ").skip(1);
    blocks.map(|rest| rest.split_once("\n```").unwrap().0.split_once('\n').unwrap())
}

/// The bytes of one line; what follows a `;` is a comment.
fn bytes(line: &str) -> impl Iterator<Item = u8> {
    let digits = line.split(';').next().unwrap_or_default().split_whitespace();
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap())
}

fn dump(name: &str) -> Vec<u8> {
    let (_, lines) = blocks().find(|(found, _)| *found == name).unwrap();
    lines.lines().flat_map(bytes).collect()
}

#[test]
fn every_dump_is_checked_below() {
    let mut names: Vec<_> = blocks().map(|(name, _)| name).collect();
    names.sort_unstable();
    let checked = [
        "ack-body",
        "ack-topic",
        "annotation-body",
        "batch-body",
        "batch-id",
        "batch-stamp",
        "batch-topic",
        "batches-body",
        "batches-topic",
        "commit-body",
        "commit-topic",
        "fetch-body",
        "fetch-topic",
        "levels-body",
        "levels-body-all",
        "levels-topic",
        "line",
        "reset-body",
    ];
    assert_eq!(names, checked);
    assert_eq!(PAGE.matches("```hex").count(), checked.len());
}

#[test]
fn comments_spell_the_texts_that_they_stand_beside() {
    for line in blocks().flat_map(|(_, lines)| lines.lines()) {
        let bytes: Vec<u8> = bytes(line).collect();
        let (_, comment) = line.split_once(" ; ").unwrap();
        for text in comment.split('"').skip(1).step_by(2) {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(found, "{text:?} is not in: {line}");
        }
    }
}

#[test]
fn the_line_is_read() {
    let bytes = dump("line");
    let line = Line::decode(&bytes).unwrap();
    assert_eq!((line.level, line.kind, line.name), ("info", Kind::Counter, "logins"));
    assert_eq!((line.value, line.timestamp), (LineValue::Number(1.0), 1_700_000_000.0));
    assert_eq!(line.source, "web-1");
    assert_eq!(line.to_string().into_bytes(), bytes);
}

#[test]
fn the_frames_of_a_batch_are_read() {
    let [topic, id, stamp, body] =
        ["batch-topic", "batch-id", "batch-stamp", "batch-body"].map(dump);
    assert_eq!(topic, batch_topic("info").into_bytes());
    let batch_id = BatchId { publisher: PUBLISHER, sequence: 7 };
    assert_eq!(batch_id.encode().to_vec(), id);
    let at = Stamp { offset: 42, received_ms: 1_700_000_001_005 };
    assert_eq!(at.encode().to_vec(), stamp);
    let batch =
        |stamp| Ok(wire::Message::Batch { level: "info", id: batch_id, stamp, body: &body });
    assert_eq!(wire::message(&[&topic, &id, &body]), batch(None));
    assert_eq!(wire::message(&[&topic, &id, &stamp, &body]), batch(Some(at)));
}

fn summary_in_words(summary: &EncodedSummary<'_>) -> String {
    format!(
        "{} readings, sum {}, {} to {}, squares {}, deviations {:?}, buckets {:?}",
        summary.count,
        summary.sum,
        summary.min,
        summary.max,
        summary.sum_squares,
        summary.squared_deviations,
        summary.buckets().collect::<Vec<_>>()
    )
}

fn in_words(value: Value<'_>) -> String {
    match value {
        Value::Counter(sum) => format!("counter {sum}"),
        Value::Gauge(gauge) => {
            let Gauge { last, at_ms, count, sum, min, max, .. } = gauge;
            format!("gauge {last} at {at_ms}, {count} readings, sum {sum}, {min} to {max}")
        }
        Value::GaugeReadings(readings) => format!("gauge {:?}", readings.collect::<Vec<_>>()),
        Value::Set(members) => format!("set {:?}", members.collect::<Vec<_>>()),
        Value::Histogram(summary) => format!("histogram {}", summary_in_words(&summary)),
        Value::HistogramReadings(all) => format!("histogram {:?}", all.collect::<Vec<_>>()),
        Value::Timer(summary) => format!("timer {}", summary_in_words(&summary)),
        Value::TimerReadings(seconds) => format!("timer {:?}", seconds.collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_body_of_a_batch_is_read() {
    let body = dump("batch-body");
    let batch = BatchReader::new(&body).unwrap();
    assert_eq!((batch.source(), batch.start_ms()), ("web-1", 1_700_000_000_000));
    assert_eq!(batch.length_ms(), 1_000);
    let entries = batch.entries().map(Result::unwrap);
    let read: Vec<_> = entries
        .map(|e| {
            let unit = e.unit.map_or_else(String::new, |unit| format!(" in {unit}"));
            format!("{} {:?} {}{unit}", e.name, e.tags.collect::<Vec<_>>(), in_words(e.value))
        })
        .collect();
    assert_eq!(
        read,
        [
            r#"logins [("region", "eu")] counter 3"#,
            "queue.depth [] gauge 4 at 1700000000750, 1 readings, sum 4, 4 to 4",
            "temperature [] gauge 19.5 at 1700000000900, 2 readings, sum 40, 19.5 to 20.5",
            "load [] gauge [(1700000000250, 0.5), (1700000000500, 2.0)]",
            r#"users [] set ["alice", "bob"]"#,
            "db.query [] timer [0.25, 0.5]",
            "render [] timer 3 readings, sum 1, 0.25 to 0.5, squares 0.375, \
             deviations Some(0.04166666666666667), buckets [(65344, 2), (65408, 1)]",
            r#"response.size [("route", "/")] histogram [512.0, 2048.0] in bytes"#,
            "balance [] histogram 3 readings, sum 1022, -2 to 512, squares 524292, \
             deviations Some(176130.66666666666), buckets [(-65536, 1), (66048, 2)]",
        ]
    );
}

#[test]
fn the_body_of_a_batch_is_what_the_library_writes() {
    let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    batch.counter("logins", &[("region", "eu")], 3.0);
    batch.gauge("queue.depth", &[], &Gauge::reading(4.0, 1_700_000_000_750));
    let temperature = Gauge::folded(19.5, 1_700_000_000_900, 2, 40.0, 19.5, 20.5);
    batch.gauge("temperature", &[], &temperature);
    batch.gauge_readings("load", &[], &[(1_700_000_000_250, 0.5), (1_700_000_000_500, 2.0)]);
    batch.set("users", &[], ["alice", "bob"].into_iter());
    batch.timer_readings("db.query", &[], &[0.25, 0.5]);
    batch.timer("render", &[], &Summary::from_iter([0.25, 0.25, 0.5]));
    batch.histogram_readings("response.size", &[("route", "/")], Some("bytes"), &[512.0, 2048.0]);
    batch.histogram("balance", &[], None, &Summary::from_iter([-2.0, 512.0, 512.0]));
    assert_eq!(batch.finish(), dump("batch-body"));
}

#[test]
fn a_batch_with_an_annotation_is_read_and_written() {
    let deploy = Annotation::new("deploys", "v7 is live", 1_700_000_000_100)
        .unwrap()
        .with_tag("region", "eu")
        .and_then(|deploy| deploy.with_end(1_700_000_000_900))
        .and_then(|deploy| deploy.with_description("a\nb"))
        .and_then(|deploy| deploy.with_link("ci", "https://ci/7", Some("build")))
        .unwrap();
    let body = dump("annotation-body");
    let entry = BatchReader::new(&body).unwrap().entries().next().unwrap().unwrap();
    assert_eq!(entry.value, Value::Annotation(Box::new(deploy.clone())));
    let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
    batch.annotation(&deploy);
    assert_eq!(batch.finish(), body);
}

#[test]
fn buckets_are_numbered_as_the_page_says() {
    for value in [0.25, 0.5, 1.0, 1e-9, 12_345.678, -0.25, -7.0, 0.0] {
        let mut sketch = Sketch::new();
        sketch.add(value, 1);
        let (bucket, _) = sketch.buckets().next().unwrap();
        let bits = (f64::abs(value).to_bits() >> 46) as i32;
        assert_eq!(bucket, if value < 0.0 { -bits } else { bits }, "{value}");
        let middle = f64::from_bits((u64::from(bits.unsigned_abs()) << 46) | (1 << 45));
        let expected = if bits == 0 { 0.0 } else { middle.copysign(value) };
        assert_eq!(Sketch::middle(bucket), Some(expected), "{value}");
    }
    assert_eq!(0.25_f64.to_bits() >> 46, 65_344);
    assert_eq!(0.5_f64.to_bits() >> 46, 65_408);
}

#[test]
fn control_messages_are_read() {
    assert_eq!(dump("levels-topic"), LEVELS_TOPIC.as_bytes());
    let levels = ["info", "warn"].map(|level| level.parse().unwrap()).into();
    let wanted = WantedLevels { all: false, levels };
    assert_eq!(wanted.encode(), dump("levels-body"));
    assert_eq!(WantedLevels::decode(&dump("levels-body")), Ok(wanted));
    let all = WantedLevels { all: true, ..WantedLevels::default() };
    assert_eq!(WantedLevels::decode(&dump("levels-body-all")), Ok(all));

    assert_eq!(dump("ack-topic"), ack_topic(PUBLISHER).into_bytes());
    let ack = Ack { sequences: BTreeMap::from([("info".to_owned(), 7), ("warn".to_owned(), 2)]) };
    assert_eq!(ack.encode(), dump("ack-body"));
    assert_eq!(Ack::decode(&dump("ack-body")), Ok(ack));
}

/// A number above 1,000 as the page writes it.
fn group(number: usize) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}

#[test]
fn limits_are_stated_as_they_are() {
    for text in [
        format!("| level | 1 to {} |", zibrato::MAX_LEVEL_BYTES),
        format!("| 1 to {} |", zibrato::MAX_NAME_BYTES),
        format!("{} MiB (`--max-frame`)", wire::MAX_FRAME_BYTES >> 20),
        format!("| {} KiB |", wire::BATCH_TARGET_BYTES >> 10),
        format!("`{}`", zibrato::DEFAULT_SOURCE),
        format!("1 to {} bytes without control", zibrato::MAX_TITLE_BYTES),
        format!("at most {} bytes; of the", group(zibrato::MAX_DESCRIPTION_BYTES)),
        format!("`href` of at most {} bytes", group(zibrato::MAX_HREF_BYTES)),
        format!("at most {}; each a map", zibrato::MAX_LINKS),
    ] {
        assert!(PAGE.contains(&text), "{text}");
    }
    assert!(PAGE.contains(&format!("| unit of a histogram | 1 to {} |", zibrato::MAX_UNIT_BYTES)));
    for word in [
        "counter",
        "counters",
        "c",
        "gauge",
        "gauges",
        "g",
        "histogram",
        "histograms",
        "h",
        "timers",
        "t",
        "ms",
        "set",
    ] {
        assert!(Kind::from_mtype(word).is_some() && PAGE.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn requests_and_answers_of_the_replay_port_are_read() {
    let reader = || Reader { name: "carbon".to_owned(), session: "5f3a".to_owned() };
    let at = Position { journal: 0x0102_0304_0506_0708, offset: 41 };
    let fetch = ReplayRequest::Fetch(Fetch {
        reader: reader(),
        about: "web-1".to_owned(),
        levels: vec!["info".to_owned()],
        after: Some(at),
        wait_ms: 1_000,
        max_bytes: 65_536,
    });
    assert_eq!(fetch.encode(), ["fetch-topic", "fetch-body"].map(dump));
    let commit = ReplayRequest::Commit(Commit { reader: reader(), at });
    assert_eq!(commit.encode(), ["commit-topic", "commit-body"].map(dump));
    let reset = Reset { name: "carbon".to_owned(), to: ResetTo::Offset(41) };
    assert_eq!(ReplayRequest::Reset(reset).encode()[1], dump("reset-body"));
    let batches = ReplayAnswer::Batches(Fetched {
        next: Position { offset: 42, ..at },
        complete_until_ms: Some(1_700_000_001_500),
        end: 42,
        gone: 0,
        forgotten: false,
    });
    assert_eq!(batches.encode(), ["batches-topic", "batches-body"].map(dump));
    for (topic, body) in [("fetch-topic", "fetch-body"), ("commit-topic", "commit-body")] {
        let back = ReplayRequest::decode(&dump(topic), &dump(body)).unwrap();
        assert_eq!(back.encode(), [dump(topic), dump(body)]);
    }
}
