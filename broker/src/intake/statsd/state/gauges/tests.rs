//! The values of gauges over intervals, and in files.

use super::{Gauges, KEPT_MS, Restored};
use crate::intake::statsd::grammar::{Dialect, decode};
use crate::intake::statsd::state::{Matching, Table, Taken};
use serde_json::Value;
use std::collections::BTreeMap;

/// The gauges as in the file, in the order of their names.
fn saved(gauges: &Gauges) -> String {
    let mut file = Vec::new();
    gauges.write_json(&mut file).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_slice(&file).unwrap();
    serde_json::to_string(&all).unwrap()
}

/// The last value of each gauge after an interval.
fn interval(gauges: &mut Gauges, packet: &str, now_ms: u64) -> Vec<Option<f64>> {
    let mut table = Table::new(100);
    decode(packet.as_bytes(), Dialect::Statsd, |_, sample| {
        table.add(&sample.unwrap(), now_ms).unwrap();
    });
    table.end_interval();
    let mut all = Vec::new();
    table.take(100, |named, taken| {
        let Taken::Gauge(changes) = taken else { return };
        all.push(gauges.readings(named.series(), &changes, now_ms).map(|gauge| gauge.last));
    });
    all
}

#[test]
fn changes_build_on_the_value_of_earlier_intervals() {
    let mut gauges = Gauges::new(100);
    for (packet, expected) in [
        ("g:10|g", 10.0),
        ("g:+1|g", 11.0),
        ("g:-20|g", -9.0),
        ("g:0|g\ng:-3|g", -3.0),
        ("g:-10|g|#x:1", -10.0),
        ("g:-10|g|#host:x", -10.0),
        ("g:+1|g", -2.0),
        // The same series in another spelling.
        ("g,x=1:+1|g", -9.0),
    ] {
        assert_eq!(interval(&mut gauges, packet, 1), [Some(expected)], "{packet}");
    }
    assert_eq!(gauges.all().count(), 3);
}

#[test]
fn the_memory_of_gauges_is_bounded_and_given_back() {
    let mut gauges = Gauges::new(10);
    let tags: Vec<_> = (0..50).map(|n| format!("t{n}:x")).collect();
    let packet = |n: usize| format!("g{n}:1|g|#{}", tags.join(","));
    let known = (0..10).filter(|n| interval(&mut gauges, &packet(*n), 1)[0].is_some()).count();
    assert_eq!(known, 2);
    assert!(gauges.bytes() > 10_000);
    gauges.remove(Matching(&["g0"]));
    assert_eq!(interval(&mut gauges, &packet(2), 1), [Some(1.0)]);
    gauges.repeat(1 + KEPT_MS, 1 + KEPT_MS, |_, _| true);
    assert_eq!((gauges.all().count(), gauges.held_bytes), (0, 0));
}

#[test]
fn the_number_of_gauges_is_bounded() {
    let mut gauges = Gauges::new(2);
    let last = interval(&mut gauges, "a:1|g\nb:1|g\nc:1|g\na:+1|g", 1);
    assert_eq!(last, [Some(2.0), Some(1.0), None]);
}

#[test]
fn idle_gauges_are_repeated_for_a_day() {
    let mut gauges = Gauges::new(100);
    interval(&mut gauges, "a:1|g\nb:2|g|#x:1", 1_000);
    interval(&mut gauges, "a:3|g", 10_000);
    let mut repeated = |now_ms| {
        let mut all = Vec::new();
        gauges.repeat(now_ms, now_ms, |series, gauge| {
            all.push((series.name.to_owned(), gauge.last, gauge.is_idle()));
            true
        });
        all
    };
    assert_eq!(repeated(10_000), [("b".to_owned(), 2.0, true)]);
    assert_eq!(repeated(19_999), []);
    // No call may be in a certain second.
    assert_eq!(repeated(21_000).len(), 2);
    assert_eq!(repeated(29_000), []);
    assert_eq!(repeated(1_000 + KEPT_MS), [("a".to_owned(), 3.0, true)]);
}

#[test]
fn a_clock_that_is_set_neither_forgets_gauges_nor_stops_their_repetition() {
    let (mut gauges, hour) = (Gauges::new(100), 3_600_000);
    let mut now_ms = 1_000 * hour;
    interval(&mut gauges, "g:100|g", 1_000);
    for (uptime_ms, ahead) in [(12_000, 2 * KEPT_MS), (23_000, 0)] {
        now_ms += ahead;
        let mut repeated = Vec::new();
        gauges.repeat(now_ms, uptime_ms, |_, gauge| {
            repeated.push(gauge.last);
            true
        });
        assert_eq!(repeated, [100.0]);
        now_ms -= hour;
    }
    assert_eq!(interval(&mut gauges, "g:+1|g", 24_000), [Some(101.0)]);
    gauges.repeat(now_ms, 24_000 + KEPT_MS, |_, _| panic!("it is forgotten"));
}

