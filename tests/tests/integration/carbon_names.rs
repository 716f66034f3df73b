//! Names, values and pickles in a real Carbon: what it makes of lines that broke others, and that it
//! stores whatever Zibrato sends so that it can be read back.

use clap::Parser;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge, Zibrato};
use zibrato_tests::{Broker, Carbon, DEADLINE, Signal, wait_until};
use zibrato_workers::carbon::{Carbon as Backend, CarbonFlags};
use zibrato_workers::{Backend as _, BackendProgram as _, SendError};

/// Unix seconds, some seconds ago.
fn now() -> u64 {
    unix_ms() / 1_000 - 5
}

/// The metric as which Carbon stores a name with tags.
fn tagged(name: &str) -> String {
    let hash: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hash.split_at(3);
    let (second, _) = rest.split_at(3);
    format!("_tagged.{first}.{second}.{hash}")
}

#[test]
fn carbon_makes_of_lines_that_zibrato_never_sends_what_others_have_met() {
    let carbon = Carbon::start();
    let time = now();
    let mut stream = TcpStream::connect(("127.0.0.1", carbon.port())).unwrap();
    let lines = [
        format!("a.nan nan {time}"),
        "a.now 1 -1".to_owned(),
        "a.part 1 -1.9".to_owned(),
        "a.letter 1 N".to_owned(),
        format!("a.percent 99.07% {time}"),
        format!("a.unit 2 ms {time}"),
        format!("a.my name 1 {time}"),
        format!("x.abc 1 {time}"),
        format!("x.abc.def 2 {time}"),
        format!("m;b=2;a=1 3 {time}"),
        format!("n{{b=\"2\",a=\"1\"}} 4 {time}"),
        format!("last 5 {time}"),
    ];
    let begun = unix_ms() / 1_000;
    stream.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let (m, n) = (tagged("m;a=1;b=2"), tagged("n;a=1;b=2"));
    let mut expected = ["a.now", "a.part", "last", "x.abc", "x.abc.def", &m, &n];
    expected.sort_unstable();
    wait_until(DEADLINE, "all points", || carbon.metrics() == expected);
    wait_until(DEADLINE, "all values", || {
        carbon.fetch_all().values().all(|points| points.len() == 1)
    });
    let stored = carbon.fetch_all();
    let at = |name: &str, value: f64| assert_eq!(stored[name], [(time, value)], "{name}");
    for (name, value) in [("x.abc", 1.0), ("x.abc.def", 2.0), (&*m, 3.0), (&*n, 4.0), ("last", 5.0)]
    {
        at(name, value);
    }
    for name in ["a.now", "a.part"] {
        assert!(
            stored[name].iter().all(|(time, value)| *time >= begun && *value == 1.0),
            "{stored:?}"
        );
    }
}

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    flags: CarbonFlags,
}

/// A gauge: source, name, tags, value.
type Reading<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], f64);

