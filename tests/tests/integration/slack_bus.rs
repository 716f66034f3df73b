//! `zibrato-slack init`, `send`, `recv` and `relay` between the fake Slack and a real Carbon.

use crate::slack_kills::{Dice, Feed, kills_and_lines};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::{FakeSlack, Stored};
use zibrato_tests::{Carbon, DEADLINE, Lines, Running, Signal, program, repository, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;

/// A folder with carbon-slack's programs and its configuration file.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new(token: &str, carbon_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "token: {token}\nchannel: metrics\ncarbon-server: 127.0.0.1\ncarbon-port: {carbon_port}\n"
        );
        std::fs::write(folder.path().join("carbon-slack.yml"), yaml).unwrap();
        for command in ["init", "send", "recv", "relay"] {
            let link = folder.path().join(format!("carbon-slack-{command}"));
            symlink(program("zibrato-slack"), link).unwrap();
        }
        Self { folder }
    }

    /// One of carbon-slack's commands.
    fn command(&self, name: &str, fake: &FakeSlack) -> Command {
        let mut command = Command::new(self.folder.path().join(format!("carbon-slack-{name}")));
        command.env("ZIBRATO_SLACK_API_URL", fake.api_url());
        command.env("XDG_STATE_HOME", self.folder.path()).env_remove("STATE_DIRECTORY");
        if name != "init" {
            command.arg("-c").arg(self.folder.path().join("carbon-slack.yml"));
        }
        command
    }

    fn run(&self, name: &str, fake: &FakeSlack, args: &[&str]) -> (ExitStatus, String, String) {
        Running::run(self.command(name, fake).args(args))
    }

    /// A relay that looks often and deletes fast.
    fn relay(&self, fake: &FakeSlack) -> Running {
        Running::start(self.command("relay", fake).args(FAST))
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("zibrato/slack-relay").join(format!("relay-{CHANNEL}.json"))
    }
}

const FAST: [&str; 6] = ["--poll", "1.5", "--grace", "0", "--deletions", "60000"];

fn texts(fake: &FakeSlack) -> Vec<String> {
    fake.stored(CHANNEL).into_iter().map(|stored: Stored| stored.text).collect()
}

#[test]
fn what_is_sent_arrives_in_carbon_once_and_chat_stays() {
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let host = Host::new(FakeSlack::TOKEN, carbon.port());
    let now = unix_ms() / 1000;
    fake.say(CHANNEL, "good morning everyone");
    let (status, _, log) =
        host.run("send", &fake, &["a.one", "-2.5", "--timestamp", &now.to_string()]);
    assert!(status.success(), "{log}");
    let lines: String = (0..250).map(|i| format!("b.n{i} {i} {now}\n")).collect();
    let mut send = host.command("send", &fake);
    let input = format!("{lines}# no metric\n\nno metric at all\nc.two 7\n");
    let (status, _, log) = Running::run_with(send.arg("-"), &input);
    assert_eq!(status.code(), Some(65), "{log}");
    assert!(log.contains("line 253: ") && log.contains("1 line was not sent"), "{log}");
    let mixed = format!("d.mixed 1 {now}\ngood evening");
    fake.post_as(FakeSlack::TOKEN, CHANNEL, &mixed);
    fake.post_as(FakeSlack::OTHER_TOKEN, CHANNEL, &format!("e.other 1 {now}"));
    let all = texts(&fake);
    assert!(all.len() < 10 && all.iter().all(|text| text.chars().count() <= 3900), "{all:?}");

    let mut relay = host.relay(&fake);
    let rest = ["good morning everyone".to_owned(), mixed, format!("e.other 1 {now}")];
    wait_until(DEADLINE, "the deletions", || texts(&fake) == rest);
    relay.says(&["event=\"undeletable\"", "same app"]);
    wait_until(DEADLINE, "the points", || carbon.fetch_all().len() == 254);
    let points = carbon.fetch_all();
    assert_eq!(points["a.one"], [(now, -2.5)]);
    assert_eq!(points["d.mixed"], [(now, 1.0)]);
    assert_eq!(points["e.other"], [(now, 1.0)]);
    assert_eq!(points["c.two"][0].1, 7.0);
    for i in 0..250 {
        assert_eq!(points[&format!("b.n{i}")], [(now, f64::from(i))]);
    }

    // Messages that are left are not delivered again, also not if they are edited.
    fake.edit(CHANNEL, &fake.stored(CHANNEL)[1].ts, &format!("d.mixed 2 {now}"));
    fake.edit(CHANNEL, &fake.stored(CHANNEL)[0].ts, &format!("f.chat 2 {now}"));
    let thread = fake.stored(CHANNEL)[0].ts.clone();
    fake.reply(CHANNEL, &thread, &format!("f.reply 1 {now}"));
    assert!(relay.stop(Signal::TERM).success());
    let log = relay.log();
    assert!(log.contains("event=\"ended\"") && !log.contains("xoxb"), "{log}");
    let mut relay = host.relay(&fake);
    fake.post_as(FakeSlack::TOKEN, CHANNEL, &format!("g.last 1 {now}"));
    wait_until(DEADLINE, "the last point", || carbon.fetch("g.last") == [(now, 1.0)]);
    assert!(relay.stop(Signal::TERM).success());
    assert_eq!(carbon.fetch("d.mixed"), [(now, 1.0)]);
    assert_eq!(carbon.fetch_all().len(), 255);
}

