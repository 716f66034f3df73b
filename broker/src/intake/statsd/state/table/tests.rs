//! Which samples are one series, and the limits.

use super::{Matching, Overflow, Refused, Table};
use crate::intake::statsd::grammar::{Dialect, Reason, decode};
use crate::intake::statsd::state::Taken;
use crate::intake::statsd::state::value::Current;
use std::collections::BTreeMap;
use zibrato::Kind;
use zibrato::window::Fold;

fn add(table: &mut Table, packet: &str) -> Vec<Result<u8, Refused>> {
    let mut all = Vec::new();
    decode(packet.as_bytes(), Dialect::Statsd, |_, sample| {
        all.push(table.add(&sample.unwrap(), 1_000));
    });
    all
}

/// Ends the interval. The amount of each series, as `name;tag=value@source kind`.
fn taken(table: &mut Table) -> Vec<(String, f64)> {
    table.end_interval();
    let mut all = Vec::new();
    while table.take(2, |named, taken| {
        let series = named.series();
        let mut shown = series.name.to_owned();
        series.tags.iter().for_each(|(tag, value)| shown += &format!(";{tag}={value}"));
        series.source.iter().for_each(|source| shown += &format!("@{source}"));
        all.push((format!("{shown} {}", series.kind.letter()), amount(&taken)));
    }) {}
    all
}

fn amount(taken: &Taken) -> f64 {
    match taken {
        Taken::Gauge(changes) => changes.readings(Current::default()).unwrap().0.last,
        Taken::Fold(Fold::Counter(sum)) => *sum,
        Taken::Fold(Fold::Set(members)) => members.len() as f64,
        Taken::Fold(other) => other.summary().unwrap().count() as f64,
    }
}

fn named(all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect()
}

#[test]
fn samples_of_one_name_kind_and_tags_are_one_series() {
    let mut table = Table::new(100);
    add(&mut table, "a:1|c\na:2|c|@0.5\na:3|g\na:4|ms\na:5|ms\na:6|c|#x:1\na:7|c|#x:1\nb:x|s");
    let expected = [("a c", 5.0), ("a g", 3.0), ("a t", 2.0), ("a;x=1 c", 13.0), ("b s", 1.0)];
    assert_eq!(taken(&mut table), named(&expected));
    assert_eq!(taken(&mut table), named(&[]));
    add(&mut table, "a:1|c");
    assert_eq!(taken(&mut table), named(&[("a c", 1.0)]));
    assert_eq!(table.len(), 5);
}

#[test]
fn names_with_tags_do_not_run_into_each_other() {
    let mut table = Table::new(100);
    add(&mut table, "ab:1|c|#c\na:1|c|#bc\nabc:1|c\na b:1|c\na,k=v:1|c|#host:h");
    let taken = taken(&mut table);
    let expected = [
        ("ab;c=true c", 1.0),
        ("a;bc=true c", 1.0),
        ("abc c", 1.0),
        ("a_b c", 1.0),
        ("a;k=v@h c", 1.0),
    ];
    assert_eq!(taken, named(&expected));
}

#[test]
fn invalid_names_take_no_room_and_tags_left_out_are_counted_each_time() {
    let mut table = Table::new(100);
    assert_eq!(add(&mut table, "%:1|c"), [Err(Refused::Invalid(Reason::Name))]);
    assert_eq!(table.len(), 0);
    assert_eq!(add(&mut table, "a:1|c|#x:,y:\na:1|c|#x:,y:\na:1|c"), [Ok(2), Ok(2), Ok(0)]);
}

