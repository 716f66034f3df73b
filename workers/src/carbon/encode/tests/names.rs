//! Windows with the lines of other naming sets.

use super::{START, fold, text};
use crate::carbon::{Carbon, CarbonFlags};
use crate::{Backend, BackendProgram};
use clap::Parser;
use zibrato::Gauge;
use zibrato::window::Window;
use zibrato::wire::BatchWriter;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    flags: CarbonFlags,
}

pub(super) fn carbon(args: &str) -> Result<Carbon, String> {
    let args = ["x"].into_iter().chain(args.split_whitespace());
    let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
    Carbon::open(cli.flags).map_err(|failure| failure.message)
}

fn window(write: impl Fn(&mut BatchWriter)) -> Window {
    let mut window = Window::new(START, 10_000, 1_000).keep_readings(true);
    for source in ["web-1", "web-2"] {
        let mut batch = BatchWriter::new(source, 0, 1_000);
        write(&mut batch);
        fold(&mut window, batch);
    }
    window
}

/// The lines, without their time.
pub(super) fn lines(carbon: &mut Carbon, window: Window) -> Vec<String> {
    let text = text(&carbon.payloads(window));
    text.lines().map(|line| line.strip_suffix(" 1700000040").unwrap().to_owned()).collect()
}

#[test]
fn sources_are_added_up_if_the_template_has_none() {
    let window = |_: ()| {
        window(|batch| {
            batch.counter("logins", &[("dc", "fra")], 2.0);
            batch.timer_readings("db", &[], &[0.1, 0.3]);
            batch.gauge("depth", &[], &Gauge::reading(4.0, 1));
            batch.set("users", &[], ["ann"].into_iter());
        })
    };
    let statsd = "--names statsd-legacy --statsd-statistics count,upper --tags carbon";
    let mut statsd = carbon(statsd).unwrap();
    assert!(statsd.keeps_readings());
    assert_eq!(
        lines(&mut statsd, window(())),
        [
            "stats.timers.db.upper_90 300",
            "stats.timers.db.upper 300",
            "stats.timers.db.count 4",
            "stats.gauges.depth 4",
            "stats.logins;dc=fra 0.4",
            "stats_counts.logins;dc=fra 4",
            "stats.sets.users.count 1",
            "stats.numStats 4",
        ]
    );
    let own = "--template {prefix}{name}{suffix} --timer-parts count --prefix p";
    let mut own = carbon(own).unwrap();
    assert!(!own.keeps_readings());
    let expected = ["p.db.count 4", "p.depth 4", "p.logins;dc=fra 4", "p.users 1"];
    assert_eq!(lines(&mut own, window(())), expected);
    let mut both = carbon("--names statsd --template {name}.{source}{suffix} --postfix x").unwrap();
    let all = lines(&mut both, window(()));
    assert!(all.contains(&"stats.counters.logins.web-2.rate.x 0.2".to_owned()), "{all:?}");
    assert!(all.contains(&"stats.numStats.x 8".to_owned()), "{all:?}");
}

#[test]
fn series_are_added_up_if_tags_are_dropped() {
    let window = || {
        window(|batch| {
            batch.counter("tagged", &[("canary", "true"), ("env", "prod")], 1.0);
            batch.counter("tagged", &[], 1.0);
            batch.gauge("depth", &[("env", "prod")], &Gauge::reading(4.0, 2));
            batch.gauge("depth", &[], &Gauge::reading(3.0, 1));
            batch.timer_readings("db", &[("env", "prod")], &[0.1, 0.3]);
            batch.timer_readings("db", &[], &[0.2]);
            batch.set("users", &[("env", "prod")], ["ann", "bob"].into_iter());
            batch.set("users", &[], ["bob"].into_iter());
        })
    };
    let legacy = "--names statsd-legacy --statsd-statistics count,upper --percentiles none";
    let dropped = [
        "stats.timers.db.upper 300",
        "stats.timers.db.count 6",
        "stats.gauges.depth 4",
        "stats.tagged 0.4",
        "stats_counts.tagged 4",
        "stats.sets.users.count 2",
        "stats.numStats 4",
    ];
    for like in ["bucky", "bucky-2.3.1"] {
        let mut carbon = carbon(&format!("{legacy} --statsd-like {like}")).unwrap();
        assert_eq!(lines(&mut carbon, window()), dropped, "{like}");
    }
    // The reference daemon writes tags.
    for flags in ["--statsd-like statsd", "--tags carbon"] {
        let all = lines(&mut carbon(&format!("{legacy} {flags}")).unwrap(), window());
        assert!(all.contains(&"stats.tagged;canary=true;env=prod 0.2".to_owned()), "{all:?}");
        assert!(all.contains(&"stats.tagged 0.2".to_owned()), "{all:?}");
    }
    // Sources stay apart if the path has them.
    let mut own = carbon("--tags drop --timer-parts count").unwrap();
    let of = |source| {
        ["db.count 3", "depth 4", "tagged 2", "users 2"].map(|line| format!("{source}.{line}"))
    };
    let mut all = lines(&mut own, window());
    all.sort_unstable();
    assert_eq!(all, [of("web-1"), of("web-2")].concat());
    for names in ["zibrato", "bucky-collectd", "metricsd"] {
        let mut carbon = carbon(&format!("--names {names} --timer-parts count")).unwrap();
        let all = lines(&mut carbon, window());
        assert!(all.contains(&"web-1.tagged;canary=true;env=prod 1".to_owned()), "{all:?}");
    }
}

