//! The lines of a window as bucky 2.3.0, bucky 2.3.1 and StatsD write them, recorded from these
//! programs.

use super::super::NameFlags;
use clap::Parser;
use std::collections::BTreeMap;
use zibrato::Gauge;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    names: NameFlags,
}

fn flags(text: &str) -> NameFlags {
    Cli::parse_from(["x"].into_iter().chain(text.split_whitespace())).names
}

/// The lines of a window of ten seconds, by namespace, name and statistic.
fn lines(text: &str, write: impl FnOnce(&mut BatchWriter)) -> BTreeMap<String, f64> {
    let naming = flags(text).naming().unwrap();
    let statsd = naming.statsd().unwrap();
    let mut window = Window::new(0, 10_000, 1_000).keep_readings(true);
    let mut batch = BatchWriter::new("s", 0, 1_000);
    write(&mut batch);
    let body = batch.finish();
    window.fold_batch(&BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
    let mut all = BTreeMap::new();
    for series in window.into_series() {
        for (namespace, word, value) in statsd.lines(&series.name, &series.value, 10.0) {
            let path = naming.path(None, namespace, &series.name);
            assert!(all.insert(naming.whole(path, &word), value).is_none());
        }
    }
    all
}

fn expected(lines: &[(&str, f64)]) -> BTreeMap<String, f64> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn each_kind(batch: &mut BatchWriter) {
    batch.counter("c", &[], 5.0);
    batch.gauge("g", &[], &Gauge::reading(333.0, 1));
    batch.set("s", &[], ["765", "766", "abc"].into_iter());
}

#[test]
fn each_kind_has_its_namespace() {
    for (flags, names) in [
        (
            "--names statsd-legacy",
            ["stats.c 0.5", "stats.gauges.g 333", "stats.sets.s.count 3", "stats_counts.c 5"],
        ),
        (
            "--names statsd",
            [
                "stats.counters.c.count 5",
                "stats.counters.c.rate 0.5",
                "stats.gauges.g 333",
                "stats.sets.s.count 3",
            ],
        ),
        (
            "--names statsd --statsd-prefixes global=,counter=n,set=,gauge=x.y",
            ["n.c.count 5", "n.c.rate 0.5", "s.count 3", "x.y.g 333"],
        ),
        (
            // As bucky, equal neighbours are collapsed, and the postfix is last.
            "--names statsd --prefix pre --postfix post --statsd-prefixes global=pre",
            [
                "pre.counters.c.count.post 5",
                "pre.counters.c.rate.post 0.5",
                "pre.gauges.g.post 333",
                "pre.sets.s.count.post 3",
            ],
        ),
    ] {
        let all = lines(flags, each_kind);
        let all: Vec<_> = all.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(all, names, "{flags}");
    }
}

#[test]
fn the_number_of_series_has_a_name() {
    for (text, name) in [
        ("--names statsd-legacy", "stats.numStats"),
        ("--names statsd", "stats.numStats"),
        ("--names statsd --statsd-prefixes global=", "numStats"),
        ("--names statsd-legacy --statsd-like statsd", "statsd.numStats"),
        ("--names statsd --statsd-like statsd", "stats.statsd.numStats"),
    ] {
        let naming = flags(text).naming().unwrap();
        let (namespace, word, number) = naming.statsd().unwrap().number(7);
        assert_eq!((naming.path(None, namespace, &word), number), (name.to_owned(), 7.0));
    }
}

/// The statistics of a timer `t` with these readings in milliseconds, without `stats.timers.t.`.
fn timer(text: &str, readings: &[f64]) -> BTreeMap<String, f64> {
    let seconds: Vec<_> = readings.iter().map(|ms| ms / 1e3).collect();
    let all = lines(text, |batch| batch.timer_readings("t", &[], &seconds));
    let of = |name: &str| name.strip_prefix("stats.timers.t.").unwrap().to_owned();
    all.iter().map(|(name, value)| (of(name), *value)).collect()
}

fn up_to(most: u32) -> Vec<f64> {
    (1..=most).map(f64::from).collect()
}

#[test]
fn a_timer_has_the_statistics_of_bucky() {
    let few = |mean, upper, upper_90, lower, count: f64| {
        let count_ps = ("count_ps", count / 10.0);
        let others = [("mean", mean), ("upper", upper), ("upper_90", upper_90)];
        expected(&[&others[..], &[("lower", lower), ("count", count), count_ps]].concat())
    };
    for (readings, statistics) in [
        (vec![320.0], few(320.0, 320.0, 320.0, 320.0, 1.0)),
        (vec![100.0, 200.0], few(100.0, 200.0, 100.0, 100.0, 2.0)),
        (vec![300.0, 100.0, 200.0], few(150.0, 300.0, 200.0, 100.0, 3.0)),
        (up_to(10), few(5.0, 10.0, 9.0, 1.0, 10.0)),
        (up_to(19), few(9.0, 19.0, 17.0, 1.0, 19.0)),
        (up_to(100), few(45.5, 100.0, 90.0, 1.0, 100.0)),
    ] {
        for names in ["statsd", "statsd-legacy"] {
            assert_eq!(timer(&format!("--names {names}"), &readings), statistics);
        }
    }
    let idle = expected(&[("count", 0.0), ("count_ps", 0.0)]);
    assert_eq!(timer("--names statsd", &[]), idle);
    // A percentile without a reading has no line, and then the mean is that of all.
    let low = timer("--names statsd --percentiles 10", &[100.0, 200.0]);
    assert_eq!((low.get("upper_10"), low["mean"]), (None, 150.0));
}

#[test]
fn a_timer_has_the_statistics_of_bucky_2_3_1() {
    let flags = "--names statsd --statsd-like bucky-2.3.1";
    let all = expected(&[
        ("mean", 5.5),
        ("upper", 10.0),
        ("lower", 1.0),
        ("count", 10.0),
        ("count_ps", 1.0),
        ("median", 5.5),
        ("sum", 55.0),
        ("sum_squares", 385.0),
        ("std", 2.872_281_323_269_014_3),
    ]);
    let group = |word: &str, mean, upper, sum, squares| {
        let name = |statistic: &str| format!("{statistic}_{word}");
        [
            (name("mean"), mean),
            (name("upper"), upper),
            (name("count"), upper),
            (name("sum"), sum),
            (name("sum_squares"), squares),
        ]
    };
    let with = |groups: &[[(String, f64); 5]]| {
        let mut all = all.clone();
        all.extend(groups.iter().flatten().cloned());
        all
    };
    let readings = up_to(10);
    assert_eq!(timer(flags, &readings), with(&[group("90", 5.0, 9.0, 45.0, 285.0)]));
    assert_eq!(
        timer(&format!("{flags} --percentiles 50,75,99"), &readings),
        with(&[
            group("50", 3.0, 5.0, 15.0, 55.0),
            group("75", 4.0, 7.0, 28.0, 140.0),
            group("99", 5.0, 9.0, 45.0, 285.0)
        ])
    );
    let decimals = timer(&format!("{flags} --percentiles 99.9"), &readings);
    assert_eq!(decimals, with(&[group("99", 5.0, 9.0, 45.0, 285.0)]));
    assert_eq!(timer(&format!("{flags} --percentiles none"), &readings), all);
    // Of a single reading there is no part below the percentile.
    assert!(timer(flags, &[320.0]).keys().all(|name| !name.ends_with("_90")));
    let some = format!("{flags} --statsd-statistics mean,upper");
    assert_eq!(
        timer(&some, &readings),
        expected(&[("mean_90", 5.0), ("upper_90", 9.0), ("mean", 5.5), ("upper", 10.0)])
    );
}

#[test]
fn a_timer_has_the_statistics_of_statsd() {
    let flags = "--names statsd-legacy --statsd-like statsd";
    let of = |percentiles: &str, readings: &[f64]| {
        let all = timer(&format!("{flags} --percentiles {percentiles}"), readings);
        let is_group = |name: &str| name.chars().any(|c| c.is_ascii_digit());
        all.into_iter().filter(|(name, _)| is_group(name)).collect::<BTreeMap<_, _>>()
    };
    for (percentiles, readings, groups) in [
        (
            "90",
            vec![100.0, 200.0],
            &[
                ("count_90", 2.0),
                ("mean_90", 150.0),
                ("upper_90", 200.0),
                ("sum_90", 300.0),
                ("sum_squares_90", 50_000.0),
            ][..],
        ),
        (
            "90",
            vec![320.0],
            &[
                ("count_90", 1.0),
                ("mean_90", 320.0),
                ("upper_90", 320.0),
                ("sum_90", 320.0),
                ("sum_squares_90", 102_400.0),
            ],
        ),
        (
            "-10,99.9",
            up_to(10),
            &[
                ("count_top10", 1.0),
                ("mean_top10", 10.0),
                ("lower_top10", 10.0),
                ("sum_top10", 10.0),
                ("sum_squares_top10", 100.0),
                ("count_99_9", 10.0),
                ("mean_99_9", 5.5),
                ("upper_99_9", 10.0),
                ("sum_99_9", 55.0),
                ("sum_squares_99_9", 385.0),
            ],
        ),
        ("10", up_to(2), &[]),
    ] {
        assert_eq!(of(percentiles, &readings), expected(groups), "{percentiles}");
    }
    let four = timer(flags, &up_to(4));
    let some = ["std", "median", "mean", "sum_squares"].map(|name| four[name]);
    assert_eq!(some, [1.118_033_988_749_895, 2.5, 2.5, 30.0]);
}

#[test]
fn readings_are_counted_in_bins() {
    let flags = "--names statsd --histogram-bins t=50:100.5:inf --statsd-statistics count";
    assert_eq!(
        timer(flags, &[1.0, 40.0, 60.0, 100.5, 600.0]),
        expected(&[
            ("count", 5.0),
            ("histogram.bin_50", 2.0),
            ("histogram.bin_100_5", 1.0),
            ("histogram.bin_inf", 2.0)
        ])
    );
    assert_eq!(timer("--names statsd --histogram-bins x=50", &[1.0]).len(), 6);
}

#[test]
fn a_histogram_keeps_its_unit_and_many_readings_are_summarized() {
    let bytes = |batch: &mut BatchWriter| {
        batch.histogram_readings("size", &[], Some("bytes"), &[512.0, 1024.0]);
    };
    let all = lines("--names statsd", bytes);
    assert_eq!(all["stats.timers.size.upper"], 1024.0);
    let many = timer("--names statsd --statsd-like statsd", &up_to(2_000));
    assert_eq!((many["count"], many["count_90"], many["upper"]), (2000.0, 1800.0, 2000.0));
    assert!((many["upper_90"] - 1800.0).abs() < 1800.0 * 0.008, "{many:?}");
    assert!((many["mean_90"] - 900.5).abs() < 900.5 * 0.008, "{many:?}");
}
