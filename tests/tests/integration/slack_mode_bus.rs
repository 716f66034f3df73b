//! `zibrato-slack --mode bus`: from a program through a broker and the fake Slack to a real Carbon, with
//! the points that `zibrato-carbon` writes.

use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, program, repository, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;

/// A worker that posts the windows of a second.
fn worker(broker: &Broker, fake: &FakeSlack, args: &[&str]) -> Running {
    let url = fake.api_url();
    let flags = ["--mode", "bus", "--api-url", &url, "--flush", "1", "--pace", "0"];
    let more = ["--channel", "#metrics", "--bus-posts", "60000"];
    let has_file = args.contains(&"--token-file");
    let token: &[_] = if has_file { &[] } else { &["--token", FakeSlack::TOKEN] };
    broker.worker("zibrato-slack", &[&flags[..], &more, token, args].concat())
}

/// A relay to a Carbon, which looks often and deletes fast.
fn relay(fake: &FakeSlack, carbon: &str, folder: &Path) -> Running {
    let mut command = Command::new(program("zibrato-slack"));
    command.args([
        "relay",
        "--channel",
        "metrics",
        "--token",
        FakeSlack::TOKEN,
        "--carbon",
        carbon,
    ]);
    command.args(["--poll", "0.5", "--grace", "0", "--deletions", "60000", "--state"]);
    command.arg(folder).arg("--api-url").arg(fake.api_url());
    Running::start(&mut command)
}

fn instrument(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1.example.com");
    builder.interval(Duration::from_millis(100)).build().unwrap()
}

