//! `zibrato-slack relay` while something goes wrong: at Slack, in the channel, or on its own disk.

use rustix::io::Errno;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use zibrato::clock::unix_ms;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{DEADLINE, FailingDisk, Lines, Running, Signal, program, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;
const HISTORY: &str = "conversations.history";
const DELETE: &str = "chat.delete";

fn command(fake: &FakeSlack, sink: &Lines, folder: &Path) -> Command {
    let mut command = Command::new(program("zibrato-slack"));
    command.args(["relay", "--channel", CHANNEL, "--token", FakeSlack::TOKEN]);
    command.args(["--poll", "0.2", "--grace", "0", "--deletions", "60000", "--timeout", "2"]);
    command.arg("--carbon").arg(format!("127.0.0.1:{}", sink.port()));
    command.arg("--state").arg(folder).arg("--api-url").arg(fake.api_url());
    command
}

/// Posts lines, one in each message, and returns them.
fn post(fake: &FakeSlack, prefix: &str, messages: usize) -> Vec<String> {
    let now = unix_ms() / 1000;
    let lines: Vec<_> = (0..messages).map(|i| format!("{prefix}.n{i} {i} {now}")).collect();
    for line in &lines {
        fake.post_as(FakeSlack::TOKEN, CHANNEL, line);
    }
    lines
}

fn is_empty(fake: &FakeSlack) -> bool {
    fake.stored(CHANNEL).is_empty()
}

#[test]
fn a_message_that_slack_does_not_delete_holds_up_no_other() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let lines = post(&fake, "a", 20);
    let first = fake.stored(CHANNEL)[0].ts.clone();
    fake.refuse_deletion(&first, Some("a_word_of_next_year"));
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    wait_until(DEADLINE, "the other deletions", || fake.stored(CHANNEL).len() == 1);
    let tried = fake.calls(DELETE);
    wait_until(DEADLINE, "another attempt", || fake.calls(DELETE) > tried);
    fake.refuse_deletion(&first, None);
    wait_until(DEADLINE, "the last deletion", || is_empty(&fake));
    assert!(fake.calls(DELETE) < 30, "{}", fake.calls(DELETE));
    assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    assert_eq!(sink.all(), lines);
}

#[test]
fn a_deletion_whose_answer_is_lost_accuses_nobody() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    post(&fake, "a", 5);
    fake.lose_answers(DELETE, 2);
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    relay.says(&["event=\"relay_failed\"", "task=\"delete\""]);
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    relay.says(&["event=\"relay_recovered\"", "task=\"delete\""]);
    assert!(relay.stop(Signal::TERM).success());
    let log = relay.log();
    assert!(!log.contains("deleted_elsewhere") && log.contains("deleted=5"), "{log}");
}

#[test]
fn a_full_disk_holds_the_relay_until_there_is_room() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut command = command(&fake, &sink, folder.path());
    disk.hold(&mut command);
    let mut relay = Running::start(&mut command);
    relay.says(&["event=\"started\""]);
    disk.fail(Errno::NOSPC);
    let mut lines = post(&fake, "a", 3);
    relay.says(&["event=\"relay_failed\"", "task=\"save\"", "--state: cannot be written"]);
    let delivered = sink.all();
    lines.extend(post(&fake, "b", 3));
    assert_eq!((fake.deleted(), sink.all()), (0, delivered));
    disk.mend();
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    relay.says(&["event=\"relay_recovered\"", "task=\"save\""]);
    assert!(relay.stop(Signal::TERM).success());
    let log = relay.log();
    let (_, meanwhile) = log.split_once("task=\"save\"").unwrap();
    let (meanwhile, _) = meanwhile.split_once("event=\"relay_recovered\"").unwrap();
    assert!(!meanwhile.contains("event=\"relayed\""), "{log}");
    assert_eq!(sink.all(), lines);
}

#[test]
fn a_channel_that_is_archived_or_left_is_waited_for() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let mut lines = post(&fake, "a", 3);
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    lines.extend(post(&fake, "b", 3));
    fake.archive(CHANNEL, true);
    lines.extend(post(&fake, "c", 3));
    relay.says(&["event=\"relay_failed\"", "task=\"delete\"", "is_archived: "]);
    fake.archive(CHANNEL, false);
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    fake.set_member(CHANNEL, false);
    lines.extend(post(&fake, "d", 3));
    relay.says(&["event=\"relay_failed\"", "task=\"relay\"", "not_in_channel: invite the app"]);
    fake.set_member(CHANNEL, true);
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    relay.says(&["event=\"relay_recovered\"", "task=\"relay\""]);
    assert!(relay.stop(Signal::TERM).success());
    assert_eq!(sink.all(), lines);
}

#[test]
fn a_scope_that_is_taken_away_ends_the_relay_and_is_named() {
    for (scopes, needed) in [
        (&["channels:read", "chat:write"][..], "channels:history"),
        (&["channels:read", "channels:history"], "chat:write"),
    ] {
        let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
        let folder = tempfile::tempdir().unwrap();
        let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
        relay.says(&["event=\"started\""]);
        fake.set_scopes(FakeSlack::TOKEN, scopes);
        post(&fake, "a", 1);
        assert_eq!(relay.ended().code(), Some(78));
        let log = relay.log();
        assert!(log.contains(&format!("needs {needed}")) && log.contains("\"ended\""), "{log}");
    }
}

