//! Intakes that are not part of the crate: a type that implements [`Intake`], and nothing else.

use crate::client::Client;
use crate::harness::{Bench, DEADLINE, Seen, Subscriber};
use crate::http::get;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use zibrato::window::Fold;
use zibrato::wire::{Line, LineValue, WantedLevels};
use zibrato::{Kind, Level};
use zibrato_broker::{
    Config, End, Intake, IntakeContext, IntakeError, JournalConfig, OpenIntake, StartError, Statsd,
};

/// Counters of the form `name:value|c`, one per line of a UDP packet.
#[derive(Debug)]
struct Udp;

impl Intake for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        Ok(OpenIntake::new(socket.local_addr()?, move |context| {
            let mut packet = [0; 2_048];
            while context.wait(&[socket.as_fd()]) {
                let Ok(length) = socket.recv(&mut packet) else { continue };
                context.received(length);
                packet[..length].split(|byte| *byte == b'\n').for_each(|line| take(context, line));
            }
            Ok(())
        }))
    }
}

fn take(context: &mut IntakeContext, line: &[u8]) {
    assert_ne!(line, b"panic", "somebody asked for it");
    match parse(line) {
        Ok((name, value)) => fold(context, "info", name, value),
        Err(reason) => context.reject(reason, line),
    }
}

fn parse(line: &[u8]) -> Result<(&str, f64), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "encoding")?;
    let (name, rest) = text.split_once(':').ok_or("fields")?;
    let value = rest.strip_suffix("|c").ok_or("type")?;
    Ok((name, value.parse().map_err(|_| "value")?))
}

fn fold(context: &mut IntakeContext, level: &str, name: &str, value: f64) {
    let (value, timestamp) = (LineValue::Number(value), context.now_ms() as f64 / 1e3);
    context.fold(&Line { level, kind: Kind::Counter, name, value, timestamp, source: "udp-1" });
}

/// An intake that runs a function.
#[derive(Debug)]
struct Runs(fn(&mut IntakeContext) -> Result<(), IntakeError>);

impl Intake for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        Ok(OpenIntake::new("nowhere", self.0))
    }
}

fn config() -> Config {
    Config::new().http(Some("127.0.0.1:0".parse().unwrap())).intake(Udp)
}

fn keeping(directory: &std::path::Path) -> JournalConfig {
    let all = WantedLevels { all: true, ..WantedLevels::default() };
    JournalConfig::new(directory).min_free_percent(0.0).keep_levels(all)
}

fn send(bench: &Bench, packets: &[&str]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = bench.broker.intake_address("udp").unwrap();
    for packet in packets {
        socket.send_to(packet.as_bytes(), to).unwrap();
    }
}

/// The sum of what comes of a counter, until it is as much as expected.
#[track_caller]
fn sum(subscriber: &Subscriber, name: &str, expected: f64) {
    let mut sum = 0.0;
    while sum < expected {
        let seen = subscriber.next().unwrap_or_else(|| panic!("only {sum}"));
        sum += seen.counters().iter().filter(|(n, _)| n == name).map(|(_, v)| v).sum::<f64>();
    }
    assert_eq!(sum, expected);
}

#[test]
fn what_it_publishes_reaches_subscribers_and_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::with(config().journal(keeping(dir.path())));
    assert!(get(&bench, "/readyz").starts_with("HTTP/1.1 200"));
    let (batches, lines) = (bench.subscribe(&["zb1|info|"]), bench.subscribe(&["info|"]));
    let client = Client::new(&bench, "a", "1", &["info"]);
    let from = client.fetch(None, 0).0.next;
    send(&bench, &["logins:1|c\nlogins:2|c", "logins:4|c"]);
    sum(&batches, "logins", 7.0);
    assert!(matches!(lines.next(), Some(Seen::Line(line)) if line.contains("|logins|")));
    let (_, kept) = client.fetch_all(Some(from));
    assert!(!kept.is_empty());
    let counters = bench.broker.counters();
    let intake = counters.intake("udp").unwrap();
    assert_eq!((intake.lines, intake.bytes), (3, 31));
    assert_eq!(intake.batches, kept.len() as u64);
}

#[test]
fn what_it_cannot_use_is_counted_by_reason_under_its_name() {
    let bench = Bench::with(config());
    send(&bench, &["logins", "logins:x|c\nlogins:1|c", "logins:1|z", ":1|c", "a:inf|c"]);
    let rejected = |reason: &str| {
        let counters = bench.broker.counters();
        counters.intake("udp").unwrap().rejected.get(reason).copied().unwrap_or_default()
    };
    let sum = || ["fields", "value", "type", "name"].map(rejected).iter().sum::<u64>();
    bench.until("all are counted", || sum() == 5);
    let page = get(&bench, "/metrics");
    for sample in [
        "zibrato_broker_lines_total{intake=\"udp\"} 1",
        "zibrato_broker_bytes_total{intake=\"udp\"} 48",
        "zibrato_broker_rejected_total{intake=\"udp\",reason=\"fields\"} 1",
        "zibrato_broker_rejected_total{intake=\"udp\",reason=\"name\"} 1",
        "zibrato_broker_rejected_total{intake=\"udp\",reason=\"type\"} 1",
        "zibrato_broker_rejected_total{intake=\"udp\",reason=\"value\"} 2",
        "zibrato_broker_intake_failures_total{intake=\"udp\"} 0",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample}\n{page}");
    }
}

#[test]
fn what_was_received_before_the_stop_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::with(config().journal(keeping(dir.path())));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    send(&bench, &["logins:1|c"; 200]);
    let report = bench.broker.stop(DEADLINE);
    assert_eq!(report.end, End::Clean);
    assert_eq!(report.counters.intake("udp").unwrap().lines, 200);
    sum(&subscriber, "logins", 200.0);
}

