//! `zibrato-slack send`: what becomes of the lines of standard input when a signal comes, when Slack
//! fails, and when they are no metrics; and the calls that a single metric takes.

use rustix::io::ioctl_fionread;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{DEADLINE, Running, Signal, program, wait_until};

const CHANNEL: &str = FakeSlack::CHANNEL;

fn zibrato_slack(fake: &FakeSlack, command: &str, channel: &str, args: &[&str]) -> Command {
    let mut run = Command::new(program("zibrato-slack"));
    run.args([command, "--config", "/dev/null", "--channel", channel]);
    run.args(["--token", FakeSlack::TOKEN, "--api-url", &fake.api_url()]).args(args);
    run
}

/// `send -` with a pipe that stays open.
struct Pipe {
    running: Running,
    input: File,
    _folder: TempDir,
}

impl Pipe {
    fn start(fake: &FakeSlack, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Opened for both, it does not wait for the program.
        let input = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let send = zibrato_slack(fake, "send", "metrics", args);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" - <input", "sh"]).current_dir(folder.path());
        let running = Running::start(shell.arg(send.get_program()).args(send.get_args()));
        Self { running, input, _folder: folder }
    }

    fn write(&mut self, lines: &str) {
        self.input.write_all(lines.as_bytes()).unwrap();
    }

    fn is_read(&mut self) {
        let input = &self.input;
        wait_until(DEADLINE, "the lines to be read", || ioctl_fionread(input).unwrap() == 0);
    }
}

/// All lines in the channel.
fn lines(fake: &FakeSlack) -> Vec<String> {
    let stored = fake.stored(CHANNEL);
    stored.iter().flat_map(|message| message.text.lines().map(str::to_owned)).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("some.metric.n{i} {i} 1700000000")).collect()
}

#[test]
fn lines_that_wait_are_posted_after_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let fake = FakeSlack::start().unwrap();
        let mut pipe = Pipe::start(&fake, &["--every", "3600"]);
        pipe.write(&(numbered(0..5).join("\n") + "\n"));
        pipe.is_read();
        assert_eq!(lines(&fake), [""; 0]);
        // These may still be in the pipe when the signal comes.
        pipe.write(&(numbered(5..8).join("\n") + "\n"));
        let status = pipe.running.stop(signal);
        assert_eq!((status.code(), &*pipe.running.log()), (Some(0), ""));
        assert_eq!(lines(&fake), numbered(0..8));
        assert_eq!(fake.stored(CHANNEL).len(), 1);
    }
}

#[test]
fn a_line_that_is_cut_by_a_signal_is_not_sent() {
    let fake = FakeSlack::start().unwrap();
    let mut pipe = Pipe::start(&fake, &["--every", "3600"]);
    // The value may go on.
    pipe.write(&(numbered(0..5).join("\n") + "\nsome.cut 12"));
    pipe.is_read();
    let status = pipe.running.stop(Signal::TERM);
    let log = pipe.running.log();
    assert_eq!(status.code(), Some(69), "{log}");
    assert!(log.contains("stopped within a line of standard input, which was not sent"), "{log}");
    assert_eq!(lines(&fake), numbered(0..5));
}

#[test]
fn what_a_signal_leaves_in_standard_input_is_told() {
    let fake = FakeSlack::start().unwrap();
    let mut pipe = Pipe::start(&fake, &["--every", "3600"]);
    fake.answer_always(Some(Reply::status(503).body("<html>busy</html>")));
    pipe.write(&(numbered(0..1_500).join("\n") + "\n"));
    pipe.running.says(&["event=\"send_failed\"", "503"]);
    fake.answer_always(None);
    // A message a second is all that Slack accepts, so this is not the end.
    let status = pipe.running.stop(Signal::TERM);
    let log = pipe.running.log();
    assert_eq!(status.code(), Some(69), "{log}");
    let is_told =
        log.contains("stopped before the end of standard input") || log.contains("were not sent");
    assert!(is_told, "{log}");
    let came = lines(&fake);
    assert!(came.len() < 1_500 && came == numbered(0..came.len()), "{}", came.len());
}

#[test]
fn an_outage_holds_the_lines_and_loses_none() {
    let fake = FakeSlack::start().unwrap();
    let mut pipe = Pipe::start(&fake, &["--every", "1"]);
    fake.answer_always(Some(Reply::status(503).body("<html>busy</html>")));
    pipe.write(&(numbered(0..5).join("\n") + "\n"));
    pipe.running.says(&["event=\"send_failed\"", "503", "lines=5"]);
    pipe.write(&(numbered(5..300).join("\n") + "\n"));
    fake.answer_always(None);
    drop(std::mem::replace(&mut pipe.input, File::open("/dev/null").unwrap()));
    assert!(pipe.running.ended().success());
    assert_eq!(lines(&fake), numbered(0..300));
    assert!(pipe.running.log().contains("event=\"send_recovered\""), "{}", pipe.running.log());
}

