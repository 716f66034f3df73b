//! Datagrams that broke other receivers of CollectD's protocol, and what a worker receives of them.

use super::parts::{
    ABSOLUTE, COUNTER, DERIVE, GAUGE, PLUGIN_INSTANCE, TIME, TYPE, TYPE_INSTANCE, VALUES, gauges,
    header, list, now, part, text, values,
};
use super::{Intakes, named};
use std::collections::BTreeMap;

/// A gauge before and one after something else, in one datagram.
fn between(row: usize, wrong: &[u8]) -> Vec<u8> {
    let named = |name: &str| [text(TYPE, "gauge"), text(TYPE_INSTANCE, name), gauges(&[1.0])];
    let (before, after) = (named(&format!("before{row}")), named(&format!("after{row}")));
    [header("h", now(), "gauge"), before.concat(), wrong.to_vec(), after.concat()].concat()
}

/// Sends each between two gauges. `ends` says whether the rest of the datagram is lost.
#[track_caller]
fn check(intakes: &mut Intakes, rows: &[(Vec<u8>, &str, bool)], more: &[(&str, &str)]) {
    let (mut expected, mut reasons) = (named(more.iter().copied()), BTreeMap::new());
    for (at, (wrong, reason, ends)) in rows.iter().enumerate() {
        intakes.send(intakes.address("collectd"), between(at, wrong));
        expected.insert(format!("p.gauge.before{at}@h"), "g 1".to_owned());
        if !ends {
            expected.insert(format!("p.gauge.after{at}@h"), "g 1".to_owned());
        }
        if !reason.is_empty() {
            *reasons.entry(*reason).or_default() += 1;
        }
    }
    assert_eq!(intakes.received("collectd"), expected);
    intakes.check_rejected("collectd", &reasons.into_iter().collect::<Vec<_>>());
}

#[test]
fn parts_whose_length_is_wrong_end_the_datagram_and_are_counted() {
    let mut rows = vec![
        (vec![0, 6, 0, 4], "truncated", true),
        (vec![0, 6, 0, 3], "part", true),
        (vec![0, 6, 0, 0], "part", true),
        (vec![0, 0, 0, 0], "part", true),
        (vec![0, 6, 255, 255], "truncated", true),
        (vec![255, 255, 255, 255], "truncated", true),
        // Values that are fewer than their number, and more.
        (part(VALUES, b"\0\x02\x01\x01\0\0\0\0\0\0\0\0"), "truncated", true),
        (part(VALUES, b"\xff\xff\x01\0\0\0\0\0\0\0\0"), "truncated", true),
        (part(VALUES, b"\0\x00\x01\0\0\0\0\0\0\0\0"), "part", true),
        // Texts without an end.
        (part(TYPE, b""), "part", true),
        (part(TYPE, b"gauge"), "part", true),
        // Encrypted data whose user is longer than the part.
        (part(0x210, b"\xff\xffalice"), "truncated", true),
        (part(0x210, b"\0\0"), "truncated", true),
        (part(0x200, b""), "truncated", true),
        // A part that is not known is skipped.
        (part(0x42, &[1; 99]), "", false),
        (part(0x42, b""), "", false),
    ];
    // Times and intervals, in seconds and with fractions.
    for kind in [TIME, 7, 8, 9] {
        let lengths = (0..=20).filter(|length| *length != 8);
        rows.extend(lengths.map(|length| (part(kind, &vec![1; length]), "part", true)));
    }
    check(&mut Intakes::start(), &rows, &[]);
}

#[test]
fn a_signature_is_skipped_without_an_auth_file() {
    let signatures = [&[7; 32][..], b"alice"].concat();
    let rows = [
        (part(0x200, &signatures), "", false),
        (part(0x200, &[&[0; 32][..], b"\0"].concat()), "", false),
        (part(0x200, &[7; 3_000]), "", false),
        // Without a code, and without a user.
        (part(0x200, &[7; 31]), "truncated", true),
        (part(0x200, &[7; 32]), "part", true),
    ];
    check(&mut Intakes::start(), &rows, &[]);
}

