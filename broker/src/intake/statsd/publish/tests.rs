//! What reaches the router, which these tests play, and what does not.

use super::{Publisher, SharedGauges};
use crate::intake::rules::{RulesReader, RulesStore};
use crate::intake::statsd::file::GaugeFile;
use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::Shared;
use crate::intake::statsd::state::Gauges;
use crate::intake::{IntakeContext, Link};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::{LogLimit, Stop};
use zibrato::wire::{Ack, BatchId, BatchReader, PublisherId};

/// Limit for what must happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// An intake's context, and the router's side of it.
struct Bench {
    context: IntakeContext,
    router: zmq::Socket,
    link: Arc<Link>,
}

impl Bench {
    fn new() -> Self {
        let zmq = zmq::Context::new();
        let (push, router) = (zmq.socket(zmq::PUSH).unwrap(), zmq.socket(zmq::PULL).unwrap());
        router.bind("inproc://statsd").unwrap();
        push.connect("inproc://statsd").unwrap();
        router.set_rcvtimeo(20_000).unwrap();
        let link = Arc::new(Link::new("statsd", PublisherId::random()));
        let stop = Stop::new().unwrap();
        let context =
            IntakeContext::new("statsd", "info".to_owned(), stop, push, Arc::clone(&link));
        Self { context, router, link }
    }
}

fn publisher(receivers: usize, file: Option<&Path>) -> Publisher {
    let receivers = (0..receivers).map(|_| Arc::new(Shared::new(1_000_000))).collect();
    Publisher {
        receivers,
        gauges: Arc::new(SharedGauges::new(Gauges::new(1_000_000))),
        file: file.map(GaugeFile::new),
        level: "info".to_owned(),
        seconds: 0,
        is_published: true,
        offenders: LogLimit::default(),
        taken: 0,
        until: None,
    }
}

fn receive(publisher: &Publisher, receiver: usize, packet: &str) {
    publisher.receivers[receiver].lock().take(packet.as_bytes(), Dialect::Statsd, &"me", 1_000);
}

/// Acknowledges batches until one has a series `end`. Returns the names of all series.
fn acknowledge(router: zmq::Socket, link: &Link) -> Vec<String> {
    let mut names = Vec::new();
    while !names.iter().any(|name| name == "end") {
        let message = router.recv_multipart(0).unwrap();
        let id = BatchId::decode(&message[1]).unwrap();
        let batch = BatchReader::new(&message[2]).unwrap();
        names.extend(batch.entries().map(|entry| entry.unwrap().name.to_owned()));
        link.acknowledge(Ack { sequences: [("info".to_owned(), id.sequence)].into() });
    }
    names
}

#[test]
fn the_series_of_several_receivers_do_not_overflow_together() {
    let Bench { mut context, router, link } = Bench::new();
    let mut publisher = publisher(3, None);
    for receiver in 0..3 {
        for n in 0..40_000 {
            receive(&publisher, receiver, &format!("r{receiver}.n{n}:1|c"));
        }
    }
    let names = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new();
        let acknowledged = thread.spawn_scoped(scope, || acknowledge(router, &link)).unwrap();
        publisher.publish(&mut context);
        assert!(context.publish(DEADLINE));
        receive(&publisher, 0, "end:1|c");
        publisher.publish(&mut context);
        acknowledged.join().unwrap()
    });
    assert_eq!((names.len(), context.counters.overflowed), (120_001, 0));
    assert!(!names.iter().any(|name| name == "_overflow"));
}

#[test]
fn gauges_are_saved_and_samples_counted_although_the_broker_takes_nothing_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gauges.json");
    let Bench { mut context, router: _router, link: _ } = Bench::new();
    let mut publisher = publisher(2, Some(&file));
    receive(&publisher, 0, "g:5|g");
    publisher.publish(&mut context);
    receive(&publisher, 0, "g:+1|g\na:1|c\na:1|c");
    receive(&publisher, 1, "g:+1|g\nb:x|s");
    publisher.finish(&mut context, Instant::now()).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"g":7.0}"#);
    assert_eq!(context.counters.rejected.get("stop"), Some(&5));
}

