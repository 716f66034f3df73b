//! An hour of incidents in thousands of series: no alert is told twice, none is forgotten, and there
//! is no storm.

use super::{Carrier, Counts, Stage};
use std::collections::BTreeMap;

const RULES: &str = "
[[rule]]
name = 'cpu'
metric = 'cpu'
above = 90
clear = 80
for = 30
mention = ['@here']

[[rule]]
name = 'errors'
metric = 'errors.*'
summary = 'rate'
above = 1

[[rule]]
name = 'gone'
metric = 'beat'
absent = true
for = 60
mention = ['@channel']

[[mute]]
rules = 'cpu'
from = '12:40'
to = '12:45'
";

const HOSTS: usize = 100;

/// The lines of a window of ten seconds.
fn lines(at_s: usize) -> Vec<String> {
    let minute = at_s / 60;
    let mut lines = Vec::new();
    for host in 0..HOSTS {
        let cpu = match host {
            0 if (5..9).contains(&minute) => 95,        // one incident
            1 if (at_s / 10).is_multiple_of(2) => 99,   // flaps, too short for `for`
            2 if at_s % 120 < 60 => 99,                 // flaps each two minutes
            10..90 if (20..25).contains(&minute) => 97, // a storm on 80 hosts
            3 if (41..44).contains(&minute) => 99,      // in the mute time alone
            4 if (42..50).contains(&minute) => 99,      // in the mute time and after
            6 if (46..59).contains(&minute) => 92,      // longer than `rearm`
            5 if (30..31).contains(&minute) => 85,      // in the hysteresis
            _ => 20 + (host * 7 + at_s) % 50,
        };
        lines.push(format!("g|cpu|{cpu}|1|host-{host:03}"));
        if !(host == 7 && (10..15).contains(&minute)) {
            lines.push(format!("c|beat|1|1|host-{host:03}"));
        }
        if host < 50 && (33..36).contains(&minute) {
            lines.push(format!("c|errors.e{}|{}|1|host-{host:03}", host % 5, 20 + host));
        }
    }
    lines
}

fn hour(carrier: Carrier, restarts: bool) -> Stage {
    let mut stage = Stage::new(RULES, carrier, 10);
    for window in 0..360 {
        stage.window(lines(window * 10));
        if restarts && window % 7 == 0 {
            stage.restart();
        }
    }
    stage
}

/// Whether no message and no reply is sent twice. An update may have the same values again.
fn no_two_are_the_same(stage: &Stage) -> bool {
    let said = stage.sent.iter().filter(|(_, body)| body.get("ts").is_none());
    let mut all: Vec<String> = said.map(|(_, body)| body.to_string()).collect();
    all.sort_unstable();
    all.windows(2).all(|two| two[0] != two[1])
}

#[test]
fn an_hour_of_incidents_is_few_messages_in_a_channel() {
    for restarts in [false, true] {
        let stage = hour(Carrier::Channel("C1".to_owned()), restarts);
        let counts = stage.counts();
        let Counts { posts, updates, replies, mentions } = counts;
        println!(
            "an hour in a channel: {posts} messages, {updates} updates, {replies} replies, {mentions} mentions"
        );
        // host-000, host-002 each ten minutes, but once in the storm, which is one; host-004,
        // host-006, the errors, and host-007.
        assert_eq!(posts, 11, "{:#?}", stage.channel);
        assert_eq!((mentions, replies), (10, 13));
        assert!(updates <= 150, "{counts:?}");
        assert!(no_two_are_the_same(&stage));
        // Nothing is said about `cpu` in the mute time, and there is one reminder.
        let is_mute = |at: u64| (2_400..2_700).contains(&at);
        let of_cpu = stage.sent.iter().filter(|(_, body)| body.to_string().contains(" cpu"));
        assert!(of_cpu.clone().count() > 10 && !of_cpu.clone().any(|(at, _)| is_mute(*at)));
        let reminders = of_cpu.filter(|(_, body)| body["text"].to_string().contains("STILL"));
        assert_eq!(reminders.map(|(at, _)| at / 60).collect::<Vec<_>>(), [56]);
        let open: Vec<_> = stage.channel.values().filter(|text| text.contains("FIRING")).collect();
        assert!(open.is_empty(), "{open:?}");
        assert!(stage.state.posts.is_empty());
    }
}

#[test]
fn a_webhook_gets_a_message_for_each_transition_and_reminder() {
    for restarts in [false, true] {
        let stage = hour(Carrier::Webhook, restarts);
        let mut by_word: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, body) in &stage.sent {
            let text = body["text"].as_str().unwrap();
            let words = ["STILL FIRING", "FIRING", "RESOLVED", "ENDED"];
            *by_word
                .entry(words.into_iter().find(|word| text.contains(word)).unwrap())
                .or_default() += 1;
        }
        println!("an hour through a webhook: {by_word:?}, {} mentions", stage.counts().mentions);
        assert_eq!(by_word["STILL FIRING"], 1, "one incident lasted ten minutes");
        assert_eq!((by_word["FIRING"], by_word["RESOLVED"]), (11, 12));
        assert_eq!(stage.counts(), Counts { posts: 24, mentions: 10, ..Counts::default() });
        assert!(no_two_are_the_same(&stage));
        assert!(stage.state.tracks.values().all(|track| track.told.is_none()));
    }
}

#[test]
fn ten_thousand_series_that_fire_are_one_message_within_the_limits() {
    let hostile = "<!channel>&".repeat(20);
    let lines: Vec<_> = (0..10_000).map(|i| format!("g|cpu|99|1|{hostile}{i}")).collect();
    let mut stage = Stage::new(&RULES.replace("for = 30", "for = 0"), Carrier::Webhook, 60);
    assert_eq!(stage.window(&lines).len(), 1);
    let body = &stage.sent[0].1;
    let all = body.to_string();
    assert!(all.contains("and 9") && !all.contains("<!channel>"), "{all}");
    let mut characters = 0;
    for block in body["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().unwrap_or("");
        characters += text.chars().count();
        assert!(text.chars().count() <= 3_000);
    }
    assert!(characters <= 13_000 && body["text"].as_str().unwrap().chars().count() < 4_000);
}
