//! The parts of gauges, and their names.

use super::{Encoder, fold, received, text, window};
use zibrato::Gauge;
use zibrato::wire::BatchWriter;

#[test]
fn a_gauge_has_the_parts_that_are_wanted() {
    let lines = [
        "i|g|queue.depth|4|20|s",
        "i|g|queue.depth|2|10|s",
        "i|g|pay.in_flight|50|10|s",
        "i|g|pay.in_flight|0|20|s",
    ];
    let encoded = |parts: Option<&str>| {
        let gauge_parts = parts.map(|parts| parts.parse().unwrap()).unwrap_or_default();
        let mut encoder = Encoder { gauge_parts, ..Encoder::default() };
        text(&encoder.encode(window(&lines)).payloads).replace(" 1700000040\n", ", ")
    };
    assert_eq!(encoded(None), "s.pay.in_flight 0, s.pay.in_flight.max 50, s.queue.depth 4, ");
    assert_eq!(encoded(Some("last")), "s.pay.in_flight 0, s.queue.depth 4, ");
    assert_eq!(
        encoded(Some("max,last,min,mean,count")),
        "s.pay.in_flight.max 50, s.pay.in_flight 0, s.pay.in_flight.min 0, s.pay.in_flight.mean 25, \
         s.pay.in_flight.count 2, s.queue.depth.max 4, s.queue.depth 4, s.queue.depth.min 2, \
         s.queue.depth.mean 3, s.queue.depth.count 2, "
    );
}

#[test]
fn a_gauge_that_nobody_set_has_its_last_value_and_no_count() {
    let mut window = window(&[]);
    let mut batch = BatchWriter::new("s", 0, 1000);
    batch.gauge("depth", &[], &Gauge::idle(7.0, 1));
    fold(&mut window, batch);
    let gauge_parts = "last,min,max,mean,count".parse().unwrap();
    let mut encoder = Encoder { gauge_parts, ..Encoder::default() };
    let text = text(&encoder.encode(window).payloads).replace(" 1700000040\n", ", ");
    let expected = "s.depth 7, s.depth.min 7, s.depth.max 7, s.depth.mean 7, s.depth.count 0, ";
    assert_eq!(text, expected);
}

#[test]
fn a_series_that_is_called_like_a_part_of_a_gauge_is_distinguished() {
    let lines = [
        "i|g|q|1|1|s",
        "i|g|q.max|2|1|s",
        "i|c|q.last|3|1|s",
        "i|c|q.min|4|1|s",
        "i|t|q.count|5|1|s",
    ];
    let mut encoder =
        Encoder { gauge_parts: "last,max,count".parse().unwrap(), ..Encoder::default() };
    encoder.timer_parts = "count".parse().unwrap();
    let encoded = encoder.encode(window(&lines));
    let got: Vec<_> = received(&encoded.payloads).into_iter().map(|(name, ..)| name).collect();
    let expected = [
        "s.q",
        "s.q.max",
        "s.q.count",
        "s.q.count.timer.count",
        "s.q.last",
        "s.q.max.gauge",
        "s.q.max.gauge.max",
        "s.q.max.gauge.count",
        "s.q.min",
    ];
    assert_eq!(got, expected);
    assert_eq!(encoded.renamed.times, 2);
}

#[test]
fn the_parts_of_a_renamed_series_are_distinguished_too() {
    let lines = [
        "i|c|q|1|1|s",
        "i|g|q|2|1|s",
        "i|c|q.gauge.max|3|1|s",
        "i|t|q|4|1|s",
        "i|c|q.timer.count|5|1|s",
    ];
    let timer_parts = "count".parse().unwrap();
    let gauge_parts = "last,max".parse().unwrap();
    let mut encoder = Encoder { timer_parts, gauge_parts, ..Encoder::default() };
    let encoded = encoder.encode(window(&lines));
    let mut names: Vec<_> =
        received(&encoded.payloads).into_iter().map(|(name, ..)| name).collect();
    names.sort();
    let expected = [
        "s.q",
        "s.q.gauge.gauge",
        "s.q.gauge.gauge.max",
        "s.q.gauge.max",
        "s.q.timer.count",
        "s.q.timer.timer.count",
    ];
    assert_eq!(names, expected);
}
