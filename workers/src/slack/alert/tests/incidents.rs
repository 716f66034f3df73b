//! Single alerts: when they begin, end, are repeated and are silent.

use super::{Counts, Room, Stage};

const SLOW: &str = "[[rule]]\nname = 'slow'\nmetric = 'web.*'\nabove = 200\n";
const NOTHING: [&str; 0] = [];

#[test]
fn an_alert_begins_and_ends_once() {
    let mut stage = Stage::webhook(SLOW);
    assert!(stage.window(["g|web.time|200|1|a", "g|db.time|900|1|a"]).is_empty());
    assert_eq!(
        stage.window(["g|web.time|201|1|a"]),
        [":red_circle: FIRING slow: web.time on a is 201 (threshold &gt; 200)"]
    );
    assert!(stage.window(["g|web.time|300|1|a"]).is_empty());
    assert_eq!(
        stage.window(["g|web.time|100|1|a"]),
        [":large_green_circle: RESOLVED slow: web.time on a is 100 (threshold &gt; 200)"]
    );
    assert!(stage.window(["g|web.time|100|1|a"]).is_empty());
}

#[test]
fn all_windows_of_the_duration_must_breach() {
    let mut stage = Stage::webhook(&format!("{SLOW}for = 180\nrearm = 0"));
    let high = ["g|web.time|300|1|a"];
    assert!(stage.window(high).is_empty() && stage.window(high).is_empty());
    assert!(stage.window(["g|web.time|1|1|a"]).is_empty());
    assert!(stage.window(high).is_empty() && stage.window(high).is_empty());
    // A window without a reading says nothing.
    assert!(stage.window(NOTHING).is_empty());
    assert_eq!(stage.window(high).len(), 1);
}

#[test]
fn an_alert_ends_at_the_other_limit() {
    let mut stage = Stage::webhook("[[rule]]\nname = 'r'\nmetric = 'q'\nbelow = 10\nclear = 20\n");
    assert_eq!(stage.window(["g|q|9|1|a"]).len(), 1);
    assert!(stage.window(["g|q|19|1|a"]).is_empty());
    assert_eq!(stage.window(["g|q|20|1|a"]).len(), 1);
}

#[test]
fn a_series_that_was_seen_is_missed_and_found() {
    let mut stage =
        Stage::webhook("[[rule]]\nname = 'gone'\nmetric = 'beat'\nabsent = true\nfor = 120\n");
    assert!(stage.window(["c|beat|1|1|a", "c|other|1|1|a"]).is_empty());
    assert!(stage.window(NOTHING).is_empty());
    assert_eq!(stage.window(NOTHING), [":red_circle: FIRING gone: beat on a has no data"]);
    assert_eq!(
        stage.window(["c|beat|1|1|a"]),
        [":large_green_circle: RESOLVED gone: beat on a is back again"]
    );
}

#[test]
fn a_counter_that_is_silent_is_zero() {
    let mut stage = Stage::webhook("[[rule]]\nname = 'errors'\nmetric = 'errors'\nabove = 10\n");
    assert_eq!(stage.window(["c|errors|11|1|a"]).len(), 1);
    assert_eq!(
        stage.window(NOTHING),
        [":large_green_circle: RESOLVED errors: errors on a is 0 (threshold &gt; 10)"]
    );
}

#[test]
fn a_gauge_that_is_silent_ends_without_being_resolved() {
    let mut stage = Stage::webhook(&format!("{SLOW}rearm = 0\n"));
    assert_eq!(stage.window(["g|web.time|300|1|a"]).len(), 1);
    for _ in 0..9 {
        assert!(stage.window(NOTHING).is_empty());
    }
    assert_eq!(
        stage.window(NOTHING),
        [":white_circle: ENDED slow: web.time on a: no data any more"]
    );
}