#[test]
fn samples_during_a_take_belong_to_one_of_two_intervals() {
    let mut table = Table::new(100);
    add(&mut table, "a:1|c\nb:1|c\nc:1|c");
    table.end_interval();
    let mut sums = BTreeMap::<String, f64>::new();
    let mut sum = |table: &mut Table| {
        table.take(1, |named, taken| {
            *sums.entry(named.series().name.to_owned()).or_default() += amount(&taken);
        })
    };
    assert!(sum(&mut table));
    add(&mut table, "a:10|c\nb:10|c\nd:10|c");
    while sum(&mut table) {}
    table.end_interval();
    while sum(&mut table) {}
    let expected = [("a", 11.0), ("b", 11.0), ("c", 1.0), ("d", 10.0)];
    assert_eq!(sums, expected.map(|(name, sum)| (name.to_owned(), sum)).into());
}

#[test]
fn new_series_of_a_full_table_are_folded_together() {
    let mut table = Table::new(3);
    for n in 0..1_000 {
        add(&mut table, &format!("n{n}:1|c\nn{n}:1|ms"));
    }
    add(&mut table, "n0:1|c");
    let overflow = table.end_interval();
    assert_eq!(overflow, Overflow { samples: 1_997, offender: Some("n1".to_owned()) });
    let expected = [
        ("n0 c", 2.0),
        ("n0 t", 1.0),
        ("n1 c", 1.0),
        ("_overflow t", 999.0),
        ("_overflow c", 998.0),
    ];
    assert_eq!(taken(&mut table), named(&expected));
    assert_eq!(table.end_interval(), Overflow::default());
    // Long names fill it too.
    let mut table = Table::new(100);
    for n in 0..100 {
        add(&mut table, &format!("{n}:1|c|#x:{}", "v".repeat(10_000)));
    }
    assert_eq!(table.len(), 11 + 1);
}

#[test]
fn short_tags_fill_a_table_by_the_memory_that_they_take() {
    let mut table = Table::new(100);
    let tags: Vec<_> = (0..50).map(|n| format!("t{n}")).collect();
    let tags = tags.join(",");
    for n in 0..100 {
        add(&mut table, &format!("{n}:1|c|#{tags}"));
    }
    // Each tag takes 100 bytes and more, whatever its length.
    assert!(table.len() <= 20, "{}", table.len());
    let bytes = table.bytes();
    assert!((100_000..200_000).contains(&bytes), "{bytes}");
}

#[test]
fn times_more_than_a_day_ahead_are_refused() {
    let mut table = Table::new(100);
    // The samples come one second after 1970 began.
    assert_eq!(add(&mut table, "a:1|g|T86401"), [Ok(0)]);
    assert_eq!(add(&mut table, "a:1|g|T86402"), [Err(Refused::Invalid(Reason::Future))]);
    assert_eq!(add(&mut table, "b:1|g|T253402300799"), [Err(Refused::Invalid(Reason::Future))]);
    assert_eq!(table.len(), 1);
}

/// Some hundred readings of a series, each in an octave of its own.
fn wide(name: &str) -> String {
    let values: Vec<_> = (-300..300).map(|exponent| format!("1e{exponent}")).collect();
    format!("{name}:{}|h", values.join(":"))
}

#[test]
fn readings_in_many_octaves_take_bounded_memory() {
    let octaves = |table: &mut Table| {
        let mut all = Vec::new();
        table.end_interval();
        table.take(usize::MAX, |_, taken| {
            let Taken::Fold(fold) = taken else { panic!("no gauge") };
            all.push(fold.summary().unwrap().sketch().octaves());
        });
        all
    };
    let mut table = Table::new(1_000);
    add(&mut table, &wide("a"));
    assert_eq!(octaves(&mut table), [64]);
    let mut table = Table::new(10);
    for _ in 0..3 {
        for n in 0..10 {
            add(&mut table, &wide(&format!("n{n}")));
        }
        let held = table.octaves;
        assert!(held <= 64 + 10 * 2, "{held}");
        assert_eq!(octaves(&mut table).iter().sum::<usize>(), held);
    }
}

