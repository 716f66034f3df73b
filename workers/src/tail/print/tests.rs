//! The output for people and for programs, for each kind.

use super::{Format, Names, Printer, Seconds};
use proptest::prelude::*;
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp};
use zibrato::{Annotation, Gauge, Summary};

/// 2023-11-14 22:13:20.250.
const RECEIVED: u64 = 1_700_000_000_250;

fn names(prefix: &str) -> Names {
    Names { prefix: prefix.to_owned(), own: false }
}

fn print(format: Format, prefix: &str, batch: BatchWriter) -> String {
    let mut text = Vec::new();
    print_to(&mut text, &mut Printer::new(format, names(prefix)), "info", batch);
    String::from_utf8(text).unwrap()
}

fn print_to(text: &mut Vec<u8>, printer: &mut Printer, level: &str, batch: BatchWriter) {
    let id = BatchId { publisher: PublisherId([1; 16]), sequence: 1 }.encode();
    let stamp = Stamp { offset: 0, received_ms: RECEIVED }.encode();
    let topic = format!("zb1|{level}|");
    let frames: [&[u8]; 4] = [topic.as_bytes(), &id, &stamp, &batch.finish()];
    printer.print(&frames, 0, text);
}

fn one_of_each() -> BatchWriter {
    let mut batch = BatchWriter::new("web-1", 0, 1000);
    batch.counter("logins", &[("dc", "fra")], 3.0);
    batch.gauge("depth", &[], &Gauge::reading(2.5, 7));
    batch.gauge("depth.folded", &[], &Gauge::folded(4.0, 9, 3, 12.0, 1.0, 7.0));
    batch.gauge_readings("depth.each", &[], &[(1, 4.0), (2, 1.5)]);
    batch.set("users", &[], ["ann", "bob"].into_iter());
    let seconds: Summary = [0.001, 0.001, 0.004].into_iter().collect();
    batch.timer("db.query", &[], &seconds);
    batch.timer_readings("db.raw", &[], &[1.5]);
    let bytes: Summary = [512.0, 512.0, 1537.5].into_iter().collect();
    batch.histogram("size", &[("route", "/")], Some("bytes"), &bytes);
    batch.histogram_readings("balance", &[], None, &[-0.123_456]);
    let deploy = Annotation::new("deploys", "version 7 is live", 5)
        .and_then(|deploy| deploy.with_end(1_505)?.with_tag("dc", "fra"))
        .and_then(|deploy| deploy.with_link("ci", "https://ci/7", None));
    batch.annotation(&deploy.unwrap());
    batch
}