#[test]
fn a_channel_that_was_right_is_waited_for_until_a_signal() {
    let fake = FakeSlack::start().unwrap();
    let mut pipe = Pipe::start(&fake, &["--every", "1"]);
    pipe.write("a.first 1 1700000000\n");
    wait_until(DEADLINE, "the first line", || lines(&fake).len() == 1);
    fake.archive(CHANNEL, true);
    pipe.write("a.second 2 1700000000\n\n# no metric\na.third 3 1700000000\n");
    pipe.running.says(&["event=\"send_failed\"", "is_archived"]);
    let status = pipe.running.stop(Signal::TERM);
    let log = pipe.running.log();
    assert_eq!(status.code(), Some(78), "{log}");
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("is_archived: ") && last.contains("that were read, 2 were not sent"),
        "{log}"
    );
    assert_eq!(lines(&fake).len(), 1);
}

#[test]
fn a_final_error_says_how_many_lines_were_not_sent() {
    let fake = FakeSlack::start().unwrap();
    let mut send = zibrato_slack(&fake, "send", "metrics", &["-"]);
    let mut running =
        Running::start_with(&mut send, &(numbered(0..400).join("\n") + "\nno metric\n"));
    // There is a second between two messages.
    wait_until(DEADLINE, "the first message", || !fake.stored(CHANNEL).is_empty());
    fake.revoke(FakeSlack::TOKEN, true);
    let (status, log) = (running.ended(), running.log());
    assert_eq!(status.code(), Some(78), "{log}");
    let left = 400 - lines(&fake).len();
    assert!(left > 0);
    assert!(log.contains("token_revoked: create a new token"), "{log}");
    assert!(log.contains(&format!("that were read, {left} were not sent\n")), "{log}");
    assert_eq!(lines(&fake), numbered(0..400 - left));

    // A channel that never was right is no outage.
    let mut send =
        zibrato_slack(&fake, "send", "nowhere", &["--token", FakeSlack::OTHER_TOKEN, "-"]);
    let (status, _, log) = Running::run_with(&mut send, "a 1\n");
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("no channel #nowhere") && log.contains("1 was not sent"), "{log}");
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_no_line() {
    let fake = FakeSlack::start().unwrap();
    let mut send = zibrato_slack(&fake, "send", "metrics", &["-"]);
    let input = format!("{}evil.tail 7 1700000000\nb.two 2 1700000000\nx\n", "z".repeat(65_536));
    let (status, _, log) = Running::run_with(&mut send, &input);
    assert_eq!((status.code(), lines(&fake)), (Some(65), vec!["b.two 2 1700000000".to_owned()]));
    for part in ["line 1: it is longer than 65536 bytes", "line 3: ", "2 lines were not sent"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

/// The methods that a command calls.
fn calls(fake: &FakeSlack, command: &str, channel: &str, args: &[&str]) -> (Vec<String>, String) {
    let before = fake.requests().len();
    let (status, _, log) = Running::run(&mut zibrato_slack(fake, command, channel, args));
    let requests = fake.requests().split_off(before);
    let methods = requests.iter().map(|request| request.path.replace("/api/", ""));
    let code = status.code().unwrap();
    (methods.collect(), if code == 0 { log } else { format!("{code}: {log}") })
}

#[test]
fn a_metric_takes_one_call_unless_the_channel_must_be_looked_up_or_joined() {
    let fake = FakeSlack::start().unwrap();
    let post = "chat.postMessage";
    for (channel, expected) in [
        ("C0METRICS", &[post][..]),
        ("metrics", &[post]),
        ("#metrics", &[post]),
        // A former name.
        ("old-metrics", &[post, "conversations.list", post]),
        ("strange", &[post, "conversations.list", "conversations.join", post]),
        ("C0STRANGE", &[post]),
    ] {
        let (made, log) = calls(&fake, "send", channel, &["a", "1"]);
        assert_eq!(made, expected, "{channel}: {log}");
        assert_eq!(log.contains("event=\"joined\""), channel == "strange", "{log}");
    }
    assert_eq!((fake.stored(CHANNEL).len(), fake.stored("C0STRANGE").len()), (4, 2));
}

#[test]
fn to_read_a_channel_joins_none() {
    let fake = FakeSlack::start().unwrap();
    for (channel, expected) in [
        ("C0STRANGE", &["conversations.history"][..]),
        ("strange", &["conversations.list", "conversations.history"]),
    ] {
        let (made, log) = calls(&fake, "recv", channel, &[]);
        assert_eq!(made, expected);
        assert!(log.starts_with("78: ") && log.contains("invite the app to the channel"), "{log}");
    }
}