/// The sources and names of the series in some batches; there is one for each source.
fn series(router: &zmq::Socket, batches: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..batches {
        let message = router.recv_multipart(0).unwrap();
        let batch = BatchReader::new(&message[2]).unwrap();
        let names = batch.entries().map(|entry| entry.unwrap().name.to_owned());
        all.extend(names.map(|name| format!("{} {name}", batch.source())));
    }
    all.sort();
    all
}

/// The series that a publisher with rules sends to the router. It repeats a gauge `idle`, whose last
/// reading was in 1970.
fn with_rules(script: &str, packet: &str, batches: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    std::fs::write(&file, "script = \"rules.rhai\"\ndrop_on_error = true\n").unwrap();
    std::fs::write(folder.path().join("rules.rhai"), script).unwrap();
    let Bench { mut context, router, link: _link } = Bench::new();
    context.rules = RulesReader::new(Some(Arc::new(RulesStore::open(&file).unwrap())));
    context.set_default_source("here");
    let mut publisher = publisher(1, None);
    publisher.gauges.lock().restore(br#"{"idle":1.5}"#, 1_000, 0).unwrap();
    while context.uptime_ms() == 0 {
        context.wait_until(&[], 0);
    }
    receive(&publisher, 0, packet);
    publisher.publish(&mut context);
    series(&router, batches)
}

#[test]
fn rules_see_no_host_if_the_sender_names_none_and_the_source_is_filled_in_afterwards() {
    let script = "fn process(host, name, value, time) {
        if name == \"other\" { return [\"there\", name, value, time]; }
        [host, name + \"_\" + if host == () { \"none\" } else { host }, value, time]
    }";
    let series = with_rules(script, "a:1|c\na:1|c|#host:web\nother:1|c", 3);
    assert_eq!(series, ["here a_none", "here idle_none", "there other", "web a_web"]);
}

#[test]
fn a_script_for_the_time_keeps_gauges_that_are_repeated() {
    let script = "fn process(host, name, value, time) {
        if time > now() + 120 || time < now() - 300 { return; }
        [host, name, value, time]
    }";
    // The time of `old` is that of a reading.
    assert_eq!(with_rules(script, "a:1|c\nold:1|g", 1), ["here a", "here idle"]);
}

#[test]
fn a_source_is_filled_in_without_rules() {
    let Bench { mut context, router, link: _link } = Bench::new();
    context.set_default_source("here");
    let mut publisher = publisher(1, None);
    receive(&publisher, 0, "a:1|c");
    publisher.publish(&mut context);
    assert_eq!(series(&router, 1), ["here a"]);
}

#[test]
fn series_are_published_before_the_gauges_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    // Who writes to it waits for a reader.
    let slow = folder.path().join("gauges.json.new");
    mknodat(CWD, &slow, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let Bench { mut context, router, link } = Bench::new();
    let mut publisher = publisher(1, Some(&folder.path().join("gauges.json")));
    receive(&publisher, 0, "g:5|g\nend:1|c");
    let shared = Arc::clone(&publisher.receivers[0]);
    let thread = std::thread::Builder::new();
    let finish = move || publisher.finish(&mut context, Instant::now() + DEADLINE);
    let finished = thread.spawn(finish).unwrap();
    let names = acknowledge(router, &link);
    assert!(names.iter().any(|name| name == "g"), "{names:?}");
    let mut saved = String::new();
    File::open(&slow).unwrap().read_to_string(&mut saved).unwrap();
    assert_eq!(saved, r#"{"g":5.0}"#);
    // It is no file that can be synced.
    assert!(finished.join().unwrap().is_err());
    assert_eq!(shared.lock().table.untaken(), 0);
}
