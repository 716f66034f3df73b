//! Pictures of alerts: they are uploaded into the threads of their messages, and no message waits for
//! one or is lost because of one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{FakeSlack, Reply};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, wait_until};
use zibrato_workers::slack::{Mode, Slack, SlackFlags};
use zibrato_workers::{Backend, BackendProgram};

const RULES: &str = "[[rule]]\nname = 'queue'\nmetric = 'queue.*'\nabove = 100\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.toml"), RULES).unwrap();
    folder
}

fn flags(slack: &FakeSlack, folder: &Path) -> SlackFlags {
    let mut flags = SlackFlags::channel(FakeSlack::TOKEN, "#metrics");
    (flags.api_url, flags.mode, flags.pace) = (slack.api_url(), Mode::Alert, Duration::ZERO);
    flags.alert.alert_rules = Some(folder.join("rules.toml"));
    flags.alert.alert_state = Some(folder.join("alerts.json"));
    flags.alert.alert_picture = true;
    flags
}

/// Delivers windows with the depths of this number of queues, as a worker does.
fn deliver(backend: &mut Slack, queues: usize, values: &[f64]) {
    let now_ms = zibrato::clock::unix_ms() / 60_000 * 60_000;
    backend.unsettled_since();
    for (value, back) in values.iter().zip((0..values.len() as u64).rev()) {
        let mut window = Window::new(now_ms - (back + 1) * 60_000, 60_000, 100);
        for queue in 0..queues {
            let line = format!("info|g|queue.{queue}|{value}|1|web-1");
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        for payload in backend.payloads(window) {
            backend.send(&payload).unwrap();
        }
    }
}

#[test]
fn the_picture_of_an_alert_is_in_its_thread() {
    let (slack, broker, folder) = (FakeSlack::start().unwrap(), Broker::start(), folder());
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("token"), FakeSlack::TOKEN).unwrap();
    let (rules, state, token) = (path("rules.toml"), path("alerts.json"), path("token"));
    let flags = ["--mode", "alert", "--alert-picture", "--alert-rules", &rules];
    let more = ["--alert-state", &state, "--flush", "1", "--pace", "0", "--token-file", &token];
    let api = slack.api_url();
    let to = ["--channel", "#metrics", "--api-url", &api];
    let mut worker = broker.worker("zibrato-slack", &[&flags[..], &more, &to].concat());
    let z = Zibrato::builder().port(broker.port()).source("web-1").build().unwrap();
    z.gauge("info", "queue.depth").set(500.0);
    wait_until(DEADLINE, "the picture", || !slack.files().is_empty());
    let found = slack.stored(FakeSlack::CHANNEL);
    let file = slack.files().remove(0);
    assert_eq!(file.thread.as_ref(), Some(&found[0].ts));
    assert_eq!(file.channel.as_deref(), Some(FakeSlack::CHANNEL));
    assert_eq!((&*file.name, &*file.title), ("queue.png", "queue.depth on web-1"));
    assert!(file.description.contains("500 (threshold > 100)"), "{file:?}");
    assert_eq!(&file.bytes[..8], b"\x89PNG\r\n\x1a\n");
    assert!(worker.stop(Signal::TERM).success());
    assert_eq!(slack.files().len(), 1);
}

#[test]
fn an_alert_without_a_picture_is_still_an_alert() {
    for refused in ["no scope", "no uploads", "an error of the upload"] {
        let (slack, folder) = (FakeSlack::start().unwrap(), folder());
        match refused {
            "no scope" => slack.set_scopes(FakeSlack::TOKEN, &["chat:write"]),
            _ => slack.allow_uploads(refused != "no uploads"),
        }
        let mut backend = Slack::open(flags(&slack, folder.path())).unwrap();
        if refused == "an error of the upload" {
            slack.refuse_uploads();
        }
        deliver(&mut backend, 1, &[500.0, 5.0]);
        let called = |method: &str| {
            let requests = slack.requests();
            requests.iter().filter(|request| request.path.ends_with(method)).count()
        };
        wait_until(DEADLINE, refused, || called("files.getUploadURLExternal") == 1);
        let texts: Vec<_> = slack.messages().into_iter().map(|message| message.text).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("FIRING") && texts[1].contains("RESOLVED"), "{texts:?}");
        drop(backend);
        assert!(slack.files().is_empty());
        assert_eq!(called("files.completeUploadExternal"), 0);
    }
}

#[test]
fn no_message_waits_for_a_picture() {
    let (slack, folder) = (FakeSlack::start().unwrap(), folder());
    let mut flags = flags(&slack, folder.path());
    flags.timeout = Duration::from_secs(60);
    let mut backend = Slack::open(flags).unwrap();
    slack.hang_uploads();
    let begun = Instant::now();
    deliver(&mut backend, 3, &[500.0, 5.0]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(slack.messages().len(), 3 + 3);
    // The end of the program does not wait for it either.
    drop(backend);
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn a_list_of_alerts_has_no_picture() {
    let (slack, folder) = (FakeSlack::start().unwrap(), folder());
    let mut backend = Slack::open(flags(&slack, folder.path())).unwrap();
    deliver(&mut backend, 20, &[500.0]);
    assert_eq!(slack.messages().len(), 1);
    drop(backend);
    let asked = |path: &str| slack.requests().iter().any(|request| request.path.ends_with(path));
    assert!(asked("chat.postMessage") && !asked("files.getUploadURLExternal"));
}

#[test]
fn a_picture_without_a_channel_or_an_alert_is_a_mistake_at_the_start() {
    let folder = folder();
    let rules = folder.path().join("rules.toml").display().to_string();
    let hook = ["--webhook-url", "https://hooks.slack.com/services/T0/B0/X", "--alert-picture"];
    for (flags, says) in [
        (&["--mode", "alert", "--alert-rules", &rules][..], "--alert-picture needs a channel"),
        (&[], "--alert-picture is for --mode alert"),
    ] {
        let mut command = Command::new(program("zibrato-slack"));
        let (status, _, log) = Running::run(command.args(hook).args(flags));
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains(says) && !log.contains("B0/X"), "{log}");
    }
}

#[test]
fn the_error_names_the_scope_that_uploads_need() {
    use zibrato_workers::slack::client::{Client, ErrorKind, Upload};
    let slack = FakeSlack::start().unwrap();
    let client = Client::builder(FakeSlack::TOKEN).url(slack.api_url()).build().unwrap();
    let upload = Upload::new("a.png", b"bytes".to_vec()).title("A").to(FakeSlack::CHANNEL);
    client.upload(&upload).unwrap();
    assert_eq!(slack.files()[0].bytes, b"bytes");
    slack.set_scopes(FakeSlack::TOKEN, &["chat:write"]);
    let why = client.upload(&upload).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Access);
    let expected =
        "files.getUploadURLExternal: missing_scope: the token has chat:write and needs files:write";
    assert_eq!(why.to_string(), expected);
    slack.set_scopes(FakeSlack::TOKEN, &["files:write"]);
    slack.allow_uploads(false);
    let why = client.upload(&upload).unwrap_err();
    assert!(why.to_string().contains("the workspace allows no uploads"), "{why}");
    slack.allow_uploads(true);
    // A place outside this machine would be sent the file unencrypted.
    let place =
        serde_json::json!({"ok": true, "file_id": "F1", "upload_url": "http://h.example/hushhush"});
    slack.answer_with(Reply::json(200, &place));
    let why = client.upload(&upload).unwrap_err();
    assert!(!format!("{why} {why:?}").contains("hushhush"), "{why:?}");
}