#[test]
fn the_commands_are_those_of_carbon_slack() {
    let fake = FakeSlack::start().unwrap();
    let host = Host::new(FakeSlack::TOKEN, 2003);
    let (status, sample, _) = host.run("init", &fake, &[]);
    assert!(status.success());
    for key in ["token: xoxb-", "channel: metrics", "carbon-server: 127.0.0.1", "carbon-port: 2003"]
    {
        assert!(sample.contains(key), "{sample}");
    }
    let example = repository().join("examples/slack/carbon-slack.yml");
    assert_eq!(sample, std::fs::read_to_string(example).unwrap());
    fake.say(CHANNEL, "a &amp; b\n<http://c.d|c.d>");
    fake.post_as(FakeSlack::TOKEN, CHANNEL, "e 1 1");
    let (status, output, log) = host.run("recv", &fake, &[]);
    assert!(status.success(), "{log}");
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0].ends_with("  person: a & b") && lines[1] == "  c.d", "{output}");
    assert!(lines[2].ends_with("  B0ZIBRATO: e 1 1") && lines.len() == 3, "{output}");
    assert_eq!(fake.stored(CHANNEL).len(), 2);
    for (args, code, says) in [
        (&["a"][..], 64, "a value is missing"),
        (&["a", "nan"], 64, "finite decimal number"),
        (&["a b", "1"], 64, "three fields"),
        (&["a", "1", "--timestamp", "now"], 64, "the timestamp must be"),
        (&["a", "1", "--channel", "nowhere"], 78, "no channel #nowhere"),
        (&["a", "1", "--channel", "C0ARCHIVE"], 78, "archived"),
        (&["a", "1", "--token", "xoxb-wrong"], 78, "invalid_auth"),
    ] {
        let (status, _, log) = host.run("send", &fake, args);
        assert_eq!(status.code(), Some(code), "{args:?} {log}");
        assert!(log.contains(says) && !log.contains("hush"), "{args:?} {log}");
    }
    let file = host.folder.path().join("wrong.yml");
    std::fs::write(&file, "token: x\n\ncarbon-prot: 1\n").unwrap();
    let (status, _, log) = Running::run(
        Command::new(program("zibrato-slack")).arg("relay").arg("--config").arg(&file),
    );
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("did you mean `carbon-port`? (line 3)"), "{log}");
}

#[test]
fn a_check_warns_about_a_file_with_a_token_that_everybody_can_read() {
    let fake = FakeSlack::start().unwrap();
    let host = Host::new(FakeSlack::TOKEN, 2003);
    let file = host.folder.path().join("carbon-slack.yml");
    for (mode, says) in [(0o600, "valid\n"), (0o644, "valid, with 1 warning\n")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let (status, output, log) = host.run("relay", &fake, &["--check"]);
        assert!(status.success() && output.ends_with(says), "{output} {log}");
        assert_eq!(log.contains(&format!("chmod o= {}", file.display())), mode == 0o644, "{log}");
        assert!(!log.contains("hush"), "{log}");
    }
}

#[test]
fn a_relay_that_cannot_work_says_why() {
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let host = Host::new(FakeSlack::TOKEN, carbon.port());
    let mut relay = host.relay(&fake);
    relay.says(&["event=\"started\"", "channel=\"metrics\""]);
    let (status, _, log) = host.run("relay", &fake, &[]);
    assert_eq!(status.code(), Some(69), "{log}");
    assert!(log.contains("another relay of the channel C0METRICS runs"), "{log}");
    for (args, says) in [
        (&["--channel", "nowhere"][..], "no channel #nowhere among"),
        (&["--channel", "C0ARCHIVE"], "is archived"),
        (&["--token", "xoxb-other"], "invalid_auth"),
    ] {
        let (status, _, log) = host.run("relay", &fake, args);
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains(says), "{log}");
    }
    fake.set_scopes("xoxb-hushfew", &["chat:write", "channels:read"]);
    let (status, _, log) =
        host.run("relay", &fake, &["--token", "xoxb-hushfew", "--state", &path(&host, "other")]);
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("missing_scope") && log.contains("needs channels:history"), "{log}");
    // The token is revoked while the relay runs.
    fake.revoke(FakeSlack::TOKEN, true);
    assert_eq!(relay.ended_within(DEADLINE).code(), Some(78));
    let log = relay.log();
    assert!(
        log.contains("token_revoked: create a new token") && log.contains("event=\"ended\""),
        "{log}"
    );
}

