//! StatsD clients that other people wrote. What a worker receives is what they were told.

use super::{Intakes, Series};
use cadence::prelude::*;
use cadence::{BufferedUdpMetricSink, MetricSink, StatsdClient, UdpMetricSink, UnixMetricSink};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};
use zibrato_tests::{DEADLINE, Running, node_modules, python, repository, wait_until};

/// A broker with Unix sockets too.
fn start() -> Intakes {
    Intakes::start_with(|folder| {
        let at = |file: &str| format!("dogstatsd://{}", folder.path().join(file).display());
        let plain = format!("{},{}", folder.path().join("s.sock").display(), at("dd.s.sock"));
        let all = ["--statsd-stream-socket", &plain, "--statsd-socket", &at("dd.d.sock")];
        all.map(str::to_owned).into()
    })
}

/// Waits until so many samples have arrived, and returns what a worker has of them.
#[track_caller]
fn received(intakes: &mut Intakes, samples: u64) -> Series {
    let begun = Instant::now();
    while intakes.lines("statsd") < samples {
        assert!(
            begun.elapsed() < DEADLINE,
            "{:?} {:#?}",
            intakes.rejected("statsd"),
            intakes.received("statsd")
        );
    }
    let received = intakes.received("statsd");
    // One more says that it is the last.
    wait_until(DEADLINE, "the last sample", || intakes.lines("statsd") > samples);
    assert_eq!(intakes.lines("statsd"), samples + 1, "{received:#?}");
    received
}

/// Compares the series with this beginning. A reading that ends with `*` is any one of its kind.
#[track_caller]
fn check(received: &Series, prefix: &str, expected: &[(&str, &str)]) {
    let beginning = format!("{prefix}.");
    let mut left: Series = received
        .iter()
        .filter_map(|(name, value)| {
            Some((name.strip_prefix(&beginning)?.to_owned(), value.clone()))
        })
        .collect();
    for (name, reading) in expected {
        let found = left.remove(*name).unwrap_or_else(|| panic!("{prefix}: no {name}: {left:?}"));
        match reading.strip_suffix('*') {
            Some(reading) => assert!(found.starts_with(reading), "{prefix}: {name} is {found}"),
            None => assert_eq!(found, *reading, "{prefix}: {name}"),
        }
    }
    assert_eq!(left, Series::new(), "{prefix}");
}

#[test]
fn clients_in_python_send_over_udp_tcp_and_unix_sockets() {
    let mut intakes = start();
    let mut command = Command::new(python());
    command.arg(repository().join("tests/python/statsd_clients.py"));
    let ports = ["statsd", "dogstatsd"].map(|d| intakes.dialect(d).port().to_string());
    command.args(ports).args(["s.sock", "dd.s.sock", "dd.d.sock"].map(|file| intakes.path(file)));
    let (status, _, log) = Running::run(&mut command);
    assert!(status.success(), "{log}");
    // A gauge below zero is sent as zero and a change.
    let received = received(&mut intakes, 3 * 18 + 4 * 19);
    for prefix in ["udp", "tcp", "unix"] {
        check(
            &received,
            prefix,
            &[
                ("hits", "c 3"),
                ("sampled", "c 12"),
                ("depth", "g 6.5"),
                ("cold", "g -7"),
                ("query", "t 2 0.75 0.25 0.5"),
                ("rare", "t 2 0.25 0.125 0.125"),
                ("block", "t 1 *"),
                ("users", "s anna,bob"),
                ("piped", "c 2"),
                ("piped_depth", "g 9"),
            ],
        );
    }
    for prefix in ["dd_udp", "dd_buffered", "dd_unixgram", "dd_unixstream"] {
        check(
            &received,
            prefix,
            &[
                ("hits;canary=true;env=prod", "c 3"),
                ("sampled", "c 12"),
                ("counted", "c 9.5"),
                ("depth", "g -2"),
                ("past", "g 6"),
                ("low", "g 1"),
                ("size", "h 2 510.5 -1.5 512"),
                ("rare", "h 2 16 8 8"),
                ("spread;a=b:c", "h 1 3 3 3"),
                ("query", "t 2 0.75 0.25 0.5"),
                ("block", "t 1 *"),
                ("users", "s anna,bob:smith"),
            ],
        );
    }
    intakes.check_rejected("statsd", &[("event", 4), ("service_check", 4)]);
}

