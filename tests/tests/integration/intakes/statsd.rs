//! Lines that broke other servers of StatsD and DogStatsD, and what a worker receives of them.

use super::{Intakes, Series};
use std::collections::BTreeMap;

const DIALECTS: [&str; 2] = ["statsd", "dogstatsd"];

/// All types of samples.
const TYPES: [&str; 7] = ["c", "m", "ms", "g", "h", "d", "s"];

/// A packet, in which `$` stands for a name of its own; the series that a worker receives, without that
/// name; and the reasons of the rejections.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// Rows that mean the same in both dialects.
const ROWS: &[Row<'_>] = &[
    // Identities of a client's container, and other fields that are no measurement.
    ("$:1|c|c:0123ef", &[("", "c 1")], &[]),
    ("$:0|g|c:f1ce", &[("", "g 0")], &[]),
    ("$:1|c|c:ci-0123|e:it-false,cn-x,pu-y|card:low", &[("", "c 1")], &[]),
    ("$:1|c|c:in-123", &[("", "c 1")], &[]),
    ("$:5|g|m:test", &[("", "g 5")], &[]),
    // Several values, and several samples of one name.
    ("$:21:43.2:1657|d|#t", &[(";t=true", "h 3 1721.2 21 1657")], &[]),
    ("$:1:2:3|c", &[("", "c 6")], &[]),
    ("$:1:2:3|ms", &[("", "t 3 0.006 0.001 0.003")], &[]),
    ("$:1|ms:2|ms|@0.5:3|ms", &[("", "t 4 0.008 0.001 0.003")], &[]),
    ("$:abc:def|s", &[("", "s abc:def")], &[]),
    ("$:a|s\n$:a|s\n$:b|s", &[("", "s a,b")], &[]),
    // Tags.
    ("$:1|c|#addr:0.0.0.0:443", &[(";addr=0.0.0.0:443", "c 1")], &[]),
    ("$:1|c|#k=v", &[(";k=v=true", "c 1")], &[]),
    ("$:1|c|#x:1,#y:2", &[(";x=1;y=2", "c 1")], &[]),
    ("$:1|c|#", &[("", "c 1")], &[]),
    ("$:1|c|#x:1,x:2", &[(";x=2", "c 1")], &["tags"]),
    ("$:1|c|#env:prod,reg:", &[(";env=prod", "c 1")], &["tags"]),
    ("$,k=v:1|c", &[(";k=v", "c 1")], &[]),
    ("$.[k=v]:1|c", &[(";k=v", "c 1")], &[]),
    ("$;k=v:1|c", &[(";k=v", "c 1")], &[]),
    ("$:1|c|#host:web-1", &[("@web-1", "c 1")], &[]),
    // Rates, before and after the tags.
    ("$:1|h|#t|@0.1", &[(";t=true", "h 10 10 1 1")], &[]),
    ("$:1|h|@0.1|#t", &[(";t=true", "h 10 10 1 1")], &[]),
    ("$:2|c|@0", &[], &["rate"]),
    // Ends of lines.
    ("$:1|c\n", &[("", "c 1")], &[]),
    ("\n$:1|c\r\n\n", &[("", "c 1")], &[]),
    // Lines that are wrong, and their neighbours.
    ("$.x:1|c\n$:  0.11  -0.05|h\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["value"]),
    ("$.x:1|c\n$:?|g\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["value"]),
    ("$.x:1|c\n$:NaN|g\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["value"]),
    ("$.x:1|c\n$:-inf|c\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["value"]),
    ("$.x:1|c\n$\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["fields"]),
    ("$.x:1|c\n$:1\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["type"]),
    ("$.x:1|c\n$:1|\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["type"]),
    ("$.x:1|c\n$:1|x\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["type"]),
    ("$.x:1|c\n:1|c\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["name"]),
    ("$.x:1|c\n_sc|n|0\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["service_check"]),
    ("$.x:1|c\n_e{5,4}:title|text\n$.y:2|c", &[(".x", "c 1"), (".y", "c 2")], &["event"]),
    ("$:1|c|0.1", &[], &["fields"]),
    ("$:-1|ms", &[], &["value"]),
    ("$:1:x:3|c", &[("", "c 4")], &["value"]),
    // Times.
    ("$:5|g|T1700000000", &[("", "g 5")], &[]),
    ("$:5|g|T0", &[], &["timestamp"]),
    ("$:5|g|Tx", &[], &["timestamp"]),
    ("$:5|g|T4102444800", &[], &["future"]),
];

/// A row with owned texts.
type Owned = (String, Vec<(String, String)>, Vec<String>);

/// Sends all rows, each with a name of its own, and so many in a packet. Compares what a worker
/// receives, and the total of what is rejected.
#[track_caller]
fn check(dialect: &str, rows: &[Owned], in_a_packet: usize) {
    let mut intakes = Intakes::start();
    let to = intakes.dialect(dialect);
    let (mut expected, mut reasons) = (Series::new(), BTreeMap::new());
    let mut lines = Vec::new();
    for (at, (packet, series, rejected)) in rows.iter().enumerate() {
        let name = format!("row{at}");
        lines.push(packet.replace('$', &name));
        expected.extend(series.iter().map(|(end, value)| (format!("{name}{end}"), value.clone())));
        rejected.iter().for_each(|reason| *reasons.entry(&**reason).or_default() += 1);
    }
    lines.chunks(in_a_packet).for_each(|lines| intakes.send(to, lines.join("\n")));
    let received = intakes.received("statsd");
    for (name, reading) in &expected {
        let row = name.trim_start_matches("row").split(|c: char| !c.is_ascii_digit()).next();
        let packet = &rows[row.unwrap().parse::<usize>().unwrap()].0;
        assert_eq!(received.get(name), Some(reading), "{dialect} {packet:?}: {name}");
    }
    assert_eq!(received, expected, "{dialect}");
    intakes.check_rejected("statsd", &reasons.into_iter().collect::<Vec<_>>());
}

fn row(packet: &str, series: &[(&str, &str)], reasons: &[&str]) -> Owned {
    let owned = |text: &&str| (*text).to_owned();
    let series = series.iter().map(|(end, value)| (owned(end), owned(value))).collect();
    (packet.to_owned(), series, reasons.iter().map(owned).collect())
}

#[test]
fn lines_that_broke_other_servers_of_statsd() {
    for dialect in DIALECTS {
        let mut rows: Vec<_> = ROWS.iter().map(|(p, s, r)| row(p, s, r)).collect();
        // A sign is a change or a value.
        let three = "$:-1|g\n$:-1|g\n$:-1|g";
        rows.push(row(three, &[("", if dialect == "statsd" { "g -3" } else { "g -1" })], &[]));
        let plus = if dialect == "statsd" { "g 7" } else { "g 2" };
        rows.push(row("$:5|g\n$:+2|g", &[("", plus)], &[]));
        check(dialect, &rows, 1);
    }
}

/// What one sample of each type with the value 1 is, and with a rate of 0.5.
fn one(of: &str, rate: bool) -> &'static str {
    match (of, rate) {
        ("c" | "m", false) => "c 1",
        ("c" | "m", true) => "c 2",
        ("ms", false) => "t 1 0.001 0.001 0.001",
        ("ms", true) => "t 2 0.002 0.001 0.001",
        ("g", _) => "g 1",
        ("s", _) => "s 1",
        (_, false) => "h 1 1 1 1",
        (_, true) => "h 2 2 1 1",
    }
}

#[test]
fn values_that_are_no_number_are_rejected_for_every_type() {
    let values = [
        "NaN", "nan", "-nan", "inf", "-inf", "+inf", "Infinity", "1e999", "-1e999", "nan%", "99%",
        "0x10", "1_000", "1,5", "--1", "1e", "\u{661}", " ", "", "?",
    ];
    for dialect in DIALECTS {
        let mut rows = Vec::new();
        for of in TYPES {
            for value in values {
                let packet = format!("$.before:1|c\n$:{value}|{of}\n$.after:1|c");
                let beside = [(".before", "c 1"), (".after", "c 1")];
                // A member is any text.
                let member = format!("s {}", if value.is_empty() { "0" } else { value });
                let all = [beside[0], beside[1], ("", &member)];
                rows.push(match of {
                    "s" => row(&packet, &all, &[]),
                    _ => row(&packet, &beside, &["value"]),
                });
            }
        }
        check(dialect, &rows, 20);
    }
}

#[test]
fn fields_of_every_kind_after_every_type() {
    let rates = ["0", "-1", "2", "1e-10", "NaN", "inf", "", "x", "0x1"];
    let times = [
        "0",
        "x",
        "",
        "-1",
        "+1",
        "1.5",
        "1700000000.5",
        "18446744073709551",
        "253402300800",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
    ];
    let others = [
        "c:0123ef",
        "c:ci-0123",
        "c:in-123",
        "c:",
        "e:it-false",
        "card:low",
        "card:high",
        "m:test",
        "x",
        "T1700000000",
        "T1",
    ];
    for dialect in DIALECTS {
        let mut rows = Vec::new();
        for of in TYPES {
            let mut push = |field: &str, series: &[(&str, &str)], reasons: &[&str]| {
                rows.push(row(&format!("$:1|{of}|{field}"), series, reasons));
                // In any order.
                let tag: Vec<_> = series.iter().map(|(_, reading)| (";t=true", *reading)).collect();
                rows.push(row(&format!("$:1|{of}|#t|{field}"), &tag, reasons));
                rows.push(row(&format!("$:1|{of}|#t|c:1|{field}"), &tag, reasons));
            };
            rates.iter().for_each(|rate| push(&format!("@{rate}"), &[], &["rate"]));
            times.iter().for_each(|time| push(&format!("T{time}"), &[], &["timestamp"]));
            // The years 2100 and 9999.
            ["T4102444800", "T253402300799"].iter().for_each(|time| push(time, &[], &["future"]));
            ["0.1", "-x", "=1", "(", "\u{e9}"].iter().for_each(|f| push(f, &[], &["fields"]));
            let others = others.iter();
            others.for_each(|field| push(field, &[("", one(of, false))], &[]));
            push("@0.5", &[("", one(of, true))], &[]);
            push("@1", &[("", one(of, false))], &[]);
        }
        check(dialect, &rows, 20);
    }
}

#[test]
fn the_time_that_a_client_gives_is_that_of_the_gauge() {
    let mut intakes = Intakes::start();
    intakes.send(intakes.address("statsd"), "a:5|g|T1700000000\na:7|g|T1700000001");
    assert_eq!(intakes.received("statsd"), super::named([("a", "g 7")]));
    let gauge = intakes.window().into_series().into_iter().find_map(|series| {
        let is_it = &*series.name == "a";
        is_it.then_some(series.value)
    });
    let Some(zibrato::window::Fold::Gauge(Some(gauge))) = gauge else { panic!("{gauge:?}") };
    assert_eq!(gauge.at_ms, 1_700_000_001_000);
}