#[test]
fn a_panic_ends_the_intake_and_not_the_broker() {
    let bench = Bench::with(config());
    let subscriber = bench.subscribe(&["zb1|info|"]);
    send(&bench, &["logins:3|c", "panic", "logins:5|c"]);
    // What was folded before is published.
    sum(&subscriber, "logins", 3.0);
    let failures = || bench.broker.counters().intake("udp").unwrap().failures;
    bench.until("it is counted", || failures() == 1);
    bench.push().send("info|c|other|1|1|s", 0).unwrap();
    sum(&subscriber, "other", 1.0);
    assert_eq!(bench.broker.stop(DEADLINE).end, End::Clean);
}

#[test]
fn an_intake_that_fails_or_returns_is_counted_and_makes_the_broker_unready() {
    for run in [(|_| Err("no luck".into())) as fn(&mut IntakeContext) -> _, |_| Ok(())] {
        let bench = Bench::with(config().intake(Runs(run)));
        let failures = || bench.broker.counters().intake("runs").unwrap().failures;
        bench.until("it is counted", || failures() == 1);
        let page = get(&bench, "/readyz");
        let problem = "the intake runs failed and receives nothing";
        assert!(page.starts_with("HTTP/1.1 503") && page.contains(problem), "{page}");
        assert!(get(&bench, "/healthz").starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_flood_of_names_is_bounded_while_nothing_is_acknowledged() {
    /// As many series as an intake keeps.
    const SERIES: usize = 200_000;
    fn flood(context: &mut IntakeContext) -> Result<(), IntakeError> {
        // The first is published, and never acknowledged, so the others are kept.
        fold(context, "a", "first", 1.0);
        assert!(!context.publish(Duration::ZERO));
        for n in 0..SERIES + 5_000 {
            fold(context, ["a", "b", "c"][n % 3], &n.to_string(), 1.0);
        }
        while context.wait(&[]) {}
        Ok(())
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = keeping(dir.path()).min_free_percent(100.0);
    let bench = Bench::with(Config::new().journal(journal).intake(Runs(flood)));
    let of = || bench.broker.counters().intake("runs").unwrap().clone();
    bench.until("some are rejected", || of().rejected.get("busy") == Some(&5_000));
    assert_eq!(of().lines, 1 + SERIES as u64);
    // What the journal has no room for is counted, and does not delay the stop.
    let begun = Instant::now();
    let report = bench.broker.stop(DEADLINE / 2);
    assert_ne!(report.end, End::Clean);
    assert!(begun.elapsed() < DEADLINE, "after {:?}", begun.elapsed());
    assert!(report.counters.dropped.of("journal") > 0);
    let lost = report.counters.intake("runs").unwrap().rejected.get("stop").copied();
    assert_eq!(lost, Some(1 + SERIES as u64), "each line is counted");
}

#[test]
fn members_for_which_a_set_has_no_room_are_counted() {
    fn many(context: &mut IntakeContext) -> Result<(), IntakeError> {
        for from in [0, 60_000] {
            let members = (from..from + 60_000).map(|n| n.to_string().into()).collect();
            context.fold_series("info", "web-1", "users", &[], &Fold::Set(members));
        }
        while context.wait(&[]) {}
        Ok(())
    }
    let bench = Bench::with(Config::new().intake(Runs(many)));
    let rejected = || bench.broker.counters().intake("runs").unwrap().rejected.clone();
    bench.until("they are counted", || rejected().get("members") == Some(&20_000));
}

#[test]
fn who_has_to_answer_waits_until_it_is_on_disk() {
    fn ask(context: &mut IntakeContext) -> Result<(), IntakeError> {
        fold(context, context.level().to_owned().as_str(), "asked", 1.0);
        let is_safe = context.publish(Duration::from_millis(2_000));
        context.reject(if is_safe { "safe" } else { "unsafe" }, b"");
        while context.wait(&[]) {}
        Ok(())
    }
    for (min_free_percent, expected) in [(0.0, "safe"), (100.0, "unsafe")] {
        let dir = tempfile::tempdir().unwrap();
        let journal = keeping(dir.path()).min_free_percent(min_free_percent);
        let bench = Bench::with(Config::new().journal(journal).intake(Runs(ask)));
        let rejected = || bench.broker.counters().intake("runs").unwrap().rejected.clone();
        bench.until("it is known", || !rejected().is_empty());
        assert_eq!(rejected().get(expected), Some(&1), "{:?}", rejected());
    }
}

#[test]
fn an_intake_that_cannot_start_is_named() {
    #[derive(Debug)]
    struct Bad(&'static str);
    impl Intake for Bad {
        fn name(&self) -> &'static str {
            self.0
        }
        fn open(&self) -> Result<OpenIntake, IntakeError> {
            Err("the address is in use".into())
        }
    }
    for (name, expected) in [
        ("bad", "the intake bad cannot start: the address is in use"),
        ("zmq", "the intake zmq cannot start: another intake has this name"),
    ] {
        let started = zibrato_broker::Broker::start(Config::new().port(0).intake(Bad(name)));
        let Err(error @ StartError::Intake { .. }) = started else { panic!("{started:?}") };
        assert_eq!(error.to_string(), expected);
    }
    let reserved = Level::new("zibrato").unwrap();
    for config in [
        Config::new().intake(Udp).intake_level(reserved.clone()),
        Config::new().intake(Statsd::new().listen("127.0.0.1:0").unwrap().level(&reserved)),
    ] {
        let error = zibrato_broker::Broker::start(config.port(0)).unwrap_err().to_string();
        assert!(error.contains("cannot start: the level zibrato is reserved"), "{error}");
    }
}
