//! Which flags can be combined, what is sent, and that secrets are never shown.

use super::{Slack, SlackFlags};
use crate::{Backend, BackendProgram, Payload, Secret};
use clap::{Args, Command};
use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::Line;

const HOOK: &str = "https://hooks.slack.com/services/T0/B0/hushhush";

fn window(lines: &[&str]) -> Window {
    let mut window = Window::new(1_700_000_040_000, 60_000, 100);
    lines.iter().for_each(|line| window.fold_line(&Line::decode(line.as_bytes()).unwrap()));
    window
}

#[test]
fn there_is_exactly_one_destination() {
    let hook = || SlackFlags::webhook(HOOK);
    let channel = || SlackFlags::channel("xoxb-hushhush", "#metrics");
    assert!(Slack::open(hook()).is_ok());
    assert!(Slack::open(channel()).is_ok());
    let both = SlackFlags { webhook_url: Some(Secret::new(HOOK)), ..channel() };
    let hook_and_channel = SlackFlags { channel: Some("#x".to_owned()), ..hook() };
    let no_channel = SlackFlags { channel: None, ..channel() };
    let no_token = SlackFlags { token: None, ..channel() };
    let nothing = SlackFlags { webhook_url: None, ..hook() };
    let no_url = SlackFlags::webhook("hooks.slack.com/services/hushhush");
    let titled = |title: &str| SlackFlags { title: title.to_owned(), ..hook() };
    for (flags, word) in [
        (both, "not both"),
        (hook_and_channel, "not both"),
        (no_channel, "give --channel"),
        (no_token, "--token-file"),
        (nothing, "ZIBRATO_SLACK_WEBHOOK_URL"),
        (no_url, "--webhook-url: is no"),
        (titled(""), "--title"),
        (titled(&"t".repeat(151)), "--title"),
        (titled("a<b"), "--title"),
    ] {
        let failure = Slack::open(flags).unwrap_err();
        assert_eq!(failure.exit as u8, 78);
        assert!(failure.message.contains(word), "{failure}");
        assert!(!failure.message.contains("hushhush"), "{failure}");
    }
}

#[test]
fn secrets_are_in_no_debug_output() {
    for flags in [SlackFlags::webhook(HOOK), SlackFlags::channel("xoxb-hushhush", "#metrics")] {
        let shown = format!("{flags:?} {:?}", Slack::open(flags.clone()).unwrap());
        assert!(!shown.contains("hushhush"), "{shown}");
    }
}

#[test]
fn rejected_series_are_named_and_counted_alike() {
    let mut slack = Slack::open(SlackFlags::webhook(HOOK)).unwrap();
    let lines = ["info|c|a&b <c>|1|1|web-1", "info|c|logins|1|1|web-2"];
    let payloads = slack.payloads(window(&lines));
    assert_eq!(slack.names(&payloads[0], 5), ["a&b <c> (web-1)", "logins (web-2)"]);
    assert_eq!(slack.names(&payloads[0], 1), ["a&b <c> (web-1)"]);
    assert!(slack.names(&Payload::new(b"x".to_vec(), 1), 5).is_empty());
}

#[test]
fn a_message_to_a_channel_disables_links_and_previews() {
    let mut slack = Slack::open(SlackFlags::channel("xoxb-1", "#metrics")).unwrap();
    let payloads = slack.payloads(window(&["info|c|logins|1|1|a", "info|c|logins|1|1|b"]));
    assert_eq!((payloads.len(), payloads[0].series), (1, 2));
    let body: Value = serde_json::from_slice(&payloads[0].body).unwrap();
    assert_eq!(body["channel"], "#metrics");
    assert_eq!(body["text"], "Zibrato: 2 series");
    assert_eq!(body["blocks"].as_array().unwrap().len(), 4);
    for key in ["mrkdwn", "unfurl_links", "unfurl_media"] {
        assert_eq!(body[key], false, "{key}");
    }
}

#[test]
fn a_webhook_gets_text_and_blocks() {
    let mut slack = Slack::open(SlackFlags::webhook(HOOK)).unwrap();
    let payloads = slack.payloads(window(&["info|c|logins|1|1|a"]));
    let body: Value = serde_json::from_slice(&payloads[0].body).unwrap();
    let keys: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["blocks", "text"]);
    assert!(slack.payloads(window(&[])).is_empty());
}

#[test]
fn the_halves_of_a_message_show_each_series_once() {
    let mut slack = Slack::open(SlackFlags::channel("xoxb-1", "#metrics")).unwrap();
    let lines: Vec<_> = (0..100).map(|n| format!("info|c|n{n:03}|1|1|a")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let whole = slack.payloads(window(&lines)).remove(0);
    let shown = |payload: &Payload| -> Vec<String> {
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        assert_eq!(
            (&body["channel"], &body["blocks"][0]["type"]),
            (&"#metrics".into(), &"header".into())
        );
        let sections = body["blocks"].as_array().unwrap().iter();
        let sections = sections.filter(|block| block["type"] == "section");
        sections.map(|block| block["text"]["text"].as_str().unwrap().to_owned()).collect()
    };
    let all = shown(&whole);
    let (mut open, mut alone) = (vec![whole], Vec::new());
    while let Some(payload) = open.pop() {
        match slack.split(&payload) {
            Some([left, right]) => {
                assert_eq!(left.series + right.series, payload.series);
                open.extend([right, left]);
            }
            None => alone.push(payload),
        }
    }
    assert!(alone.iter().all(|payload| shown(payload).len() == 1));
    assert_eq!(alone.iter().flat_map(shown).collect::<Vec<_>>(), all);
    assert_eq!(alone.iter().map(|payload| payload.series).sum::<usize>(), 100);
}

#[test]
fn the_flags_parse_and_have_their_defaults() {
    let command = SlackFlags::augment_args(Command::new(Slack::PROGRAM));
    let given = command.try_get_matches_from(["zibrato-slack", "--pace", "0", "--timeout", "2.5"]);
    let matches = given.unwrap();
    assert_eq!(matches.get_one::<String>("title").unwrap(), "Zibrato");
    assert_eq!(matches.get_one::<String>("api_url").unwrap(), "https://slack.com/api");
}
