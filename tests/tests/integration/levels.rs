//! Routing: each worker gets exactly the levels in its flags.

use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::{Broker, Carbon, DEADLINE, Signal, wait_until};

/// The counts of each publisher, under the level's name: level and amount.
const PUBLISHERS: [(&str, &[(&str, u32)]); 3] = [
    ("web", &[("info", 1), ("warn", 2), ("billing", 4)]),
    ("shop", &[("info", 10), ("information", 20), ("debug", 40)]),
    ("mail", &[("inf", 100), ("warn", 200), ("INFO", 400)]),
];

/// The levels in the flags of each worker, and the levels that it must get.
const WORKERS: [(&str, &str, &[&str]); 3] = [
    ("one", "info", &["info"]),
    ("two", "warn,billing,nobody", &["warn", "billing"]),
    ("all", "*", &["info", "warn", "billing", "information", "debug", "inf", "INFO"]),
];

#[test]
fn each_worker_gets_exactly_its_levels() {
    let (mut carbon, mut broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    // One Carbon for all workers; the prefix identifies the worker.
    let start = |(prefix, levels, _): &(&str, &str, &[&str])| {
        let flags = ["--levels", levels, "--name", prefix, "--prefix", prefix, "--flush", "1"];
        let flags = [&flags[..], &["--carbon", &address]].concat();
        broker.worker("zibrato-carbon", &flags)
    };
    let mut workers: Vec<_> = WORKERS.iter().map(start).collect();
    let port = broker.port();
    for (source, counts) in PUBLISHERS {
        let builder = Zibrato::builder().port(port).source(source);
        let z = builder.interval(Duration::from_millis(100)).build().unwrap();
        counts.iter().for_each(|(level, amount)| z.count(level, level, *amount));
        assert_eq!(z.flush(DEADLINE).delivered, 3);
    }
    let expected = expected();
    // The broker and the publishers also publish metrics about themselves, of level `zibrato`.
    let metrics = |carbon: &Carbon| {
        let mut metrics = carbon.metrics();
        metrics.retain(|metric| !metric.contains(".zibrato."));
        metrics
    };
    wait_until(DEADLINE, "Carbon to take all", || metrics(&carbon).len() >= expected.len());
    // A worker names the level of which nothing arrives.
    workers[1].says(&["event=\"silent\"", "nobody"]);
    // The windows with all counts are delivered; a count that is missing now never arrives.
    for worker in &mut workers {
        assert_eq!(worker.stop(Signal::QUIT).code(), Some(0));
    }
    assert_eq!(broker.stop(Signal::QUIT).code(), Some(0));
    carbon.stop();
    let got: Vec<_> = metrics(&carbon).into_iter().map(|m| (carbon.sum(&m), m)).collect();
    assert_eq!(got, expected);
}

/// Sum and metric, ordered by metric.
fn expected() -> Vec<(f64, String)> {
    let mut all = Vec::new();
    for (prefix, _, levels) in WORKERS {
        for (source, counts) in PUBLISHERS {
            let counts = counts.iter().filter(|(level, _)| levels.contains(level));
            all.extend(
                counts.map(|(level, n)| (f64::from(*n), format!("{prefix}.{source}.{level}"))),
            );
        }
    }
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all
}
