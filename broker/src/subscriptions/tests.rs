//! A topic matches what begins with it, and no wanted level is missing.

use super::{Heard, MAX_TOPICS, Subscriptions, Wants};
use proptest::prelude::*;
use zibrato::wire::WantedLevels;

fn subscribed(topics: &[&[u8]]) -> Subscriptions {
    let mut subscriptions = Subscriptions::new(MAX_TOPICS);
    for topic in topics {
        subscriptions.hear(&[&[1], *topic].concat());
    }
    subscriptions
}

const NOTHING: Wants = Wants { batches: false, lines: false, journal: false };
const BATCHES: Wants = Wants { batches: true, lines: false, journal: false };
const LINES: Wants = Wants { batches: false, lines: true, journal: false };
const BOTH: Wants = Wants { batches: true, lines: true, journal: false };

#[test]
fn a_topic_wants_what_begins_with_it() {
    for (topic, level, wants) in [
        ("zb1|info|", "info", BATCHES),
        ("zb1|info|", "information", NOTHING),
        ("zb1|info", "information", BATCHES),
        ("zb1|info|x", "info", NOTHING),
        ("zb1|", "anything", BATCHES),
        ("z", "anything", BATCHES),
        ("z", "zoo", BOTH),
        ("", "anything", BOTH),
        ("info|", "info", LINES),
        ("info|", "information", NOTHING),
        ("info", "info", LINES),
        ("info", "information", LINES),
        ("information", "info", NOTHING),
        ("info|Counter|logins|", "info", LINES),
        ("zb!levels", "info", NOTHING),
        ("zb!ack|00", "info", NOTHING),
    ] {
        assert_eq!(subscribed(&[topic.as_bytes()]).wants(level), wants, "{topic:?} {level:?}");
    }
}

#[test]
fn wanted_levels_are_listed_or_all() {
    let all = |topic: &[u8]| subscribed(&[topic]).wanted();
    for topic in [&b""[..], b"z", b"zb", b"zb1", b"zb1|", b"zb1|inf", b"inf", b"caf\xc3", b"*"] {
        assert!(all(topic).all, "{topic:?}");
    }
    for (topic, level) in [("zb1|info|", "info"), ("info|", "info"), ("info|Gauge|x", "info")] {
        let levels = [level.parse().unwrap()].into();
        assert_eq!(all(topic.as_bytes()), WantedLevels { all: false, levels }, "{topic}");
    }
    for topic in
        [&b"zb!levels"[..], b"zb!", b"zb!ack|00", b"\xff", b"|", b"a\nb", b"zb1|*|", b"zb2|x|y"]
    {
        assert_eq!(all(topic), WantedLevels::default(), "{topic:?}");
    }
}

#[test]
fn a_topic_is_wanted_until_it_is_cancelled() {
    let mut subscriptions = subscribed(&[b"info|"]);
    assert_eq!(subscriptions.wants("info"), LINES);
    assert_eq!(subscriptions.hear(b"\x01info|"), Heard::Unchanged);
    assert_eq!(subscriptions.hear(b"\x00info|"), Heard::Changed);
    assert_eq!(subscriptions.wants("info"), NOTHING);
    assert_eq!(subscriptions.hear(b"\x00info|"), Heard::Unchanged);
    assert_eq!(subscriptions.hear(b"hello"), Heard::Strange);
    assert_eq!(subscriptions.hear(b""), Heard::Strange);
}

#[test]
fn topics_that_do_not_fit_make_everything_wanted_until_they_are_cancelled() {
    let mut subscriptions = Subscriptions::new(2);
    subscriptions.hear(b"\x01a|");
    subscriptions.hear(b"\x01b|");
    assert_eq!(subscriptions.hear(b"\x01c|"), Heard::TooMany);
    assert!(subscriptions.wanted().all);
    assert_eq!((subscriptions.wants("x"), subscriptions.len()), (BOTH, 3));
    assert_eq!(subscriptions.hear(b"\x00c|"), Heard::Changed);
    assert_eq!((subscriptions.wants("x"), subscriptions.len()), (NOTHING, 2));
    assert!(!subscriptions.wanted().all);
}

#[test]
fn the_longest_message_of_wanted_levels_can_be_read() {
    let mut subscriptions = Subscriptions::new(MAX_TOPICS);
    for n in 0..MAX_TOPICS + 9 {
        subscriptions.hear(format!("\u{1}l{n}|").as_bytes());
    }
    let wanted = subscriptions.wanted();
    assert_eq!(WantedLevels::decode(&wanted.encode()), Ok(wanted));
}

proptest! {
    /// The results agree with ZeroMQ's prefix matching of the messages that the broker publishes.
    #[test]
    fn wants_agree_with_prefix_matching(
        topics in prop::collection::vec("(zb1\\|?)?[ab]{0,3}\\|?(Counter)?", 0..6),
        level in "[ab]{1,4}",
    ) {
        let bytes: Vec<_> = topics.iter().map(String::as_bytes).collect();
        let mut subscriptions = subscribed(&bytes);
        let batch = format!("zb1|{level}|");
        let lines: Vec<_> =
            ["Counter", "Gauge"].iter().map(|kind| format!("{level}|{kind}|n|1|1|s")).collect();
        let batches_match = topics.iter().any(|topic| batch.starts_with(topic));
        let lines_match =
            topics.iter().any(|topic| lines.iter().any(|line| line.starts_with(topic)));
        let wants = subscriptions.wants(&level);
        prop_assert_eq!(wants.batches, batches_match);
        // A topic may be so long that it matches neither of these lines, so this checks only one
        // direction.
        prop_assert!(wants.lines || !lines_match);
        prop_assert_eq!(wants, subscriptions.wants(&level), "the answer is kept");
        if batches_match || lines_match {
            prop_assert!(subscriptions.wanted().wants(&level));
        }
    }

    #[test]
    fn no_message_makes_it_panic(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..30),
        level in "\\PC{1,20}",
    ) {
        let mut subscriptions = Subscriptions::new(8);
        for message in &messages {
            subscriptions.hear(message);
            subscriptions.wants(&level);
        }
        let wanted = subscriptions.wanted();
        prop_assert_eq!(WantedLevels::decode(&wanted.encode()), Ok(wanted));
    }
}