/// Values of a type beside their codes.
fn of(type_name: &str, all: &[(u8, [u8; 8])]) -> Vec<u8> {
    [text(TYPE, type_name), text(TYPE_INSTANCE, "wrong"), values(all)].concat()
}

#[test]
fn lists_that_differ_from_types_db_are_dropped_and_named() {
    let mut intakes = Intakes::start();
    let one = 1.0_f64.to_le_bytes();
    let mut rows = vec![
        (of("gauge", &[(GAUGE, one); 2]), "values", false),
        (of("gauge", &[]), "values", false),
        (of("load", &[(GAUGE, one); 2]), "values", false),
        (of("load", &[(GAUGE, one); 4]), "values", false),
        (of("nosuch", &[(GAUGE, one)]), "type", false),
        // Lines of types.db that are wrong.
        (of("gauge2", &[(GAUGE, one)]), "type", false),
        (of("wrong", &[(GAUGE, one)]), "type", false),
        (of("percent", &[(GAUGE, 100.5_f64.to_le_bytes())]), "range", false),
    ];
    // Each kind with the code of each other one, and with codes that are not known.
    for (name, code) in
        [("counter", COUNTER), ("gauge", GAUGE), ("derive", DERIVE), ("absolute", ABSOLUTE)]
    {
        let others = [0, 1, 2, 3, 4, 255].into_iter().filter(|other| *other != code);
        rows.extend(others.map(|other| (of(name, &[(other, one)]), "values", false)));
    }
    check(&mut intakes, &rows, &[]);
    let log = intakes.broker.running().says(&["reason=\"values\""]);
    assert!(log.contains("h/p/gauge-wrong: types.db has another number of values"), "{log}");
    let log = intakes.broker.running().says(&["reason=\"type\""]);
    assert!(log.contains("h/p/nosuch-wrong: no types.db has the type"), "{log}");
    for line in [2, 4, 6] {
        intakes.broker.running().says(&["invalid_line", "types.db", &format!("line={line} ")]);
    }
}

#[test]
fn readings_that_are_no_number_do_not_cost_their_neighbours() {
    let mut intakes = Intakes::start();
    let load = |at: usize, all: [f64; 3]| {
        [text(TYPE, "load"), text(TYPE_INSTANCE, &at.to_string()), gauges(&all)].concat()
    };
    let wrong = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN];
    let rows: Vec<_> = wrong
        .iter()
        .enumerate()
        .map(|(at, wrong)| (load(at, [1.0, *wrong, 3.0]), "value", false))
        .collect();
    let more: Vec<_> = (0..wrong.len())
        .flat_map(|at| {
            [
                (format!("p.load.{at}.shortterm@h"), "g 1"),
                (format!("p.load.{at}.longterm@h"), "g 3"),
            ]
        })
        .collect();
    let more: Vec<_> = more.iter().map(|(name, value)| (&**name, *value)).collect();
    check(&mut intakes, &rows, &more);
}

/// The readings of a value at two times, ten seconds apart.
fn twice(type_name: &str, code: u8, [first, second]: [u64; 2]) -> [Vec<u8>; 2] {
    let at = |seconds: u64, value: u64| {
        let instance = text(PLUGIN_INSTANCE, &code.to_string());
        let list = values(&[(code, value.to_be_bytes())]);
        [header("h", seconds, type_name), instance, list].concat()
    };
    let now = now();
    [at(now - 10, first), at(now, second)]
}

