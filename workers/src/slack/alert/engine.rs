//! Evaluates windows: which alerts begin, and which end.
//!
//! Pure: windows and their times are arguments.

use super::rules::{Condition, Rule, Rules};
use super::state::{End, MAX_TRACKS, State, Track, Why};
use super::value::Reading;
use std::collections::{BTreeMap, BTreeSet};
use zibrato::window::Series;

/// How long a silent series is watched, in milliseconds.
const FORGET_MS: u64 = 86_400_000;

/// The shortest silence that ends the alert of a series whose value is then unknown: a time in
/// milliseconds, and a number of windows.
const STALE_MS: u64 = 600_000;
const STALE_WINDOWS: u64 = 5;

/// A window that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) start_ms: u64,
    pub(super) length_ms: u64,
    pub(super) series: &'a [Series],
}

impl Ended<'_> {
    pub(super) const fn end_ms(self) -> u64 {
        self.start_ms.saturating_add(self.length_ms)
    }
}

/// Adds a window to the state. Returns the number of series for which there is no room.
pub(super) fn evaluate(state: &mut State, rules: &Rules, window: Ended<'_>) -> usize {
    let (now_ms, mut seen, mut no_room) = (window.end_ms(), BTreeSet::new(), 0);
    for series in window.series {
        let Some(reading) = Reading::of(series) else { continue };
        let mut tags = None;
        for rule in rules.rules.iter().filter(|rule| rule.is_about(series)) {
            let value = reading.value(rule.function(reading.kind), window.length_ms);
            let is_absent = rule.condition == Condition::Absent;
            if value.is_none() && !is_absent {
                continue; // such as the average of a counter
            }
            let tags = tags.get_or_insert_with(|| Track::tags(series));
            let key = Track::key(rule, series, tags);
            if !state.tracks.contains_key(&key) && state.tracks.len() >= MAX_TRACKS {
                no_room += 1;
                continue;
            }
            let track = state.tracks.entry(key.clone());
            let track = track.or_insert_with(|| Track::new(rule, series, tags.clone()));
            track.seen_ms = now_ms;
            track.push(value);
            if is_absent {
                track.value = None;
                track.ends(now_ms, Why::Recovered);
            } else if let Some(value) = value {
                track.takes(value, rule, window);
            }
            seen.insert(key);
        }
    }
    let rule_of: BTreeMap<_, _> = rules.rules.iter().map(|rule| (&*rule.name, rule)).collect();
    for (key, track) in &mut state.tracks {
        match rule_of.get(&*track.rule) {
            None => track.ends(now_ms, Why::NoRule),
            Some(rule) if !seen.contains(key) => track.silent(rule, window),
            Some(_) => {}
        }
    }
    let is_over = |track: &Track| track.firing_ms.is_none() && track.told.is_none();
    state.tracks.retain(|_, track| {
        let is_old = now_ms.saturating_sub(track.seen_ms) > FORGET_MS;
        !is_over(track) || !is_old && rule_of.contains_key(&*track.rule)
    });
    state.through_ms = now_ms;
    no_room
}

impl Track {
    /// A window with a value.
    fn takes(&mut self, value: f64, rule: &Rule, window: Ended<'_>) {
        self.value = Some(value);
        let condition = rule.condition;
        if self.firing_ms.is_some() {
            if condition.ends(value) {
                self.ends(window.end_ms(), Why::Recovered);
            }
        } else if condition.begins(value) {
            self.breaches(window.start_ms, rule, window);
        } else {
            self.breach_ms = None;
        }
    }

    /// A window without the series.
    fn silent(&mut self, rule: &Rule, window: Ended<'_>) {
        let now_ms = window.end_ms();
        let silence_ms = now_ms.saturating_sub(self.seen_ms);
        if rule.condition == Condition::Absent {
            self.push(None);
            if silence_ms > FORGET_MS {
                self.ends(now_ms, Why::Forgotten);
            } else if self.firing_ms.is_none() {
                self.breaches(self.seen_ms, rule, window);
            }
            return;
        }
        let function = self.kind().map(|kind| (kind, rule.function(kind)));
        let value = function.and_then(|(kind, function)| function.of_silence(kind));
        self.push(value);
        match value {
            Some(_) if silence_ms > FORGET_MS => self.ends(now_ms, Why::Forgotten),
            Some(value) => self.takes(value, rule, window),
            None => {
                let stale_ms = STALE_MS.max(window.length_ms.saturating_mul(STALE_WINDOWS));
                if silence_ms >= stale_ms {
                    self.breach_ms = None;
                    self.ends(now_ms, Why::NoData);
                }
            }
        }
    }

    /// The condition has held since `since_ms`, or longer.
    fn breaches(&mut self, since_ms: u64, rule: &Rule, window: Ended<'_>) {
        let since_ms = *self.breach_ms.get_or_insert(since_ms);
        let held_ms = window.end_ms().saturating_sub(since_ms);
        if held_ms >= rule.for_ms {
            (self.firing_ms, self.ended) = (Some(since_ms), None);
        }
    }

    /// The alert is over, if there is one.
    fn ends(&mut self, now_ms: u64, why: Why) {
        self.breach_ms = None;
        if let Some(since_ms) = self.firing_ms.take() {
            self.ended = Some(End { since_ms, at_ms: now_ms, why });
            if self.told.is_none() {
                self.missed = self.missed.saturating_add(1);
            }
        }
    }
}
