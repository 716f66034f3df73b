//! Requests as clients send them, and what is wrong with others.

use super::{Clock, Measured, check};
use crate::intake::librato::payload::{MAX_MEASUREMENTS, Payload};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_042;

fn clock() -> Clock {
    Clock { now_ms: NOW * 1_000 + 700, max_age: 7_200 }
}

/// A reading in a short form: `name@source{tag=value} kind value … age`.
fn shown(payload: &Payload<'_>) -> Result<Vec<String>, Value> {
    let readings = check(payload, clock()).map_err(|faults| faults.body())?;
    let shown = readings.all.iter().map(|reading| {
        let source = reading.source.as_deref().unwrap_or("-");
        let tags = reading.tags.as_ref().unwrap_or(&readings.tags);
        let tags: Vec<_> = tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(",")) };
        let value = match reading.value {
            Measured::Total(total) => format!("total {total}"),
            Measured::Gauge(gauge) if gauge.count == 1 => format!("gauge {:?}", gauge.last),
            Measured::Gauge(g) => {
                format!("gauge {}: {} {} {}..{}", g.last, g.count, g.sum, g.min, g.max)
            }
        };
        let age = clock().now_ms - reading.at_ms;
        let age = if age == 0 { String::new() } else { format!(" {age}") };
        format!("{}@{source}{tags} {value}{age}", reading.name)
    });
    Ok(shown.collect())
}

#[test]
fn the_forms_of_clients_are_read() {
    let at = |seconds: u64| NOW - seconds;
    for (body, expected) in [
        // python-librato: submit, queue, aggregator.
        (
            json!({"gauges": [{"name": "temperature", "value": 10, "description": "at home"}], "counters": []}),
            &["temperature@- gauge 10.0"][..],
        ),
        (
            json!({"gauges": [], "counters": [{"name": "connections", "value": 20}]}),
            &["connections@- total 20"],
        ),
        (
            json!({"gauges": [{"name": "cpu", "value": 75.5, "source": "web-01", "measure_time": at(30)}]}),
            &["cpu@web-01 gauge 75.5 30700"],
        ),
        (
            json!({"gauges": [{"name": "x", "value": null, "count": 3, "sum": 6}]}),
            &["x@- gauge 2: 3 6 2..2"],
        ),
        (json!({"gauges": [{"name": "x", "value": "1.046"}]}), &["x@- gauge 1.046"]),
        (json!({"gauges": [{"name": "x", "value": 1e300}]}), &["x@- gauge 1e300"]),
        (json!({"gauges": [{"name": "a b/c", "value": 1}]}), &["a-b-c@- gauge 1.0"]),
        (
            json!({
                "gauges": [
                    {"count": 3, "sum": 48.5, "min": -1, "max": 42, "name": "foo"},
                    {"count": 1, "sum": 5, "min": 5, "max": 5, "name": "bar", "source": "b"},
                ],
                "source": "my.source", "measure_time": at(2),
            }),
            &["foo@my.source gauge 16.166666666666668: 3 48.5 -1..42 2700", "bar@b gauge 5.0 2700"],
        ),
        // With tags; those of a measurement replace those of the request.
        (
            json!({"measurements": [{"name": "cpu", "value": null, "period": 60, "sum": 35, "count": 3,
                "min": 4.5, "max": 6.7, "last": 2.5, "stddev": 1.34,
                "attributes": {"aggregate": false}, "time": at(60), "tags": {"region": "us-east-1"}}]}),
            &["cpu@-{region=us-east-1} gauge 2.5: 3 35 4.5..6.7 60700"],
        ),
        (
            json!({
                "measurements": [
                    {"name": "a", "value": 1},
                    {"name": "b", "value": 1, "tags": {}},
                    {"name": "c", "sum": 2, "count": 1, "tags": {"dc": "eu", "shard": 3}},
                ],
                "tags": {"company": "x y"},
            }),
            &["a@-{company=x y} gauge 1.0", "b@- gauge 1.0", "c@-{dc=eu,shard=3} gauge 2.0"],
        ),
        (
            json!({"measurements": [
                {"name": "a", "value": 1, "tags": {"host": "h 1", "a": "b"}},
                {"name": "b", "value": 1, "tags": {"source": "s", "host": "h"}},
                {"name": "c", "value": 1, "source": "own", "tags": {"source": "s"}},
                {"name": "d", "value": 1},
            ], "tags": {"host": "common"}}),
            &["a@h-1{a=b} gauge 1.0", "b@s gauge 1.0", "c@own gauge 1.0", "d@common gauge 1.0"],
        ),
        // Maps by name and by number.
        (
            json!({"gauges": {"cpu": {"value": 1}, "load": {"value": 2, "source": "b"}}, "source": "a"}),
            &["cpu@a gauge 1.0", "load@b gauge 2.0"],
        ),
        (
            json!({"counters": {"0": {"name": "c", "value": 5}, "1": {"name": "d", "value": 6}}}),
            &["c@- total 5", "d@- total 6"],
        ),
        // Zibrato's Python worker: times are texts.
        (
            json!({"gauges": [{"measure_time": at(0).to_string(), "source": "prog", "name": "t", "value": 0.5}]}),
            &["t@prog gauge 0.5 700"],
        ),
        // A fraction of a time means nothing.
        (
            json!({"gauges": [{"name": "x", "value": 1, "measure_time": at(0) as f64 + 0.9}]}),
            &["x@- gauge 1.0 700"],
        ),
        (
            json!({"gauges": [{"name": "x", "value": 1, "measure_time": at(7_200)}]}),
            &["x@- gauge 1.0 7200700"],
        ),
    ] {
        let text = body.to_string();
        let payload = Payload::of_json(text.as_bytes()).unwrap();
        assert_eq!(
            shown(&payload),
            Ok(expected.iter().map(|s| (*s).to_owned()).collect()),
            "{body}"
        );
    }
}

