//! Lines of Python Zibrato are read, and each kind of invalid line is recognized.

use super::*;
use proptest::prelude::*;

type Fields<'a> = (&'a str, Kind, &'a str, f64, u64, &'a str);

#[track_caller]
fn check(line: &str, expected: Result<Fields<'_>, &str>) {
    let got = Line::decode(line.as_bytes());
    let got = got.map(|l| {
        let LineValue::Number(value) = l.value else { panic!("{line}: a member") };
        (l.level, l.kind, l.name, value, l.timestamp_ms(), l.source)
    });
    assert_eq!(got.as_ref().map_err(LineError::reason), expected.as_ref().map_err(|e| *e));
}

#[test]
fn lines_of_python_zibrato_are_read() {
    use Kind::{Counter, Gauge, Histogram, Timer};
    let at = 1_700_000_042_000;
    let cases: [(&str, Fields<'_>); 10] = [
        (
            "info|Gauge|default|1|1700000042|not_specified",
            ("info", Gauge, "default", 1.0, at, "not_specified"),
        ),
        (
            "info|Gauge|default|0|1700000042|not_specified",
            ("info", Gauge, "default", 0.0, at, "not_specified"),
        ),
        ("info|Gauge|default|1e+20|1700000042|s", ("info", Gauge, "default", 1e20, at, "s")),
        ("crit|Gauge|gauge_name|123|1700000042|s", ("crit", Gauge, "gauge_name", 123.0, at, "s")),
        ("info|Gauge|a b|1|1700000042|my prog/1", ("info", Gauge, "a b", 1.0, at, "my prog/1")),
        ("info|Gauge|n| 7 |1700000042|s", ("info", Gauge, "n", 7.0, at, "s")),
        ("info|timer|t|0.25|1700000042.5|s", ("info", Timer, "t", 0.25, at + 500, "s")),
        ("info|h|size|5|1700000042|s", ("info", Histogram, "size", 5.0, at, "s")),
        ("info|Histograms|n|-1e308|1700000042|s", ("info", Histogram, "n", -1e308, at, "s")),
        ("info|COUNTERS|c|-3.5|1700000042|", ("info", Counter, "c", -3.5, at, "not_specified")),
    ];
    for (line, expected) in cases {
        check(line, Ok(expected));
    }
}

#[test]
fn the_member_of_a_set_is_a_text() {
    let line = Line::decode(b"info|set|users|alice|1700000042|web").unwrap();
    assert_eq!(line.value, LineValue::Member("alice"));
}

#[test]
fn the_usual_lines_look_plain() {
    for line in [
        "info|Counter|logins|1|1700000042|web-1",
        "info|Gauge|queue|-12.5|1700000042|not_specified",
        "warn|timer|db.query|0.0123|1700000042.25|",
        "info|c|n|123456789012345|1|s",
        "info|h|response.size|512|1700000042|web",
        "info|Histogram|balance|-0.5|1700000042|web",
    ] {
        assert_eq!(Line::level_if_plain(line.as_bytes()), Some(&line.as_bytes()[..4]), "{line}");
    }
    for line in [
        "info|c|n|1|170000004200|s",
        "info|c|n|.|1|s",
        "info|s|n|1|1|s",
        "info|c|n|/8|1|s",
        "info|c|n|1234567:|1|s",
    ] {
        assert_eq!(Line::level_if_plain(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn bad_lines_name_the_field_that_is_wrong() {
    for (line, reason) in [
        ("", "fields"),
        ("info|Gauge|n|1|1", "fields"),
        ("info|Gauge|a|b|2|1700000042|c|d", "fields"),
        ("|Gauge|n|1|1|s", "level"),
        ("zb1|Gauge|n|1|1|s", "level"),
        ("info||n|1|1|s", "mtype"),
        ("info|Histo|n|1|1|s", "mtype"),
        ("info|h|n|nan|1|s", "value"),
        ("info|h|n|1e309|1|s", "value"),
        ("info|Gauge||1|1|s", "name"),
        ("info|Gauge|n||1|s", "value"),
        ("info|Gauge|n|True|1|s", "value"),
        ("info|Gauge|n|nan|1|s", "value"),
        ("info|Gauge|n|inf|1|s", "value"),
        ("info|Gauge|n|1e400|1|s", "value"),
        ("info|Gauge|n|1|xx|s", "timestamp"),
        ("info|Gauge|n|1|-1|s", "timestamp"),
        ("info|Gauge|n|1|1e300|s", "timestamp"),
        ("info|Gauge|n|1|1|a\u{7}b", "source"),
        ("info|s|n||1|s", "member"),
    ] {
        check(line, Err(reason));
    }
    assert_eq!(Line::decode(b"info|Gauge|\xff|1|1|s"), Err(LineError::Encoding));
}

#[test]
fn an_invalid_line_does_not_affect_others() {
    let frame = b"info|c|a|1|1|s\r\n\nbroken\ninfo|c|b|2|1|s\n";
    let got: Vec<_> = lines(frame).map(|l| l.map(|l| l.name)).collect();
    assert_eq!(got, [Ok("a"), Err(LineError::Fields { found: 1 }), Ok("b")]);
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.:_ é-]{1,40}"
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        level in "[a-y][a-z]{0,20}", kind in 0..5_usize, name in name(), source in name(),
        value in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
        seconds in 0..4_000_000_000_u64,
    ) {
        let kind = Kind::ALL[kind];
        let value = if kind == Kind::Set { LineValue::Member(&name) } else { LineValue::Number(value) };
        let line = Line {
            level: &level, kind, name: &name, value, timestamp: seconds as f64, source: &source,
        };
        let text = line.to_string();
        prop_assert_eq!(Line::decode(text.as_bytes()), Ok(line));
    }

    /// The reference splits at each bar and checks each field separately.
    #[test]
    fn fields_are_found_and_checked_as_if_one_by_one(
        line in "[a-c|}\u{7b}z!1*\u{1}\u{1f} \u{7f}é]{0,40}",
    ) {
        let bars = Bars::find(line.as_bytes());
        let model: Vec<_> = line.split('|').collect();
        match bars.fields(&line) {
            Ok(fields) => prop_assert_eq!(&fields[..], &model[..]),
            Err(error) => prop_assert_eq!(error, LineError::Fields { found: model.len() }),
        }
        for field in model {
            prop_assert_eq!(bars.check(field, 255, check_name), check_name(field));
            prop_assert_eq!(bars.check(field, 64, check_level), check_level(field));
        }
    }

    #[test]
    fn numbers_are_those_of_the_standard_library(
        whole in "[0-9]{1,17}", any in "[-+]?[0-9]{0,4}\\.?[0-9]{0,3}(e[0-9])?",
    ) {
        for text in [whole, any] {
            prop_assert_eq!(number(&text), text.parse().ok());
        }
    }

    #[test]
    fn a_line_that_looks_plain_is_valid(
        level in "[a-cz*1é]{0,3}", mtype in "[cgstCx]|Counter|timer|ms", name in "[a-cz*é ]{0,2}",
        value in "[-+]?[0-9]{0,17}\\.?[0-9]{0,3}(e5)?", timestamp in "-?[0-9]{0,13}\\.?[0-9]{0,2}",
        source in "[a-cz*é ]{0,2}",
    ) {
        let line = format!("{level}|{mtype}|{name}|{value}|{timestamp}|{source}");
        if let Some(found) = Line::level_if_plain(line.as_bytes()) {
            prop_assert_eq!(found, level.as_bytes());
            prop_assert!(Line::decode(line.as_bytes()).is_ok(), "{}", line);
        }
    }

    #[test]
    fn any_bytes_that_look_plain_are_valid(
        line in prop::collection::vec(prop::sample::select(&b"a1.-|c \x7f\x80"[..]), 0..40),
    ) {
        let decoded = Line::decode(&line).map(|line| line.level.as_bytes().to_vec());
        if let Some(level) = Line::level_if_plain(&line) {
            prop_assert_eq!(decoded, Ok(level.to_vec()));
        }
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(frame in prop::collection::vec(any::<u8>(), 0..300)) {
        lines(&frame).for_each(drop);
    }
}