#[test]
fn people_get_columns() {
    insta::assert_snapshot!(print(Format::Human, "", one_of_each()), @r#"
    22:13:20.250 info    counter     web-1             logins                            3  dc=fra
    22:13:20.250 info    gauge       web-1             depth                             2.5
    22:13:20.250 info    gauge       web-1             depth.folded                      4  count=3 min=1 max=7
    22:13:20.250 info    gauge       web-1             depth.each                        1.5  count=2 min=1.5 max=4
    22:13:20.250 info    set         web-1             users                             2 members: ann, bob
    22:13:20.250 info    timer       web-1             db.query                          count=3 mean=2ms p99=4ms max=4ms
    22:13:20.250 info    timer       web-1             db.raw                            count=1 mean=1.5s p99=1.5s max=1.5s
    22:13:20.250 info    histogram   web-1             size                              count=3 mean=853.8333 p99=1537.5 max=1537.5 unit=bytes  route=/
    22:13:20.250 info    histogram   web-1             balance                           count=1 mean=-0.1235 p99=-0.1235 max=-0.1235
    22:13:20.250 info    annotation  web-1             deploys                           version 7 is live  took=1.5s  https://ci/7  dc=fra
    "#);
}

#[test]
fn columns_stay_aligned_after_a_long_level() {
    let (mut text, mut printer) = (Vec::new(), Printer::new(Format::Human, names("")));
    for level in ["info", "zibrato", "a-longer-level", "info"] {
        let mut batch = BatchWriter::new("web-1", 0, 1000);
        batch.counter("logins", &[], 3.0);
        print_to(&mut text, &mut printer, level, batch);
    }
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
    22:13:20.250 info    counter     web-1             logins                            3
    22:13:20.250 zibrato counter     web-1             logins                            3
    22:13:20.250 a-longer-level counter     web-1             logins                            3
    22:13:20.250 info           counter     web-1             logins                            3
    "#);
}

#[test]
fn programs_get_one_object_per_line() {
    insta::assert_snapshot!(print(Format::Json, "", one_of_each()), @r#"
    {"kind":"counter","level":"info","name":"logins","received_ms":1700000000250,"source":"web-1","tags":{"dc":"fra"},"value":3}
    {"at_ms":7,"count":1,"kind":"gauge","level":"info","max":2.5,"min":2.5,"name":"depth","received_ms":1700000000250,"source":"web-1","sum":2.5,"tags":{},"value":2.5}
    {"at_ms":9,"count":3,"kind":"gauge","level":"info","max":7,"min":1,"name":"depth.folded","received_ms":1700000000250,"source":"web-1","sum":12,"tags":{},"value":4}
    {"at_ms":2,"count":2,"kind":"gauge","level":"info","max":4,"min":1.5,"name":"depth.each","received_ms":1700000000250,"source":"web-1","sum":5.5,"tags":{},"value":1.5}
    {"kind":"set","level":"info","members":["ann","bob"],"name":"users","received_ms":1700000000250,"source":"web-1","tags":{}}
    {"count":3,"kind":"timer","level":"info","max":0.004,"mean":0.002,"min":0.001,"name":"db.query","p50":0.001,"p95":0.003997802734375,"p99":0.003997802734375,"received_ms":1700000000250,"source":"web-1","sum":0.006,"tags":{}}
    {"count":1,"kind":"timer","level":"info","max":1.5,"mean":1.5,"min":1.5,"name":"db.raw","p50":1.5,"p95":1.5,"p99":1.5,"received_ms":1700000000250,"source":"web-1","sum":1.5,"tags":{}}
    {"count":3,"kind":"histogram","level":"info","max":1537.5,"mean":853.8333333333334,"min":512,"name":"size","p50":516.0,"p95":1537.5,"p99":1537.5,"received_ms":1700000000250,"source":"web-1","sum":2561.5,"tags":{"route":"/"},"unit":"bytes"}
    {"count":1,"kind":"histogram","level":"info","max":-0.123456,"mean":-0.123456,"min":-0.123456,"name":"balance","p50":-0.123456,"p95":-0.123456,"p99":-0.123456,"received_ms":1700000000250,"source":"web-1","sum":-0.123456,"tags":{}}
    {"description":null,"end_ms":1505,"kind":"annotation","level":"info","links":[{"href":"https://ci/7","label":null,"rel":"ci"}],"name":"deploys","received_ms":1700000000250,"source":"web-1","start_ms":5,"tags":{"dc":"fra"},"title":"version 7 is live"}
    "#);
}

#[test]
fn only_names_with_the_prefix_are_printed() {
    let text = print(Format::Human, "db.", one_of_each());
    assert_eq!(text.lines().count(), 2);
    assert!(text.lines().all(|line| line.contains(" db.")), "{text}");
}

#[test]
fn durations_have_a_suitable_unit() {
    for (seconds, text) in [
        (0.0, "0s"),
        (5e-10, "0.5ns"),
        (1.5e-7, "150ns"),
        (2.5e-5, "25µs"),
        (0.00125, "1.25ms"),
        (0.5, "500ms"),
        (1.0, "1s"),
        (100.0, "100s"),
        (1800.0, "30min"),
        (86_400.0, "24h"),
        (-0.002, "-2ms"),
    ] {
        assert_eq!(Seconds(seconds).to_string(), text, "{seconds}");
    }
}

proptest! {
    #[test]
    fn arbitrary_frames_cause_no_panic(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text = Vec::new();
        let mut printer = Printer::new(Format::Json, names(""));
        printer.print(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0, &mut text);
        let (id, body) = ([0; 24], one_of_each().finish());
        let frames: [&[u8]; 3] = [b"zb1|info|", &id, &body[..cut.index(body.len())]];
        printer.print(&frames, 0, &mut text);
    }
}
