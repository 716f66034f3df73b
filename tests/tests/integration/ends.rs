//! However a process ends, everything that it counted arrives once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use zibrato::Zibrato;
use zibrato::wire::{BatchReader, Message, PublisherId, Value, batch_topic, message};
use zibrato_broker::{Broker, Config, End};
use zibrato_tests::{DEADLINE, Ports, Running, wait_until};

const COUNTS: u64 = 1000;

/// The measurements of one series that arrived: the sum or the number, and from how many
/// publishers.
#[derive(Debug, Default, Clone, PartialEq)]
struct Arrived {
    total: f64,
    publishers: BTreeSet<PublisherId>,
}

struct Ended {
    status: ExitStatus,
    output: String,
    arrived: BTreeMap<String, Arrived>,
}

impl Ended {
    fn totals(&self) -> Vec<(&str, f64)> {
        self.arrived.iter().map(|(name, arrived)| (&**name, arrived.total)).collect()
    }

    fn publishers(&self, name: &str) -> &BTreeSet<PublisherId> {
        &self.arrived[name].publishers
    }
}

fn ending(port: u16, deadline: Duration, end: &str) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ending"));
    command.arg(port.to_string()).arg(deadline.as_millis().to_string());
    Running::start(command.arg(COUNTS.to_string()).arg(end))
}

/// Runs the program to its end, and collects everything that a subscriber gets from it.
fn end_by(end: &str) -> Ended {
    let broker = Broker::start(Config::new().port(0)).unwrap();
    let subscriber = zmq::Context::new().socket(zmq::SUB).unwrap();
    subscriber.set_rcvhwm(0).unwrap();
    subscriber.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).unwrap()).unwrap();
    subscriber.connect(&broker.endpoint(broker.publish_port())).unwrap();
    subscriber.set_subscribe(batch_topic("info").as_bytes()).unwrap();
    wait_until(DEADLINE, "the subscription", || broker.wanted().levels.contains("info"));

    let mut program = ending(broker.port(), DEADLINE, end);
    let (status, output) = (program.ended_within(DEADLINE * 2), program.output());
    // Everything that the program sent is queued before this.
    let last = Zibrato::builder().port(broker.port()).build().unwrap();
    last.count("info", "last", 1);
    assert_eq!(last.flush(DEADLINE).delivered, 1);
    drop(last);
    let mut arrived = BTreeMap::new();
    while !arrived.contains_key("last") {
        add(&subscriber.recv_multipart(0).unwrap(), &mut arrived);
    }
    // And nothing arrives after it.
    assert_eq!(broker.stop(DEADLINE).end, End::Clean);
    while let Ok(frames) = subscriber.recv_multipart(zmq::DONTWAIT) {
        add(&frames, &mut arrived);
    }
    arrived.remove("last");
    Ended { status, output, arrived }
}

fn add(frames: &[Vec<u8>], arrived: &mut BTreeMap<String, Arrived>) {
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    let Ok(Message::Batch { id, body, .. }) = message(&frames) else { panic!("{frames:?}") };
    for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
        let more = match entry.value {
            Value::Counter(sum) => sum,
            Value::Gauge(gauge) => gauge.count as f64,
            Value::Timer(timer) => timer.count as f64,
            Value::TimerReadings(readings) => readings.count() as f64,
            _ => panic!("{} has an unexpected kind", entry.name),
        };
        let arrived = arrived.entry(entry.name.to_owned()).or_default();
        arrived.total += more;
        arrived.publishers.insert(id.publisher);
    }
}

#[track_caller]
fn everything_arrives(end: &str, code: i32) {
    let ended = end_by(end);
    assert_eq!(ended.status.code(), Some(code), "{end}");
    assert_eq!(ended.totals(), [("before", COUNTS as f64)], "{end}");
}

#[test]
fn everything_arrives_when_main_returns() {
    everything_arrives("return", 0);
}

#[test]
fn everything_arrives_when_the_program_calls_exit() {
    everything_arrives("exit", 0);
    everything_arrives("exit_in_thread", 0);
}

#[test]
fn everything_arrives_when_one_thread_exits_while_another_drops_the_guard() {
    everything_arrives("exit_while_dropping", 0);
}

#[test]
fn everything_arrives_when_the_guard_is_forgotten_or_kept_in_a_static() {
    everything_arrives("forget", 0);
    everything_arrives("static", 0);
}

#[test]
fn everything_arrives_when_a_panic_unwinds_through_main() {
    everything_arrives("panic", 101);
}

#[test]
fn everything_arrives_when_a_panic_aborts_and_the_program_asked_for_the_hook() {
    let ended = end_by("hooked_abort");
    assert_eq!(ended.status.signal(), Some(6), "{:?}", ended.status);
    assert_eq!(ended.totals(), [("before", COUNTS as f64)]);
}

#[test]
fn an_abort_loses_only_the_counts_since_the_last_interval() {
    let ended = end_by("abort");
    assert_eq!(ended.status.signal(), Some(6), "{:?}", ended.status);
    assert_eq!(ended.totals(), [("before", COUNTS as f64)]);
}

#[test]
fn everything_arrives_when_the_program_handles_sigterm() {
    let ended = end_by("sigterm");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.totals(), [("before", COUNTS as f64), ("rounds", COUNTS as f64)]);
}

