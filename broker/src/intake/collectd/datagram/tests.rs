//! Recorded datagrams, and datagrams that are wrong in one way.

use super::{Decoder, Options, Outcome, SecurityLevel};
use crate::intake::collectd::auth::Users;
use crate::intake::collectd::parts::UNITS_PER_SECOND;
use crate::intake::collectd::types_db::TypesDb;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const NOW: u64 = 1_320_970_400_000;

const TYPES: &str = "\
gauge value:GAUGE:U:U
derive value:DERIVE:U:U
counter value:COUNTER:U:U
absolute value:ABSOLUTE:U:U
cpu value:DERIVE:0:U
memory value:GAUGE:0:281474976710656
if_octets rx:DERIVE:0:U, tx:DERIVE:0:U
load shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
percent value:GAUGE:0:100.1
";

/// Host, name, value and time in whole seconds.
type Value = (String, String, f64, u64);

/// The values of a datagram, and the reasons of the rejections.
type Decoded = (Vec<Value>, BTreeMap<&'static str, u64>);

fn decoder(options: Options, types: &str, auth: Option<&str>) -> Decoder {
    let mut db = TypesDb::default();
    db.add(types, |line, error| panic!("{line}: {error}"));
    Decoder::new(options, db, auth.map(|file| Users::parse(file.as_bytes(), |_, _| {})))
}

fn plain() -> Decoder {
    decoder(Options::default(), TYPES, None)
}

fn decode(decoder: &mut Decoder, datagram: &[u8]) -> Decoded {
    let (mut samples, mut rejected) = (Vec::new(), BTreeMap::new());
    decoder.decode(datagram, NOW, NOW, &mut |outcome| match outcome {
        Outcome::Sample(sample) => {
            let seconds = sample.list.time / UNITS_PER_SECOND;
            samples.push((sample.list.host.into(), sample.name.into(), sample.value, seconds));
        }
        Outcome::Rejected(rejection) => {
            assert!(!rejection.about.to_string().is_empty());
            *rejected.entry(rejection.reason).or_default() += 1;
        }
    });
    (samples, rejected)
}

/// The texts of what is rejected.
fn texts(decoder: &mut Decoder, datagram: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    decoder.decode(datagram, NOW, NOW, &mut |outcome| {
        if let Outcome::Rejected(rejected) = outcome {
            texts.push(format!("{}: {}", rejected.reason, rejected.about));
        }
    });
    texts
}

fn part(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 4).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    part(kind, &[text.as_bytes(), b"\0"].concat())
}

/// Host, time, plugin and type.
fn header(type_name: &str) -> Vec<u8> {
    let time = part(1, &1_320_970_329_u64.to_be_bytes());
    [text(0, "web-1"), time, text(2, "p"), text(4, type_name)].concat()
}

fn gauges(values: &[f64]) -> Vec<u8> {
    let count = u16::try_from(values.len()).unwrap().to_be_bytes();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    part(6, &[&count[..], &vec![1; values.len()], &data].concat())
}

fn value(name: &str, value: f64) -> Value {
    ("web-1".into(), name.into(), value, 1_320_970_329)
}