#[test]
fn names_that_collide_are_distinct_in_every_window() {
    let both = window(|batch| {
        batch.counter("x", &[], 1.0);
        batch.counter("stats.x", &[], 2.0);
        batch.counter("gauges.g", &[], 3.0);
        batch.gauge("g", &[], &Gauge::reading(4.0, 1));
    });
    let one = window(|batch| batch.counter("x", &[], 7.0));
    let mut carbon = carbon("--names statsd-legacy").unwrap();
    let all = lines(&mut carbon, both);
    let mut names: Vec<_> = all.iter().map(|line| line.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    // By name, `stats.x` is before `x`, and keeps `stats.x`.
    assert!(all.contains(&"stats.x 0.4".to_owned()), "{all:?}");
    let other = all.iter().find(|line| line.starts_with("stats.x_")).unwrap();
    let other = other.split(' ').next().unwrap();
    let later = lines(&mut carbon, one);
    assert_eq!(later[0], format!("{other} 1.4"));
    assert_eq!(later[1], "stats_counts.x 14");
}

#[test]
fn idle_series_are_delivered_as_the_flag_says() {
    let idle = |_: ()| {
        window(|batch| {
            batch.counter("c", &[], 0.0);
            batch.gauge("g", &[], &Gauge::idle(5.0, 1));
            batch.set("s", &[], [].into_iter());
            batch.timer_readings("t", &[], &[]);
        })
    };
    let begin = "--names statsd --idle";
    let lines = |word: &str| lines(&mut carbon(&format!("{begin} {word}")).unwrap(), idle(()));
    let zero = [
        "stats.counters.c.rate 0",
        "stats.counters.c.count 0",
        "stats.gauges.g 0",
        "stats.sets.s.count 0",
        "stats.timers.t.count 0",
        "stats.timers.t.count_ps 0",
        "stats.numStats 4",
    ];
    assert_eq!(lines("zero"), zero);
    let mut repeated = zero;
    repeated[2] = "stats.gauges.g 5";
    assert_eq!(lines("repeat"), repeated);
    assert!(lines("drop").is_empty());
    let mut own = carbon("--idle drop").unwrap();
    assert!(own.payloads(idle(())).is_empty());
}

#[test]
fn a_payload_of_other_names_is_split_line_by_line() {
    let window = window(|batch| {
        batch.counter("a", &[], 1.0);
        batch.counter("b", &[], 1.0);
    });
    let mut carbon = carbon("--names statsd-legacy").unwrap();
    let payload = carbon.payloads(window).remove(0);
    assert_eq!(payload.series, 2);
    assert_eq!(carbon.names(&payload, 2), ["stats.a", "stats_counts.a"]);
    let [left, right] = carbon.split(&payload).unwrap();
    assert_eq!([left.body, right.body].concat(), payload.body);
    assert_eq!(left.series + right.series, 2);
}

#[test]
fn parts_of_zibratos_own_lines_are_refused_with_the_names_of_statsd() {
    for (args, part) in [
        ("--names statsd --timer-parts p99", "use --statsd-statistics"),
        ("--names statsd-legacy --gauge-parts max", "the last reading alone"),
    ] {
        assert!(carbon(args).unwrap_err().contains(part), "{args}");
    }
}

proptest::proptest! {
    /// Whatever the names, each line of StatsD's names occurs once.
    #[test]
    fn no_two_lines_share_a_name(
        names in proptest::collection::btree_set("(stats[.]|timers[.]|gauges[.]|x[.]|mean[.]| ){0,3}[ab.]", 1..20),
        flags in proptest::sample::select(vec![
            "--names statsd",
            "--names statsd-legacy --postfix a",
            "--names statsd --statsd-prefixes global=,counter=,timer=,gauge=,set=",
            "--names bucky-collectd --template {prefix}x-{name}{suffix}",
            "--strip-duplicates yes",
        ]),
    ) {
        let window = window(|batch| {
            for name in &names {
                batch.counter(name, &[], 1.0);
                batch.gauge(name, &[], &Gauge::reading(1.0, 1));
                batch.timer_readings(name, &[], &[1.0]);
            }
        });
        let mut all = lines(&mut carbon(flags).unwrap(), window);
        let count = all.len();
        all.iter_mut().for_each(|line| line.truncate(line.find(' ').unwrap()));
        all.sort_unstable();
        all.dedup();
        proptest::prop_assert_eq!(all.len(), count);
        let is_valid = |name: &String| name.split('.').all(|part| !part.is_empty());
        proptest::prop_assert!(all.iter().all(is_valid), "{:?}", all);
    }
}

#[test]
fn tags_are_parts_of_the_path_before_the_statistic_and_the_postfix() {
    let window = || {
        window(|batch| {
            batch.counter("logins", &[("what", "count"), ("dc", "fra")], 2.0);
            batch.counter("logins", &[], 1.0);
            batch.timer_readings("db", &[("host", "a.b"), ("what", "count")], &[0.1, 0.3]);
            batch.gauge("depth", &[("depth", "depth")], &Gauge::reading(4.0, 1));
        })
    };
    let flags = "--tags path --timer-parts count,max --gauge-parts last,max --prefix p --postfix x";
    let mut own = carbon(&format!("{flags} --template {{prefix}}{{name}}.on.{{source}}{{suffix}}"));
    let own = own.as_mut().unwrap();
    let lines_of = |source: &str| {
        [
            format!("p.db.on.{source}.host.a_DOT_b.what.count.count.x 2"),
            format!("p.db.on.{source}.host.a_DOT_b.what.count.max.x 0.3"),
            format!("p.depth.on.{source}.depth.depth.x 4"),
            format!("p.depth.on.{source}.depth.depth.max.x 4"),
            format!("p.logins.on.{source}.x 1"),
            format!("p.logins.on.{source}.dc.fra.what.count.x 2"),
        ]
    };
    let mut found = lines(own, window());
    let mut expected = [lines_of("web-1"), lines_of("web-2")].concat();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let mut legacy = carbon("--names statsd-legacy --tags path --statsd-statistics count").unwrap();
    let mut found = lines(&mut legacy, window());
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "stats.gauges.depth.depth.depth 4",
            "stats.logins 0.2",
            "stats.logins.dc.fra.what.count 0.4",
            "stats.numStats 4",
            "stats.timers.db.host.a_DOT_b.what.count.count 4",
            "stats_counts.logins 2",
            "stats_counts.logins.dc.fra.what.count 4",
        ]
    );
}

