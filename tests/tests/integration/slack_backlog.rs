//! `zibrato-slack relay` with a long backlog: the oldest messages come first and soon, nothing is read
//! while nobody takes them, and deletions go on meanwhile.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::FakeSlack;
use zibrato_tests::{DEADLINE, Lines, Ports, Running, Signal, program, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;
const HISTORY: &str = "conversations.history";

fn relay(fake: &FakeSlack, port: u16, folder: &Path, deletions: &str) -> Running {
    let mut command = Command::new(program("zibrato-slack"));
    command.args(["relay", "--channel", "metrics", "--token", FakeSlack::TOKEN]);
    command.args(["--poll", "3", "--grace", "0", "--timeout", "2", "--deletions", deletions]);
    command.arg("--carbon").arg(format!("127.0.0.1:{port}"));
    command.arg("--state").arg(folder).arg("--api-url").arg(fake.api_url());
    Running::start(&mut command)
}

/// Posts one line in each message, and returns the lines.
fn post(fake: &FakeSlack, messages: usize) -> Vec<String> {
    let now = unix_ms() / 1000;
    let lines: Vec<_> = (0..messages).map(|i| format!("b.n{i} {i} {now}")).collect();
    for line in &lines {
        fake.post_as(FakeSlack::TOKEN, CHANNEL, line);
    }
    lines
}

#[test]
fn the_oldest_of_twelve_thousand_messages_are_delivered_after_few_pages() {
    let (fake, ports) = (FakeSlack::start().unwrap(), Ports::take());
    let folder = tempfile::tempdir().unwrap();
    let lines = post(&fake, 12_000);
    // It accepts connections, but reads nothing.
    let hanging = TcpListener::bind(("127.0.0.1", ports.at(0))).unwrap();
    hanging.set_nonblocking(true).unwrap();
    let mut relay = relay(&fake, ports.at(0), folder.path(), "1200");
    relay.says(&["event=\"backlog\""]);
    relay.says(&["event=\"relay_failed\"", "task=\"relay\"", "Carbon: "]);
    // The messages that were read are held, and no others are read.
    let pages = fake.calls(HISTORY);
    assert!(pages <= 25, "{pages} pages");
    let mut connections = Vec::new();
    wait_until(DEADLINE, "three attempts", || {
        connections.extend(hanging.accept());
        connections.len() >= 3
    });
    assert_eq!((fake.calls(HISTORY), fake.deleted()), (pages, 0));
    drop((hanging, connections));
    let sink = Lines::at(ports.at(0));
    wait_until(DEADLINE, "the first lines", || !sink.all().is_empty());
    // Messages are deleted while others are still to be read and delivered.
    wait_until(DEADLINE, "a deletion", || fake.deleted() > 0);
    let delivered = sink.all().len();
    assert!(delivered < lines.len(), "{delivered}");
    wait_until(DEADLINE, "further lines", || sink.all().len() > delivered);
    assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    let came = sink.all();
    assert_eq!(came, lines[..came.len()]);
}

#[test]
fn a_backlog_is_drained_and_each_line_comes_once() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    fake.set_longest_page(100);
    let mut lines = post(&fake, 700);
    let mut relay = relay(&fake, sink.port(), folder.path(), "60000");
    wait_until(DEADLINE, "the first lines", || !sink.all().is_empty());
    lines.extend(post(&fake, 1));
    // Each deletion is a request, and its state is on the disk.
    wait_until(4 * DEADLINE, "the deletions", || fake.stored(CHANNEL).is_empty());
    assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    assert_eq!(sink.all(), lines);
}

/// Slack's minute is a second here.
#[test]
fn the_oldest_messages_come_first_with_the_low_limit_too() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let mut lines = post(&fake, 1);
    let mut before = relay(&fake, sink.port(), folder.path(), "60000");
    wait_until(DEADLINE, "the deletion", || fake.stored(CHANNEL).is_empty());
    assert!(before.stop(Signal::TERM).success());
    fake.set_longest_page(15);
    fake.limit(HISTORY, 1, Duration::from_millis(900));
    lines.extend(post(&fake, 300));
    let pages = fake.calls(HISTORY);
    let mut relay = relay(&fake, sink.port(), folder.path(), "60000");
    relay.says(&["event=\"low_limit\"", "page=15", "create an app in the workspace"]);
    wait_until(Duration::from_secs(90), "the first lines", || sink.all().len() > 1);
    let pages = fake.calls(HISTORY) - pages;
    assert!(pages <= 30, "{pages} pages");
    wait_until(DEADLINE, "further lines", || sink.all().len() > 30);
    assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    let came = sink.all();
    assert_eq!(came, lines[..came.len()]);
}
