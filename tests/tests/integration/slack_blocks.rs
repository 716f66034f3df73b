//! Every kind of message that `zibrato-slack` posts is valid for the block models of slack_sdk.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter, Line};
use zibrato::{Annotation, clock};
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{Running, python, repository};
use zibrato_workers::slack::{Mode, Slack, SlackFlags};
use zibrato_workers::{Backend, BackendProgram};

/// A worker that gets one window after the other.
struct Story {
    slack: FakeSlack,
    folder: TempDir,
    backend: Slack,
    start_ms: u64,
    length_ms: u64,
}

fn open(slack: &FakeSlack, folder: &Path, mode: Mode) -> Slack {
    let mut flags = SlackFlags::channel(FakeSlack::TOKEN, "#metrics");
    (flags.api_url, flags.mode, flags.pace) = (slack.api_url(), mode, Duration::ZERO);
    flags.title = "Web shop".to_owned();
    match mode {
        Mode::Alert => flags.alert.alert_rules = Some(folder.join("rules.toml")),
        _ => flags.digest_update = Some(folder.join("digest.json")),
    }
    flags.alert.alert_state = Some(folder.join("alerts.json"));
    Slack::open(flags).unwrap()
}

impl Story {
    fn new(mode: Mode, rules: &str, length_s: u64) -> Self {
        let (slack, folder) = (FakeSlack::start().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
        let backend = open(&slack, folder.path(), mode);
        let start_ms = clock::unix_ms() / 60_000 * 60_000;
        Self { slack, folder, backend, start_ms, length_ms: length_s * 1000 }
    }

    fn window(&mut self, lines: &[&str]) {
        self.window_with(lines, |_| {});
    }

    /// A window of these lines, without their level, and more. An error of Slack is tried again.
    fn window_with(&mut self, lines: &[&str], more: impl FnOnce(&mut Window)) {
        let mut window = Window::new(self.start_ms, self.length_ms, 100_000);
        for line in lines {
            window.fold_line(&Line::decode(format!("info|{line}").as_bytes()).unwrap());
        }
        more(&mut window);
        for payload in self.backend.payloads(window) {
            if self.backend.send(&payload).is_err() {
                self.backend.send(&payload).unwrap();
            }
        }
        self.start_ms += self.length_ms;
    }

    /// The worker starts again, with other rules.
    fn restart(&mut self, rules: &str) {
        std::fs::write(self.folder.path().join("rules.toml"), rules).unwrap();
        self.backend = open(&self.slack, self.folder.path(), Mode::Alert);
    }

    /// The bodies of all requests.
    fn bodies(&self) -> Vec<Value> {
        self.slack.requests().into_iter().filter_map(|request| request.json).collect()
    }
}

/// Whether slack_sdk accepts all of these.
#[track_caller]
fn assert_valid(bodies: &[Value]) {
    let lines: String = bodies.iter().map(|body| format!("{body}\n")).collect();
    let mut command = Command::new(python());
    let script = repository().join("tests/python/validate_blocks.py");
    let (status, printed, log) = Running::run_with(command.arg(script), &lines);
    assert!(status.success(), "{log}");
    assert_eq!(printed, format!("{} messages are valid\n", bodies.len()));
}

/// Whether each of these texts is in one of the bodies.
#[track_caller]
fn assert_says(bodies: &[Value], texts: &[&str]) {
    let all: Vec<String> = bodies.iter().map(Value::to_string).collect();
    for text in texts {
        let is_said = all.iter().any(|body| body.contains(text));
        assert!(is_said, "nothing says {text:?} in\n{}", all.join("\n"));
    }
}

const HOSTILE: &str = "<!channel>&`*_~:red_circle:";

#[test]
fn digests_of_all_kinds_are_valid() {
    let mut story = Story::new(Mode::Digest, "", 60);
    for minute in 0..8_u32 {
        let [requests, depth] = [90_000 + 7_919 * minute, 40 + (minute * 17) % 23];
        let lines = [
            format!("c|shop.requests|{requests}|1|web-1"),
            format!("c|shop.requests|{}|1|web-2", requests / 3),
            format!("c|shop.failed|{}|1|web-1", minute * minute),
            format!("g|queue.depth|{depth}|1|web-1"),
            format!("g|disk.free|{}|1|web-1", 1.5e12 - f64::from(minute) * 1e9),
            format!("t|db.query|{}|1|web-1", 0.002 * f64::from(minute + 1)),
            format!("t|db.query|{}|2|web-1", 0.231),
            "s|users|ann|1|web-1".to_owned(),
            format!("s|users|user-{minute}|1|web-1"),
            format!("c|{HOSTILE}|1|1|{HOSTILE}"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        story.window_with(&lines, |window| {
            let mut batch = BatchWriter::new("web-1", window.start_ms(), 1_000);
            let sizes = [12.5, 512.25, 7.0 + f64::from(minute)];
            batch.histogram_readings("reply.size", &[("route", "/cart")], Some("kB"), &sizes);
            let body = batch.finish();
            window.fold_batch(&BatchReader::new(&body).unwrap(), |why| panic!("{why}"));
            if minute == 4 {
                let deploy = Annotation::new("deploys", "version 7", window.start_ms()).unwrap();
                let deploy = deploy.with_end(window.start_ms() + 42_000).unwrap();
                let deploy = deploy.with_description("by Ann, with a new cart").unwrap();
                let deploy = deploy.with_link("build", "https://ci.example/7", None).unwrap();
                window.add_annotation("web-1", &deploy);
            }
        });
    }
    // Nothing is posted about a window without measurements.
    let before = story.bodies().len();
    story.window(&[]);
    assert_eq!(story.bodies().len(), before);
    let many: Vec<String> = (0..82).map(|i| format!("g|disk.{i}|{}|1|web-1", i * 1000)).collect();
    story.window(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let bodies = story.bodies();
    assert_says(
        &bodies,
        &[
            "97,919 (1,632/s)",
            "queue.depth",
            "distinct",
            "mean 177.6 kB",
            "route=/cart",
            "max 231 ms",
            "took 42 s",
            "37 more series not shown",
            "&lt;!channel&gt;&amp;",
        ],
    );
    let updates = bodies.iter().filter(|body| body.get("ts").is_some()).count();
    assert_eq!((bodies.len(), updates), (10, 8), "one message, its updates, and the annotation");
    assert_valid(&bodies);
}

const RULES: &str = "
[[rule]]
name = 'queue.long'
metric = 'queue.*'
above = 100
rearm = 600
mention = ['@here', 'U012ABCDE']
runbook = 'https://wiki.example/queue?a=b&c'

[[rule]]
name = 'web.slow'
metric = 'web.*'
summary = 'p95'
above = 0.5
clear = 0.4
mention = ['@channel']

[[rule]]
name = 'backup.gone'
metric = 'backup.done'
absent = true
for = 600

[[rule]]
name = 'disk.full'
metric = 'disk.*'
above = 90
rearm = 0

[[rule]]
name = 'quiet'
metric = 'night.*'
above = 1

[[mute]]
rules = 'web.slow'
from = '00:00'
to = '24:00'
only_mentions = true

[[mute]]
rules = 'quiet'
from = '00:00'
to = '24:00'
";

#[test]
fn alerts_in_all_states_are_valid() {
    let mut story = Story::new(Mode::Alert, RULES, 600);
    for depth in [12, 25, 90] {
        story.window(&[&format!("g|queue.mail|{depth}|1|web-1"), "t|web.cart|0.2|1|web-1"]);
    }
    let backup = "c|backup.done|1|1|db-1";
    // Two alerts begin, of which one may mention nobody, and one that is muted. The first answer is lost.
    story.slack.answer_with(Reply::status(504));
    story.window(&[
        "g|queue.mail|1234567|1|web-1",
        "t|web.cart|0.9|1|web-1",
        "g|night.shift|9|1|web-1",
        backup,
    ]);
    // One is due for a reminder, one ends, and a series is absent.
    story.window(&["g|queue.mail|2000|1|web-1", "t|web.cart|0.1|1|web-1"]);
    // Both end, and another one begins.
    let hostile = |value: u32| format!("g|queue.{HOSTILE}|{value}|1|{HOSTILE}");
    story.window(&["g|queue.mail|5|1|web-1", backup, &hostile(500)]);
    story.window(&[backup, &hostile(5)]);
    // Many begin together, on one host and on several, some of them end, and one has no data.
    let disks = |fine: usize, hosts: usize| -> Vec<String> {
        let used = |i: usize| if i < fine { 50 } else { 91 + i };
        (0..30).map(|i| format!("g|disk.{i}|{}|1|db-{}", used(i), i % hosts)).collect()
    };
    for (fine, hosts) in [(0, 1), (28, 1), (30, 1), (0, 4)] {
        let lines = disks(fine, hosts);
        let lines: Vec<_> = lines.iter().map(String::as_str).chain([backup]).collect();
        story.window(&lines);
    }
    for _ in 0..5 {
        story.window(&[backup]);
    }
    story.window(&["g|queue.mail|700|1|web-1", backup]);
    story.restart("[[rule]]\nname = 'other'\nmetric = 'x'\nabove = 1\n");
    story.window(&["g|queue.mail|700|1|web-1", backup]);

    let bodies = story.bodies();
    assert_says(
        &bodies,
        &[
            "\"text\":\"<!here> <@U012ABCDE> :red_circle: FIRING queue.long: queue.mail on web-1 is 1,234,567 (threshold &gt; 100)\"",
            "STILL FIRING queue.long",
            "\"text\":\":red_circle: FIRING web.slow: web.cart on web-1 is 900 ms (threshold &gt; 500 ms)\"",
            "RESOLVED web.slow",
            "FIRING backup.gone: backup.done on db-1 has no data",
            "RESOLVED backup.gone: backup.done on db-1 is back again",
            "may be a repetition",
            "FIRING disk.full: 30 alerts on db-0\"",
            "FIRING disk.full: 2 of 30 alerts on db-0\"",
            "RESOLVED disk.full: 28 alerts on db-0\"",
            "FIRING disk.full: 30 alerts on db-0, db-1, db-2, …",
            "and 10 more",
            "no data any more",
            ": the rule was removed or changed",
            "lasted 20 min",
            "|Runbook>",
            "&lt;!channel&gt;&amp;",
        ],
    );
    for (texts, why) in [("night.shift", "it is muted"), ("<!channel>", "mentions are muted")] {
        let all = bodies.iter().map(Value::to_string).find(|body| body.contains(texts));
        assert_eq!(all, None, "{why}");
    }
    for method in ["ts", "thread_ts"] {
        assert!(bodies.iter().any(|body| body.get(method).is_some()), "{method}");
    }
    assert_valid(&bodies);
}

#[test]
fn a_webhook_gets_valid_messages_too() {
    let slack = FakeSlack::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.toml"), RULES).unwrap();
    let mut bodies = Vec::new();
    for mode in [Mode::Digest, Mode::Alert] {
        let mut flags = SlackFlags::webhook(slack.webhook_url());
        (flags.mode, flags.pace) = (mode, Duration::ZERO);
        flags.alert.alert_rules = Some(folder.path().join("rules.toml"));
        flags.alert.alert_state = Some(folder.path().join("alerts.json"));
        let mut backend = Slack::open(flags).unwrap();
        let now_ms = clock::unix_ms() / 60_000 * 60_000;
        for (minute, value) in [(0, 500), (11, 600), (12, 1)] {
            let mut window = Window::new(now_ms + minute * 60_000, 60_000, 100);
            let line = format!("info|g|queue.mail|{value}|1|web-1");
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
            for payload in backend.payloads(window) {
                backend.send(&payload).unwrap();
            }
        }
    }
    for message in slack.messages() {
        bodies.push(json!({"text": message.text, "blocks": message.blocks}));
    }
    assert_says(&bodies, &["STILL FIRING", "RESOLVED", "Zibrato: 1 series"]);
    assert_eq!(bodies.len(), 6);
    assert_valid(&bodies);
}