#[test]
fn each_fault_names_its_measurement_and_its_field() {
    let gauge = |fields: Value| {
        let mut gauge = json!({"name": "x", "value": 1});
        gauge.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"gauges": [{"name": "good", "value": 1}, gauge]})
    };
    for (body, name, why) in [
        (gauge(json!({"name": null})), "gauges[1]", "name: is missing"),
        (gauge(json!({"name": ""})), "gauges[1]", "name: is missing"),
        (gauge(json!({"name": 5})), "gauges[1]", "name: is not a text"),
        (json!({"gauges": [5]}), "gauges[0]", "is not an object"),
        (json!({"gauges": [["x", 1]]}), "gauges[0]", "is not an object"),
        (json!({"gauges": {"x": 1}}), "x", "is not an object"),
        (json!({"gauges": 5}), "gauges", "gauges: is neither a list nor an object"),
        (gauge(json!({"value": null})), "x", "value: is missing, and so are count and sum"),
        (gauge(json!({"value": "a"})), "x", "value: is not a number"),
        (gauge(json!({"value": "NaN"})), "x", "value: is not a number"),
        (gauge(json!({"value": "1e999"})), "x", "value: is not a number"),
        (gauge(json!({"value": true})), "x", "value: is not a number"),
        (gauge(json!({"value": [1]})), "x", "value: is not a number"),
        (gauge(json!({"value": {}})), "x", "value: is not a number"),
        (
            gauge(json!({"count": 1, "sum": 1})),
            "x",
            "value: cannot be given together with count or sum",
        ),
        (gauge(json!({"value": null, "count": 1})), "x", "count and sum: must be given together"),
        (gauge(json!({"value": null, "sum": 1})), "x", "count and sum: must be given together"),
        (
            gauge(json!({"value": null, "count": 0, "sum": 1})),
            "x",
            "count: is not a whole number above 0",
        ),
        (
            gauge(json!({"value": null, "count": 1.5, "sum": 1})),
            "x",
            "count: is not a whole number above 0",
        ),
        (
            gauge(json!({"value": null, "count": -1, "sum": 1})),
            "x",
            "count: is not a whole number above 0",
        ),
        (
            gauge(json!({"value": null, "count": 1e300, "sum": 1})),
            "x",
            "count: is not a whole number above 0",
        ),
        (
            gauge(json!({"value": null, "count": 1, "sum": 1, "min": 2, "max": 1})),
            "x",
            "min: is larger than max",
        ),
        (gauge(json!({"sum_squares": "x"})), "x", "sum_squares: is not a number"),
        (gauge(json!({"sum_squares": -1})), "x", "sum_squares: is negative"),
        (gauge(json!({"stddev": -0.5})), "x", "stddev: is negative"),
        (gauge(json!({"source": 5})), "x", "source: is not a text"),
        (gauge(json!({"period": -1})), "x", "period: is not a number of seconds"),
        (gauge(json!({"description": []})), "x", "description: is not a text"),
        (gauge(json!({"measure_time": 0})), "x", "measure_time: is too far in the past"),
        (gauge(json!({"measure_time": -5})), "x", "measure_time: is too far in the past"),
        (gauge(json!({"measure_time": NOW - 7_201})), "x", "measure_time: is too far in the past"),
        (gauge(json!({"measure_time": NOW + 301})), "x", "measure_time: is too far in the future"),
        (
            gauge(json!({"measure_time": 4_102_444_800_u64})),
            "x",
            "measure_time: is too far in the future",
        ),
        (gauge(json!({"measure_time": 1e300})), "x", "measure_time: is too far in the future"),
        (
            gauge(json!({"measure_time": "now"})),
            "x",
            "measure_time: is not a number of seconds since 1970",
        ),
        (gauge(json!({"tags": []})), "x", "tags: are not an object"),
        (gauge(json!({"tags": {"a": null}})), "x", "tags: a: is empty"),
        (gauge(json!({"tags": {"": "a"}})), "x", "tags: : is empty"),
        (gauge(json!({"tags": {"a": {}}})), "x", "tags: a: is not a text"),
        (json!({"counters": [{"name": "x", "value": -1}]}), "x", "value: of a counter is negative"),
        (json!({"counters": [{"name": "x", "count": 1, "sum": 1}]}), "x", "value: is missing"),
        (
            json!({"gauges": [], "measure_time": "x"}),
            "request",
            "measure_time: is not a number of seconds since 1970",
        ),
        (json!({"gauges": [], "source": {}}), "request", "source: is not a text"),
        (json!({"measurements": [], "tags": 5}), "request", "tags: are not an object"),
    ] {
        let text = body.to_string();
        let payload = Payload::of_json(text.as_bytes()).unwrap();
        let expected = json!({"errors": {"params": {name: [why]}}});
        assert_eq!(shown(&payload), Err(expected), "{body}");
    }
    let tags: serde_json::Map<_, _> = (0..51).map(|n| (format!("t{n}"), json!("v"))).collect();
    let text = gauge(json!({"tags": tags})).to_string();
    let faults = shown(&Payload::of_json(text.as_bytes()).unwrap()).unwrap_err();
    assert_eq!(faults, json!({"errors": {"params": {"x": ["tags: are more than 50"]}}}));
}

