//! Plain requests are read as by the general way, and everything else is left to it.

use super::{assert_same, plain_gauges};
use crate::intake::librato::checked::Clock;
use crate::intake::librato::payload::MAX_MEASUREMENTS;
use proptest::prelude::*;

const CLOCK: Clock = Clock { now_ms: 1_700_000_000_500, max_age: 7_200 };

#[test]
fn plain_requests_are_read_as_by_the_general_way() {
    for (body, expected) in [
        (r#"{"gauges":[]}"#, 0),
        (r#"{"gauges":[],"counters":[]}"#, 0),
        (r#"{"gauges":[{"name":"a","value":0}]}"#, 1),
        (
            r#" { "gauges" : [ { "name" : "a.b:c-d_E9" , "value" : -0.50 } ] , "counters" : [ ] } "#,
            1,
        ),
        ("{\"gauges\":\n\t[{\"value\":1,\"name\":\"a\"},\r\n{\"name\":\"b\",\"value\":-0}]}", 2),
        (r#"{"gauges":[{"name":"a","value":12345678901234567890,"source":"x"}],"source":"y"}"#, 1),
        (r#"{"source":"y","gauges":[{"name":"a","value":33.300000000000004}]}"#, 1),
        (r#"{"gauges":[{"name":"a","value":0.1234567890123456789}],"measure_time":1699999000}"#, 1),
        (r#"{"measure_time":1699999000,"gauges":[{"name":"a","value":9007199254740993}]}"#, 1),
        (
            r#"{"gauges":[{"name":"a","value":1,"measure_time":1699999000.9},{"name":"b","value":2}]}"#,
            2,
        ),
        (r#"{"gauges":[{"name":"a","name":"b","value":1,"value":2}]}"#, 1),
        (
            r#"{"gauges":[{"name":"a","value":999999999999999},{"name":"a","value":0.000000000000001}]}"#,
            2,
        ),
    ] {
        let plain = plain_gauges(body.as_bytes(), CLOCK);
        let plain = plain.unwrap_or_else(|| panic!("{body} is not plain"));
        assert_eq!(plain.len(), expected, "{body}");
        assert_same(body.as_bytes(), CLOCK, &plain);
    }
}

#[test]
fn numbers_are_rounded_once() {
    for number in ["0.1", "-123456.789012345", "33.300000000000004", "1.7976931348623157", "5"] {
        let body = format!("{{\"gauges\":[{{\"name\":\"a\",\"value\":{number}}}]}}");
        let plain = plain_gauges(body.as_bytes(), CLOCK).unwrap();
        assert_eq!(plain[0].value.to_bits(), number.parse::<f64>().unwrap().to_bits());
    }
}

#[test]
fn everything_else_is_left_to_the_general_way() {
    let long = format!(r#"{{"gauges":[{{"name":"{}","value":1}}]}}"#, "x".repeat(256));
    let gauge = r#"{"name":"a","value":1}"#;
    let many = format!("{{\"gauges\":[{}]}}", vec![gauge; MAX_MEASUREMENTS + 1].join(","));
    for body in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"counters":[]}"#,
        r#"{"gauges":{}}"#,
        r#"{"gauges":[],}"#,
        r#"{"gauges":[]"#,
        r#"{"gauges":[]}}"#,
        r#"{"gauges":[],"gauges":[]}"#,
        r#"{"gauges":[],"counters":[],"counters":[]}"#,
        r#"{"gauges":[],"counters":[{"name":"a","value":1}]}"#,
        r#"{"gauges":[],"measurements":[]}"#,
        r#"{"gauges":[],"tags":{"a":"b"}}"#,
        r#"{"gauges":[],"source":""}"#,
        r#"{"gauges":[],"source":"a b"}"#,
        r#"{"gauges":[],"measure_time":5}"#,
        r#"{"gauges":[{"name":"a","value":1,}]}"#,
        r#"{"gauges":[{"name":"a","value":1}{"name":"a","value":1}]}"#,
        r#"{"gauges":[{"name":"a","value":1},]}"#,
        r#"{"gauges":[{}]}"#,
        r#"{"gauges":[{"name":"a"}]}"#,
        r#"{"gauges":[{"value":1}]}"#,
        r#"{"gauges":[{"name":"","value":1}]}"#,
        r#"{"gauges":[{"name":"a b","value":1}]}"#,
        r#"{"gauges":[{"name":"\u0061","value":1}]}"#,
        r#"{"gauges":[{"name":"é","value":1}]}"#,
        r#"{"gauges":[{"name":"a,"value":1}]}"#,
        r#"{"gauges":[{"name":null,"value":1}]}"#,
        r#"{"gauges":[{"name":"a","value":null}]}"#,
        r#"{"gauges":[{"name":"a","value":"1"}]}"#,
        r#"{"gauges":[{"name":"a","value":true}]}"#,
        r#"{"gauges":[{"name":"a","value":NaN}]}"#,
        r#"{"gauges":[{"name":"a","value":1e3}]}"#,
        r#"{"gauges":[{"name":"a","value":01}]}"#,
        r#"{"gauges":[{"name":"a","value":1.}]}"#,
        r#"{"gauges":[{"name":"a","value":.5}]}"#,
        r#"{"gauges":[{"name":"a","value":+5}]}"#,
        r#"{"gauges":[{"name":"a","value":-}]}"#,
        r#"{"gauges":[{"name":"a","value":- 1}]}"#,
        r#"{"gauges":[{"name":"a","value":1 2}]}"#,
        r#"{"gauges":[{"name":"a","value":0x10}]}"#,
        r#"{"gauges":[{"name":"a","count":1,"sum":1}]}"#,
        r#"{"gauges":[{"name":"a","value":1,"period":60}]}"#,
        r#"{"gauges":[{"name":"a","value":1,"measure_time":5}]}"#,
        r#"{"gauges":[{"name":"a","value":1,"measure_time":1800000000}]}"#,
        r#"{"gauges":[{"name":"a","value":1,"time":1700000000}]}"#,
        r#"{"gauges":[{"name":"a","value":1,"source":null}]}"#,
        &long,
        &many,
        &format!("{{\"gauges\":[{{\"name\":\"a\",\"value\":{}}}]}}", "9".repeat(41)),
    ] {
        assert_eq!(plain_gauges(body.as_bytes(), CLOCK), None, "{body}");
    }
    assert_eq!(plain_gauges(b"{\"gauges\":[{\"name\":\"\xff\",\"value\":1}]}", CLOCK), None);
}

/// Fragments of requests, which are put together in any order.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\"gauges\"",
        "\"counters\"",
        "\"name\"",
        "\"value\"",
        "\"source\"",
        "\"measure_time\"",
        "\"a.b\"",
        "\"web-1\"",
        "\"\"",
        "\"a b\"",
        "1",
        "-",
        "0",
        ".",
        "5",
        "1699999999",
        "1e5",
        "null",
        "{\"name\":\"a\",\"value\":1}",
        "{\"gauges\":[",
        "],\"counters\":[]}",
        "\"",
        "\\",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_plain_is_never_anything_else(fragments in prop::collection::vec(fragment(), 0..30)) {
        let body = fragments.concat();
        if let Some(plain) = plain_gauges(body.as_bytes(), CLOCK) {
            assert_same(body.as_bytes(), CLOCK, &plain);
        }
    }

    #[test]
    fn a_plain_request_with_a_change_is_read_as_by_the_general_way(
        at in 0_usize..200,
        change in prop::option::of(fragment()),
        cut in 0_usize..4,
        value in -1e15..1e15_f64,
    ) {
        let body = format!(
            "{{\"gauges\": [{{\"name\": \"a.b\", \"value\": {value:.5}, \"source\": \"web-1\", \
             \"measure_time\": 1699999999}}, {{\"name\": \"c\", \"value\": {value}}}], \"counters\": []}}"
        );
        let at = at.min(body.len());
        let rest = body.get(at + cut..).unwrap_or_default();
        let begin = body.get(..at).unwrap_or_default();
        let body = format!("{begin}{}{rest}", change.unwrap_or_default());
        if let Some(plain) = plain_gauges(body.as_bytes(), CLOCK) {
            assert_same(body.as_bytes(), CLOCK, &plain);
        }
    }
}
