//! StatsD and DogStatsD through real sockets, up to what a subscriber receives.

use crate::harness::{Bench, DEADLINE, Seen, Subscriber};
use crate::http::get;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Instant;
use zibrato::window::{Fold, Window};
use zibrato::wire::BatchReader;
use zibrato_broker::{Config, End, Statsd};

fn config(statsd: Statsd) -> Config {
    Config::new().http(Some("127.0.0.1:0".parse().unwrap())).intake(statsd)
}

/// A broker that listens at a port with this dialect in front, and a subscriber to everything at
/// `info`.
fn bench(dialect: &str) -> (Bench, Subscriber) {
    let bench = Bench::with(config(udp(dialect)));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    (bench, subscriber)
}

fn udp(dialect: &str) -> Statsd {
    Statsd::new().listen(&format!("{dialect}127.0.0.1:0")).unwrap().source(&"here".parse().unwrap())
}

/// The part of the address that begins with this text.
fn address(bench: &Bench, beginning: &str) -> String {
    let all = bench.broker.intake_address("statsd").unwrap();
    let part = all.split(',').find_map(|part| part.strip_prefix(beginning));
    part.unwrap_or_else(|| panic!("{all}")).to_owned()
}

fn send(bench: &Bench, packets: &[impl AsRef<[u8]>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in packets {
        socket.send_to(packet.as_ref(), address(bench, "")).unwrap();
    }
}

/// What a worker has of each series: `name;tag=value@source` and its value.
type Series = BTreeMap<String, f64>;

/// The last line of a test. Batches of one second are in the order of their sources.
const LAST: &str = "end:1|c|#host:~";

/// What arrives until the last line does. A counter is its sum, a gauge its last reading, a timer
/// or histogram its sum, and `name#` the number of readings or members.
fn received(subscriber: &Subscriber) -> Series {
    let mut window = Window::new(0, 1_000, 1_000);
    let mut is_over = false;
    while !is_over {
        let Some(Seen::Batch { body, .. }) = subscriber.next() else { panic!("{window:?}") };
        let batch = BatchReader::new(&body).unwrap();
        is_over = batch.entries().any(|entry| entry.unwrap().name == "end");
        window.fold_batch(&batch, |error| panic!("{error}"));
    }
    let mut all = Series::new();
    for series in window.into_series() {
        let mut shown = series.name.to_string();
        series.tags.iter().for_each(|(tag, value)| shown += &format!(";{tag}={value}"));
        if &*series.source != "here" {
            shown = format!("{shown}@{}", series.source);
        }
        let (value, count) = match &series.value {
            Fold::Counter(sum) => (*sum, None),
            Fold::Gauge(Some(gauge)) => (gauge.last, None),
            Fold::Set(members) => (members.len() as f64, None),
            other => {
                let summary = other.summary().unwrap();
                (summary.sum(), Some(summary.count() as f64))
            }
        };
        if let Some(count) = count {
            all.insert(format!("{shown}#"), count);
        }
        all.insert(shown, value);
    }
    all.remove("end@~");
    all
}

fn named(all: &[(&str, f64)]) -> Series {
    all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn rejected(bench: &Bench) -> BTreeMap<&'static str, u64> {
    bench.broker.counters().intake("statsd").unwrap().rejected.as_ref().clone()
}

/// Sends a packet, and compares what arrives and what is rejected.
#[track_caller]
fn check(dialect: &str, packet: &str, expected: &[(&str, f64)], reasons: &[(&'static str, u64)]) {
    let (bench, subscriber) = bench(dialect);
    send(&bench, &[packet, LAST]);
    assert_eq!(received(&subscriber), named(expected), "{dialect}{packet:?}");
    check_rejected(&bench, reasons);
}

/// Waits until so many inputs are rejected for these reasons, and none for others.
#[track_caller]
fn check_rejected(bench: &Bench, reasons: &[(&'static str, u64)]) {
    let count = |all: &BTreeMap<_, u64>| all.values().sum::<u64>();
    let expected = reasons.iter().copied().collect();
    bench.until("all are counted", || count(&rejected(bench)) >= count(&expected));
    assert_eq!(rejected(bench), expected);
}

const BOTH: [&str; 2] = ["", "dogstatsd://"];

#[test]
fn lines_that_broke_other_servers() {
    let many = [
        ("id:1|c|c:0123ef", "id", 1.0),
        ("zero:0|g|c:f1ce", "zero", 0.0),
        ("packed:21:43.2:1657|d|#t", "packed;t=true", 1721.2),
        ("parts:1|ms:2|ms|@0.5:3|ms", "parts", 0.008),
        ("members:abc:def|s", "members", 1.0),
        ("colons:1|c|#addr:0.0.0.0:443", "colons;addr=0.0.0.0:443", 1.0),
        ("equals:1|c|#k=v", "equals;k=v=true", 1.0),
        ("hashes:1|c|#x:1,#y:2", "hashes;x=1;y=2", 1.0),
        ("none:1|c|#", "none", 1.0),
        ("late:1|h|#t|@0.1", "late;t=true", 10.0),
        ("unknown:5|g|m:test", "unknown", 5.0),
        ("line:1|c\n", "line", 1.0),
        ("carriage:1|c\r\n", "carriage", 1.0),
    ];
    for dialect in BOTH {
        let (bench, subscriber) = bench(dialect);
        let packets: Vec<_> = many.iter().map(|(packet, ..)| *packet).chain([LAST]).collect();
        send(&bench, &packets);
        let received = received(&subscriber);
        for (packet, name, value) in many {
            assert_eq!(received.get(name), Some(&value), "{dialect}{packet:?} {received:?}");
        }
        assert_eq!(received["packed;t=true#"], 3.0);
        // The second one counts twice.
        assert_eq!(received["parts#"], 4.0);
        assert_eq!(rejected(&bench), BTreeMap::new());
    }
}

#[test]
fn invalid_lines_are_counted_by_reason_and_cost_only_themselves() {
    for dialect in BOTH {
        for (line, reason) in [
            ("a:  0.11  -0.05|h", "value"),
            ("a:NaN|g", "value"),
            ("a:-inf|c", "value"),
            ("a:?|g", "value"),
            ("a:5|g|T0", "timestamp"),
            ("a:5|g|Tx", "timestamp"),
            ("a:2|c|@0", "rate"),
            ("_sc|n|0", "service_check"),
            ("_e{5,4}:title|text", "event"),
            ("EXIT", "fields"),
            ("%:1|c", "name"),
        ] {
            let packet = format!("b:1|c\n{line}\nc:2|c");
            check(dialect, &packet, &[("b", 1.0), ("c", 2.0)], &[(reason, 1)]);
        }
    }
}

#[test]
fn tags_that_were_cut_are_counted_and_the_value_is_kept() {
    check("", "a:1|c|#env:prod,reg:", &[("a;env=prod", 1.0)], &[("tags", 1)]);
}

#[test]
fn a_sign_means_a_change_or_a_value() {
    check("", "a:-1|g\na:-1|g\na:-1|g", &[("a", -3.0)], &[]);
    check("statsd://", "a:5|g\na:+1|g", &[("a", 6.0)], &[]);
    check("dogstatsd://", "a:-1|g\na:-1|g\na:-1|g", &[("a", -1.0)], &[]);
}

#[test]
fn sources_are_tags_or_the_host() {
    let packet = "a:1|c\na:2|c|#host:web-1\na:3|c|#source:api,host:web-1\na,source=x:4|c";
    check("", packet, &[("a", 1.0), ("a@web-1", 2.0), ("a@api", 3.0), ("a@x", 4.0)], &[]);
}

#[test]
fn every_transport_is_received() {
    let dir = tempfile::tempdir().unwrap();
    let [datagrams, stream] = ["d.sock", "s.sock"].map(|name| dir.path().join(name));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let statsd = udp("").socket(&path(&datagrams)).unwrap();
    let statsd = statsd.stream_socket(&format!("dogstatsd://{}", path(&stream))).unwrap();
    let bench = Bench::with(config(statsd));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    UnixDatagram::unbound().unwrap().send_to(b"datagram:1|c\nx:2|c", &datagrams).unwrap();
    // A line may arrive in parts, and the last one may lack its end.
    let mut tcp = TcpStream::connect(address(&bench, "")).unwrap();
    tcp.set_nodelay(true).unwrap();
    for part in ["tc", "p:1|c\ntcp:", "2|c\ntcp:4|c"] {
        tcp.write_all(part.as_bytes()).unwrap();
    }
    tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(tcp.read(&mut [0]).unwrap(), 0, "it is closed");
    let mut lines = UnixStream::connect(&stream).unwrap();
    lines.write_all(b"stream:1|c\nstream:2|c\n").unwrap();
    drop(lines);
    let mut packets = UnixStream::connect(&stream).unwrap();
    for packet in ["framed:1|c\nframed:2|c", "framed:4|c"] {
        packets.write_all(&(packet.len() as u32).to_le_bytes()).unwrap();
        packets.write_all(packet.as_bytes()).unwrap();
    }
    drop(packets);
    let lines = || bench.broker.counters().intake("statsd").unwrap().lines;
    bench.until("all are received", || lines() == 10);
    send(&bench, &[LAST]);
    let expected = [("datagram", 1.0), ("x", 2.0), ("tcp", 7.0), ("stream", 3.0), ("framed", 7.0)];
    assert_eq!(received(&subscriber), named(&expected));
    assert_eq!(rejected(&bench), BTreeMap::new());
    assert_eq!(bench.broker.stop(DEADLINE).end, End::Clean);
    assert!(!datagrams.exists() && !stream.exists(), "the sockets are removed");
}

#[test]
fn streams_that_cannot_be_understood_are_counted_and_do_not_harm_others() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("s.sock");
    let statsd = udp("").stream_socket(stream.to_str().unwrap()).unwrap();
    let bench = Bench::with(config(statsd));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    let connect = || UnixStream::connect(&stream).unwrap();
    // A length that lies, and the beginning of a packet.
    let mut lies = connect();
    lies.write_all(&0x00ff_ffff_u32.to_le_bytes()).unwrap();
    assert_eq!(lies.read(&mut [0]).unwrap(), 0, "it is closed");
    let mut cut = connect();
    cut.write_all(&9_u32.to_le_bytes()).unwrap();
    cut.write_all(b"a:1|").unwrap();
    drop(cut);
    let mut long = connect();
    long.write_all(&vec![b'x'; 1 << 20]).unwrap();
    long.write_all(b"\nafter:1|c\n").unwrap();
    drop(long);
    bench.until("the line after is received", || {
        bench.broker.counters().intake("statsd").unwrap().lines == 1
    });
    send(&bench, &[LAST]);
    assert_eq!(received(&subscriber), named(&[("after", 1.0)]));
    check_rejected(&bench, &[("too_long", 2), ("truncated", 1)]);
}

#[test]
fn garbage_and_the_largest_packets_are_survived() {
    let (bench, subscriber) = bench("");
    let largest = format!("large:1|c|#x:{}", "v".repeat(65_507 - 15));
    let mut noise = vec![0_u8; 65_507];
    let mut state = 1_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    send(&bench, &[largest.as_bytes(), &noise, &[0; 65_507], b"", b"a:1|c", LAST.as_bytes()]);
    let received = received(&subscriber);
    assert_eq!((received.get("a"), received.get("large")), (Some(&1.0), Some(&1.0)));
    bench.until("noise is rejected", || rejected(&bench).values().sum::<u64>() > 3);
}

#[test]
fn a_flood_of_names_is_folded_together() {
    let bench = Bench::with(config(udp("").max_series(10)));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    let names: Vec<_> = (0..200).map(|n| format!("n{n}:1|c")).collect();
    send(&bench, &[names.join("\n")]);
    send(&bench, &[LAST]);
    let mut sum = 0.0;
    while sum < 201.0 {
        let seen = subscriber.next().unwrap();
        sum += seen.counters().iter().map(|(_, value)| value).sum::<f64>();
    }
    assert_eq!(sum, 201.0);
    send(&bench, &["n3:1|c"]);
    let seen = subscriber.next().unwrap();
    assert_eq!(seen.counters(), [("n3".to_owned(), 1.0)]);
}

#[test]
fn several_threads_receive_what_was_sent() {
    let bench = Bench::with(config(udp("").threads(3)));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    for _ in 0..20 {
        send(&bench, &["a:1|c\nt:5|ms"]);
    }
    let lines = || bench.broker.counters().intake("statsd").unwrap().lines;
    bench.until("all are received", || lines() == 40);
    send(&bench, &[LAST]);
    let received = received(&subscriber);
    assert_eq!((received["a"], received["t#"]), (20.0, 20.0));
}

#[test]
fn gauges_are_repeated_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gauges.json");
    let start = || {
        let bench = Bench::with(config(udp("").gauges(&file)));
        let subscriber = bench.subscribe(&["zb1|info|"]);
        (bench, subscriber)
    };
    let (bench, subscriber) = start();
    send(&bench, &["g:10|g|#x:1", LAST]);
    assert_eq!(received(&subscriber), named(&[("g;x=1", 10.0)]));
    assert_eq!(bench.broker.stop(DEADLINE).end, End::Clean);
    assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"g;x=1":[10.0,{"x":"1"}]}"#);
    let (bench, subscriber) = start();
    // Nobody sets it, and it is there within ten seconds.
    let Some(Seen::Batch { body, .. }) = subscriber.next() else { panic!("nothing") };
    let entry = BatchReader::new(&body).unwrap().entries().next().unwrap().unwrap();
    assert_eq!(entry.name, "g");
    send(&bench, &["g:+1|g|#x:1", LAST]);
    assert_eq!(received(&subscriber), named(&[("g;x=1", 11.0)]));
}

#[test]
fn the_admin_port_answers() {
    let bench = Bench::with(config(udp("").admin("127.0.0.1:0").unwrap()));
    let subscriber = bench.subscribe(&["zb1|info|"]);
    send(&bench, &["a:1|c\ng:4|g\nbad", LAST]);
    received(&subscriber);
    let stream = TcpStream::connect(address(&bench, "admin=")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |command: &str| {
        (&stream).write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("END\n\n") {
            assert_ne!(reader.read_line(&mut answer).unwrap(), 0, "{answer}");
        }
        answer
    };
    assert_eq!(ask("gauges"), "{\n  \"g\": 4.0\n}\nEND\n\n");
    assert_eq!(ask("delcounters a"), "deleted: a\nEND\n\n");
    let begun = Instant::now();
    while !ask("stats").contains("messages.bad_lines_seen: 1\n") {
        assert!(begun.elapsed() < DEADLINE);
    }
    (&stream).write_all(b"quit\n").unwrap();
    assert_eq!((&stream).read(&mut [0]).unwrap(), 0, "it is closed");
}

#[test]
fn what_was_received_before_the_stop_is_published() {
    let (bench, subscriber) = bench("");
    send(&bench, &["a:1|c"; 200]);
    let report = bench.broker.stop(DEADLINE);
    assert_eq!(report.end, End::Clean);
    assert_eq!(report.counters.intake("statsd").unwrap().lines, 200);
    let mut sum = 0.0;
    while sum < 200.0 {
        let seen = subscriber.next().unwrap();
        sum += seen.counters().iter().map(|(_, value)| value).sum::<f64>();
    }
}

#[test]
fn addresses_in_use_are_named_and_abandoned_sockets_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let text = path.to_str().unwrap();
    drop(UnixDatagram::bind(&path).unwrap());
    let bench = Bench::with(config(udp("").socket(text).unwrap()));
    let at = address(&bench, "");
    for statsd in [Statsd::new().listen(&at), Statsd::new().socket(text)] {
        let started = zibrato_broker::Broker::start(Config::new().port(0).intake(statsd.unwrap()));
        let error = started.unwrap_err().to_string();
        assert!(error.contains(&at) || error.contains(text), "{error}");
    }
    // A file that is not a socket is left alone.
    let file = dir.path().join("notes.txt");
    fs::write(&file, "text").unwrap();
    let statsd = Statsd::new().socket(file.to_str().unwrap()).unwrap();
    assert!(zibrato_broker::Broker::start(Config::new().port(0).intake(statsd)).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
}

#[test]
fn metrics_tell_what_was_received() {
    let (bench, subscriber) = bench("");
    send(&bench, &["a:1|c\nb:x|c\na:1|ms", LAST]);
    received(&subscriber);
    check_rejected(&bench, &[("value", 1)]);
    let page = get(&bench, "/metrics");
    for sample in [
        "zibrato_broker_lines_total{intake=\"statsd\"} 3",
        "zibrato_broker_bytes_total{intake=\"statsd\"} 33",
        "zibrato_broker_rejected_total{intake=\"statsd\",reason=\"value\"} 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample}\n{page}");
    }
}
