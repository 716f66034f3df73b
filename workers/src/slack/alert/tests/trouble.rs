//! Another destination than before, and a state that cannot be saved.

use super::{Stage, parse};
use crate::slack::alert::Alerts;
use crate::slack::alert::announce::Carrier;
use crate::slack::alert::state::State;
use crate::slack::alert::store::Store;
use serde_json::Value;
use zibrato::clock::unix_ms;
use zibrato::window::Window;
use zibrato::wire::Line;

const RULES: &str = "[[rule]]\nname = 'r'\nmetric = 'q*'\nabove = 10\n";
const HIGH: [&str; 1] = ["g|q|50|1|a"];

fn to(channel: &str) -> Carrier {
    Carrier::Channel(channel.to_owned())
}

/// The state after alerts in the channel C1: `q` was told, and the messages about `q2` and about the
/// end of `q1` wait.
fn held() -> State {
    let mut stage = Stage::channel(RULES);
    stage.state.send_to(Some("C1"));
    assert_eq!(stage.window(["g|q|50|1|a", "g|q1|50|1|a"]).len(), 2);
    let window = ["g|q|50|1|a", "g|q1|5|1|a", "g|q2|50|1|a"];
    let mut ended = Window::new(stage.now_ms, stage.length_ms, 10);
    for line in window {
        ended.fold_line(&Line::decode(format!("info|{line}").as_bytes()).unwrap());
    }
    let series = ended.into_series();
    let (start_ms, length_ms) = (stage.now_ms, stage.length_ms);
    let ended = super::Ended { start_ms, length_ms, series: &series };
    super::evaluate(&mut stage.state, &stage.rules, ended);
    stage.announcer.announce(&mut stage.state, &stage.rules, &stage.carrier, false);
    assert!(stage.state.outbox.len() >= 3);
    State::from_json(&stage.state.to_json(&stage.rules)).unwrap()
}

#[test]
fn another_channel_gets_what_waits_and_what_still_fires() {
    for carrier in [to("C2"), Carrier::Webhook] {
        let mut stage = Stage::new(RULES, carrier.clone(), 60);
        stage.state = held();
        stage.now_ms += 2 * stage.length_ms;
        stage.state.send_to(carrier.channel());
        let waiting: Vec<_> = stage.deliver();
        assert!(waiting.len() == 1 && waiting[0].contains("FIRING r: q2"), "{waiting:?}");
        let texts = stage.window(["g|q|50|1|a", "g|q1|5|1|a", "g|q2|50|1|a"]);
        assert!(texts.iter().any(|text| text.contains("FIRING r: q on a")), "{texts:?}");
        assert!(!texts.iter().any(|text| text.contains("q1")), "{texts:?}");
        let channel = if carrier == Carrier::Webhook { Value::Null } else { "C2".into() };
        let sent = stage.sent.iter().filter(|(_, body)| body.get("ts").is_none());
        assert!(sent.clone().count() >= 2);
        assert!(sent.into_iter().all(|(_, body)| body["channel"] == channel), "{:?}", stage.sent);
        // They end there too.
        let ends = stage.window(["g|q|5|1|a", "g|q2|5|1|a"]);
        for name in ["RESOLVED r: q on a", "RESOLVED r: q2 on a"] {
            assert!(ends.iter().any(|text| text.contains(name)), "{ends:?}");
        }
        assert!(stage.state.posts.is_empty());
        assert!(stage.state.tracks.values().all(|track| track.told.is_none()));
    }
}

#[test]
fn the_same_channel_changes_nothing() {
    let mut state = held();
    let before = state.clone();
    state.send_to(Some("C1"));
    assert_eq!(state, before);
    let mut fresh = State::default();
    fresh.send_to(Some("C1"));
    assert_eq!(fresh, State { to: Some("C1".to_owned()), ..State::default() });
}

#[test]
fn an_alert_is_posted_although_its_state_cannot_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.json");
    // Where the new content is written is a folder.
    let blocked = folder.path().join("alerts.json.new");
    std::fs::create_dir(&blocked).unwrap();
    let alerts = || Alerts::new(parse(RULES).unwrap(), Carrier::Webhook, Store::new(file.clone()));
    let window = || {
        let mut window = Window::new(unix_ms(), 1000, 10);
        window.fold_line(&Line::decode(format!("info|{}", HIGH[0]).as_bytes()).unwrap());
        window
    };
    let mut first = alerts();
    first.settle();
    let payloads = first.payloads(window());
    assert_eq!(payloads.len(), 1);
    let begun = first.begin(&payloads[0]).unwrap();
    first.end(&begun, &Ok(None));
    // It says so, and the window is not committed.
    assert!(first.trouble().unwrap().contains("cannot be saved"));
    assert!(first.settle().is_some());
    // Another worker with the same file still posts nothing.
    let mut second = alerts();
    let payloads = second.payloads(window());
    assert!(second.begin(&payloads[0]).is_err());
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!((first.settle(), first.trouble()), (None, None));
}
