//! Rules, windows and the messages that they become: a small Slack that remembers what it was told.

use super::announce::{Announcer, Carrier, Room};
use super::engine::{Ended, evaluate};
use super::file::parse;
use super::recorded::Entry;
use super::rules::Rules;
use super::state::State;
use serde_json::Value;
use std::collections::BTreeMap;
use zibrato::window::Window;

mod gaps;
mod hour;
mod incidents;
mod trouble;

/// 2026-11-20 12:00:00 UTC, a Friday.
const NOON_MS: u64 = 1_795_176_000_000;

/// A worker and its channel, in simulated time.
struct Stage {
    rules: Rules,
    carrier: Carrier,
    state: State,
    announcer: Announcer,
    length_ms: u64,
    now_ms: u64,
    /// Every request, and the time of its window in seconds since noon.
    sent: Vec<(u64, Value)>,
    /// What a reader of the channel sees now: the text of each message by its timestamp.
    channel: BTreeMap<String, String>,
}

impl Stage {
    fn new(rules: &str, carrier: Carrier, length_s: u64) -> Self {
        Self {
            rules: parse(rules).unwrap(),
            carrier,
            state: State::default(),
            announcer: Announcer::default(),
            length_ms: length_s * 1000,
            now_ms: NOON_MS,
            sent: Vec::new(),
            channel: BTreeMap::new(),
        }
    }

    fn webhook(rules: &str) -> Self {
        Self::new(rules, Carrier::Webhook, 60)
    }

    fn channel(rules: &str) -> Self {
        Self::new(rules, Carrier::Channel("C1".to_owned()), 60)
    }

    /// The next window, with these lines without their level. Returns the texts that were sent.
    fn window<S: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = S>) -> Vec<String> {
        self.window_when(lines, Room::in_window(self.length_ms))
    }

    fn window_when<S: AsRef<str>>(
        &mut self,
        lines: impl IntoIterator<Item = S>,
        room: Room,
    ) -> Vec<String> {
        let mut window = Window::new(self.now_ms, self.length_ms, 1_000_000);
        for line in lines {
            let line = format!("info|{}", line.as_ref());
            Entry::read(&line).unwrap().unwrap().fold(&mut window);
        }
        let series = window.into_series();
        let ended = Ended { start_ms: self.now_ms, length_ms: self.length_ms, series: &series };
        assert_eq!(evaluate(&mut self.state, &self.rules, ended), 0);
        self.announcer.announce(&mut self.state, &self.rules, &self.carrier, room);
        self.now_ms += self.length_ms;
        self.deliver()
    }

    fn deliver(&mut self) -> Vec<String> {
        let at = (self.now_ms - NOON_MS) / 1000;
        let mut texts = Vec::new();
        for message in std::mem::take(&mut self.state.outbox) {
            let body = message.body;
            let text = body["text"].as_str().unwrap().to_owned();
            assert!(body["blocks"].as_array().unwrap().len() <= 50);
            let ts = format!("{}.{:06}", self.now_ms / 1000, self.sent.len());
            if let Some(id) = message.post {
                let place = Some(("C1".to_owned(), ts.clone()));
                self.state.posts.get_mut(&id).unwrap().place = place;
            }
            let method = match (&body["ts"], &body["thread_ts"]) {
                (Value::String(ts), _) => {
                    assert!(self.channel.insert(ts.clone(), text.clone()).is_some());
                    "update"
                }
                (_, Value::String(ts)) => {
                    assert!(self.channel.contains_key(ts));
                    "reply"
                }
                _ => {
                    self.channel.insert(ts, text.clone());
                    "post"
                }
            };
            texts.push(if self.carrier == Carrier::Webhook {
                text
            } else {
                format!("{method}: {text}")
            });
            self.sent.push((at, body));
        }
        texts
    }

    /// The same after the process has ended and begun again.
    fn restart(&mut self) {
        let json = self.state.to_json(&self.rules);
        self.state = State::from_json(&json).unwrap();
        self.announcer = Announcer::default();
    }
}

/// Numbers of what was sent.
#[derive(Debug, PartialEq, Eq, Default)]
struct Counts {
    posts: usize,
    updates: usize,
    replies: usize,
    mentions: usize,
}

impl Stage {
    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, body) in &self.sent {
            match () {
                () if body.get("ts").is_some() => counts.updates += 1,
                () if body.get("thread_ts").is_some() => counts.replies += 1,
                () => counts.posts += 1,
            }
            let text = body["text"].as_str().unwrap();
            counts.mentions += usize::from(["<!", "<@"].iter().any(|mark| text.contains(mark)));
        }
        counts
    }
}
