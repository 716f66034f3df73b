//! `zibrato-librato` under faults of the server, in random order: each window arrives once, or is
//! named in a dead letter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::{FakeLibrato, Fault, FaultyLibrato, Reply, Request};
use zibrato_tests::{Broker, Carbon, DEADLINE, Ports, Running, Signal, program, wait_until};

const HOW_LONG: Duration = Duration::from_secs(2 * DEADLINE.as_secs());

/// A random order that depends only on a seed.
fn shuffled<T>(mut all: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for last in (1..all.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(last, (state >> 33) as usize % (last + 1));
    }
    all
}

/// The seed is printed, and may be given.
fn seed() -> u64 {
    let given = std::env::var("ZIBRATO_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(unix_ms)
}

fn flags(url: &str, letters: &Path) -> Vec<String> {
    let letters = letters.display().to_string();
    ["--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN]
        .into_iter()
        .chain(["--api-url", url, "--dead-letters", &letters, "--flush", "1", "--timeout", "1"])
        .chain(["--reconnect-delay", "0.05", "--backoff-max", "0.5"])
        .chain(["--idle-gauges", "omit"])
        .map(str::to_owned)
        .collect()
}

fn worker(broker: &Broker, flags: &[String], http: u16) -> Running {
    let http = format!("127.0.0.1:{http}");
    let flags = flags.iter().map(String::as_str).chain(["--http", &http]);
    let mut worker = broker.worker("zibrato-librato", &flags.collect::<Vec<_>>());
    worker.says(&["event=\"broker_connected\""]);
    worker
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

/// The bodies of the dead letters in a folder.
fn letters(folder: &Path) -> Vec<String> {
    let paths = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let letters = paths.filter(|path| path.extension().is_some_and(|ending| ending == "dead"));
    letters
        .map(|path| fs::read_to_string(path).unwrap().split_once("\n\n").unwrap().1.to_owned())
        .collect()
}

/// The counters of a worker that are not zero, for the report.
fn figures(port: u16) -> String {
    let page = Broker::page_at(port, "/metrics");
    let wanted =
        ["series_total", "windows_total", "retries", "repeated", "split", "dead_letters_total"];
    let is_wanted =
        |line: &&str| wanted.iter().any(|name| line.contains(name)) && !line.ends_with(" 0");
    let lines = page.lines().filter(|line| !line.starts_with('#')).filter(is_wanted);
    lines.map(|line| line.trim_start_matches("zibrato_worker_")).collect::<Vec<_>>().join("; ")
}

fn answers() -> Vec<Reply> {
    vec![
        Reply::status(500).body("oops"),
        Reply::status(502),
        Reply::status(503).body("<html><title>Busy</title>"),
        Reply::status(429),
        Reply::status(429).header("Retry-After", "1"),
        Reply::status(429).header(
            "X-Librato-RateLimit-Std",
            &format!("limit=600,remaining=0,reset={}", unix_ms() / 1000 + 1),
        ),
        Reply::status(401),
        Reply::status(403).body(r#"{"error":"You have hit the API limit"}"#),
        Reply::status(302).header("Location", "http://127.0.0.1:1/v1/metrics"),
        Reply::status(200).body("<html><title>It works!</title>"),
        Reply::status(200).cut_after(0),
        Reply::status(200).cut_after(12),
        Reply::hang(),
    ]
}

#[test]
fn each_window_arrives_once_or_is_named_whatever_the_server_does() {
    enum Step {
        Answer(Reply),
        OneIsBad { in_part: bool },
    }
    let (fake, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    let (state, port, seed) = (tempfile::tempdir().unwrap(), broker.worker_http_port(), seed());
    let mut running = worker(&broker, &flags(&fake.url(), state.path()), port);
    let z = publisher(&broker);
    let mut steps: Vec<_> = answers().into_iter().map(Step::Answer).collect();
    steps.extend([true, false, true, false].map(|in_part| Step::OneIsBad { in_part }));
    let (mut made, mut bad) = (0, 0);
    for (number, step) in shuffled(steps, seed).into_iter().enumerate() {
        let before = fake.requests().len();
        // Half of the windows are several requests, which are in progress at the same time.
        let series = if number % 2 == 0 { 20 } else { 1_000 };
        match step {
            Step::Answer(reply) => fake.answer_with(reply),
            Step::OneIsBad { in_part } => {
                fake.refuse_names_with("bad", in_part);
                bad += 1;
                z.count("info", &format!("bad.{bad}"), 1);
            }
        }
        (0..series).for_each(|n| z.count("info", &format!("n{n}"), 1));
        made += series;
        assert_eq!(z.flush(DEADLINE).pending, 0);
        wait_until(HOW_LONG, "the fault", || fake.requests().len() > before);
    }
    let good = || -> f64 {
        let gauges = fake.gauges();
        gauges.values().flat_map(|times| times.values()).map(|total| total.sum).sum()
    };
    wait_until(HOW_LONG, "everything that is good", || good() >= f64::from(made));
    let named = || letters(state.path()).concat();
    wait_until(HOW_LONG, "what is bad", || named().matches("\"bad.").count() >= bad);
    println!(
        "seed={seed} made={made} delivered={} bad={bad} requests={}",
        good(),
        fake.requests().len()
    );
    println!("{}", figures(port));
    assert_eq!(
        (good(), named().matches("\"name\"").count()),
        (f64::from(made), bad),
        "seed {seed}"
    );
    for n in 1..=bad {
        assert_eq!(named().matches(&format!("\"bad.{n}\"")).count(), 1, "seed {seed}");
    }
    let page = Broker::page_at(port, "/metrics");
    assert!(page.contains("zibrato_worker_series_total{outcome=\"lost\"} 0"), "{page}");
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn what_was_in_progress_when_a_worker_stopped_is_sent_again_with_the_same_keys() {
    const WINDOW_MS: u64 = 5_000;
    let (fake, broker) = (FakeLibrato::start().unwrap(), Broker::start());
    let (state, port) = (tempfile::tempdir().unwrap(), broker.worker_http_port());
    let mut flags = flags(&fake.url(), state.path());
    let flush = flags.iter().position(|flag| flag == "--flush").unwrap();
    flags[flush + 1] = (WINDOW_MS / 1000).to_string();
    flags.extend(["--shutdown-timeout", "1"].map(str::to_owned));
    let mut running = worker(&broker, &flags, port);
    let z = publisher(&broker);
    fake.answer_always(Some(Reply::hang()));
    wait_until(HOW_LONG, "the beginning of a window", || unix_ms() % WINDOW_MS < WINDOW_MS / 2);
    (0..1_000).for_each(|n| z.count("info", &format!("n{n}"), 1));
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let keys = |from: usize| -> Vec<String> {
        let requests = fake.requests();
        let key = |request: &Request| request.header("idempotency-key").map(str::to_owned);
        let mut keys: Vec<_> = requests.iter().skip(from).filter_map(key).collect();
        keys.sort();
        keys
    };
    // 1,000 measurements are four requests, none of which is answered.
    wait_until(HOW_LONG, "four requests at the same time", || keys(0).len() >= 4);
    running.stop(Signal::TERM);
    let mut before = keys(0);
    before.dedup();
    assert_eq!(before.len(), 4);
    let first = fake.requests().len();
    fake.answer_always(None);
    let mut running = worker(&broker, &flags, port);
    wait_until(HOW_LONG, "all of them", || keys(first).len() == 4);
    assert_eq!(keys(first), before);
    let sum: f64 = fake.gauges().values().flat_map(BTreeMap::values).map(|total| total.sum).sum();
    assert_eq!(sum, 1_000.0);
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
}

/// The sum and the number of the readings of a gauge that Carbon has from `zibrato-carbon
/// --gauge-parts mean,count`.
fn at_carbon(carbon: &Carbon, name: &str) -> (f64, f64) {
    let all: BTreeMap<_, _> = carbon.fetch_all().into_iter().collect();
    let of = |part: &str| -> BTreeMap<u64, f64> {
        all.get(&format!("web-1.{name}.{part}")).cloned().unwrap_or_default().into_iter().collect()
    };
    let (counts, means) = (of("count"), of("mean"));
    let sum =
        counts.iter().map(|(time, count)| count * means.get(time).copied().unwrap_or(f64::NAN));
    (sum.sum::<f64>().round(), counts.values().sum())
}

#[test]
fn sums_are_equal_at_the_end_of_two_brokers_with_faults_between_them() {
    let (near, carbon, ports) = (Broker::start(), Carbon::start(), Ports::take());
    let (state, port, seed) = (tempfile::tempdir().unwrap(), near.worker_http_port(), seed());
    let users = state.path().join("users");
    fs::write(&users, format!("{}: {}\n", FakeLibrato::USERNAME, FakeLibrato::APITOKEN)).unwrap();
    let (intake, users) = (format!("127.0.0.1:{}", ports.at(0)), users.display().to_string());
    let far =
        Broker::start_with(&["--librato", &intake, "--librato-users", &users, "--settle", "0"]);
    let to = format!("127.0.0.1:{}", carbon.port());
    let last =
        ["--levels", "librato", "--flush", "1", "--carbon", &to, "--gauge-parts", "mean,count"];
    let mut last = far.worker("zibrato-carbon", &last);
    last.says(&["event=\"broker_connected\""]);
    let proxy = FaultyLibrato::before(&intake).unwrap();
    let letters_at = state.path().join("letters");
    let flags = flags(&proxy.url(), &letters_at);
    let mut running = worker(&near, &flags, port);
    let z = publisher(&near);

    let mut faults: Vec<_> = answers().into_iter().map(Fault::Answer).collect();
    for _ in 0..2 {
        faults.extend([
            Fault::CutAnswer(0),
            Fault::CutAnswer(12),
            Fault::HangAfter,
            Fault::Partial,
        ]);
    }
    let (mut sum, mut set) = (0, 0_u32);
    for (round, fault) in shuffled(faults, seed).into_iter().enumerate() {
        let through = proxy.delivered();
        proxy.inject(fault);
        for n in 0..10 {
            z.count("info", &format!("n{n}"), round as u64 + 1);
            sum += round as u64 + 1;
        }
        z.set_gauge("info", "depth", round as u64);
        set += 1;
        assert_eq!(z.flush(DEADLINE).pending, 0);
        wait_until(HOW_LONG, "the fault", || proxy.waiting() == 0);
        if round % 3 == 0 {
            // Otherwise all faults would concern the same few windows.
            wait_until(HOW_LONG, "a delivery", || proxy.delivered() > through);
        }
    }
    let of_counters = || -> f64 { (0..10).map(|n| at_carbon(&carbon, &format!("n{n}")).0).sum() };
    let missing =
        || letters(&letters_at).iter().map(|body| body.matches("\"name\"").count()).sum::<usize>();
    // Two deliveries lacked a measurement, which is in a dead letter.
    wait_until(HOW_LONG, "the letters", || missing() == 2);
    let mut command = Command::new(program("zibrato-librato"));
    let (status, said, log) =
        Running::run(command.args(["deadletter", "send", "--all"]).args(&flags));
    assert!(status.success(), "{said}{log}");
    wait_until(HOW_LONG, "everything", || {
        of_counters() >= sum as f64 && at_carbon(&carbon, "depth").1 >= f64::from(set)
    });
    let depth = at_carbon(&carbon, "depth");
    println!(
        "seed={seed} sum={sum} at_carbon={} depth={depth:?} deliveries={}",
        of_counters(),
        proxy.deliveries()
    );
    println!("{}", figures(port));
    let repeated =
        far.metric("zibrato_broker_rejected_total{intake=\"librato\",reason=\"repeated\"}");
    println!("repeated deliveries that the far broker counted once: {repeated}");
    let readings: u64 = (0..set).map(u64::from).sum();
    assert_eq!(
        (of_counters(), depth),
        (sum as f64, (readings as f64, f64::from(set))),
        "seed {seed}"
    );
    assert!(repeated >= 4.0, "{repeated}");
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    assert_eq!(last.stop(Signal::TERM).code(), Some(0));
}
