//! Gauges by second, readings, percentiles, tags, and times that the API does not accept.

use super::{NOW, encoder, gauges, names, window};
use crate::librato::accept::Omitted;
use crate::librato::flags::{Api, Timers};
use serde_json::{Value, json};
use zibrato::window::Window;
use zibrato::wire::Line;

/// The same window with gauges by second and readings of timers.
fn detailed<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Window {
    let mut window = Window::new(1_700_000_040_000, 60_000, 1_000_000);
    window = window.keep_gauge_seconds(true).keep_readings(true);
    for line in lines {
        let line = format!("info|{}", line.as_ref());
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    }
    window
}

#[test]
fn gauges_are_folded_by_second_and_keep_their_times() {
    let encoded = encoder().encode(
        detailed(["g|g|7|1700000041|a", "g|g|3|1700000041.9|a", "g|g|5|1700000043|a"]),
        NOW,
    );
    assert_eq!(
        Value::from(gauges(&encoded)),
        json!([
            {"name": "g", "source": "a", "measure_time": 1_700_000_041,
             "count": 2, "sum": 10.0, "min": 3.0, "max": 7.0},
            {"name": "g", "source": "a", "measure_time": 1_700_000_043, "value": 5.0},
        ])
    );
    assert_eq!(encoded.payloads[0].series, 1);
}

#[test]
fn a_gauge_that_nobody_set_has_the_time_of_the_window() {
    let mut window = Window::new(1_700_000_040_000, 60_000, 10).keep_gauge_seconds(true);
    let mut batch = zibrato::wire::BatchWriter::new("s", 0, 1000);
    batch.gauge("depth", &[], &zibrato::Gauge::idle(4.0, 1_600_000_000_000));
    let body = batch.finish();
    window.fold_batch(&zibrato::wire::BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
    let encoded = encoder().encode(window, NOW);
    assert_eq!(
        Value::from(gauges(&encoded)),
        json!([{"name": "depth", "source": "s", "measure_time": 1_700_000_040, "value": 4.0}])
    );
}

#[test]
fn points_of_times_that_the_api_does_not_accept_are_omitted_alone() {
    let lines = [
        "g|g|1|1|a",
        "g|g|2|1700000041|a",
        "g|g|3|4102444800|a",
        "g|lost|1|0|a",
        "c|c|1|4102444800|a",
    ];
    let encoded = encoder().encode(detailed(lines), NOW);
    let got: Vec<_> =
        gauges(&encoded).iter().map(|gauge| gauge["measure_time"].as_u64().unwrap()).collect();
    // A counter has the time of its window.
    assert_eq!(got, [1_700_000_040, 1_700_000_041]);
    let count = |why| encoded.omitted_for(why);
    assert_eq!((count(Omitted::Past), count(Omitted::Future)), (2, 1));
    assert_eq!(encoded.payloads[0].series, 2);
    // A window of the night before.
    let late = encoder().encode(window(["c|c|1|1|a", "c|d|1|1|a"]), NOW + 12 * 3_600_000);
    assert_eq!((late.payloads.len(), late.omitted_for(Omitted::Past)), (0, 2));
}

#[test]
fn raw_timers_are_their_readings() {
    let mut raw = encoder();
    raw.timers = Timers::Raw;
    let encoded = raw.encode(detailed(["t|t|0.25|1|a", "t|t|0.5|1|a", "c|c|1|1|a"]), NOW);
    let got: Vec<_> = gauges(&encoded)
        .iter()
        .map(|gauge| (gauge["name"].as_str().unwrap().to_owned(), gauge["value"].as_f64()))
        .collect();
    let of = |name: &str, value| (name.to_owned(), Some(value));
    assert_eq!(got, [of("c", 1.0), of("t", 0.25), of("t", 0.5)]);
    assert_eq!(encoded.payloads[0].series, 2);
    // There are too many of them.
    let many = (0..1_001).map(|_| "t|t|0.5|1|a");
    let encoded = raw.encode(detailed(many), NOW);
    assert_eq!(gauges(&encoded)[0]["count"], 1_001);
}

#[test]
fn percentiles_are_gauges_of_their_own() {
    let mut encoder = encoder();
    encoder.percentiles = vec!["50".parse().unwrap(), "99.9".parse().unwrap()];
    let lines = || ["t|t|0.5|1|a", "t|t|0.5|1|a", "h|h|7|1|a", "c|t.p50|1|1|a", "c|c|1|1|a"];
    for _ in 0..2 {
        let encoded = encoder.encode(window(lines()), NOW);
        let all = names(&encoded);
        assert_eq!(
            all,
            ["c", "h", "t", "t.p50", "h.p50", "h.p99.9", "t.p50.timer", "t.p99.9"],
            "the counter has the name t.p50"
        );
        let value = |name: &str| {
            let all = gauges(&encoded);
            all.iter().find(|gauge| gauge["name"] == name).unwrap()["value"].as_f64().unwrap()
        };
        assert_eq!((value("t.p50.timer"), value("h.p99.9")), (0.5, 7.0));
        assert_eq!(encoded.payloads[0].series, 4);
    }
    let long = "n".repeat(255);
    let encoded = encoder.encode(window([format!("t|{long}|1|1|a")]), NOW);
    let all = names(&encoded);
    assert!(all.iter().all(|name| name.len() <= 255) && all[1].ends_with(".p50"), "{all:?}");
}

#[test]
fn tagged_measurements_have_their_source_as_a_tag() {
    let mut tagged = encoder();
    tagged.api = Api::Tagged;
    tagged.tags = vec![("env".to_owned(), "prod".to_owned())];
    let mut window = detailed(["t|t|0.25|1|web-1", "t|t|0.75|1|web-1", "g|g|1|1700000041|web-1"]);
    let mut batch = zibrato::wire::BatchWriter::new("web-1", 0, 1000);
    batch.counter("logins", &[("dc", "fra")], 2.0);
    let body = batch.finish();
    window.fold_batch(&zibrato::wire::BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
    let encoded = tagged.encode(window, NOW);
    let tags = json!({"env": "prod", "source": "web-1"});
    assert_eq!(
        Value::from(gauges(&encoded)),
        json!([
            {"name": "g", "tags": tags, "time": 1_700_000_041, "value": 1.0},
            {"name": "t", "tags": tags, "time": 1_700_000_040,
             "count": 2, "sum": 1.0, "min": 0.25, "max": 0.75, "stddev": 0.25},
            {"name": "logins", "tags": {"env": "prod", "source": "web-1", "dc": "fra"},
             "time": 1_700_000_040, "value": 2.0},
        ])
    );
}

#[test]
fn names_of_ten_kilobytes_are_truncated_and_stay_distinct() {
    // A line or a batch has no such name; a series made by a program may have one.
    let name = |end: &str| format!("{}{end}", "n/".repeat(5_000));
    let mut window = Window::new(1_700_000_040_000, 60_000, 10);
    for end in ["a", "b"] {
        let counter = zibrato::window::Fold::Counter(1.0);
        window.fold_series(&name("s"), &name(end), &[], &counter);
    }
    let all = names(&encoder().encode(window, NOW));
    assert!(all.len() == 2 && all[0] != all[1], "{all:?}");
    assert!(all.iter().all(|name| name.len() == 255), "{all:?}");
}
