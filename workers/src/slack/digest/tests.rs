//! Tables of windows and the messages they become.

use super::{Digest, Digester, MAX_CHARACTERS, MAX_NAME, shown};
use proptest::prelude::*;
use serde_json::{Value, json};
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter, Line};

const NOON_MS: u64 = 1_795_176_000_000; // 2026-11-20 12:00:00 UTC

/// The minute `i` after noon, holding the given lines, without their level.
fn window<S: AsRef<str>>(i: u64, lines: impl IntoIterator<Item = S>) -> Window {
    let mut window = Window::new(NOON_MS + i * 60_000, 60_000, 1_000_000);
    for line in lines {
        let line = format!("info|{}", line.as_ref());
        window.fold_line(&Line::decode(line.as_bytes()).unwrap());
    }
    window
}

fn digester() -> Digester {
    Digester::new("Metrics digest".to_owned())
}

fn sections(digest: &Digest) -> Vec<&str> {
    let sections = digest.blocks.iter().filter(|block| block["type"] == "section");
    sections.map(|block| block["text"]["text"].as_str().unwrap()).collect()
}

#[test]
fn an_empty_window_gives_no_message() {
    assert_eq!(digester().digest(window(0, &[] as &[&str])), None);
}

#[test]
fn what_zibrato_measures_about_itself_is_shown_if_asked_for() {
    let lines = ["c|zibrato.sdk.recorded|3|1|a", "c|zibratos|1|1|a", "c|logins|1234567|1|a"];
    let mut digester = digester();
    assert_eq!(digester.digest(window(0, lines)).unwrap().series, 3);
    digester.shows_own = false;
    let digest = digester.digest(window(1, lines)).unwrap();
    assert_eq!((&*digest.text, digest.series), ("Metrics digest: 2 series", 2));
    assert_eq!(sections(&digest)[0], "*logins* _a_ `▄▄` 1,234,567 (20,576/s)");
    assert_eq!(digester.digest(window(2, &lines[..1])), None);
}

#[test]
fn a_histogram_shows_its_unit() {
    let mut window = window(0, ["h|plain|-1.5|1|a", "h|plain|2|1|a"]);
    let mut batch = BatchWriter::new("a", 0, 1_000);
    batch.histogram_readings("size", &[], Some("<kB>"), &[512.25, 1e300]);
    let body = batch.finish();
    window.fold_batch(&BatchReader::new(&body).unwrap(), |why| panic!("{why}"));
    let digest = digester().digest(window).unwrap();
    assert_eq!(
        sections(&digest),
        [
            "*plain* _a_ `▄` n 2, mean 0.25, p99 2, max 2",
            "*size* _a_ `▄` n 2, mean 5.000e299 &lt;kB&gt;, p99 9.993e299 &lt;kB&gt;, \
             max 1.000e300 &lt;kB&gt;",
        ]
    );
}

#[test]
fn a_message_is_header_window_and_a_section_for_each_series() {
    let mut digester = digester();
    digester.digest(window(0, ["g|cpu.user|1|1|web-01", "g|cpu.user|9|1|web-02"]));
    digester.digest(window(1, ["g|cpu.user|2|1|web-01", "g|cpu.user|9|1|web-02"]));
    let last = ["g|cpu.user|1|1|web-01", "g|cpu.user|2|2|web-01", "g|cpu.user|3|3|web-01"];
    let last = last.into_iter().chain(["g|cpu.user|9|1|web-02"]);
    let digest = digester.digest(window(2, last)).unwrap();
    assert_eq!(digest.text, "Metrics digest: 2 series");
    assert_eq!(digest.series, 2);
    assert_eq!(
        Value::from(digest.blocks),
        json!([
            {"type": "header",
             "text": {"type": "plain_text", "text": "Metrics digest", "emoji": true}},
            {"type": "context", "elements": [
                {"type": "mrkdwn", "verbatim": true,
                 "text": "2026-11-20 12:02–12:03 UTC, 60 s · 2 series, 1 changed"}]},
            {"type": "section", "text": {"type": "mrkdwn", "verbatim": true,
                "text": "*cpu.user* _web-01_ `▁▅█` 3 (min 1, max 3, n 3)"}},
            {"type": "section", "text": {"type": "mrkdwn", "verbatim": true,
                "text": "*cpu.user* _web-02_ `▄▄▄` 9"}},
        ])
    );
}

#[test]
fn each_kind_shows_its_statistics() {
    for (lines, text) in [
        (vec!["c|logins|90|1|a", "c|logins|30|1|a"], "*logins* _a_ `▄` 120 (2/s)"),
        (vec!["g|depth|4|1|a", "g|depth|2|2|a"], "*depth* _a_ `▄` 2 (min 2, max 4, n 2)"),
        (vec!["t|query|0.25|1|a"], "*query* _a_ `▄` n 1, mean 250 ms, p99 250 ms, max 250 ms"),
        (vec!["s|users|ann|1|a", "s|users|bob|1|a"], "*users* _a_ `▄` 2 distinct"),
    ] {
        let digest = digester().digest(window(0, &lines)).unwrap();
        assert_eq!(sections(&digest), [text], "{lines:?}");
    }
}

