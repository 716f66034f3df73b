//! Rules that change, long silence, gaps between windows, and clocks that are set back.

use super::{NOON_MS, Stage, parse};
use crate::slack::alert::Alerts;
use crate::slack::alert::announce::Carrier;
use crate::slack::alert::store::Store;
use zibrato::clock::unix_ms;
use zibrato::window::Window;
use zibrato::wire::Line;

const NOTHING: [&str; 0] = [];
const MINUTE_MS: u64 = 60_000;

#[test]
fn a_rule_that_is_narrowed_says_nothing_about_what_it_excludes() {
    for condition in ["absent = true\nfor = 60\n", "below = 0.5\nkind = 'counter'\nfor = 60\n"] {
        for narrow in
            ["metric = 'a'", "metric = '*'\nsource = 's'", "metric = '*'\ntags = { t = 'v' }"]
        {
            let rules = |metric: &str| format!("[[rule]]\nname = 'r'\n{metric}\n{condition}");
            let mut stage = Stage::webhook(&rules("metric = '*'"));
            let both = ["c|a|1|1|s\tt=v", "c|b|1|1|x\tt=w"];
            assert!(stage.window(both).is_empty());
            stage.restart();
            stage.rules = parse(&rules(narrow)).unwrap();
            for _ in 0..5 {
                assert!(stage.window(both).is_empty(), "{condition}{narrow}");
            }
            let watched: Vec<_> = stage.state.tracks.values().map(|track| &*track.metric).collect();
            assert_eq!(watched, ["a"]);
        }
    }
}

#[test]
fn an_alert_ends_if_its_rule_excludes_the_series() {
    let rules = |metric| format!("[[rule]]\nname = 'r'\nmetric = '{metric}'\nabove = 1\n");
    let mut stage = Stage::webhook(&rules("*"));
    assert_eq!(stage.window(["g|b|9|1|s"]).len(), 1);
    stage.rules = parse(&rules("a")).unwrap();
    let texts = stage.window(["g|b|9|1|s"]);
    assert!(texts[0].contains("ENDED r: b on s: the rule was removed or changed"), "{texts:?}");
    assert!(stage.window(NOTHING).is_empty());
    assert!(stage.state.tracks.is_empty());
}

#[test]
fn a_series_may_be_absent_for_longer_than_a_day() {
    for hours in [26, 48, 168] {
        let seconds = hours * 3600;
        let rules =
            format!("[[rule]]\nname = 'gone'\nmetric = 'b'\nabsent = true\nfor = {seconds}\n");
        let mut stage = Stage::new(&rules, Carrier::Webhook, 3600);
        assert!(stage.window(["c|b|1|1|s"]).is_empty());
        for hour in 1..hours {
            assert!(stage.window(NOTHING).is_empty(), "{hour}");
        }
        let texts = stage.window(NOTHING);
        assert!(texts.len() == 1 && texts[0].contains("FIRING gone"), "{texts:?}");
        let ended = (0..30).flat_map(|_| stage.window(NOTHING)).find(|text| text.contains("ENDED"));
        assert!(ended.is_some() && stage.window(NOTHING).is_empty());
        assert!(stage.state.tracks.is_empty(), "{hours}");
    }
}

#[test]
fn a_gap_without_windows_is_no_absence() {
    let rules = "[[rule]]\nname = 'gone'\nmetric = 'beat'\nabsent = true\nfor = 300\n";
    let mut stage = Stage::webhook(rules);
    assert!(stage.window(["c|beat|1|1|a"]).is_empty());
    assert!(stage.window(NOTHING).is_empty());
    stage.now_ms += 60 * MINUTE_MS; // the broker is down
    stage.restart();
    for minute in 2..5 {
        assert!(stage.window(NOTHING).is_empty(), "{minute}");
    }
    assert_eq!(stage.window(NOTHING).len(), 1);
    assert_eq!(stage.window(["c|beat|1|1|a"]).len(), 1);
    // A short gap counts: nobody may have published anything.
    stage.now_ms += MINUTE_MS;
    stage.state.tracks.values_mut().for_each(|track| track.told_ms = 0);
    for minute in 1..4 {
        assert!(stage.window(NOTHING).is_empty(), "{minute}");
    }
    assert_eq!(stage.window(NOTHING).len(), 1);
}

#[test]
fn a_gap_without_windows_does_not_hold_a_condition() {
    for (condition, line) in [("above = 10", "g|q|50|1|a"), ("below = 10", "c|q|5|1|a")] {
        let rules = format!("[[rule]]\nname = 'r'\nmetric = 'q'\n{condition}\nfor = 300\n");
        let mut stage = Stage::webhook(&rules);
        for minute in 0..2 {
            assert!(stage.window([line]).is_empty(), "{minute}");
        }
        stage.now_ms += 60 * MINUTE_MS;
        for minute in 2..4 {
            assert!(stage.window([line]).is_empty(), "{condition}: {minute}");
        }
        assert_eq!(stage.window([line]).len(), 1, "{condition}");
        let since = stage.state.tracks.values().next().unwrap().firing_ms;
        assert_eq!(since, Some(NOON_MS));
    }
}

#[test]
fn alerts_go_on_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.json");
    let rules = "[[rule]]\nname = 'r'\nmetric = 'q'\nabove = 10\nrearm = 0\n";
    let alerts = || {
        let store = Store::new(file.clone());
        Alerts::new(parse(rules).unwrap(), Carrier::Webhook, store)
    };
    let mut said = Vec::new();
    let mut window = |alerts: &mut Alerts, start_ms: u64, value: u32| {
        let mut window = Window::new(start_ms, 1000, 10);
        window.fold_line(&Line::decode(format!("info|g|q|{value}|1|a").as_bytes()).unwrap());
        for payload in alerts.payloads(window) {
            let payload = alerts.begin(&payload).unwrap();
            let text = String::from_utf8(payload.body.clone()).unwrap();
            let word = ["FIRING", "RESOLVED"].into_iter().find(|word| text.contains(word));
            said.push(word.unwrap());
            alerts.end(&payload, &Ok(None));
        }
    };
    let now_ms = unix_ms();
    let mut first = alerts();
    window(&mut first, now_ms + 86_400_000, 50);
    window(&mut first, now_ms, 5);
    window(&mut first, now_ms + 1000, 50);
    // The same window again, and one of a state that is as much ahead.
    window(&mut first, now_ms + 1000, 5);
    window(&mut first, now_ms + 86_400_000, 5);
    drop(first);
    window(&mut alerts(), now_ms + 2000, 50);
    assert_eq!(said, ["FIRING", "RESOLVED", "FIRING", "RESOLVED", "FIRING"]);
}
