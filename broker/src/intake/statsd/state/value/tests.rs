//! Values of one interval, and what becomes of the value of a gauge.

use super::{Changes, Current, Room, Taken, Value};
use crate::intake::statsd::grammar::Reading;
use zibrato::window::Fold;
use zibrato::{Gauge, Kind};

const ROOM: Room = Room { members: 1, octaves: 64 };

fn number(value: f64) -> Reading<'static> {
    Reading::Number { value, rate: 1.0 }
}

#[test]
fn counters_are_divided_by_their_rate_and_keep_fractions() {
    let mut counter = Value::new(Kind::Counter);
    for _ in 0..3 {
        counter.add(Reading::Number { value: 1.0, rate: 0.3 }, None, 0, ROOM);
    }
    assert_eq!(counter.amount(), 10.0);
    for _ in 0..9 {
        counter.add(number(f64::MAX), None, 0, ROOM);
    }
    assert_eq!(counter.amount(), f64::MAX);
}

#[test]
fn changes_begin_with_the_value_before() {
    let gauge = |steps: &[Reading<'_>], before| {
        let mut changes = Changes::default();
        for step in steps {
            match step {
                Reading::Number { value, .. } => changes.set(*value, None, 1),
                Reading::Change(change) => changes.change(*change, 1),
                Reading::Member(_) => unreachable!("no set"),
            }
        }
        changes.readings(Current { value: before, at_ms: 0 }).map(|(gauge, _)| gauge)
    };
    let change = Reading::Change;
    for (steps, before, expected) in [
        (&[number(333.0), change(-10.0), change(4.0)][..], 9.0, (327.0, 3, 323.0, 333.0)),
        (&[change(-10.0)], 0.0, (-10.0, 1, -10.0, -10.0)),
        (&[change(1.0)], 10.0, (11.0, 1, 11.0, 11.0)),
        (&[change(-1.0), change(-1.0), change(-1.0)], 0.0, (-3.0, 3, -3.0, -1.0)),
        (&[number(0.0), change(-3.0)], 7.0, (-3.0, 2, -3.0, 0.0)),
        (&[change(5.0), number(1.0), change(1.0)], 10.0, (2.0, 3, 1.0, 15.0)),
    ] {
        let gauge = gauge(steps, before).unwrap();
        assert_eq!((gauge.last, gauge.count, gauge.min, gauge.max), expected, "{steps:?}");
    }
    assert_eq!(Changes::default().readings(Current::default()), None);
    let sum = gauge(&[change(1.0), change(1.0)], 10.0).map(|gauge: Gauge| gauge.sum);
    assert_eq!(sum, Some(23.0));
}

#[test]
fn a_change_with_an_older_time_is_not_lost() {
    let mut changes = Changes::default();
    changes.change(1.0, 2_000);
    changes.change(2.0, 1_000);
    let before = Current { value: 10.0, at_ms: 0 };
    assert_eq!(changes.readings(before).unwrap().0.last, 13.0);
    changes.set(5.0, Some(3_000), 3_000);
    changes.change(-1.0, 1_000);
    let gauge = changes.readings(before).unwrap().0;
    assert_eq!((gauge.last, gauge.at_ms), (4.0, 3_000));
}

/// A sample: a value or a change, its own time, and when it came, both in milliseconds.
type Step = (Reading<'static>, Option<u64>, u64);

/// Applies samples in one interval.
fn apply(steps: &[Step], before: Current) -> (Gauge, Current) {
    let mut value = Value::new(Kind::Gauge);
    for (reading, own_ms, now_ms) in steps {
        value.add(*reading, *own_ms, *now_ms, ROOM);
    }
    let Taken::Gauge(changes) = value.take() else { panic!("a gauge") };
    let (gauge, current) = changes.readings(before).unwrap();
    (gauge, current.unwrap_or(before))
}

#[test]
fn an_older_value_is_published_and_does_not_replace_the_current_one() {
    let before = Current { value: 100.0, at_ms: 50_400 };
    let late = (number(5.0), Some(20_000), 60_000);
    let (gauge, current) = apply(&[late], before);
    assert_eq!((gauge.last, gauge.at_ms, gauge.count, current), (5.0, 20_000, 1, before));
    // The times of samples have whole seconds.
    for (second, value) in [(49, 100.0), (50, 5.0), (51, 5.0)] {
        let (_, current) = apply(&[(number(5.0), Some(second * 1_000), 60_000)], before);
        assert_eq!(current.value, value, "{second}");
    }
    let up = (Reading::Change(1.0), None, 60_000);
    let (gauge, current) = apply(&[late, up], before);
    assert_eq!((gauge.last, gauge.at_ms, current.value), (101.0, 60_000, 101.0));
    assert_eq!((gauge.count, gauge.min, gauge.max, gauge.sum), (2, 5.0, 101.0, 106.0));
    // A gauge that is new has no newer value.
    assert_eq!(apply(&[late, up], Current::default()).1.value, 6.0);
    // A value without a time is the newest, also if the clock was put back.
    let (_, current) = apply(&[late, (number(7.0), None, 10_000)], before);
    assert_eq!(current, Current { value: 7.0, at_ms: 10_000 });
}

#[test]
fn the_value_does_not_depend_on_where_an_interval_ends() {
    let samples = [
        (number(1.0), None),
        (number(2.0), Some(10_000)),
        (number(3.0), Some(30_000)),
        (number(4.0), Some(60_000)),
        (Reading::Change(0.25), None),
        (Reading::Change(0.5), Some(20_000)),
    ];
    let all = samples.len();
    for n in 0..all.pow(4) {
        let steps: Vec<Step> = (0..4_u32)
            .map(|place| {
                let (reading, own_ms) = samples[n / all.pow(place) % all];
                (reading, own_ms, 40_100 + 100 * u64::from(place))
            })
            .collect();
        for before in [Current::default(), Current { value: 100.0, at_ms: 25_000 }] {
            let together = apply(&steps, before).1.value;
            let one_by_one = steps.iter().fold(before, |before, step| apply(&[*step], before).1);
            assert_eq!(one_by_one.value, together, "{before:?} {steps:?}");
            let (first, second) = steps.split_at(2);
            let halves = apply(second, apply(first, before).1).1;
            assert_eq!(halves.value, together, "{before:?} {steps:?}");
        }
    }
}

#[test]
fn a_set_counts_each_member_once_and_is_bounded() {
    let mut set = Value::new(Kind::Set);
    for member in ["765", "765", "766", "abc"] {
        assert!(set.add(Reading::Member(member), None, 0, ROOM).is_some());
    }
    assert_eq!(set.amount(), 3.0);
    let more = (0..200_000).filter_map(|n| set.add(Reading::Member(&n.to_string()), None, 0, ROOM));
    assert_eq!(more.sum::<usize>(), 99_997);
    assert_eq!(
        (set.amount(), set.add(Reading::Member("765"), None, 0, ROOM)),
        (100_000.0, Some(0))
    );
    assert!(matches!(set.take(), Taken::Fold(Fold::Set(members)) if members.len() == 100_000));
    assert_eq!(set.amount(), 0.0);
}