#[test]
fn types_db_decides_between_counter_and_derive() {
    let start = || Intakes::start_with(|_| vec!["--collectd-counter-eq-derive".to_owned()]);
    let mut intakes = start();
    let to = intakes.address("collectd");
    // A derive may fall; a counter has wrapped then.
    for (type_name, code) in
        [("derive", COUNTER), ("derive", DERIVE), ("counter", COUNTER), ("counter", DERIVE)]
    {
        twice(type_name, code, [1_000, 500]).iter().for_each(|datagram| intakes.send(to, datagram));
    }
    let received = intakes.received("collectd");
    let expected = [
        ("p.0.counter@h", "g 429496679.6"),
        ("p.0.derive@h", "g -50"),
        ("p.2.counter@h", "g 429496679.6"),
        ("p.2.derive@h", "g -50"),
    ];
    assert_eq!(received, named(expected));
    intakes.check_rejected("collectd", &[]);
}

#[test]
fn a_datagram_of_the_largest_size_is_accepted() {
    let mut intakes = Intakes::start();
    let mut datagram = header("h", now(), "gauge");
    let one = |n: usize| [text(TYPE_INSTANCE, &format!("{n:05}")), gauges(&[n as f64])].concat();
    let mut count = 0;
    while datagram.len() + one(count).len() <= 65_507 {
        datagram.extend(one(count));
        count += 1;
    }
    // A part that is not known fills the rest.
    let rest = 65_507 - datagram.len();
    if rest >= 4 {
        datagram.extend(part(0x42, &vec![0; rest - 4]));
    }
    assert!(datagram.len() > 65_503, "{}", datagram.len());
    intakes.send_alone("collectd", &datagram);
    let received = intakes.received("collectd");
    assert_eq!(received.len(), count);
    assert!((0..count).all(|n| received[&format!("p.gauge.{n:05}@h")] == format!("g {n}")));
    intakes.check_rejected("collectd", &[]);
}

#[test]
fn values_of_other_times_are_rejected_and_do_not_silence_a_list() {
    let mut intakes = Intakes::start();
    let at = |seconds: u64, value: f64| [header("h", seconds, "gauge"), gauges(&[value])].concat();
    let to = intakes.address("collectd");
    // The years 2100 and beyond all years.
    for seconds in [4_102_444_800, u64::MAX, now() + 330] {
        intakes.send(to, at(seconds, 9.0));
    }
    let now = now();
    intakes.send(to, at(now, 1.0));
    // Parts in another order, and twice: the last one before the values counts.
    let time = part(TIME, &(now + 1).to_be_bytes());
    let out_of_order = [text(TYPE, "gauge"), time, text(2, "x"), text(2, "p"), text(0, "h")];
    intakes.send(to, [out_of_order.concat(), gauges(&[2.0])].concat());
    // Replayed, and older.
    intakes.send(to, at(now - 1, 8.0));
    // Values before what they belong to.
    intakes.send(to, [gauges(&[7.0]), header("h", now, "gauge")].concat());
    let received = intakes.received("collectd");
    assert_eq!(received, named([("p.gauge@h", "g 2")]));
    intakes.check_rejected("collectd", &[("future", 3), ("incomplete", 1), ("late", 1)]);
}

#[test]
fn texts_that_are_not_valid_cost_only_their_values() {
    let mut intakes = Intakes::start();
    let named = |instance: &[u8]| {
        [text(TYPE, "gauge"), part(TYPE_INSTANCE, instance), gauges(&[1.0])].concat()
    };
    let long = [&[b'x'; 256][..], b"\0"].concat();
    let rows = [
        (named(b"\xff\0"), "encoding", false),
        (named(b"\xc3\0"), "encoding", false),
        (named(b"a|b\0"), "name", false),
        (named(b"a\nb\0"), "name", false),
        (named(&long), "length", false),
        (named(&[&[b'x'; 255][..], b"\0"].concat()), "name", false),
        (part(0x100, b"a notification\0"), "notification", false),
    ];
    check(&mut intakes, &rows, &[]);
    intakes.send(intakes.address("collectd"), list("h", "caf\u{e9}", 1.0));
    assert_eq!(intakes.received("collectd")["p.gauge.caf\u{e9}@h"], "g 1");
}
