//! MetricsD: packets on a socket of the program, and what subscribers receive.

use crate::harness::{DEADLINE, Seen, Subscriber};
use crate::http::get_from;
use crate::program::{Running, ended, program};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{ChildStderr, Command};
use std::time::Instant;
use zibrato::wire::{BatchReader, Value};

const COUNTER: u8 = 0x00;
const GAUGE: u8 = 0x10;
const HISTOGRAM: u8 = 0x20;
const METER: u8 = 0x30;
const TIMER: u8 = 0x40;

/// A program that listens for MetricsD.
struct Broker {
    running: Running,
    log: BufReader<ChildStderr>,
    /// The line `event=listening`.
    listening: serde_json::Value,
    socket: UdpSocket,
}

impl Broker {
    fn start(args: &[&str]) -> Self {
        let fixed = ["--port", "0", "--http", "127.0.0.1:0", "--log-format", "json"];
        let listen = ["--settle", "0", "--metricsd", "127.0.0.1:0"];
        let args = [&fixed[..], &listen, args].concat();
        let mut running = Running(program(&args).spawn().unwrap());
        let mut log = BufReader::new(running.0.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"event\":\"listening\"") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        }
        let listening = serde_json::from_str(&line).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { running, log, listening, socket }
    }

    /// A part of the line `event=listening`.
    fn address(&self, of: &str) -> &str {
        // The parts are in the line itself, or in a map of fields.
        let fields = self.listening.get("fields").unwrap_or(&self.listening);
        fields[of].as_str().unwrap_or_else(|| panic!("{of}: {}", self.listening))
    }

    fn send(&self, packet: &[u8]) {
        let to = self.address("intakes").strip_prefix("metricsd=").unwrap();
        self.socket.send_to(packet, to).unwrap();
    }

    fn subscribe(&self, level: &str) -> Subscriber {
        let socket = zmq::Context::new().socket(zmq::SUB).unwrap();
        socket.set_subscribe(format!("zb1|{level}|").as_bytes()).unwrap();
        socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
        socket.connect(self.address("subscribers")).unwrap();
        Subscriber { socket }
    }

    /// Waits until the page of metrics contains each of these lines.
    #[track_caller]
    fn until_counted(&self, lines: &[&str]) {
        let begun = Instant::now();
        loop {
            let page = get_from(self.address("http").parse().unwrap(), "/metrics");
            if lines.iter().all(|expected| page.lines().any(|line| line == *expected)) {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{lines:?} {page}");
        }
    }

    /// Ends it with TERM, and returns its last log lines.
    fn stop(mut self) -> Vec<String> {
        let pid = self.running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let rest: Vec<_> = self.log.lines().map_while(Result::ok).collect();
        assert_eq!(self.running.0.wait().unwrap().code(), Some(0), "{rest:?}");
        rest
    }
}

/// The gauges of one batch: `source name` and the last reading.
fn gauges(seen: Seen) -> BTreeMap<String, f64> {
    let Seen::Batch { body, .. } = seen else { return BTreeMap::new() };
    let batch = BatchReader::new(&body).unwrap();
    let source = batch.source();
    let entries = batch.entries().map(Result::unwrap);
    let readings = entries.filter_map(|entry| match entry.value {
        Value::Gauge(gauge) => Some((format!("{source} {}", entry.name), gauge.last)),
        _ => None,
    });
    readings.collect()
}

/// Waits for all these gauges, each with this value.
#[track_caller]
fn receive(subscriber: &Subscriber, expected: &[(&str, f64)]) {
    let (begun, mut last) = (Instant::now(), BTreeMap::new());
    while !expected.iter().all(|(name, value)| last.get(*name) == Some(value)) {
        assert!(begun.elapsed() < DEADLINE, "{last:?}");
        last.extend(gauges(subscriber.next().unwrap()));
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes(), &[0]].concat()
}

/// A packet of updates.
fn packet(host: &str, updates: &[(u8, &str, f64)]) -> Vec<u8> {
    let mut packet = [&[0xaa][..], &text(host)].concat();
    for (kind, name, value) in updates {
        packet.extend([&[*kind][..], &text(name), &[0x41], &value.to_be_bytes()].concat());
    }
    packet
}