#[test]
fn long_messages_and_names_with_mark_up_are_relayed() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let now = unix_ms() / 1000;
    let mut lines: Vec<_> = (0..1_600).map(|i| format!("l.n{i:04} {i} {now}")).collect();
    let text = lines.join("\n");
    assert!(text.len() > 34_000 && text.len() < 40_000, "{}", text.len());
    fake.post_whole_as(FakeSlack::TOKEN, CHANNEL, &text);
    let marked = format!(
        "<http://web-1.example.com|web-1.example.com>.load 0.5 {now}\n\
         a&amp;b;route=<http://x.example/y|x.example/y> 2 {now}\n\
         `<tel:5550100|5550100>.calls` 3 {now}\n\
         <@U0PERSON> 4 {now}"
    );
    fake.post_as(FakeSlack::TOKEN, CHANNEL, &marked);
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    wait_until(DEADLINE, "the lines", || sink.all().len() >= 1_602);
    // The last one has lines that are no metrics, so it stays.
    wait_until(DEADLINE, "the deletion", || fake.stored(CHANNEL).len() == 1);
    assert!(relay.stop(Signal::TERM).success());
    lines.push(format!("web-1.example.com.load 0.5 {now}"));
    lines.push(format!("a&b;route=x.example/y 2 {now}"));
    assert_eq!(sink.all(), lines);
    assert_eq!(fake.stored(CHANNEL)[0].text, marked);
}

#[test]
fn errors_in_html_and_storms_of_limits_lose_and_repeat_nothing() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    let html = |status| Reply::status(status).body("<html>bad gateway</html>");
    let limited = json!({"ok": false, "error": "ratelimited"});
    let limited = || Reply::json(429, &limited).header("Retry-After", "1");
    let lines = post(&fake, "a", 30);
    for method in [HISTORY, DELETE] {
        fake.answer_method(method, html(502), 1);
        fake.answer_method(method, html(503), 1);
        fake.answer_method(method, limited(), 4);
    }
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    for task in ["relay", "delete"] {
        let task = format!("task=\"{task}\"");
        relay.says(&["event=\"relay_failed\"", &task, "<html>bad gateway"]);
        relay.says(&["event=\"relay_recovered\"", &task]);
    }
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    assert!(relay.stop(Signal::TERM).success());
    assert_eq!(sink.all(), lines);
    assert!(fake.calls(DELETE) <= 36, "{}", fake.calls(DELETE));
}

#[test]
fn a_relay_waits_for_slack_at_its_start() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    fake.answer_always(Some(Reply::status(503).body("<html>")));
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    relay.says(&["event=\"relay_failed\"", "task=\"start\"", "503"]);
    // A wait ends like work.
    assert!(relay.stop(Signal::TERM).success(), "{}", relay.log());
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    relay.says(&["event=\"relay_failed\"", "task=\"start\""]);
    fake.answer_always(None);
    relay.says(&["event=\"relay_recovered\"", "task=\"start\""]);
    relay.says(&["event=\"started\""]);
    assert!(relay.stop(Signal::TERM).success());
    fake.revoke(FakeSlack::TOKEN, true);
    let (status, _, log) = Running::run(&mut command(&fake, &sink, folder.path()));
    assert_eq!(status.code(), Some(78), "{log}");
}

#[test]
fn answers_without_a_date_or_a_cursor_are_understood() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    fake.hide_date(true);
    fake.hide_cursors(true);
    fake.set_longest_page(4);
    let lines = post(&fake, "a", 11);
    let message = json!({"type": "message", "ts": "yesterday", "text": "x.y 1 1"});
    let odd = json!({"ok": true, "messages": [message], "has_more": false});
    fake.answer_method(HISTORY, Reply::json(200, &odd), 1);
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    relay.says(&["event=\"clock\"", "do not say the time"]);
    relay.says(&["event=\"unreadable\"", "messages=1"]);
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    assert!(relay.stop(Signal::TERM).success());
    let log = relay.log();
    assert_eq!(log.matches("event=\"clock\"").count(), 1, "{log}");
    assert!(log.contains("unreadable=1"), "{log}");
    assert_eq!(sink.all(), lines);
}

#[test]
fn a_clock_that_differs_from_slacks_is_mentioned_once() {
    let (fake, sink) = (FakeSlack::start().unwrap(), Lines::at(0));
    let folder = tempfile::tempdir().unwrap();
    fake.set_clock_ahead(-7_200_000);
    let lines = post(&fake, "a", 3);
    let mut relay = Running::start(&mut command(&fake, &sink, folder.path()));
    relay.says(&["event=\"clock\"", "differs from Slack's"]);
    wait_until(DEADLINE, "the deletions", || is_empty(&fake));
    assert!(relay.stop(Signal::TERM).success());
    assert_eq!(sink.all(), lines);
}
