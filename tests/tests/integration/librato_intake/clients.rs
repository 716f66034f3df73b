//! Clients that other people wrote. What is in a real Carbon equals what they were told.

use super::{Service, TOKEN, USER};
use std::net::UdpSocket;
use std::process::Command;
use zibrato_tests::{
    Carbon, DEADLINE, Running, Signal, node_modules, python, repository, wait_until,
};

/// The values of a metric, without their times.
fn values(carbon: &Carbon, metric: &str) -> Vec<f64> {
    carbon.fetch(metric).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn what_librato_metrics_sends_is_in_carbon() {
    let (carbon, service) = (Carbon::start(), Service::start(&[]));
    let _worker = service.worker(&carbon);
    let mut command = Command::new(python());
    command.arg(repository().join("tests/python/librato_intake.py"));
    let (status, _, log) = Running::run(command.args([&service.address(), USER, TOKEN]));
    assert!(status.success(), "{log}");
    // It is the last thing that was sent. Carbon creates 3,000 files before.
    wait_until(DEADLINE * 3, "the annotation", || {
        values(&carbon, "web-1.annotations.py.deploys") == [1.0]
    });
    let all = carbon.fetch_all();
    let values = |metric: &str| {
        let points = all.get(metric).unwrap_or_else(|| panic!("no {metric}"));
        points.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    };
    for (metric, expected) in [
        ("web-1.py.temperature", 80.5),
        ("web-1.py.text", 1.25),
        ("web-3.py.aggregated", 4.0),
        ("web-3.py.aggregated.count", 3.0),
        ("web-3.py.aggregated.min", 1.0),
        ("web-3.py.aggregated.max", 7.0),
        ("web-4.py.tagged", 3.5),
        ("web-4.py.tagged.sum.count", 2.0),
        ("web-4.py.tagged.sum.min", 2.0),
        ("web-4.py.tagged.sum.max", 5.0),
        ("web-5.py.sanitized-name-x", 6.0),
    ] {
        assert_eq!(values(metric), [expected], "{metric}");
    }
    // From 1000 to 1025, and to 7 after a reset.
    assert_eq!(values("web-1.py.connections").iter().sum::<f64>(), 32.0);
    let queued: Vec<_> = (0..650).map(|n| values(&format!("web-2.py.queued.{n}"))).collect();
    let expected: Vec<_> = (0..650).map(|n| vec![f64::from(n) / 2.0]).collect();
    assert_eq!(queued, expected);
}

#[test]
fn what_statsd_sends_with_its_backend_for_librato_is_in_carbon() {
    let (carbon, service) = (Carbon::start(), Service::start(&[]));
    let _worker = service.worker(&carbon);
    let modules = node_modules();
    let config = service.folder().join("statsd.js");
    let (port, admin) = (service.port(1), service.port(2));
    let text = format!(
        "{{ port: {port}, mgmt_port: {admin}, address: '127.0.0.1', flushInterval: 1000,
            deleteIdleStats: true, backends: ['statsd-librato-backend'],
            librato: {{ email: '{USER}', token: '{TOKEN}', api: 'http://{}', host: 'node-1' }} }}",
        service.address()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("node");
    command.arg(modules.join("statsd/stats.js")).arg(&config);
    let mut statsd = Running::start(&mut command);
    statsd.listens(admin);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |lines: &str| socket.send_to(lines.as_bytes(), ("127.0.0.1", port)).ok();
    // It opens its ports one after the other.
    wait_until(DEADLINE, "a first flush", || {
        assert!(!statsd.has_ended(), "{}", statsd.log());
        send("probe:1|c");
        !values(&carbon, "node-1.probe").is_empty()
    });
    send("hits:2|c\nhits:3|c\ndepth:7|g\nquery:100|ms\nquery:300|ms");
    for (metric, expected) in [
        ("node-1.hits", 5.0),
        ("node-1.depth", 7.0),
        ("node-1.query.count", 2.0),
        ("node-1.query.mean", 200.0),
        ("node-1.query.max", 300.0),
    ] {
        wait_until(DEADLINE, metric, || values(&carbon, metric).first() == Some(&expected));
    }
    statsd.stop(Signal::TERM);
}

#[test]
fn what_librato_node_sends_is_in_carbon() {
    let (carbon, service) = (Carbon::start(), Service::start(&[]));
    let _worker = service.worker(&carbon);
    let mut command = Command::new("node");
    command.arg(repository().join("tests/node/librato_node.js")).env("NODE_PATH", node_modules());
    let url = format!("http://{}/v1/metrics", service.address());
    let (status, _, log) = Running::run(command.args([&url, USER, TOKEN]));
    assert!(status.success(), "{log}");
    for (metric, expected) in [
        ("node-2.js.hits", 7.0),
        ("node-1.js.hits", 3.0),
        ("node-1.js.member_count", 2001.0),
        ("node-2.js.depth", 0.25),
        ("node-1.js.response-time", 750.0),
        ("node-1.js.response-time.count", 3.0),
        ("node-1.js.response-time.min", 250.0),
        ("node-1.js.response-time.mean", 750.0),
        ("node-1.js.response-time.max", 1500.0),
        ("node-1.js.block.count", 1.0),
        ("node-1.js.callback.count", 1.0),
    ] {
        wait_until(DEADLINE, metric, || !values(&carbon, metric).is_empty());
        assert_eq!(values(&carbon, metric), [expected], "{metric}");
    }
    let [waited] = values(&carbon, "node-1.js.callback")[..] else { panic!("one reading") };
    assert!(waited >= 4.0, "{waited} ms");
}
