//! Tests of the grammar.

use super::super::packing::{MAX_MESSAGE_CHARS, pack};
use super::{Point, Ts, Wrong, read, read_line};
use proptest::prelude::*;

const TS: &str = "1500000001.000100";

/// The lines for Carbon, and the words of what is wrong with the others.
fn contents(text: &str) -> (Vec<String>, Vec<&'static str>, bool) {
    let contents = read(text, &TS.parse().unwrap());
    let lines = contents.points.iter().map(Point::line).collect();
    let wrong = contents.rejected.iter().map(|rejected| rejected.why.word()).collect();
    (lines, wrong, contents.is_all_metrics())
}

#[test]
fn lines_of_metrics_are_read() {
    for (text, line) in [
        ("test.metric 1234 1500000000", "test.metric 1234 1500000000"),
        (" a\t1  1500000000 ", "a 1 1500000000"),
        ("`a 1 1500000000`", "a 1 1500000000"),
        ("```a 1 1500000000```", "a 1 1500000000"),
        ("``` a 1 1500000000 ```", "a 1 1500000000"),
        ("\u{feff}a 1 1500000000\r", "a 1 1500000000"),
        ("a 1e3 1500000000.9", "a 1000 1500000000"),
        ("a .5 1e9", "a 0.5 1000000000"),
        ("a 5. 0", "a 5 0"),
        ("a +1 -0", "a 1 0"),
        ("a -2.5E-3 4294967295.5", "a -0.0025 4294967295"),
        ("a 1 -1", "a 1 1500000001"),
        ("a 1 -1.0", "a 1 1500000001"),
        ("a 1e300 1", "a 1e300 1"),
        ("a&amp;b 1 1", "a&b 1 1"),
        ("<http://h.example.com|h.example.com>.load 1 1", "h.example.com.load 1 1"),
        ("a;host=web-01;dc=eu 1 1", "a;host=web-01;dc=eu 1 1"),
        ("a;route=/x/*..;q=[1]{2}? 1 1", "a;route=/x/*..;q=[1]{2}? 1 1"),
        ("a;url=<http://h.example/x> 1 1", "a;url=http://h.example/x 1 1"),
        (":smile: 1 1", ":smile: 1 1"),
        ("“a” 1 1", "“a” 1 1"),
        ("# a comment\n\na 1 1", "a 1 1"),
    ] {
        assert_eq!(contents(text), (vec![line.to_owned()], vec![], true), "{text}");
    }
    assert_eq!(contents("``` \n# a 1 1\n\n```"), (vec![], vec![], false));
}

#[test]
fn what_is_no_metric_is_rejected_with_a_reason() {
    let long = format!("{} 1 1", "a".repeat(256));
    for (line, why) in [
        ("hello", Wrong::Fields),
        ("good morning everyone", Wrong::Value),
        ("This message was deleted.", Wrong::Fields),
        ("a 1", Wrong::Fields),
        ("a 1 1 1", Wrong::Fields),
        ("a\u{a0}1\u{a0}1", Wrong::Fields),
        ("a 1 1\u{2028}b 2 1", Wrong::Fields),
        ("&gt; a 1 1", Wrong::Fields),
        ("a\u{a0}b 1 1", Wrong::Path),
        ("a&lt;b 1 1", Wrong::Path),
        ("<http://www.example.com> 1 1", Wrong::Path),
        (".a 1 1", Wrong::Path),
        ("a. 1 1", Wrong::Path),
        ("a..b 1 1", Wrong::Path),
        ("a/b 1 1", Wrong::Path),
        ("a* 1 1", Wrong::Path),
        ("a;b 1 1", Wrong::Path),
        ("a;b= 1 1", Wrong::Path),
        (";b=c 1 1", Wrong::Path),
        ("a/b;c=d 1 1", Wrong::Path),
        ("a;b/c=d 1 1", Wrong::Path),
        ("a;by=<@U012> 1 1", Wrong::Path),
        (&long, Wrong::Path),
        (&format!("a;b={} 1 1", "c".repeat(1_000)), Wrong::Path),
        ("a nan 1", Wrong::Value),
        ("a inf 1", Wrong::Value),
        ("a 1e999 1", Wrong::Value),
        ("a 0x10 1", Wrong::Value),
        ("a 1_000 1", Wrong::Value),
        ("a 1,5 1", Wrong::Value),
        ("a . 1", Wrong::Value),
        ("a e5 1", Wrong::Value),
        ("a １ 1", Wrong::Value),
        ("a 1 -5", Wrong::Timestamp),
        ("a 1 -0.5", Wrong::Timestamp),
        ("a 1 4294967296", Wrong::Timestamp),
        ("a 1 now", Wrong::Timestamp),
    ] {
        assert_eq!(contents(line), (vec![], vec![why.word()], false), "{line}");
    }
    let (lines, wrong, all) = contents("a 1 1\ngood morning everyone\nb nan 1");
    assert_eq!((lines, wrong, all), (vec!["a 1 1".to_owned()], vec!["value", "value"], false));
}

proptest! {
    #[test]
    fn nothing_panics_and_a_point_is_read_back(text in "[a-c0-9&<>|;=.,`+eE \t\n日-]{0,80}") {
        let ts: Ts = TS.parse().unwrap();
        for point in read(&text, &ts).points {
            prop_assert_eq!(read_line(&point.line(), 0), Ok(point.clone()));
            let packed = pack([point.line()], MAX_MESSAGE_CHARS);
            let again = read(&packed.messages[0], &ts);
            prop_assert!(again.is_all_metrics());
            prop_assert_eq!(again.points, [point]);
        }
    }

    #[test]
    fn every_finite_value_is_read_back(value in any::<f64>(), time in 0_u64..4_294_967_296) {
        prop_assume!(value.is_finite());
        let point = Point { name: "a".to_owned(), value, time };
        prop_assert_eq!(read_line(&point.line(), 0), Ok(point));
    }
}

#[test]
fn the_time_of_the_message_has_the_limits_of_others() {
    assert_eq!(read_line("a 1 -1", 4_294_967_295).map(|point| point.time), Ok(4_294_967_295));
    assert_eq!(read_line("a 1 -1", 4_294_967_296), Err(Wrong::Timestamp));
}