#[test]
fn a_series_that_flaps_is_told_once_per_rearm_interval() {
    let mut stage = Stage::webhook(&format!("{SLOW}rearm = 600\n"));
    let mut texts = Vec::new();
    for minute in 0..11 {
        let value = if minute % 2 == 0 { 300 } else { 100 };
        texts.extend(stage.window([format!("g|web.time|{value}|1|a")]));
    }
    // At 12:00, 12:01 and 12:10.
    assert_eq!(texts.len(), 3, "{texts:?}");
    let last = stage.sent.last().unwrap().1.to_string();
    assert!(last.contains("began and ended 4 times before, without a message"), "{last}");
}

#[test]
fn an_alert_that_stays_is_repeated_after_the_rearm_interval() {
    let mut stage = Stage::webhook(SLOW);
    let texts: Vec<_> = (0..21).flat_map(|_| stage.window(["g|web.time|300|1|a"])).collect();
    assert_eq!(texts.len(), 3);
    assert!(texts[1].contains("STILL FIRING slow"), "{texts:?}");
}

#[test]
fn a_message_in_a_channel_is_updated_and_resolved_in_its_thread() {
    let mut stage = Stage::channel(&format!("{SLOW}mention = ['@here']\n"));
    let text = |word: &str, value: &str| {
        let light = if word == "RESOLVED" { ":large_green_circle:" } else { ":red_circle:" };
        format!("{light} {word} slow: web.time on a is {value} (threshold &gt; 200)")
    };
    let begun = stage.window(["g|web.time|300|1|a"]);
    assert_eq!(begun, [format!("post: <!here> {}", text("FIRING", "300"))]);
    let later = stage.window(["g|web.time|400|1|a"]);
    assert_eq!(later, [format!("update: {}", text("FIRING", "400"))]);
    stage.restart();
    let over = stage.window(["g|web.time|100|1|a"]);
    let resolved = text("RESOLVED", "100");
    assert_eq!(over, [format!("update: {resolved}"), format!("reply: {resolved}")]);
    assert!(stage.state.posts.is_empty());
    assert_eq!(stage.counts(), Counts { posts: 1, updates: 2, replies: 1, mentions: 1 });
    let all: Vec<_> = stage.channel.into_values().collect();
    assert_eq!(all, [resolved]);
}

#[test]
fn many_alerts_of_a_rule_are_one_message() {
    for (number, messages) in [(5, 5), (6, 1), (400, 1)] {
        let mut stage = Stage::channel(SLOW);
        let lines = |value: u32| (0..number).map(move |i| format!("g|web.n{i:03}|{value}|1|h{i}"));
        assert_eq!(stage.window(lines(300)).len(), messages, "{number}");
        if messages > 1 {
            continue;
        }
        // Half of them end, and then the others.
        let half = lines(100).take(number / 2).chain(lines(300).skip(number / 2));
        let texts = stage.window(half);
        assert_eq!(texts.len(), 2);
        let expected = format!("FIRING slow: {} of {number} alerts", number - number / 2);
        assert!(texts[0].contains(&expected), "{texts:?}");
        let texts = stage.window(lines(100));
        assert!(texts[0].contains(&format!("RESOLVED slow: {number} alerts")), "{texts:?}");
        assert!(stage.state.posts.is_empty() && stage.channel.len() == 1);
    }
}

#[test]
fn short_windows_do_not_defeat_the_grouping() {
    let mut stage = Stage::new(SLOW, super::Carrier::Webhook, 1);
    let mut lines = Vec::new();
    for second in 0..30 {
        lines.push(format!("g|web.n{second}|300|1|a"));
        stage.window(&lines);
    }
    let counts = stage.counts();
    // Five alone, and what came later in groups of ten seconds.
    assert!(counts.posts <= 5 + 6, "{counts:?}");
    assert!(stage.state.tracks.values().filter(|track| track.told.is_none()).count() <= 10);
}

#[test]
fn many_rules_at_once_are_one_message() {
    let rules: Vec<_> = (0..40)
        .map(|i| {
            format!("[[rule]]\nname = 'r{i}'\nmetric = 'm{i}'\nabove = 1\nmention = ['@here']\n")
        })
        .collect();
    let mut stage = Stage::channel(&rules.concat());
    let texts = stage.window((0..40).map(|i| format!("g|m{i}|9|1|a")));
    assert_eq!(texts, ["post: <!here> :red_circle: FIRING several rules: 40 alerts on a"]);
}