#[test]
fn members_of_all_sets_are_bounded_until_they_are_taken() {
    let mut table = Table::new(100);
    table.max_members = 4;
    add(&mut table, "a:1|s\na:2|s\nb:1|s\nb:2|s");
    for _ in 0..2 {
        assert_eq!(add(&mut table, "new:x|s"), [Err(Refused::Members)]);
        assert_eq!(add(&mut table, "a:1|s"), [Ok(0)], "it is a member already");
        table.end_interval();
    }
    table.take(1, |_, _| {});
    assert_eq!(add(&mut table, "c:1|s\nc:2|s\nc:3|s"), [Ok(0), Ok(0), Err(Refused::Members)]);
    table.remove(&[Kind::Set], Matching(&["b"]));
    assert_eq!(add(&mut table, "c:3|s\nc:4|s\nc:5|s"), [Ok(0), Ok(0), Err(Refused::Members)]);
}

#[test]
fn a_full_table_forgets_a_single_idle_series() {
    let mut table = Table::new(10);
    let all: Vec<_> = (0..10).map(|n| format!("n{n}:1|c")).collect();
    add(&mut table, &all.join("\n"));
    for _ in 0..5 {
        taken(&mut table);
        add(&mut table, &all[1..].join("\n"));
    }
    table.forget_idle(3);
    assert_eq!(table.len(), 9);
}

#[test]
fn samples_are_counted_until_they_are_taken() {
    let mut table = Table::new(100);
    add(&mut table, "a:1|c\na:1|c\nb:1|g\nc:x|s");
    assert_eq!(table.untaken(), 4);
    table.end_interval();
    table.take(1, |_, _| {});
    assert_eq!(table.untaken(), 2);
}

#[test]
fn idle_series_are_forgotten_and_the_others_keep_their_samples() {
    let mut table = Table::new(100);
    for n in 0..10 {
        add(&mut table, &format!("n{n}:1|c"));
    }
    for _ in 0..3 {
        taken(&mut table);
        table.forget_idle(3);
        assert_eq!(table.len(), 10);
        add(&mut table, "n3:1|c");
    }
    table.end_interval();
    add(&mut table, "n5:1|c\nn3:1|c");
    table.forget_idle(3);
    assert_eq!(table.len(), 2);
    assert_eq!(taken(&mut table), named(&[("n3 c", 2.0), ("n5 c", 1.0)]));
    add(&mut table, "n3:1|c");
    assert_eq!(taken(&mut table), named(&[("n3 c", 1.0)]));
    add(&mut table, "n5:1|c");
    assert_eq!(taken(&mut table), named(&[("n5 c", 1.0)]));
}

#[test]
fn series_are_removed_by_kind_and_name() {
    let mut table = Table::new(100);
    add(&mut table, "a.b:1|c\na.c:1|c\na.b:1|ms\nb:1|c");
    assert_eq!(table.remove(&[Kind::Counter], Matching(&["a.*"])), ["a.b", "a.c"]);
    assert!(table.remove(&[Kind::Counter], Matching(&["nothing"])).is_empty());
    assert_eq!(taken(&mut table), named(&[("a.b t", 1.0), ("b c", 1.0)]));
}

#[test]
fn totals_stay_finite() {
    let mut table = Table::new(10);
    for _ in 0..3 {
        add(&mut table, &format!("a:{0}|c\na:{0}|c", f64::MAX));
        taken(&mut table);
    }
    assert_eq!(table.totals(0).map(|(_, total)| total).collect::<Vec<_>>(), [f64::MAX]);
}

#[test]
fn totals_are_since_the_series_is_known() {
    let mut table = Table::new(100);
    add(&mut table, "a:1|c\nb:1|ms\nc:x|s\nc:y|s");
    taken(&mut table);
    add(&mut table, "a:2|c\nb:1|ms");
    let totals: Vec<_> =
        table.totals(0).map(|(series, total)| (series.name.to_owned(), total)).collect();
    assert_eq!(totals, named(&[("a", 3.0), ("b", 2.0), ("c", 2.0)]));
}