#[test]
fn a_series_without_tags_does_not_overwrite_one_with_tags_in_its_path() {
    let mut carbon = carbon("--tags path").unwrap();
    let mut window = Window::new(START, 10_000, 10);
    let mut batch = BatchWriter::new("s", 0, 1_000);
    batch.counter("logins.dc.fra", &[], 1.0);
    batch.counter("logins", &[("dc", "fra")], 2.0);
    fold(&mut window, batch);
    let found = lines(&mut carbon, window);
    let [first, second] = &found[..] else { panic!("{found:?}") };
    let is_plain = |line: &&String| line.starts_with("s.logins.dc.fra ");
    let is_marked = |line: &&String| line.starts_with("s.logins.dc.fra_");
    assert!([first, second].iter().any(is_plain), "{found:?}");
    assert!([first, second].iter().any(is_marked), "{found:?}");
}

#[test]
fn statistics_that_are_not_finite_have_no_line() {
    for flags in ["--names statsd --statsd-like statsd", "--tags path", "--postfix x"] {
        let window = window(|batch| {
            batch.timer_readings("db", &[("dc", "fra")], &[1e200, 2e200]);
            batch.counter("sum", &[], f64::MAX);
        });
        let text = text(&carbon(flags).unwrap().payloads(window));
        assert!(text.contains(".count") && text.contains("sum"), "{text}");
        for line in text.lines() {
            let value: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(value.is_finite(), "{line}");
        }
    }
}
