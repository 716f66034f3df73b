//! Alerts of `zibrato-slack`: from a gauge to a message, once, although the worker is killed; and the
//! command that tries rules on a recorded stream.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, python, repository, wait_until};
use zibrato_workers::slack::{Mode, Slack, SlackFlags};
use zibrato_workers::{Backend, BackendProgram};

const CYCLES: usize = 6;

const RULES: &str = "[[rule]]\nname = 'queue'\nmetric = 'queue.*'\nabove = 100\nrearm = 0\n";

/// A worker with its state in a folder.
fn worker(broker: &Broker, slack: &FakeSlack, folder: &Path) -> Running {
    std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let (rules, state, letters) = (path("rules.toml"), path("alerts.json"), path("letters"));
    let hook = slack.webhook_url();
    let flags = ["--mode", "alert", "--alert-rules", &rules, "--alert-state", &state];
    let more = ["--dead-letters", &letters, "--flush", "1", "--pace", "0", "--webhook-url", &hook];
    broker.worker("zibrato-slack", &[&flags[..], &more].concat())
}

/// Number of messages with this word, without those that may be repetitions, and number of those.
fn count(slack: &FakeSlack, word: &str) -> (usize, usize) {
    let messages = slack.messages();
    let of_word = messages.iter().filter(|message| message.text.contains(word));
    let (again, once): (Vec<_>, Vec<_>) =
        of_word.partition(|message| message.blocks.to_string().contains("may be a repetition"));
    (once.len(), again.len())
}

#[test]
fn each_alert_is_told_once_although_the_worker_is_killed() {
    let (slack, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let folder = tempfile::tempdir().unwrap();
    let mut running = worker(&broker, &slack, folder.path());
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    let z = builder.interval(Duration::from_millis(50)).build().unwrap();
    let depth = z.gauge("info", "queue.depth");
    for cycle in 1..=CYCLES {
        for (word, value) in [("FIRING", 500.0), ("RESOLVED", 5.0)] {
            depth.set(value);
            // At another moment of the window each time.
            std::thread::sleep(Duration::from_millis(cycle as u64 * 190));
            running.stop(Signal::KILL);
            running = worker(&broker, &slack, folder.path());
            let is_told = || {
                let (once, again) = count(&slack, word);
                once + again >= cycle
            };
            wait_until(DEADLINE, word, is_told);
        }
    }
    // Another window, in which nothing is told. The last kill may still cause a repetition.
    std::thread::sleep(Duration::from_millis(1_500));
    for word in ["FIRING", "RESOLVED"] {
        let (once, again) = count(&slack, word);
        assert!(once <= CYCLES && again <= 2 * CYCLES, "{word}: {once} and {again}");
    }
    assert!(running.stop(Signal::TERM).success());
}

#[test]
fn a_message_whose_fate_is_unknown_is_repeated_and_says_so() {
    let (slack, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let folder = tempfile::tempdir().unwrap();
    slack.answer_with(Reply::status(504));
    let running = worker(&broker, &slack, folder.path());
    let z = Zibrato::builder().port(broker.port()).source("web-1").build().unwrap();
    z.gauge("info", "queue.depth").set(500.0);
    wait_until(DEADLINE, "a message", || !slack.messages().is_empty());
    assert_eq!(count(&slack, "FIRING"), (0, 1), "{:?}", slack.messages());
    // A second worker must not use the same state.
    let mut second = worker(&broker, &slack, folder.path());
    second.says(&["event=\"alert_state\"", "another worker uses"]);
    drop((running, second));
}

#[test]
fn rules_are_tried_on_a_recorded_stream() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let check = |args: &[&str], input: &str| {
        let mut command = Command::new(program("zibrato-slack"));
        Running::run_with(command.args(["rules", "check"]).arg(&rules).args(args), input)
    };
    let stream = "info|g|queue.depth|500|1795176000|web-1\ninfo|g|queue.depth|5|1795176060|web-1\n";
    let (status, printed, log) = check(&["--recorded", "-"], stream);
    assert!(status.success(), "{log}");
    let expected = format!(
        "{}: 1 rule, valid\n\
         2026-11-20T12:01:00Z  FIRING queue: queue.depth on web-1 is 500 (threshold > 100)\n\
         2026-11-20T12:02:00Z  RESOLVED queue: queue.depth on web-1 is 5 (threshold > 100)\n\
         2 messages, 0 with mentions, in 2 windows; at the end 0 alerts fire\n",
        rules.display()
    );
    assert_eq!(printed, expected);
    let (status, _, log) = check(&["--recorded", "-"], "nonsense\n");
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("line 1: ") && log.contains("level|type|name"), "{log}");
    std::fs::write(&rules, "[[rule]]\nname = 'q'\nmetric = '*'\nabov = 1\n").unwrap();
    let (status, _, log) = check(&[], "");
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("line 4, column 1: ") && log.contains("did you mean `above`?"), "{log}");
}