#[test]
fn an_old_value_does_not_become_the_current_one() {
    let mut gauges = Gauges::new(100);
    assert_eq!(interval(&mut gauges, "g:100|g", 50_000), [Some(100.0)]);
    assert_eq!(interval(&mut gauges, "g:5|g|T20", 51_000), [Some(5.0)]);
    assert_eq!(saved(&gauges), r#"{"g":100.0}"#);
    let mut table = Table::new(100);
    decode(b"g:5|g|T20", Dialect::Statsd, |_, sample| {
        table.add(&sample.unwrap(), 52_000).unwrap();
    });
    table.end_interval();
    table.gauges(|series, changes| gauges.settle(series, changes, 52_000));
    table.take(100, |named, taken| {
        let Taken::Gauge(changes) = taken else { panic!("a gauge") };
        assert_eq!(gauges.readings(named.series(), &changes, 52_000).unwrap().last, 5.0);
    });
    assert_eq!(interval(&mut gauges, "g:+1|g", 53_000), [Some(101.0)]);
    assert_eq!(interval(&mut gauges, "g:5|g|T20\ng:+1|g", 54_000), [Some(102.0)]);
}

#[test]
fn a_repetition_continues_where_it_broke_off() {
    let mut gauges = Gauges::new(100);
    interval(&mut gauges, "a:1|g\nb:2|g\nc:3|g\nd:4|g\ne:5|g", 1);
    let mut all = Vec::new();
    let mut repeat = |now_ms| {
        gauges.repeat(now_ms, now_ms, |series, _| {
            all.push(series.name.to_owned());
            all.len() % 2 != 0
        })
    };
    let complete: Vec<_> = (10..15).map(|second| repeat(second * 1_000)).collect();
    assert_eq!(complete, [false, false, true, true, true]);
    all.sort();
    assert_eq!(all, ["a", "b", "c", "d", "e"]);
}

#[test]
fn settled_changes_are_not_applied_twice() {
    let mut gauges = Gauges::new(100);
    interval(&mut gauges, "a:10|g", 1);
    let mut table = Table::new(100);
    decode(b"a:+1|g\nb:+2|g", Dialect::Statsd, |_, sample| {
        table.add(&sample.unwrap(), 2).unwrap();
    });
    table.end_interval();
    table.gauges(|series, changes| gauges.settle(series, changes, 2));
    assert_eq!(saved(&gauges), r#"{"a":11.0,"b":2.0}"#);
    table.take(100, |named, taken| {
        let Taken::Gauge(changes) = taken else { panic!("a gauge") };
        gauges.readings(named.series(), &changes, 2);
    });
    assert_eq!(saved(&gauges), r#"{"a":11.0,"b":2.0}"#);
}

#[test]
fn they_are_saved_and_restored() {
    let mut gauges = Gauges::new(100);
    interval(&mut gauges, "g:1.5|g\nh:2|g", 1);
    assert_eq!(saved(&gauges), r#"{"g":1.5,"h":2.0}"#);
    interval(&mut gauges, "h:3|g|#x:1,y:a;b=c,host:web-1", 1);
    let file = saved(&gauges);
    let tagged = r#""h;x=1;y=a;b=c;source=web-1":[3.0,{"source":"web-1","x":"1","y":"a;b=c"}]"#;
    assert!(file.contains(tagged), "{file}");
    let mut restored = Gauges::new(100);
    let all = Restored { restored: 3, ..Restored::default() };
    assert_eq!(restored.restore(file.as_bytes(), 1, 1).unwrap(), all);
    assert_eq!(saved(&restored), file);
    let last = interval(&mut restored, "h:+1|g|#x:1,y:a;b=c,host:web-1\ng:+1|g", 1);
    assert_eq!(last, [Some(4.0), Some(2.5)]);
}

#[test]
fn files_of_bucky_are_read_and_broken_ones_are_not() {
    let mut gauges = Gauges::new(5);
    let file = br#"{"g": 1.5, "h": [2, {}], "i": [3, {"env": "prod"}], "%": 1, "k": "x",
        "h2": [12.5, null], "i2": [1, {"canary": null}],
        "l": [1], "m": [1, {"a": 1}], "n": null, "o": 1}"#;
    let Restored { restored, left_out, first } = gauges.restore(file, 1, 1).unwrap();
    assert_eq!((restored, left_out), (5, 6));
    let names: Vec<_> = first.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["%", "k", "l", "m", "n", "o"]);
    assert!(first[0].1.contains("name") && first[3].1.contains("tag"), "{first:?}");
    assert!(first[5].1.contains("--statsd-max-series"), "{first:?}");
    assert_eq!(
        saved(&gauges),
        r#"{"g":1.5,"h":2.0,"h2":12.5,"i2;canary=true":[1.0,{"canary":"true"}],"i;env=prod":[3.0,{"env":"prod"}]}"#
    );
    for broken in ["", "{\"g\": 1.", "[]", "1"] {
        assert!(gauges.restore(broken.as_bytes(), 1, 1).is_err(), "{broken}");
    }
}

#[test]
fn they_are_removed_by_name() {
    let mut gauges = Gauges::new(100);
    interval(&mut gauges, "a.b:1|g\nb:1|g", 1);
    assert_eq!(gauges.remove(Matching(&["a.*"])), ["a.b"]);
    assert_eq!(gauges.all().count(), 1);
}