fn path(host: &Host, name: &str) -> String {
    host.folder.path().join(name).display().to_string()
}

#[test]
fn nothing_is_deleted_while_carbon_is_down() {
    let (fake, mut carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let host = Host::new(FakeSlack::TOKEN, carbon.port());
    let now = unix_ms() / 1000;
    carbon.stop();
    for i in 0..5 {
        fake.post_as(FakeSlack::TOKEN, CHANNEL, &format!("a.n{i} {i} {now}"));
    }
    // Its clock is hours ahead, and hours behind.
    fake.set_clock_ahead(7_200_000);
    let mut relay = host.relay(&fake);
    relay.says(&["event=\"relay_failed\"", "Carbon: "]);
    assert_eq!((fake.deleted(), fake.stored(CHANNEL).len()), (0, 5));
    assert!(std::fs::read_to_string(host.state()).unwrap().contains("\"cursor\":null"));
    carbon.restart();
    wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    wait_until(DEADLINE, "the points", || carbon.fetch_all().len() == 5);
    assert!(relay.stop(Signal::TERM).success());
}

/// Kills a relay at random points while messages arrive, and lets the last one finish.
#[test]
fn a_relay_that_is_killed_delivers_each_point_once() {
    let (kills, lines) = kills_and_lines(8);
    let (fake, carbon) = (FakeSlack::start().unwrap(), Carbon::start());
    let host = Host::new(FakeSlack::TOKEN, carbon.port());
    let (mut feed, mut chat) = (Feed::new(&fake), 0);
    for kill in 1..=kills {
        feed.post(lines * kill / (kills + 1));
        fake.say(CHANNEL, "good morning everyone");
        chat += 1;
        let mut relay = host.relay(&fake);
        feed.random_moment();
        relay.stop(Signal::KILL);
    }
    feed.post(lines);
    let now = feed.time;
    let mut relay = host.relay(&fake);
    let only_chat = || fake.stored(CHANNEL).iter().all(|one| one.text.starts_with("good"));
    wait_until(Duration::from_secs(100), "the deletions", only_chat);
    assert!(relay.stop(Signal::TERM).success());
    assert_eq!(fake.stored(CHANNEL).len(), chat);
    // A Carbon on a busy disk needs minutes to create ten thousand files.
    wait_until(Duration::from_secs(300), "the points", || carbon.metrics().len() == lines);
    let points = carbon.fetch_all();
    for i in 0..lines {
        assert_eq!(points[&format!("k.n{i}")], [(now, (i * 3) as f64)], "{i}");
    }
    let state = std::fs::read_to_string(host.state()).unwrap();
    assert!(state.contains("\"sent\":[]"), "{state}");
    std::io::stderr().write_all(format!("{kills} kills, {lines} points\n").as_bytes()).unwrap();
    assert!(Path::new(&host.state()).is_file());
}

/// Each kill is at a random call of Slack, or after lines have arrived.
#[test]
fn a_relay_that_is_killed_repeats_at_most_its_last_batch() {
    let kills: usize =
        std::env::var("ZIBRATO_RELAY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let host = Host::new(FakeSlack::TOKEN, sink.port());
    let now = unix_ms() / 1000;
    let (mut lines, mut dice) = (Vec::new(), Dice::new());
    for kill in 0..=kills {
        for message in 0..10 {
            let line = format!("r.k{kill}.m{message} {message} {now}");
            fake.post_as(FakeSlack::TOKEN, CHANNEL, &line);
            lines.push(line);
        }
        let (calls, batches) = (fake.requests().len() + dice.roll(16), sink.by_connection().len());
        let mut relay = host.relay(&fake);
        if kill == kills {
            wait_until(DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
            assert!(relay.stop(Signal::TERM).success());
        } else if kill % 2 == 0 {
            fake.wait_until(|state| state.requests.len() >= calls, DEADLINE).unwrap();
            relay.stop(Signal::KILL);
        } else {
            wait_until(DEADLINE, "a batch", || sink.by_connection().len() > batches);
            relay.stop(Signal::KILL);
        }
    }
    // A batch that is cut by a kill may end in a part of a line.
    let known: BTreeSet<_> = lines.iter().cloned().collect();
    let (mut seen, mut last, mut repeats) = (BTreeSet::new(), BTreeSet::new(), 0);
    for batch in sink.by_connection() {
        let batch: Vec<_> = batch.into_iter().filter(|line| known.contains(line)).collect();
        let set: BTreeSet<_> = batch.iter().cloned().collect();
        assert_eq!(set.len(), batch.len(), "a line is twice in a batch");
        let again: BTreeSet<_> = set.intersection(&seen).cloned().collect();
        assert!(again.is_subset(&last), "{again:?} were repeated, and not of the last batch");
        repeats += usize::from(!again.is_empty());
        seen.extend(set.iter().cloned());
        last = set;
    }
    assert_eq!(seen, known);
    assert!(repeats <= kills, "{repeats} repetitions after {kills} kills");
}