#[test]
fn statistics_of_all_kinds_reach_subscribers_as_gauges_of_the_host() {
    let broker = Broker::start(&["--metricsd-interval", "0.5", "--metricsd-level", "app"]);
    let subscriber = broker.subscribe("app");
    broker.send(&packet(
        "node.co.tld",
        &[(COUNTER, "c", 2.0), (GAUGE, "g", 1.5), (COUNTER, "c", -5.0)],
    ));
    let mut updates = vec![(TIMER, "t", 100.0), (TIMER, "t", 300.0), (METER, "m", 50.0)];
    updates.extend((1..=10_u8).map(|value| (HISTOGRAM, "h", f64::from(value))));
    broker.send(&packet("web-1", &updates));
    // Without a host, and with a name that is not ASCII.
    broker.send(&packet("", &[(GAUGE, "café", -0.25)]));
    receive(
        &subscriber,
        &[
            ("node.co.tld c", -3.0),
            ("node.co.tld g", 1.5),
            ("not_specified café", -0.25),
            ("web-1 h.count", 10.0),
            ("web-1 h.sum", 55.0),
            ("web-1 h.min", 1.0),
            ("web-1 h.max", 10.0),
            ("web-1 h.mean", 5.5),
            ("web-1 h.perc_75", 8.25),
            ("web-1 h.perc_99_9", 10.0),
            ("web-1 m.count", 50.0),
            ("web-1 t.calls.count", 2.0),
            ("web-1 t.histo.stddev", 141.421_356_237_309_5),
            ("web-1 t.histo.max", 300.0),
        ],
    );
    // Values stay, also for who subscribes later.
    broker.send(&packet("node.co.tld", &[(COUNTER, "c", 4.0)]));
    receive(&broker.subscribe("app"), &[("node.co.tld c", 1.0), ("node.co.tld g", 1.5)]);
    broker.stop();
}

#[test]
fn what_is_invalid_is_counted_by_reason_and_its_neighbours_are_kept() {
    let broker = Broker::start(&["--metricsd-interval", "0.5"]);
    let subscriber = broker.subscribe("info");
    let good = packet("h", &[(GAUGE, "good", 7.0)]);
    let after_good = |bad: &[u8]| [&good[..], bad].concat();
    let garbage: Vec<u8> = (0..65_507).map(|at: u32| at.to_le_bytes()[0]).collect();
    for bad in [
        b"",
        &b"\xab\0\x01h\0"[..],
        &garbage,
        b"\xaa\xff\xffh\0",
        b"\xaa\0\x01hx",
        b"\xaa\0\x01\xff\0",
        &after_good(b"\x90\0\x01x\0"),
        &after_good(b"\x17\0\x01x\0"),
        &after_good(b"\x10\0\x01x\0\x55"),
        &after_good(b"\x10\0\x01x\0\x41\0"),
        &packet("h", &[(GAUGE, "x", f64::NAN), (GAUGE, "x", f64::INFINITY), (GAUGE, "good", 8.0)]),
        &packet("h", &[(GAUGE, "a|b", 1.0), (COUNTER, "good", 1.0)]),
        &packet("a\nb", &[(GAUGE, "x", 1.0)]),
    ] {
        broker.send(bad);
    }
    let rejected = |(reason, count): (&str, u64)| {
        format!("zibrato_broker_rejected_total{{intake=\"metricsd\",reason=\"{reason}\"}} {count}")
    };
    let lines = [
        ("action", 1),
        ("encoding", 1),
        ("magic", 3),
        ("name", 1),
        ("number", 1),
        ("number_type", 1),
        ("other_type", 1),
        ("source", 1),
        ("string", 1),
        ("terminator", 1),
        ("type", 1),
        ("value", 2),
    ]
    .map(rejected);
    broker.until_counted(&lines.each_ref().map(String::as_str));
    receive(&subscriber, &[("h good", 8.0)]);
    let log = broker.stop();
    let warning = log.iter().find(|line| line.contains("rejected_by_intake")).unwrap();
    assert!(warning.contains("metricsd") && warning.contains("from 127.0.0.1:"), "{warning}");
    let other = log.iter().find(|line| line.contains("other_type")).unwrap();
    assert!(other.contains("the metric is a ") && other.contains("delete it first"), "{other}");
    let all = log.iter().filter(|line| line.contains("rejected_by_intake"));
    all.for_each(|line| assert!(line.contains("\"why\""), "{line}"));
}