#[test]
fn the_series_that_changed_most_is_first() {
    let mut digester = digester();
    digester.digest(window(0, ["c|calm|10|1|a", "c|fell|10|1|a", "c|rose|10|1|a"]));
    let digest = digester
        .digest(window(1, ["c|calm|11|1|a", "c|fell|1|1|a", "c|rose|20|1|a", "c|new|1|1|a"]));
    let names: Vec<String> = sections(digest.as_ref().unwrap())
        .iter()
        .map(|text| text.split('*').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(names, ["new", "fell", "rose", "calm"]);
}

#[test]
fn at_most_45_series_are_shown_and_the_rest_is_counted() {
    let digest =
        digester().digest(window(0, (0..60).map(|i| format!("g|m{i:03}|{}|1|h", i + 1)))).unwrap();
    assert_eq!((&*digest.text, digest.series), ("Metrics digest: 60 series", 60));
    assert_eq!((digest.blocks.len(), sections(&digest).len()), (48, 45));
    assert_eq!(sections(&digest)[0], "*m000* _h_ `▄` 1");
    assert_eq!(digest.blocks[47]["elements"][0]["text"], "15 more series not shown");
    let all = digester().digest(window(0, (0..45).map(|i| format!("c|m{i}|1|1|h")))).unwrap();
    assert_eq!(all.blocks.len(), 47);
}

#[test]
fn names_are_escaped_and_cannot_mention_users() {
    let digest = digester().digest(window(0, ["c|<!channel> & x|1|1|<@U1>"])).unwrap();
    assert_eq!(sections(&digest), ["*&lt;!channel&gt; &amp; x* _&lt;@U1&gt;_ `▄` 1 (0.01667/s)"]);
    // The name starts no code span, and another name does not look like it.
    let digest = digester().digest(window(0, ["c|`x`|1|1|a"])).unwrap();
    assert_eq!(sections(&digest), ["*'x'_ee97c219092654bf* _a_ `▄` 1 (0.01667/s)"]);
    let titled = Digester::new("a&b".to_owned()).digest(window(0, ["c|n|1|1|a"])).unwrap();
    assert_eq!(titled.text, "a&amp;b: 1 series");
}

#[test]
fn names_and_tags_that_are_shortened_do_not_look_the_same() {
    let long = |end: &str| format!("{}{end}", "n".repeat(240));
    for (a, b) in [
        (long("ok"), long("err")),
        ("`".to_owned(), "'".to_owned()),
        ("`a".to_owned(), "'a".to_owned()),
    ] {
        assert_ne!(shown(&a, MAX_NAME), shown(&b, MAX_NAME));
        assert!(shown(&a, MAX_NAME).chars().count() <= MAX_NAME);
    }
    let tags = |pairs: &[(&str, &str)]| {
        let mut batch = BatchWriter::new("a", 0, 1000);
        batch.counter("n", pairs, 1.0);
        let mut window = Window::new(0, 60_000, 10);
        window.fold_batch(&BatchReader::new(&batch.finish()).unwrap(), |error| panic!("{error}"));
        sections(&digester().digest(window).unwrap()).remove(0).to_owned()
    };
    assert_ne!(tags(&[("a", "b c=d")]), tags(&[("a", "b"), ("c", "d")]));
    assert_ne!(tags(&[("t", &long("ok"))]), tags(&[("t", &long("err"))]));
    assert!(tags(&[("a", "b c")]).contains(r#"_a_ a="b c" `"#), "{}", tags(&[("a", "b c")]));
}

#[test]
fn the_longest_names_stay_within_the_limits() {
    let long = "&".repeat(255);
    let lines = (0..45).map(|i| {
        let head: String = long.chars().skip(3).collect();
        format!("c|{i:02}{head}|1|1|{long}")
    });
    let digest = digester().digest(window(0, lines)).unwrap();
    let sections = sections(&digest);
    assert!(sections.iter().all(|text| text.chars().count() <= 3000));
    let sum: usize = sections.iter().map(|text| text.chars().count()).sum();
    assert!(sum <= MAX_CHARACTERS, "{sum}");
    let last = &digest.blocks.last().unwrap()["elements"][0]["text"];
    assert_eq!(*last, format!("{} more series not shown", 45 - sections.len()));
}

proptest! {
    #[test]
    fn no_two_names_look_the_same(
        names in prop::collection::btree_set("(n{195,205}[ab`']{0,3}|[ab`'&<]{1,3})", 2..30),
    ) {
        let mut all: Vec<_> = names.iter().map(|name| shown(name, MAX_NAME)).collect();
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), names.len());
    }

    #[test]
    fn every_series_is_shown_or_counted(
        counts in prop::collection::btree_map("[^|\\p{C}\\p{Z}]{1,80}", 1..9_u32, 1..80),
    ) {
        let lines = counts.iter().map(|(name, n)| format!("c|{name}|{n}|1|a"));
        let digest = digester().digest(window(0, lines)).unwrap();
        let more = digest.blocks.last().unwrap()["elements"][0]["text"].as_str();
        let hidden = more.and_then(|text| text.strip_suffix(" more series not shown"));
        let hidden: usize = hidden.map_or(0, |n| n.parse().unwrap());
        prop_assert_eq!(sections(&digest).len() + hidden, counts.len());
        prop_assert!(digest.blocks.len() <= 50);
        for text in sections(&digest) {
            prop_assert!(!text.contains(['<', '>']) && text.matches('`').count() == 2);
        }
    }
}