/// Sends gauges of one window, and returns the lines in which they are: name and value.
fn send(address: &str, flags: &[&str], readings: &[Reading<'_>], time: u64) -> Vec<(String, f64)> {
    let args = ["x", "--carbon", address].into_iter().chain(flags.iter().copied());
    let mut backend = Backend::open(Cli::try_parse_from(args).unwrap().flags).unwrap();
    let mut window = Window::new(time * 1_000, 1_000, 100_000);
    let mut accepted = 0;
    for (source, name, tags, value) in readings {
        let mut batch = BatchWriter::new(source, 0, 1_000);
        batch.gauge(name, tags, &Gauge::reading(*value, 1));
        let body = batch.finish();
        accepted += 1;
        window.fold_batch(&BatchReader::new(&body).unwrap(), |_| accepted -= 1);
    }
    let payloads = backend.payloads(window);
    let mut lines = Vec::new();
    for payload in &payloads {
        // Carbon opens its ports one after the other.
        wait_until(DEADLINE, "Carbon to listen", || match backend.send(payload) {
            Ok(()) => true,
            Err(SendError::Retry { .. } | SendError::Unknown { .. }) => false,
            Err(error) => panic!("{error:?}"),
        });
        for line in std::str::from_utf8(&payload.body).unwrap().lines() {
            let mut fields = line.split(' ');
            let (name, value) = (fields.next().unwrap(), fields.next().unwrap());
            lines.push((name.to_owned(), value.parse().unwrap()));
        }
    }
    assert_eq!(lines.len(), accepted, "{lines:?}");
    lines
}

/// Waits until Carbon has exactly these names, each with one point.
fn is_stored(carbon: &Carbon, lines: &[(String, f64)], time: u64) {
    let metric = |name: &String| if name.contains(';') { tagged(name) } else { name.clone() };
    let expected: BTreeMap<_, _> =
        lines.iter().map(|(name, value)| (metric(name), vec![(time, *value)])).collect();
    assert_eq!(expected.len(), lines.len(), "two lines have one name: {lines:?}");
    let names: Vec<_> = expected.keys().cloned().collect();
    wait_until(DEADLINE, "all names", || carbon.metrics() == names);
    wait_until(DEADLINE, "all points", || carbon.fetch_all() == expected);
}

/// The longest text that a measurement may have.
fn longest(begin: &str) -> String {
    format!("{begin}{}", "n".repeat(255 - begin.len()))
}

#[test]
fn names_that_carbon_refuses_or_nobody_can_read_are_stored_under_legal_ones() {
    let long = [longest("a"), longest("ä"), longest("a.b.c-")];
    let names = [
        "a..b",
        ".a.b",
        "a.b.",
        ".",
        "..",
        "...a",
        "a b",
        "a\u{a0}b",
        "a/b",
        "a\\b",
        "a;b",
        "a*b",
        "a?b",
        "a[b]",
        "a{b}",
        "a(b)",
        "a,b",
        "a'b",
        "a\"b",
        "a`b",
        "~a",
        "a=b!^",
        "café.温度",
        "-",
        "a#b",
        "a%b",
        "a:b",
        "N",
        "nan",
        "m{a=\"1\"}",
        &long[0],
        &long[1],
        &long[2],
    ];
    // Each is in a folder of its own, because a name may also be a folder of another one.
    let sources: Vec<_> = (0..names.len()).map(|n| format!("s{n}")).collect();
    let readings: Vec<Reading<'_>> = (0..)
        .zip(&sources)
        .zip(names)
        .map(|((n, source), name)| (&**source, name, &[][..], f64::from(n)))
        .collect();
    for scheme in ["", "udp://", "pickle://"] {
        let carbon = Carbon::start();
        let port = if scheme == "pickle://" { carbon.pickle_port() } else { carbon.port() };
        let time = now();
        let lines = send(&format!("{scheme}127.0.0.1:{port}"), &[], &readings, time);
        assert_eq!(lines.len(), names.len());
        for (name, _) in &lines {
            assert!(name.split('.').all(|part| (1..=251).contains(&part.len())), "{name}");
            assert!(
                !name.contains(|c: char| c.is_whitespace() || "/\\;*?[]{}(),'\"`~".contains(c)),
                "{name}"
            );
        }
        is_stored(&carbon, &lines, time);
    }
}

#[test]
fn tags_are_stored_as_they_are_sent_whatever_is_in_them() {
    let long = [longest("t"), longest("v")];
    let tags: [&[(&str, &str)]; 15] = [
        &[("a", "1"), ("b", "2")],
        &[("z", "1"), ("b", "2"), ("y", "3")],
        // A tag without a value, as the StatsD intake reads `#k`.
        &[("k", "true")],
        &[("a;b", "1")],
        &[("a!b", "1")],
        &[("a^b", "1")],
        &[("a=b", "1")],
        &[("a", "b;c")],
        &[("a", "b=c")],
        &[("a", "~b")],
        &[("a", "~~")],
        &[("a b", "c d")],
        &[("name", "x")],
        &[("a", "1.2.3"), ("url", "/x/*?y=\"1\"")],
        &[(&long[0], &long[1])],
    ];
    let names: Vec<_> = (0..tags.len()).map(|n| format!("n{n}")).collect();
    let readings: Vec<Reading<'_>> = (0..)
        .zip(&names)
        .zip(tags)
        .map(|((n, name), tags)| (DEFAULT_SOURCE, &**name, tags, f64::from(n)))
        .collect();
    for (flags, scheme) in [
        (&[][..], ""),
        (&[], "pickle://"),
        (&["--tags", "path"], ""),
        (&["--tags", "path"], "udp://"),
    ] {
        let carbon = Carbon::start();
        let port = if scheme == "pickle://" { carbon.pickle_port() } else { carbon.port() };
        let time = now();
        let lines = send(&format!("{scheme}127.0.0.1:{port}"), flags, &readings, time);
        assert_eq!(lines.len(), tags.len());
        assert!(lines.iter().all(|(name, _)| name.contains(';') == flags.is_empty()), "{lines:?}");
        // Carbon parses and sorts the tags before it stores them, so the name was valid and sorted.
        is_stored(&carbon, &lines, time);
    }
}

#[test]
fn what_carbon_cannot_take_is_refused_on_the_way_to_it() {
    let readings: [Reading<'_>; 7] = [
        (DEFAULT_SOURCE, "", &[], 1.0),
        (DEFAULT_SOURCE, "n", &[("", "v")], 2.0),
        (DEFAULT_SOURCE, "n", &[("t", "")], 3.0),
        (DEFAULT_SOURCE, "nan", &[], f64::NAN),
        (DEFAULT_SOURCE, "inf", &[], f64::INFINITY),
        (DEFAULT_SOURCE, "below", &[], f64::NEG_INFINITY),
        (DEFAULT_SOURCE, "good", &[("t", "v")], 4.0),
    ];
    for scheme in ["", "udp://", "pickle://"] {
        let carbon = Carbon::start();
        let port = if scheme == "pickle://" { carbon.pickle_port() } else { carbon.port() };
        let time = now();
        let lines = send(&format!("{scheme}127.0.0.1:{port}"), &[], &readings, time);
        assert_eq!(lines, [("good;t=v".to_owned(), 4.0)]);
        is_stored(&carbon, &lines, time);
    }
}

#[test]
fn values_are_read_back_with_all_their_digits() {
    let values = [
        0.1,
        1.0 / 3.0,
        1e-12,
        5e-324,
        123_456_789.123,
        9_007_199_254_740_993.0,
        1e22,
        f64::MAX,
        f64::MIN,
        -0.5,
        0.0,
    ];
    let names: Vec<_> = (0..values.len()).map(|n| format!("v.n{n}")).collect();
    let readings: Vec<Reading<'_>> = names
        .iter()
        .zip(values)
        .map(|(name, value)| (DEFAULT_SOURCE, &**name, &[][..], value))
        .collect();
    for scheme in ["", "udp://", "pickle://"] {
        let carbon = Carbon::start();
        let port = if scheme == "pickle://" { carbon.pickle_port() } else { carbon.port() };
        let time = now();
        let lines = send(&format!("{scheme}127.0.0.1:{port}"), &[], &readings, time);
        let sent: BTreeSet<_> = lines.iter().map(|(_, value)| value.to_bits()).collect();
        assert_eq!(sent, values.iter().map(|value| value.to_bits()).collect());
        is_stored(&carbon, &lines, time);
    }
}

#[test]
fn pickles_of_many_long_names_are_frames_that_carbon_takes() {
    // Carbon closes the connection at a frame of more than a mebibyte.
    let carbon = Carbon::start();
    let prefix = ["p".repeat(200), "q".repeat(200), "r".repeat(200)].join(".");
    let names: Vec<_> = (0..1_500).map(|n| format!("{}.{n}", "n".repeat(200))).collect();
    let readings: Vec<Reading<'_>> = (0..)
        .zip(&names)
        .map(|(n, name)| (DEFAULT_SOURCE, &**name, &[][..], f64::from(n)))
        .collect();
    let flags = ["--pickle-batch", "100000", "--prefix", &prefix];
    let time = now();
    let lines =
        send(&format!("pickle://127.0.0.1:{}", carbon.pickle_port()), &flags, &readings, time);
    let bytes: usize = lines.iter().map(|(name, _)| name.len()).sum();
    assert!(bytes > 1 << 20, "{bytes}");
    is_stored(&carbon, &lines, time);
}

#[test]
fn a_name_that_is_also_a_folder_is_stored_and_logged_once() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let mut worker = broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address]);
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    let z = builder.interval(Duration::from_millis(100)).build().unwrap();
    let count = |name: &str, sum: f64| {
        z.count("info", name, 1);
        wait_until(DEADLINE, "a count", || carbon.sum(&format!("web-1.{name}")) == sum);
    };
    count("x.abc.def", 1.0);
    // In a later window.
    count("x.abc", 1.0);
    worker.says(&["event=\"name_is_folder\"", "name=\"web-1.x.abc\""]);
    count("x.abc", 2.0);
    count("x.abc.def", 2.0);
    count("y.z", 1.0);
    count("y.z.more", 1.0);
    worker.says(&["event=\"name_is_folder\"", "name=\"web-1.y.z\"", "inside=\"web-1.y.z.more\""]);
    assert_eq!(worker.log().matches("name_is_folder").count(), 2, "{}", worker.log());
    drop(z);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}
