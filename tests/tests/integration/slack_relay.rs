//! `zibrato-slack relay` to Carbon over each protocol, through a long outage, beside another relay, and
//! with the low limit of distributed apps.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::{Authority, FakeSlack, Request};
use zibrato_tests::{Carbon, DEADLINE, Ports, Running, Signal, Stunnel, program, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;

/// A relay that looks often and deletes fast, with its state in a folder.
fn relay(fake: &FakeSlack, folder: &Path, args: &[&str]) -> Running {
    let mut command = Command::new(program("zibrato-slack"));
    command.args(["relay", "--channel", "metrics", "--token", FakeSlack::TOKEN]);
    command.args(["--poll", "1.5", "--grace", "0", "--deletions", "60000", "--state"]);
    command.arg(folder).arg("--api-url").arg(fake.api_url());
    Running::start(command.args(args))
}

fn post(fake: &FakeSlack, prefix: &str, messages: usize, time: u64) {
    for i in 0..messages {
        let text = format!("{prefix}.n{i} {i} {time}\n{prefix}.half{i} {i}.5 {time}");
        fake.post_as(FakeSlack::TOKEN, CHANNEL, &text);
    }
}

/// Whether all points of [`post`] are in Carbon, once each.
fn has_all(carbon: &Carbon, prefix: &str, messages: usize, time: u64) -> bool {
    let mut all = carbon.fetch_all();
    all.retain(|name, _| name.starts_with(&format!("{prefix}.")));
    let is_there = |name: String, value: f64| all.get(&name) == Some(&vec![(time, value)]);
    all.len() == 2 * messages
        && (0..messages).all(|i| {
            is_there(format!("{prefix}.n{i}"), i as f64)
                && is_there(format!("{prefix}.half{i}"), i as f64 + 0.5)
        })
}

#[test]
fn every_protocol_brings_the_points_into_carbon() {
    let (carbon, folder, ports) = (Carbon::start(), tempfile::tempdir().unwrap(), Ports::take());
    let authority = Authority::new("Company Root CA").unwrap();
    let services = [(ports.at(0), carbon.port()), (ports.at(1), carbon.pickle_port())];
    let stunnel =
        Stunnel::start(&authority.issue(&["localhost", "127.0.0.1"]).unwrap(), &services, None);
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let file = file.display().to_string();
    let now = unix_ms() / 1000;
    for (prefix, address) in [
        ("tcp", format!("127.0.0.1:{}", carbon.port())),
        ("udp", format!("udp://127.0.0.1:{}", carbon.port())),
        ("pickle", format!("pickle://127.0.0.1:{}", carbon.pickle_port())),
        ("tls", format!("tls://localhost:{}", ports.at(0))),
        ("pickle_tls", format!("pickle+tls://127.0.0.1:{}", ports.at(1))),
    ] {
        let fake = FakeSlack::start().unwrap();
        post(&fake, prefix, 60, now);
        let trust: &[_] = if prefix.ends_with("tls") { &["--ca-file", &file] } else { &[] };
        let args = [&["--carbon", &address], trust].concat();
        let mut relay = relay(&fake, &folder.path().join(prefix), &args);
        relay.says(&["event=\"started\"", &format!("to=\"{address}\"")]);
        wait_until(DEADLINE, prefix, || fake.stored(CHANNEL).is_empty());
        wait_until(DEADLINE, prefix, || has_all(&carbon, prefix, 60, now));
        assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    }
    drop(stunnel);
}

#[test]
fn a_relay_holds_everything_while_carbon_is_down_and_is_killed_meanwhile() {
    let (fake, mut carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let folder = tempfile::tempdir().unwrap();
    let to = format!("127.0.0.1:{}", carbon.port());
    let now = unix_ms() / 1000;
    post(&fake, "before", 3, now);
    let mut running = relay(&fake, folder.path(), &["--carbon", &to]);
    wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    wait_until(DEADLINE, "the points", || has_all(&carbon, "before", 3, now));
    carbon.stop();
    for round in 0..3 {
        post(&fake, &format!("down{round}"), 100, now);
        running.says(&["event=\"relay_failed\"", "Carbon: "]);
        running.stop(Signal::KILL);
        running = relay(&fake, folder.path(), &["--carbon", &to]);
    }
    running.says(&["event=\"relay_failed\"", "Carbon: "]);
    assert_eq!(fake.stored(CHANNEL).len(), 300);
    carbon.restart();
    wait_until(Duration::from_secs(90), "the deletions", || fake.stored(CHANNEL).is_empty());
    for round in 0..3 {
        let prefix = format!("down{round}");
        wait_until(DEADLINE, "the points", || has_all(&carbon, &prefix, 100, now));
    }
    assert!(running.stop(Signal::TERM).success());
}

#[test]
fn a_relay_elsewhere_that_reads_the_same_channel_is_noticed() {
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let to = format!("127.0.0.1:{}", carbon.port());
    let now = unix_ms() / 1000;
    post(&fake, "twice", 20, now);
    // It deletes one message in two seconds, so most are left when the other one comes.
    let mut slow = relay(&fake, one.path(), &["--carbon", &to, "--deletions", "30"]);
    wait_until(DEADLINE, "the points", || has_all(&carbon, "twice", 20, now));
    let mut fast = relay(&fake, two.path(), &["--carbon", &to]);
    wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    slow.says(&["event=\"deleted_elsewhere\"", "does another relay read this channel?"]);
    wait_until(DEADLINE, "the points", || has_all(&carbon, "twice", 20, now));
    assert!(slow.stop(Signal::TERM).success() && fast.stop(Signal::TERM).success());
}

/// Slack's minute is a second here.
#[test]
fn all_messages_arrive_although_slack_gives_fifteen_a_minute() {
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let folder = tempfile::tempdir().unwrap();
    fake.set_longest_page(15);
    fake.limit("conversations.history", 1, Duration::from_millis(900));
    let now = unix_ms() / 1000;
    post(&fake, "few", 50, now);
    let to = format!("127.0.0.1:{}", carbon.port());
    let mut relay = relay(&fake, folder.path(), &["--carbon", &to]);
    let log = relay.says(&["event=\"low_limit\"", "page=15", "create an app in the workspace"]);
    assert!(log.contains("lines_per_minute="), "{log}");
    wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    wait_until(DEADLINE, "the points", || has_all(&carbon, "few", 50, now));
    // Four pages, one that is refused, and those of the looks until the last deletion.
    let pages = fake.calls("conversations.history");
    assert!(pages <= 10, "{pages}");
    let is_short = |request: &Request| request.form().contains(&("limit".into(), "15".into()));
    assert!(fake.requests().iter().any(is_short));
    assert!(relay.stop(Signal::TERM).success());
}