#[test]
fn recorded_datagrams_give_the_recorded_values() {
    for line in include_str!("vectors.jsonl").lines() {
        let vector: Json = serde_json::from_str(line).unwrap();
        let about = &vector["about"];
        let options = Options {
            security: match vector["level"].as_u64() {
                None | Some(0) => SecurityLevel::None,
                Some(1) => SecurityLevel::Sign,
                Some(_) => SecurityLevel::Encrypt,
            },
            counter_eq_derive: vector["counter_eq_derive"].as_bool().unwrap_or_default(),
            ..Options::default()
        };
        let types = [TYPES, vector["types_db"].as_str().unwrap_or_default()].concat();
        let mut decoder = decoder(options, &types, vector["auth_file"].as_str());
        for step in vector["steps"].as_array().unwrap() {
            let (samples, rejected) =
                decode(&mut decoder, &bytes(step["packet"].as_str().unwrap()));
            let expected: Vec<Value> = serde_json::from_value(step["samples"].clone())
                .unwrap_or_else(|e| panic!("{about}: {e}"));
            assert_eq!(samples, expected, "{about}");
            let expected: BTreeMap<String, u64> =
                serde_json::from_value(step["rejected"].clone()).unwrap_or_default();
            let rejected: BTreeMap<_, _> =
                rejected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
            assert_eq!(rejected, expected, "{about}");
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn the_lists_beside_a_wrong_one_are_kept() {
    let good = |name: &str, v: f64| [text(4, "gauge"), text(5, name), gauges(&[v])].concat();
    for (wrong, reason) in [
        ([text(4, "nosuch"), gauges(&[1.0])].concat(), "type"),
        ([text(4, "gauge"), gauges(&[1.0, 2.0])].concat(), "values"),
        ([text(4, "load"), gauges(&[1.0])].concat(), "values"),
        ([text(4, "gauge"), gauges(&[])].concat(), "values"),
        ([text(4, "derive"), gauges(&[1.0])].concat(), "values"),
        (gauges(&[f64::NAN]), "value"),
        (gauges(&[f64::NEG_INFINITY]), "value"),
        ([text(4, "percent"), gauges(&[101.0])].concat(), "range"),
        (part(0x100, b"hello\0"), "notification"),
        ([text(4, "x"), part(5, b"\xff\0"), gauges(&[1.0])].concat(), "encoding"),
        ([text(4, "gauge"), text(5, &"x".repeat(256)), gauges(&[1.0])].concat(), "length"),
    ] {
        let datagram = [header("gauge"), good("a", 1.0), wrong, good("b", 2.0)].concat();
        let expected =
            (vec![value("p.gauge.a", 1.0), value("p.gauge.b", 2.0)], BTreeMap::from([(reason, 1)]));
        assert_eq!(decode(&mut plain(), &datagram), expected, "{reason}");
    }
}

#[test]
fn a_value_that_is_no_number_does_not_cost_its_neighbours() {
    let datagram = [header("load"), gauges(&[1.0, f64::NAN, 3.0])].concat();
    let (values, rejected) = decode(&mut plain(), &datagram);
    assert_eq!(values, [value("p.load.shortterm", 1.0), value("p.load.longterm", 3.0)]);
    assert_eq!(rejected, BTreeMap::from([("value", 1)]));
}

#[test]
fn parts_that_lie_about_their_length_end_the_datagram() {
    let good = [header("gauge"), gauges(&[1.0])].concat();
    for (wrong, reason) in [
        (vec![0, 6, 0, 4], "truncated"),
        (vec![0, 6, 0, 3], "part"),
        (vec![0, 6, 0, 0], "part"),
        (vec![0, 6, 255, 255, 1], "truncated"),
        (part(1, &[0; 4]), "part"),
        (part(1, &[0; 16]), "part"),
        (part(8, &[0; 7]), "part"),
        (part(7, &[]), "part"),
        (part(9, &[0; 9]), "part"),
        (part(2, b""), "part"),
        (part(2, b"abc"), "part"),
        (part(6, b"\0\x01\x01\0\0"), "truncated"),
        (part(6, b"\0\0\x01"), "part"),
        (part(0x200, b"short"), "truncated"),
        (part(0x200, &[0; 32]), "part"),
        (part(0x210, b""), "truncated"),
        (part(0x210, b"\0\x05ali"), "truncated"),
        (part(0x210, &[0; 60]), "part"),
        (part(0x210, &[&b"\0\x05alice"[..], &[0; 36]].concat()), "truncated"),
        (vec![9], "truncated"),
    ] {
        let after = [text(5, "after"), gauges(&[2.0])].concat();
        let ends = [vec![9], vec![0, 6, 255, 255, 1]].contains(&wrong);
        let datagram = [&*good, &*wrong, if ends { &[] } else { &*after }].concat();
        let expected = (vec![value("p.gauge", 1.0)], BTreeMap::from([(reason, 1)]));
        assert_eq!(decode(&mut plain(), &datagram), expected, "{wrong:?}");
    }
}

#[test]
fn what_is_rejected_is_named() {
    let mut decoder = decoder(Options::default(), TYPES, Some("alice: 1"));
    let list = |type_name: &str| {
        [header(type_name), text(3, "i"), text(5, "t"), gauges(&[1.0, 2.0])].concat()
    };
    for (datagram, expected) in [
        (list("gauge"), "values: web-1/p-i/gauge-t: types.db has another number of values"),
        (list("nosuch"), "type: web-1/p-i/nosuch-t: no types.db has the type"),
        ([header("percent"), gauges(&[-1.0])].concat(), "range: web-1/p/percent: value"),
        (
            part(0x200, &[&[0; 32][..], b"bob"].concat()),
            "user: user bob: --collectd-auth-file does not have the user",
        ),
        (
            part(0x200, &[&[0; 32][..], b"alice"].concat()),
            "key: user alice: the signature is wrong; compare the passwords",
        ),
        (
            part(0x210, &[&b"\0\x05alice"[..], &[0; 40]].concat()),
            "key: user alice: it cannot be decrypted; compare the passwords",
        ),
        (part(0x100, b"disk full\0"), "notification: disk full"),
    ] {
        assert_eq!(texts(&mut decoder, &datagram), [expected]);
    }
}

#[test]
fn a_time_far_ahead_is_rejected_and_does_not_become_the_last() {
    let at = |seconds: u64, v: u64| {
        let list = [&b"\0\x01\x02"[..], &v.to_be_bytes()].concat();
        let time = part(1, &seconds.to_be_bytes());
        [text(0, "web-1"), time, text(2, "p"), text(4, "derive"), part(6, &list)].concat()
    };
    let mut decoder = plain();
    let now = NOW / 1_000;
    for far in [4_102_444_800, u64::MAX, now + 301] {
        let rejected = BTreeMap::from([("future", 1)]);
        assert_eq!(decode(&mut decoder, &at(far, 0)), (vec![], rejected));
    }
    assert_eq!(decode(&mut decoder, &at(now, 10)).0, []);
    assert_eq!(decode(&mut decoder, &at(now + 10, 30)).0[0].2, 2.0);
}

/// A gauge of this time in whole seconds.
fn gauge_at(seconds: u64) -> Vec<u8> {
    let time = part(1, &seconds.to_be_bytes());
    [text(0, "h"), time, text(2, "p"), text(4, "gauge"), gauges(&[1.0])].concat()
}

#[test]
fn texts_are_limited_before_they_are_kept_or_shown() {
    let mut decoder = decoder(Options::default(), TYPES, Some("alice: 1"));
    let host = text(0, &"h".repeat(30_000));
    let list = |n: usize| [text(5, &n.to_string()), gauges(&[1.0])].concat();
    let lists = (0..100).flat_map(list).collect();
    let datagram = [header("gauge"), host, lists].concat();
    assert_eq!(decode(&mut decoder, &datagram), (vec![], BTreeMap::from([("length", 100)])));
    assert_eq!(decoder.converter.bytes(), 0);
    let long = "u".repeat(30_000);
    for datagram in [
        text(0x100, &long),
        part(0x200, &[&[0; 32], long.as_bytes()].concat()),
        [header("gauge"), text(4, &long), gauges(&[1.0])].concat(),
    ] {
        let texts = texts(&mut decoder, &datagram);
        assert!(texts[0].len() < 300, "{} bytes", texts[0].len());
    }
}

#[test]
fn a_time_ahead_does_not_silence_a_list() {
    let (mut decoder, now) = (plain(), NOW / 1_000);
    for seconds in [now, now + 300, now, now + 9] {
        assert_eq!(decode(&mut decoder, &gauge_at(seconds)).0.len(), 1, "{seconds}");
    }
    let late = BTreeMap::from([("late", 1)]);
    assert_eq!(decode(&mut decoder, &gauge_at(now + 8)), (vec![], late));
}

#[test]
fn old_times_are_rejected_where_protection_is_required() {
    let now = NOW / 1_000;
    for (security, seconds, rejected) in [
        (SecurityLevel::None, now - 86_401, None),
        (SecurityLevel::Sign, now - 86_401, Some("old")),
        (SecurityLevel::Sign, now - 86_400, None),
        (SecurityLevel::Encrypt, now - 86_401, Some("old")),
    ] {
        let mut decoder = decoder(Options { security, ..Options::default() }, TYPES, None);
        let mut reasons = Vec::new();
        decoder.now_ms = NOW;
        decoder.parts(&gauge_at(seconds), SecurityLevel::Encrypt, &mut |outcome| {
            if let Outcome::Rejected(rejection) = outcome {
                reasons.push(rejection.reason);
            }
        });
        assert_eq!(reasons, Vec::from_iter(rejected), "{security:?} {seconds}");
    }
}

#[test]
fn a_datagram_that_is_repeated_gives_no_rates() {
    let mut decoder = plain();
    let at = |seconds: u64, v: u64| {
        let list = [&b"\0\x01\x00"[..], &v.to_be_bytes()].concat();
        let time = part(1, &seconds.to_be_bytes());
        [text(0, "h"), time, text(2, "p"), text(4, "counter"), part(6, &list)].concat()
    };
    decode(&mut decoder, &at(100, 0));
    assert_eq!(decode(&mut decoder, &at(110, 10)).0[0].2, 1.0);
    for old in [100, 110] {
        let late = BTreeMap::from([("late", 1)]);
        assert_eq!(decode(&mut decoder, &at(old, 0)), (vec![], late));
    }
    assert_eq!(decode(&mut decoder, &at(120, 30)).0[0].2, 2.0);
}

#[test]
fn the_data_sources_of_one_name_have_rates_of_their_own() {
    let mut decoder = plain();
    let at = |seconds: u64, rx: u64, tx: u64| {
        let list = [&b"\0\x02\x02\x02"[..], &rx.to_be_bytes(), &tx.to_be_bytes()].concat();
        let time = part(1, &seconds.to_be_bytes());
        let id = [text(0, "h"), text(2, "cpu"), text(3, "0"), text(4, "if_octets")].concat();
        [id, time, part(6, &list)].concat()
    };
    decode(&mut decoder, &at(100, 0, 0));
    let (values, _) = decode(&mut decoder, &at(110, 10, 20));
    let values: Vec<_> = values.iter().map(|(_, name, v, _)| (&**name, *v)).collect();
    assert_eq!(values, [("cpu.0.rx", 1.0), ("cpu.0.tx", 2.0)]);
}

#[test]
fn a_type_that_is_defined_anew_begins_anew() {
    let mut decoder = plain();
    let at = |seconds: u64, code: u8, v: u64| {
        let list = [&[0, 1, code][..], &v.to_be_bytes()].concat();
        let time = part(1, &seconds.to_be_bytes());
        [text(0, "h"), time, text(2, "p"), text(4, "counter"), part(6, &list)].concat()
    };
    decode(&mut decoder, &at(100, 0, 1_000));
    decoder.types.add("counter value:DERIVE:U:U", |_, _| {});
    assert_eq!(decode(&mut decoder, &at(110, 2, 10)).0, []);
    assert_eq!(decode(&mut decoder, &at(120, 2, 0)).0[0].2, -1.0);
}

#[test]
fn options_change_names_and_counters() {
    let options = Options { dot: Some("_".into()), counter_resets: true, ..Options::default() };
    let mut decoder = decoder(options, TYPES, None);
    let datagram = [header("gauge"), text(5, "www.example.com"), gauges(&[1.0])].concat();
    assert_eq!(decode(&mut decoder, &datagram).0, [value("p.gauge.www_example_com", 1.0)]);
    let at = |seconds: u64, v: u64| {
        let list = [&b"\0\x01\x00"[..], &v.to_be_bytes()].concat();
        let time = part(1, &seconds.to_be_bytes());
        [text(0, "h"), time, text(2, "p"), text(4, "counter"), part(6, &list)].concat()
    };
    decode(&mut decoder, &at(100, 1_000));
    assert_eq!(decode(&mut decoder, &at(110, 0)), Default::default());
    assert_eq!(decode(&mut decoder, &at(120, 10)).0[0].2, 1.0);
}

#[test]
fn what_is_encrypted_cannot_be_encrypted_again() {
    // Recorded with the password 12345678; the same bytes as a plain part are read as one.
    let mut decoder = decoder(Options::default(), TYPES, None);
    let nested = part(0x210, &[&b"\0\x05alice"[..], &[0; 60]].concat());
    assert_eq!(decode(&mut decoder, &nested).1, BTreeMap::from([("user", 1)]));
    let mut rejected = Vec::new();
    decoder.parts(&nested, SecurityLevel::Encrypt, &mut |outcome| {
        if let Outcome::Rejected(rejection) = outcome {
            rejected.push(rejection.reason);
        }
    });
    assert_eq!(rejected, ["part"]);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&mut decoder(Options::default(), TYPES, Some("alice: 1")), &bytes);
    }

    #[test]
    fn any_parts_are_decoded_or_rejected(
        parts in prop::collection::vec((0_u16..12, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        level in 0..3,
    ) {
        let security = [SecurityLevel::None, SecurityLevel::Sign, SecurityLevel::Encrypt][level as usize];
        let options = Options { security, ..Options::default() };
        let datagram: Vec<u8> = parts.iter().flat_map(|(kind, payload)| part(*kind, payload)).collect();
        decode(&mut decoder(options, TYPES, Some("alice: 1")), &datagram);
    }
}