#[test]
fn the_client_cadence_in_rust_sends_over_udp_and_unix_sockets() {
    let mut intakes = start();
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (statsd, dogstatsd) = (intakes.dialect("statsd"), intakes.dialect("dogstatsd"));
    let unix = UnixMetricSink::from(intakes.path("dd.d.sock"), UnixDatagram::unbound().unwrap());
    send("rs_udp", UdpMetricSink::from(statsd, socket()).unwrap());
    send("rs_buffered", BufferedUdpMetricSink::from(dogstatsd, socket()).unwrap());
    send("rs_unix", unix);
    let received = received(&mut intakes, 3 * 22);
    for prefix in ["rs_udp", "rs_buffered", "rs_unix"] {
        check(
            &received,
            prefix,
            &[
                ("hits", "c 3"),
                ("tagged;canary=true;env=prod", "c 5"),
                ("sampled", "c 12"),
                ("late", "c 7"),
                ("depth", "g 5"),
                ("ratio", "g 0.25"),
                ("past", "g 6"),
                ("query", "t 2 0.75 0.25 0.5"),
                ("queries", "t 2 0.75 0.25 0.5"),
                ("met", "c 9"),
                ("size", "h 3 1024.5 0.5 512"),
                ("spread", "h 3 6 1 3"),
                ("users", "s -3"),
            ],
        );
    }
    intakes.check_rejected("statsd", &[]);
}

fn send(prefix: &str, sink: impl MetricSink + Sync + Send + 'static + std::panic::RefUnwindSafe) {
    let client = StatsdClient::from_sink(prefix, sink);
    client.incr("hits").unwrap();
    client.count("hits", 4).unwrap();
    client.decr("hits").unwrap();
    client.decr("hits").unwrap();
    let tagged = client.count_with_tags("tagged", 5).with_tag("env", "prod");
    tagged.with_tag_value("canary").try_send().unwrap();
    client.count_with_tags("sampled", 3).with_sampling_rate(0.25).try_send().unwrap();
    let late = client.count_with_tags("late", 7).with_timestamp(1_700_000_000);
    late.with_container_id("0123ef").try_send().unwrap();
    client.gauge("depth", 5).unwrap();
    client.gauge("ratio", 0.25).unwrap();
    client.gauge_with_tags("past", 6).with_timestamp(1_700_000_000).try_send().unwrap();
    client.time("query", 500).unwrap();
    client.time("query", Duration::from_millis(250)).unwrap();
    client.time("queries", vec![500, 250]).unwrap();
    client.meter("met", 9).unwrap();
    client.histogram("size", 512).unwrap();
    client.histogram("size", 0.5).unwrap();
    client.histogram("size", 512).unwrap();
    client.distribution("spread", vec![1, 2, 3]).unwrap();
    client.set("users", -3).unwrap();
    client.flush().unwrap();
}

#[test]
fn the_client_hot_shots_in_javascript_sends_over_udp_and_tcp() {
    let mut intakes = start();
    let mut command = Command::new("node");
    command.arg(repository().join("tests/node/hot_shots.js")).env("NODE_PATH", node_modules());
    command.args(["statsd", "dogstatsd"].map(|d| intakes.dialect(d).port().to_string()));
    let (status, _, log) = Running::run(&mut command);
    assert!(status.success() && log.is_empty(), "{log}");
    let received = received(&mut intakes, 4 * 19);
    for prefix in ["js_udp", "js_buffered", "js_dd", "js_tcp"] {
        let depth = if prefix == "js_dd" { "g 3.5" } else { "g 6.5" };
        check(
            &received,
            prefix,
            &[
                ("hits", "c 3"),
                ("tagged;canary=true;env=prod", "c 3"),
                ("sampled", "c 12"),
                ("depth", depth),
                ("query", "t 2 0.75 0.25 0.5"),
                ("rare", "t 2 0.25 0.125 0.125"),
                ("block", "t 1 *"),
                ("size", "h 2 510.5 -1.5 512"),
                ("spread;a=b", "h 1 3 3 3"),
                ("users", "s anna,bob"),
                ("past", "g 6"),
            ],
        );
    }
    intakes.check_rejected("statsd", &[("event", 4), ("service_check", 4)]);
}
