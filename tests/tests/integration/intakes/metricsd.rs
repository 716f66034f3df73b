//! Packets of MetricsD that are wrong, and what a worker receives of their neighbours.

use super::parts::{change, host, string, update};
use super::{Intakes, named};
use std::collections::BTreeMap;

const COUNTER: u8 = 0x00;
const GAUGE: u8 = 0x10;
const KINDS: [u8; 5] = [COUNTER, GAUGE, 0x20, 0x30, 0x40];

/// Sends each between two gauges in a packet. `ends` says whether the rest of the packet is lost.
#[track_caller]
fn check(intakes: &mut Intakes, rows: &[(Vec<u8>, &str, bool)]) {
    let (mut expected, mut reasons) = (named([]), BTreeMap::new());
    for (at, (wrong, reason, ends)) in rows.iter().enumerate() {
        let (before, after) = (format!("before{at}"), format!("after{at}"));
        let packet =
            [host("h"), change(GAUGE, &before, 1.0), wrong.clone(), change(GAUGE, &after, 1.0)];
        intakes.send(intakes.address("metricsd"), packet.concat());
        expected.insert(format!("{before}@h"), "g 1".to_owned());
        if !ends {
            expected.insert(format!("{after}@h"), "g 1".to_owned());
        }
        *reasons.entry(*reason).or_default() += 1;
    }
    assert_eq!(intakes.received("metricsd"), expected);
    intakes.check_rejected("metricsd", &reasons.into_iter().collect::<Vec<_>>());
}

#[test]
fn an_error_in_a_packet_ends_it_and_keeps_what_came_before() {
    let update = |name: &[u8], number: &[u8]| [&[GAUGE][..], name, number].concat();
    let one = [&[0x41][..], &1.0_f64.to_be_bytes()].concat();
    check(
        &mut Intakes::start(),
        &[
            (vec![0x50], "type", true),
            (vec![0xf0], "type", true),
            (vec![0x13], "action", true),
            (vec![0x1f], "action", true),
            // Lengths that lie.
            (update(b"\xff\xffx\0", &one), "string", true),
            (update(b"\0\0x\0", &one), "terminator", true),
            (update(b"\0\x01x\x01", &one), "terminator", true),
            (update(b"\0\x02\xc3\x28\0", &one), "encoding", true),
            (update(&string("x"), &[0x02, 0]), "number_type", true),
            (update(&string("x"), &[0xff]), "number_type", true),
        ],
    );
}

#[test]
fn packets_that_are_cut_anywhere_are_counted() {
    let mut intakes = Intakes::start();
    let whole = [host("h"), change(GAUGE, "a", 1.0), change(GAUGE, "b", 1.0)].concat();
    let first = host("h").len() + change(GAUGE, "a", 1.0).len();
    let mut reasons = BTreeMap::new();
    let mut expect = |reason| *reasons.entry(reason).or_default() += 1;
    for length in 0..whole.len() {
        intakes.send(intakes.address("metricsd"), &whole[..length]);
        // Between two changes, nothing is missing.
        let of_change =
            if length < first { length - host("h").len().min(length) } else { length - first };
        match length {
            0 => expect("magic"),
            1..=4 => expect("string"),
            _ if of_change == 0 => {}
            _ if of_change < 1 + string("a").len() => expect("string"),
            _ => expect("number"),
        }
    }
    let received = intakes.received("metricsd");
    assert_eq!(received, named([("a@h", "g 1")]));
    intakes.check_rejected("metricsd", &reasons.into_iter().collect::<Vec<_>>());
}

#[test]
fn values_names_and_hosts_that_are_not_valid_cost_only_their_change() {
    let mut rows = Vec::new();
    for kind in KINDS {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            rows.push((change(kind, "wrong", value), "value", false));
            // A float of 32 bits.
            let short = (value as f32).to_be_bytes();
            let update = [&[kind][..], &string("wrong"), &[0x40], &short].concat();
            rows.push((update, "value", false));
        }
        for name in ["", "a|b", "a\nb", "a\0b", &"x".repeat(256)] {
            rows.push((change(kind, name, 1.0), "name", false));
        }
    }
    // A name that is a gauge already.
    rows.push((change(COUNTER, "before0", 1.0), "other_type", false));
    check(&mut Intakes::start(), &rows);
    let mut intakes = Intakes::start();
    for host in ["a|b", "a\nb", &"x".repeat(256)] {
        intakes.send(intakes.address("metricsd"), update(host, GAUGE, "a", 1.0));
    }
    for wrong in [&b"\xab\0\x01h\0"[..], b"", b"\xaa\0\x01\xff\0", b"garbage"] {
        intakes.send(intakes.address("metricsd"), wrong);
    }
    intakes.send(intakes.address("metricsd"), update("", GAUGE, "a", 1.0));
    assert_eq!(intakes.received("metricsd"), named([("a@not_specified", "g 1")]));
    intakes.check_rejected("metricsd", &[("encoding", 1), ("magic", 3), ("source", 3)]);
}

#[test]
fn a_packet_of_the_largest_size_is_read_to_its_end() {
    let mut intakes = Intakes::start();
    let mut packet = host("h");
    let mut count = 0;
    while packet.len() + change(COUNTER, "c", 1.0).len() <= 65_507 {
        packet.extend(change(COUNTER, "c", 1.0));
        count += 1;
    }
    // The rest is a kind that is not known.
    let rest = u64::from(packet.len() < 65_507);
    packet.resize(65_507, 0xff);
    intakes.send_alone("metricsd", &packet);
    assert_eq!(intakes.received("metricsd"), named([("c@h", &*format!("g {count}"))]));
    let reasons = [("type", rest)];
    intakes.check_rejected("metricsd", if rest > 0 { &reasons } else { &[] });
}
