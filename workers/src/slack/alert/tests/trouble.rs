//! Another destination than before, a state that cannot be saved, and what saving it costs.

use super::{Room, Stage, parse};
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
    let room = Room::in_window(length_ms);
    stage.announcer.announce(&mut stage.state, &stage.rules, &stage.carrier, room);
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

#[test]
fn the_state_is_written_once_per_window_and_a_message_is_a_line() {
    const SERIES: usize = 8_000;
    const SILENT: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.json");
    let notes = folder.path().join("alerts.json.messages");
    let rules = "group_above = 50\n[[rule]]\nname = 'r'\nmetric = 'shop.*'\nkind = 'counter'\nbelow = 0.5\n";
    let mut alerts = Alerts::new(parse(rules).unwrap(), to("C1"), Store::new(file.clone()));
    let mut start_ms = unix_ms();
    let mut window = |first: usize| {
        let mut window = Window::new(start_ms, 1000, SERIES);
        for i in first..SERIES {
            let line = format!("info|c|shop.orders.{i:04}.paid|{}|1|web-{}", i + 1, i % 16);
            window.fold_line(&Line::decode(line.as_bytes()).unwrap());
        }
        start_ms += 1000;
        window
    };
    assert_eq!(alerts.settle(), None);
    for _ in 0..24 {
        assert!(alerts.payloads(window(0)).is_empty());
        assert_eq!(alerts.settle(), None);
    }
    let before = std::fs::read(&file).unwrap();
    assert!(before.len() < SERIES * 250, "{}", before.len());
    let payloads = alerts.payloads(window(SILENT));
    assert_eq!(payloads.len(), SILENT);
    let mut content = Vec::new();
    for (sent, payload) in payloads.iter().enumerate() {
        let begun = alerts.begin(payload).unwrap();
        if sent == 0 {
            content = std::fs::read(&file).unwrap();
        }
        // A worker that ends here knows what was posted, and what may have been.
        let state = Store::new(file.clone()).load();
        let tried: Vec<_> = state.outbox.iter().map(|message| message.tried).collect();
        assert_eq!(tried, (sent..SILENT).map(|at| at == sent).collect::<Vec<_>>());
        assert_eq!(state.posts.values().filter(|post| post.place.is_some()).count(), sent);
        alerts.end(&begun, &Ok(Some(("C1".to_owned(), format!("1.{sent}")))));
    }
    assert_ne!(content, before);
    assert_eq!(alerts.settle(), None);
    assert!(content == std::fs::read(&file).unwrap(), "it is written once");
    let lines = std::fs::read_to_string(&notes).unwrap();
    println!(
        "{SERIES} series: {} bytes per window, {} per message",
        content.len(),
        lines.len() / SILENT
    );
    // The first attempt is in the state itself.
    assert_eq!(lines.lines().count(), 2 * SILENT - 1);
    assert!(lines.len() < 200 * SILENT, "{lines}");
    let state = Store::new(file.clone()).load();
    assert!(state.outbox.is_empty());
    assert!(state.posts.values().all(|post| post.place.is_some()));
    // The next window begins a new list.
    assert!(alerts.payloads(window(SILENT)).is_empty());
    assert_eq!((alerts.settle(), std::fs::read(&notes).unwrap()), (None, Vec::new()));
}
