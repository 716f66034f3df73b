//! `zibrato-slack relay --to-broker`: Slack as an intake of a broker, which counts each point once although
//! relay and broker are killed.

use crate::slack_kills::{Feed, kills_and_lines};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::FakeSlack;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, program, repository, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;

/// A relay to a broker with the flags of the example, which looks often and deletes fast.
fn relay(fake: &FakeSlack, broker: &Broker, folder: &Path, args: &[&str]) -> Running {
    let token = folder.join("token");
    std::fs::write(&token, FakeSlack::TOKEN).unwrap();
    let mut command = Command::new(program("zibrato-slack"));
    command.arg("relay").arg("-c").arg(repository().join("examples/slack/relay-to-broker.toml"));
    command.arg("--to-broker").arg(format!("127.0.0.1:{}", broker.port()));
    command.args(["--poll", "0.5", "--grace", "0", "--deletions", "60000", "--state"]);
    command.arg(folder).arg("--token-file").arg(&token).arg("--api-url").arg(fake.api_url());
    Running::start(command.args(args))
}

/// A worker from the broker to a Carbon, which also says how many readings a gauge has.
fn worker(broker: &Broker, carbon: &Carbon) -> Running {
    let to = format!("127.0.0.1:{}", carbon.port());
    broker
        .worker("zibrato-carbon", &["--flush", "1", "--carbon", &to, "--gauge-parts", "last,count"])
}

#[test]
fn lines_become_gauges_that_a_worker_delivers() {
    let (fake, carbon, broker) = (FakeSlack::start().unwrap(), Carbon::start(), Broker::start());
    let folder = tempfile::tempdir().unwrap();
    let now = unix_ms() / 1000;
    let mut relay = relay(&fake, &broker, folder.path(), &[]);
    fake.say(CHANNEL, "good morning everyone");
    fake.post_as(
        FakeSlack::TOKEN,
        CHANNEL,
        &format!("web-1.load 0.25 {now}\nweb-1.hits;dc=fra 7 -1"),
    );
    // Nobody reads the level yet, so nothing may be deleted.
    relay.says(&["event=\"relay_failed\"", "nobody reads the level info there"]);
    assert_eq!((fake.deleted(), fake.stored(CHANNEL).len()), (0, 2));
    let mut worker = worker(&broker, &carbon);
    wait_until(DEADLINE, "the deletion", || fake.stored(CHANNEL).len() == 1);
    wait_until(DEADLINE, "the points", || carbon.sum("web-1.load.count") == 1.0);
    assert_eq!(carbon.sum("web-1.load"), 0.25);
    wait_until(DEADLINE, "the tagged point", || {
        let all = carbon.fetch_all();
        all.iter().any(|(name, points)| name.starts_with("_tagged.") && points[0].1 == 7.0)
    });
    assert!(relay.stop(Signal::TERM).success() && worker.stop(Signal::TERM).success());
    let log = relay.log();
    assert!(log.contains(&format!("to=\"the broker at 127.0.0.1:{}\"", broker.port())), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn a_broker_counts_each_point_once_although_relay_and_broker_are_killed() {
    let (kills, lines) = kills_and_lines(12);
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let (mut broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let mut worker = worker(&broker, &carbon);
    let mut feed = Feed::new(&fake);
    for kill in 1..=kills {
        feed.post(lines * kill / (kills + 1));
        let mut relay = relay(&fake, &broker, folder.path(), &[]);
        feed.random_moment();
        if kill % 4 == 0 {
            broker.stop(Signal::KILL);
            broker.restart();
        }
        relay.stop(Signal::KILL);
    }
    feed.post(lines);
    let mut relay = relay(&fake, &broker, folder.path(), &[]);
    wait_until(Duration::from_secs(100), "the deletions", || fake.stored(CHANNEL).is_empty());
    assert!(relay.stop(Signal::TERM).success());
    // A Carbon on a busy disk needs minutes to create twenty thousand files.
    wait_until(Duration::from_secs(300), "the points", || carbon.metrics().len() == 2 * lines);
    assert!(worker.stop(Signal::TERM).success());
    let sums = || {
        let all = carbon.fetch_all();
        let sum = move |name: &str| all[name].iter().map(|(_, value)| value).sum::<f64>();
        (0..lines).all(|i| {
            let (value, count) = (sum(&format!("k.n{i}")), sum(&format!("k.n{i}.count")));
            assert!(count <= 1.0, "n{i} was counted {count} times");
            (value, count) == ((i * 3) as f64, 1.0)
        })
    };
    wait_until(DEADLINE, "each point once", sums);
    eprintln!("{kills} kills, {lines} points at a broker");
}