#[test]
fn what_a_program_measures_is_in_carbon_as_if_zibrato_carbon_had_written_it() {
    let (fake, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let (far, near, folder) = (Carbon::start(), Carbon::start(), tempfile::tempdir().unwrap());
    let beside = format!("127.0.0.1:{}", near.port());
    let names =
        ["--prefix", "apps", "--gauge-parts", "last,max", "--timer-parts", "count,mean,p99"];
    // The file has the other flags.
    let file = repository().join("examples/slack/bus.toml").display().to_string();
    let token = folder.path().join("token");
    std::fs::write(&token, FakeSlack::TOKEN).unwrap();
    let token = token.display().to_string();
    let args = ["--config", &file, "--token-file", &token, "--gauge-parts", "last,max"];
    let mut bus = worker(&broker, &fake, &args);
    let args = [&names[..], &["--flush", "1", "--carbon", &beside]].concat();
    let mut direct = broker.worker("zibrato-carbon", &args);
    let mut relay = relay(&fake, &format!("127.0.0.1:{}", far.port()), folder.path());

    let z = instrument(&broker);
    let routes = z.counter("info", "http&requests").with("route", "/x/:id");
    let left_out = "rows<of>";
    for round in 1..=30_u32 {
        z.count("info", "logins", round);
        z.time("info", "db.query", Duration::from_millis(10) * round);
        z.set_gauge("info", "queue.depth", f64::from(round) / 3.0);
        routes.increment(1);
        z.count("info", left_out, 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let logins = "apps.web-1.example.com.logins";
    wait_until(DEADLINE, "all counts", || far.sum(logins) == 465.0);
    wait_until(DEADLINE, "all counts", || near.sum(logins) == 465.0);
    assert!(bus.stop(Signal::TERM).success() && direct.stop(Signal::TERM).success());
    drop(z);
    let expected = || {
        let mut all = near.fetch_all();
        all.retain(|name, _| !name.contains(left_out));
        all
    };
    wait_until(DEADLINE, "the same points", || far.fetch_all() == expected());
    assert!(expected().len() >= 7, "{:?}", expected().keys());
    assert!(relay.stop(Signal::TERM).success());
    let log = bus.log();
    assert!(log.contains("event=\"not_on_bus\"") && log.contains(left_out), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn nothing_is_lost_or_doubled_while_slack_limits_fails_and_the_worker_is_killed() {
    let (fake, broker, carbon) = (FakeSlack::start().unwrap(), Broker::start(), Carbon::start());
    let folder = tempfile::tempdir().unwrap();
    let limited = json!({"ok": false, "error": "ratelimited"});
    let storm = || Reply::json(429, &limited).header("Retry-After", "1");
    let mut bus = worker(&broker, &fake, &["--backoff-max", "1"]);
    let z = instrument(&broker);
    let mut sum = 0;
    let troubles: [&dyn Fn(); 6] = [
        &|| (0..3).for_each(|_| fake.answer_with(storm())),
        &|| fake.answer_with(Reply::status(503).body("<html>busy</html>")),
        // Slack may have accepted the message.
        &|| fake.answer_with(Reply::status(504).body("<html>no answer</html>")),
        &|| fake.answer_with(Reply::json(200, &json!({"ok": false, "error": "internal_error"}))),
        &|| fake.answer_with(Reply::json(200, &json!({"ok": false, "error": "is_archived"}))),
        &|| {},
    ];
    for (round, trouble) in (1_u32..).zip(troubles) {
        trouble();
        z.count("info", "logins", round);
        sum += round;
        assert_eq!(z.flush(DEADLINE).pending, 0);
        if round % 2 == 0 {
            bus.stop(Signal::KILL);
            bus = worker(&broker, &fake, &["--backoff-max", "1"]);
        }
        std::thread::sleep(Duration::from_millis(700));
    }
    // Before all is posted, the relay would get the answers that are meant for the worker.
    let logins = "web-1.example.com.logins";
    let posted = || -> f64 {
        let texts = fake.stored(CHANNEL).into_iter().map(|message| message.text);
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let lines: BTreeSet<String> = lines.filter(|line| line.starts_with(logins)).collect();
        lines.iter().filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).sum()
    };
    wait_until(DEADLINE, "all messages", || posted() == f64::from(sum));
    // What was posted twice has the same lines, so Carbon stores it once.
    let mut relay = relay(&fake, &format!("127.0.0.1:{}", carbon.port()), folder.path());
    wait_until(DEADLINE, "all counts", || carbon.sum(logins) == f64::from(sum));
    wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    assert_eq!(carbon.sum(logins), f64::from(sum));
    assert!(relay.stop(Signal::TERM).success() && bus.stop(Signal::TERM).success());
}

#[test]
fn a_worker_that_cannot_post_says_why_and_delivers_later() {
    let (fake, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let mut bus = worker(&broker, &fake, &["--backoff-max", "1"]);
    let z = instrument(&broker);
    let count = |value: u32| {
        z.count("info", "logins", value);
        assert_eq!(z.flush(DEADLINE).pending, 0);
    };
    count(1);
    wait_until(DEADLINE, "a message", || fake.messages().len() == 1);
    fake.revoke(FakeSlack::TOKEN, true);
    count(2);
    bus.says(&["event=\"held\"", "token_revoked: create a new token"]);
    fake.revoke(FakeSlack::TOKEN, false);
    wait_until(DEADLINE, "a message", || fake.messages().len() == 2);
    fake.set_scopes(FakeSlack::TOKEN, &["channels:read"]);
    count(3);
    bus.says(&["event=\"held\"", "missing_scope", "needs chat:write"]);
    fake.set_scopes(FakeSlack::TOKEN, &["chat:write"]);
    wait_until(DEADLINE, "a message", || fake.messages().len() == 3);
    let texts: Vec<_> = fake.messages().into_iter().map(|message| message.text).collect();
    for (text, value) in texts.iter().zip(1..) {
        assert!(text.contains(&format!("web-1.example.com.logins {value} 1")), "{text}");
    }
    assert!(bus.stop(Signal::TERM).success());
    for (args, says) in [
        (&["--channel", "#nowhere"][..], "channel_not_found: check --channel"),
        (&["--channel", "C0ARCHIVE"], "is_archived: the channel is archived"),
        (&["--channel", "C0STRANGE"], "not_in_channel: invite the app"),
    ] {
        let mut bus = worker(&broker, &fake, &[&["--name", "other", "--live"], args].concat());
        count(4);
        bus.says(&["event=\"held\"", says]);
    }
}

#[test]
fn more_than_slack_accepts_is_told_and_delivered_slowly() {
    let (fake, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let port = broker.worker_http_port();
    let pages = format!("127.0.0.1:{port}");
    let posts = ["--bus-posts", "30", "--http", &pages, "--max-windows", "2"];
    let url = fake.api_url();
    let flags = ["--mode", "bus", "--channel", CHANNEL, "--token", FakeSlack::TOKEN];
    let more = ["--api-url", &url, "--flush", "1", "--pace", "0"];
    let mut bus = broker.worker("zibrato-slack", &[&flags[..], &more, &posts].concat());
    let z = instrument(&broker);
    for i in 0..500 {
        z.set_gauge("info", &format!("shop.n{i}"), 1.5);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let said = bus.says(&["event=\"bus_too_slow\"", "longer --flush"]);
    assert!(said.contains("lines=500") && said.contains("window_s=1"), "{said}");
    wait_until(DEADLINE, "unready", || {
        let page = Broker::page_at(port, "/readyz");
        page.contains("503") && page.contains("500 lines for the bus")
    });
    let lag = || {
        let page = Broker::page_at(port, "/metrics");
        let line = page.lines().find(|line| line.starts_with("zibrato_worker_lag_seconds"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap()
    };
    wait_until(DEADLINE, "all messages", || {
        let texts: Vec<_> = fake.messages().into_iter().map(|message| message.text).collect();
        (0..500).all(|i| texts.iter().any(|text| text.contains(&format!(".n{i} 1.5 "))))
    });
    assert!(lag() > 1.0, "{}", lag());
    bus.stop(Signal::KILL);
}