#[test]
fn the_messages_pass_the_block_models_of_slack_sdk() {
    let slack = FakeSlack::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let runbook = "runbook = 'https://wiki.example/a&b'\nmention = ['@here', 'U012ABCDE']\n";
    std::fs::write(&rules, format!("{RULES}{runbook}")).unwrap();
    let now_ms = zibrato::clock::unix_ms() / 60_000 * 60_000;
    let window = |back: u64, value: f64, of: usize| {
        let mut window = Window::new(now_ms - back * 60_000, 60_000, 100_000);
        for i in 0..of {
            let hostile = "<!channel>&`*_~".repeat(10);
            let line = format!("info|g|queue.{i}.{hostile}|{value}|1|{hostile}");
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        window
    };
    for of in [1, 10_000] {
        for mode in [Mode::Alert, Mode::Digest] {
            let mut flags = SlackFlags::webhook(slack.webhook_url());
            (flags.mode, flags.pace) = (mode, Duration::ZERO);
            flags.alert.alert_rules = Some(rules.clone());
            flags.alert.alert_state = Some(folder.path().join(format!("{of}.json")));
            let mut backend = Slack::open(flags).unwrap();
            for window in [window(3, 500.0, of), window(2, 600.0, of), window(1, 5.0, of)] {
                for payload in backend.payloads(window) {
                    backend.send(&payload).unwrap();
                }
            }
        }
    }
    let messages = slack.messages();
    assert_eq!(messages.len(), 2 * (2 + 3));
    let lines = messages.iter().map(|message| {
        serde_json::json!({"text": message.text, "blocks": message.blocks}).to_string() + "\n"
    });
    let mut command = Command::new(python());
    let script = repository().join("tests/python/validate_blocks.py");
    let (status, printed, log) = Running::run_with(command.arg(script), &lines.collect::<String>());
    assert!(status.success(), "{log}");
    assert_eq!(printed, format!("{} messages are valid\n", messages.len()));
}

#[test]
fn messages_are_those_that_were_recorded_or_differ_for_a_reason() {
    let cases = repository().join("tests/tests/integration/slack_messages.jsonl");
    let output = Command::new(program("vectors")).arg(cases).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().last(), Some("0 passed, 0 failed, 6 by design"), "{text}");
    for reason in ["do not become links", "changed most come first", "how long it lasted"] {
        assert!(text.contains(reason), "{text}");
    }
    assert!(output.status.success());
}

/// A window of a minute that ended this number of minutes ago, with the depth of a queue.
fn depth(minutes: u64, value: f64) -> Window {
    let now_ms = zibrato::clock::unix_ms() / 60_000 * 60_000;
    let mut window = Window::new(now_ms - (minutes + 1) * 60_000, 60_000, 100);
    let line = format!("info|g|queue.depth|{value}|1|web-1");
    window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    window
}

/// A worker for a channel, which begins with what another one has left.
fn in_channel(slack: &FakeSlack, folder: &Path, mode: Mode) -> Slack {
    let mut flags = SlackFlags::channel(FakeSlack::TOKEN, "#metrics");
    (flags.api_url, flags.mode, flags.pace) = (slack.api_url(), mode, Duration::ZERO);
    match mode {
        Mode::Alert => flags.alert.alert_rules = Some(folder.join("rules.toml")),
        _ => flags.digest_update = Some(folder.join("digest.json")),
    }
    flags.alert.alert_state = Some(folder.join("alerts.json"));
    Slack::open(flags).unwrap()
}

/// Delivers a window as a worker does.
fn deliver(backend: &mut Slack, window: Window) {
    backend.unsettled_since();
    for payload in backend.payloads(window) {
        backend.send(&payload).unwrap();
    }
    assert!(backend.unsettled_since().is_none());
}

#[test]
fn an_alert_in_a_channel_is_updated_and_resolved_in_its_thread_after_restarts() {
    let (slack, folder) = (FakeSlack::start().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("rules.toml"), RULES).unwrap();
    for (minutes, value) in [(2, 500.0), (1, 600.0), (0, 5.0), (0, 5.0)] {
        deliver(&mut in_channel(&slack, folder.path(), Mode::Alert), depth(minutes, value));
    }
    let found = slack.stored(FakeSlack::CHANNEL);
    assert_eq!(found.len(), 2, "{found:?}");
    let [message, reply] = &found[..] else { panic!() };
    for one in [message, reply] {
        assert!(one.text.contains("RESOLVED queue: queue.depth"), "{one:?}");
    }
    assert_eq!(reply.thread_ts.as_ref(), Some(&message.ts));
    assert!(message.edited.is_some() && reply.edited.is_none(), "{found:?}");
}

#[test]
fn a_digest_updates_its_message_after_a_restart_and_replaces_one_that_was_deleted() {
    let (slack, folder) = (FakeSlack::start().unwrap(), tempfile::tempdir().unwrap());
    let digest = |minutes, value| {
        let mut backend = in_channel(&slack, folder.path(), Mode::Digest);
        deliver(&mut backend, depth(minutes, value));
    };
    digest(2, 1.0);
    digest(1, 2.0);
    let found = slack.stored(FakeSlack::CHANNEL);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].edited.is_some(), "{found:?}");
    let state = folder.path().join("digest.json");
    let channel = FakeSlack::CHANNEL;
    let place = format!(r##"{{"channel":"{channel}","ts":"1.000001","to":"#metrics"}}"##);
    std::fs::write(&state, place).unwrap();
    digest(0, 3.0);
    assert_eq!(slack.stored(FakeSlack::CHANNEL).len(), 2);
}