#[test]
fn a_handler_sets_the_interval_and_all_values_are_published_at_the_end() {
    let broker = Broker::start(&[
        "--metricsd-interval",
        "86400",
        "--metricsd-handler",
        r"tld\.node\.slow=86400@1",
        "--metricsd-handler",
        r"tld\.node\.(fast|slow)=0.5@50",
        "--metricsd-handler",
        r"tld\.node\.slow=86400@51",
    ]);
    let subscriber = broker.subscribe("info");
    let updates = [(GAUGE, "fast", 1.0), (GAUGE, "slow", 2.0), (GAUGE, "other", 3.0)];
    broker.send(&packet("node.tld", &updates));
    let first = loop {
        let seen = gauges(subscriber.next().unwrap());
        if !seen.is_empty() {
            break seen;
        }
    };
    assert_eq!(first.into_iter().collect::<Vec<_>>(), [("node.tld fast".to_owned(), 1.0)]);
    broker.stop();
    receive(&subscriber, &[("node.tld slow", 2.0), ("node.tld other", 3.0)]);
}

#[test]
fn flags_of_an_intake_that_is_off_are_refused() {
    for (args, part) in [
        (&["--metricsd-handler", "a=1"][..], "--metricsd-handler needs --metricsd"),
        (&["--metricsd-expire", "9"], "--metricsd-expire needs --metricsd"),
        (&["--collectd-types", "types.db"], "--collectd-types needs --collectd"),
        (&["--collectd-security-level", "sign"], "--collectd-security-level needs --collectd"),
        (&["--collectd-auth-file", "users"], "--collectd-auth-file needs --collectd"),
        (&["--collectd-counter-resets"], "--collectd-counter-resets needs --collectd"),
        (&["--statsd-threads", "2"], "--statsd-threads needs --statsd"),
        (&["--collectd", "127.0.0.1:0", "--collectd-replace-dots", "|"], "names can contain"),
    ] {
        let (code, _, stderr) = ended(&[&["--port", "0", "--http", "off"], args].concat());
        assert_eq!(code, 64, "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}

#[test]
fn flags_that_are_wrong_are_explained() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let at = ["--port", "0", "--http", "off", "--metricsd", "127.0.0.1:0"];
    for (args, code, part) in [
        (&["--metricsd-handler", "a"][..], 64, "expected REGEX=SECONDS"),
        (&["--metricsd-handler", "(=1"], 64, "the pattern \"(\" is not valid: unclosed group"),
        (&["--metricsd-handler", "a=1@x"], 64, "the priority \"x\" is not a whole number"),
        (&["--metricsd-interval", "0"], 64, "expected a number of seconds from 0.1 to 86400"),
        (&["--metricsd-level", "a|b"], 64, "a|b"),
    ] {
        let (found, _, stderr) = ended(&[&at[..], args].concat());
        assert_eq!(found, code, "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
    for (address, code, part) in [
        (&*taken, 69, "in use"),
        ("127.0.0.1", 64, "expected HOST:PORT"),
        (":23632", 64, "expected HOST:PORT"),
        ("host.invalid.:1", 78, "host.invalid"),
    ] {
        for check in [&[][..], &["--check"]] {
            let args = ["--port", "0", "--http", "off", "--metricsd", address];
            let (found, _, stderr) = ended(&[&args[..], check].concat());
            assert_eq!(found, code, "{address}: {stderr}");
            assert!(stderr.contains(part) && stderr.contains("--metricsd"), "{address}: {stderr}");
        }
    }
}