#[test]
fn what_is_not_an_object_of_json_is_an_error() {
    for bad in [
        "",
        "{",
        "[]",
        "5",
        "null",
        "{\"gauges\": [{\"name\": \"x\", \"value\": NaN}]}",
        "{\"gauges\": [{\"name\": \"x\", \"value\": Infinity}]}",
        "{\"gauges\": [{\"name\": \"x\", \"value\": 1e400}]}",
        "{\"gauges\": [{\"name\": \"x\", \"value\": 1,}]}",
        "{\"gauges\": [], \"gauges\": []}",
        "{\"gauges\": []} x",
    ] {
        assert!(Payload::of_json(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Payload::of_json(b"{\"gauges\": [{\"name\": \"\xff\"}]}").is_err());
    let deep = format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    // Ignored, or refused, and in any case read without a stack for each level.
    drop(Payload::of_json(deep.as_bytes()));
}

#[test]
fn measurements_beyond_the_limit_are_counted_and_not_kept() {
    let entry = r#"{"name":"a","value":1}"#;
    let many = vec![entry; MAX_MEASUREMENTS + 7].join(",");
    let text = format!("{{\"gauges\":[{many}]}}");
    let payload = Payload::of_json(text.as_bytes()).unwrap();
    assert_eq!((payload.len(), payload.gauges.entries.len()), (10_007, MAX_MEASUREMENTS));
    let form: Vec<_> = (0..10_007).map(|n| format!("gauges[{n}][value]=1")).collect();
    let form = form.join("&");
    let payload = Payload::of_form(form.as_bytes());
    assert_eq!((payload.len(), payload.gauges.entries.len()), (10_007, MAX_MEASUREMENTS));
}