#[test]
fn alerts_that_end_together_are_told_as_fast_as_slack_accepts_it() {
    let rules = format!("{SLOW}rearm = 0\n");
    let mut stage = Stage::new(&rules, super::Carrier::Channel("C1".to_owned()), 30);
    let lines = |of: usize, value: u32| (0..of).map(move |i| format!("g|web.n{i}|{value}|1|a"));
    // Five at a time have messages of their own.
    for of in (5..=60).step_by(5) {
        stage.window(lines(of, 300));
    }
    assert_eq!(stage.state.posts.len(), 60);
    let (mut windows, mut ended) = (0, 0);
    while !stage.state.posts.is_empty() {
        let texts = stage.window(lines(60, 1));
        let updates = texts.iter().filter(|text| text.starts_with("update: ")).count();
        let replies = texts.iter().filter(|text| text.starts_with("reply: ")).count();
        assert!((1..=20).contains(&updates) && updates == replies, "{texts:?}");
        (windows, ended) = (windows + 1, ended + replies);
    }
    assert_eq!((windows, ended), (3, 60));
    assert!(stage.channel.values().all(|text| text.contains("RESOLVED")));
}

#[test]
fn a_mute_time_is_silent_and_nothing_is_forgotten() {
    let mute = "[[mute]]\nfrom = '12:01'\nto = '12:10'\n";
    let mut stage = Stage::webhook(&format!("{SLOW}{mute}"));
    let [high, low] = [["g|web.time|300|1|a"], ["g|web.time|100|1|a"]];
    for _ in 0..4 {
        assert!(stage.window(high).is_empty()); // to 12:04
    }
    assert!(stage.window(low).is_empty()); // it ends before anybody could be told
    for _ in 0..4 {
        assert!(stage.window(high).is_empty()); // to 12:09
    }
    let told = stage.window(high);
    assert!(told.len() == 1 && told[0].contains("FIRING"), "{told:?}");
}

#[test]
fn at_night_nobody_is_mentioned() {
    let mute = "[[mute]]\nfrom = '12:01'\nto = '12:10'\nonly_mentions = true\n";
    let mut stage = Stage::channel(&format!("{SLOW}mention = ['@channel']\n{mute}"));
    stage.window(["g|web.time|300|1|a"]);
    assert_eq!(stage.counts(), Counts { posts: 1, ..Counts::default() });
}

#[test]
fn alerts_of_a_backlog_are_told_if_they_still_fire() {
    let mut stage = Stage::webhook(SLOW);
    for value in [300, 100, 300] {
        assert!(stage.window_when([format!("g|web.time|{value}|1|a")], Room::Nothing).is_empty());
    }
    assert_eq!(stage.window(["g|web.time|300|1|a"]).len(), 1);
}

#[test]
fn a_restart_repeats_nothing_and_forgets_nothing() {
    let mut stage = Stage::webhook(&format!("{SLOW}for = 120\n"));
    let high = ["g|web.time|300|1|a"];
    assert!(stage.window(high).is_empty());
    stage.restart();
    assert_eq!(stage.window(high).len(), 1);
    stage.restart();
    assert!(stage.window(high).is_empty());
    stage.restart();
    assert!(stage.window(["g|web.time|1|1|a"])[0].contains("RESOLVED"));
}

#[test]
fn the_alerts_of_a_removed_rule_end() {
    let mut stage = Stage::channel(SLOW);
    stage.window(["g|web.time|300|1|a"]);
    stage.rules = super::parse("[[rule]]\nname = 'other'\nmetric = 'x'\nabove = 1\n").unwrap();
    stage.restart();
    let texts = stage.window(["g|web.time|300|1|a"]);
    assert!(
        texts[0].ends_with("ENDED slow: web.time on a: the rule was removed or changed"),
        "{texts:?}"
    );
    assert!(stage.window(NOTHING).is_empty() && stage.state.tracks.is_empty());
}