#[test]
fn threads_that_continue_to_measure_do_not_affect_earlier_counts() {
    let ended = end_by("threads");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.arrived["before"].total, COUNTS as f64);
    assert_eq!(ended.arrived["in_threads"].total, 4.0 * COUNTS as f64);
}

/// The counts of parent and child of the program: each is counted once, under its own identity.
#[track_caller]
fn parent_and_child(end: &str) -> Ended {
    let ended = end_by(end);
    assert_eq!(ended.status.code(), Some(0), "{end}");
    let counts = COUNTS as f64;
    let mut totals = ended.totals();
    totals.retain(|(name, _)| *name != "grandchild");
    let expected = [
        ("before", counts),
        ("both", 2.0 * counts),
        ("both.handle", 2.0 * counts),
        ("child", counts),
        ("child.named", counts),
        ("child.time", counts),
        ("parent", counts),
        ("scope", 1.0),
    ];
    assert_eq!(totals, expected, "{end}");
    for name in ["parent", "scope"] {
        assert_eq!(ended.publishers(name), ended.publishers("before"), "{end}: {name}");
    }
    assert_eq!(ended.publishers("child").len(), 1);
    assert_eq!(ended.publishers("both").len(), 2);
    assert!(ended.publishers("child").is_disjoint(ended.publishers("before")), "{end}");
    for name in ["child.named", "child.time"] {
        assert_eq!(ended.publishers(name), ended.publishers("child"), "{end}: {name}");
    }
    ended
}

#[test]
fn a_forked_child_measures_under_its_own_identity_and_its_parent_continues() {
    parent_and_child("fork_return");
    parent_and_child("fork_exit");
}

#[test]
fn a_child_of_a_child_has_its_own_identity() {
    let ended = parent_and_child("fork_twice");
    assert_eq!(ended.arrived["grandchild"].total, COUNTS as f64);
    let grandchild = ended.publishers("grandchild");
    assert_eq!(grandchild.len(), 1);
    assert!(grandchild.is_disjoint(ended.publishers("child")));
    assert!(grandchild.is_disjoint(ended.publishers("before")));
}

#[test]
fn a_child_does_not_send_again_what_its_parent_timed() {
    let ended = end_by("fork_timed");
    assert_eq!(ended.status.code(), Some(0));
    let counts = COUNTS as f64;
    assert_eq!(ended.totals(), [("before", counts), ("timed", counts + 1.0)]);
}

#[test]
fn a_child_that_measures_nothing_sends_nothing_and_does_not_affect_its_parent() {
    let ended = end_by("fork_idle");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.totals(), [("before", COUNTS as f64), ("scope", 1.0)]);
    assert_eq!(ended.publishers("before").len(), 1);
}

#[test]
fn a_child_may_install_its_own_instrument() {
    let ended = end_by("fork_anew");
    assert_eq!(ended.status.code(), Some(0));
    let counts = COUNTS as f64;
    let of_child = ["child", "child.named", "child.time"].map(|name| (name, counts));
    assert_eq!(ended.totals(), [&[("before", counts)], &of_child[..]].concat());
    assert!(ended.publishers("child").is_disjoint(ended.publishers("before")));
}

#[test]
fn a_child_forked_after_the_shutdown_measures_nothing() {
    everything_arrives("fork_shut_down", 0);
}

#[test]
fn forks_while_threads_measure_neither_hang_nor_lose_nor_repeat_counts() {
    let ended = end_by("fork_busy");
    assert_eq!(ended.status.code(), Some(0));
    let (counts, busy) = (COUNTS as f64, ended.output.trim().parse::<f64>().unwrap());
    let total = |name: &str| ended.arrived[name].total;
    assert_eq!(total("before"), counts);
    for name in ["child", "child.time", "child.named"] {
        assert_eq!(total(name), 20.0 * counts, "{name}");
        assert_eq!(ended.publishers(name).len(), 20, "{name}");
    }
    assert_eq!((total("busy"), total("busy.gauge")), (busy, busy));
    assert_eq!(total("busy.fraction"), busy / 2.0);
    assert_eq!((0..4).map(|number| total(&format!("busy.named.{number}"))).sum::<f64>(), busy);
    assert_eq!(ended.publishers("busy"), ended.publishers("before"));
}

#[test]
fn forks_before_an_instrument_is_installed_do_not_hang_while_threads_use_call_sites() {
    let ended = end_by("fork_before_install");
    assert_eq!(ended.status.code(), Some(0));
    let total = 20.0 * COUNTS as f64;
    let names = ["child", "child.named", "child.time"];
    assert_eq!(ended.totals(), names.map(|name| (name, total)));
    assert_eq!(ended.publishers("child").len(), 20);
}

#[test]
fn without_a_broker_every_program_ends_within_the_flush_deadline() {
    let ports = Ports::take();
    let flush = Duration::from_secs(8);
    let ends = [("return", 0), ("exit", 0), ("static", 0), ("panic", 101), ("threads", 0)];
    // All at the same time, because each takes as long as the deadline.
    let started = ends.map(|(end, code)| (Instant::now(), ending(ports.at(0), flush, end), code));
    for ((begun, mut program, code), (end, _)) in started.into_iter().zip(ends) {
        assert_eq!(program.ended().code(), Some(code), "{end}");
        let took = begun.elapsed();
        // The program waits for a broker as long as allowed, but not twice as long. A busy machine
        // may need the rest to start the programs.
        assert!(took >= flush && took < flush * 2, "{end} took {took:?}");
    }
}
