//! Python programs written for Zibrato 0.2 publish to this broker and subscribe to it, unchanged.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::clock::unix_ms;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, python, repository, wait_until};

#[test]
fn lines_from_a_python_publisher_reach_every_worker_and_every_subscriber() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let start = |prefix| {
        let flags = ["--name", prefix, "--prefix", prefix, "--flush", "1", "--carbon", &address];
        broker.worker("zibrato-carbon", &flags)
    };
    let _workers = [start("a"), start("b")];
    let mut subscriber = subscribe(&broker, "info|", 2);

    let now = unix_ms() / 1000;
    let mut lines: Vec<_> =
        (1..=50).map(|n| format!("info|Counter|logins|{n}|{now}|python")).collect();
    lines.push(format!("information|Counter|others|1|{now}|python"));
    lines.push(format!("info|Gauge|last|0.5|{now}|python"));
    publish(&broker, &lines);

    // One line per message, unchanged, in the order in which they were sent, and none of another
    // level.
    assert!(subscriber.ended().success(), "{}", subscriber.log());
    lines.remove(50);
    let output = subscriber.output();
    assert_eq!(output.lines().skip(1).collect::<Vec<_>>(), lines);
    for prefix in ["a", "b"] {
        wait_until(DEADLINE, "the counts", || {
            carbon.sum(&format!("{prefix}.python.logins")) == 1275.0
        });
        wait_until(DEADLINE, "the gauge", || {
            !carbon.fetch(&format!("{prefix}.python.last")).is_empty()
        });
        let gauge = carbon.fetch(&format!("{prefix}.python.last"));
        assert_eq!(gauge.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0.5]);
    }
}

#[test]
fn a_python_subscriber_gets_the_measurements_of_a_rust_program_as_lines() {
    let broker = Broker::start();
    // Python Zibrato's worker subscribes to the bare level, without the bar.
    for subscription in ["info|", "info", "inf", ""] {
        let mut subscriber = subscribe(&broker, subscription, 3);
        let builder = Zibrato::builder().port(broker.port()).source("rust");
        let z = builder.interval(Duration::from_millis(100)).build().unwrap();
        let begun = unix_ms() / 1000;
        z.count("info", "logins", 3);
        z.count("info", "logins", 4);
        z.time("info", "query", Duration::from_millis(250));
        z.set_gauge("info", "depth", -1.5);
        assert_eq!(z.flush(DEADLINE).delivered, 4);
        assert!(subscriber.ended().success(), "{}", subscriber.log());
        let ended = unix_ms() / 1000 + 1;

        let mut sums = BTreeMap::new();
        for line in subscriber.output().lines().skip(1) {
            let fields: Vec<_> = line.split('|').collect();
            let [level, kind, name, value, at, source] = fields[..] else { panic!("{line}") };
            assert_eq!((level, source), ("info", "rust"), "{line}");
            let at: f64 = at.parse().unwrap();
            assert!(begun as f64 <= at && at <= ended as f64, "{line}: {begun} to {ended}");
            let value: f64 = value.parse().unwrap();
            *sums.entry((kind.to_owned(), name.to_owned())).or_insert(0.0) += value;
        }
        let of = |kind: &str, name: &str| sums.get(&(kind.to_owned(), name.to_owned())).copied();
        assert_eq!(of("Counter", "logins"), Some(7.0), "{subscription:?}");
        assert_eq!(of("Timer", "query"), Some(0.25), "{subscription:?}");
        assert_eq!(of("Gauge", "depth"), Some(-1.5), "{subscription:?}");
        assert_eq!(sums.len(), 3, "{subscription:?}: {sums:?}");
    }
}

/// Publishes lines with a Python program, and waits for its end.
#[track_caller]
fn publish(broker: &Broker, lines: &[String]) {
    let mut command = script("publish.py");
    let ports = [broker.legacy_port(), broker.publishing_port()];
    let input = lines.join("\n");
    let (status, _, log) = Running::run_with(command.args(ports.map(|p| p.to_string())), &input);
    assert!(status.success(), "{log}");
}

/// A Python program that prints the lines it receives, until it has received this number of names.
#[track_caller]
fn subscribe(broker: &Broker, subscription: &str, names: u32) -> Running {
    let mut command = script("subscribe.py");
    let (port, names) = (broker.publishing_port().to_string(), names.to_string());
    let mut subscriber = Running::start(command.args([&port, subscription, &names]));
    wait_until(DEADLINE, "the subscription", || {
        assert!(!subscriber.has_ended(), "{}", subscriber.log());
        subscriber.output().starts_with("ready\n")
    });
    subscriber
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(repository().join("tests/python").join(name));
    command
}
