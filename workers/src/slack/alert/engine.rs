//! Evaluates windows: which alerts begin, and which end.
//!
//! Pure: windows and their times are arguments.

use super::rules::{Condition, Rule, Rules};
use super::state::{End, MAX_TRACKS, State, Track, Why};
use super::value::Reading;
use std::collections::{BTreeMap, BTreeSet};
use zibrato::window::Series;

/// How much longer than `for` of its rule a silent series is watched, in milliseconds.
const FORGET_MS: u64 = 86_400_000;

/// While the broker or the worker is down, there are no windows, and nobody knows whether a condition
/// holds. Such a gap does not count towards `for`, unless it is shorter than this part of it: a
/// stream with few measurements has windows with short gaps.
const LONG_GAPS_PER_DURATION: u64 = 4;

/// A window that ended this much before the last one, or two windows, is not delivered again: the
/// clock was set back. In milliseconds.
const SET_BACK_MS: u64 = 120_000;

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

/// How long the series of a rule are watched while they are silent, in milliseconds.
const fn forget_ms(rule: &Rule) -> u64 {
    FORGET_MS.saturating_add(rule.for_ms)
}

/// How many milliseconds before the last window this one ends, if that means that the clock which
/// the windows follow was set back.
pub(super) fn set_back_ms(state: &State, window: Ended<'_>) -> Option<u64> {
    let back_ms = state.through_ms.saturating_sub(window.end_ms());
    let least_ms = SET_BACK_MS.max(window.length_ms.saturating_mul(2));
    Some(back_ms).filter(|back_ms| *back_ms > least_ms)
}

/// Adds a window to the state. Returns the number of series for which there is no room.
pub(super) fn evaluate(state: &mut State, rules: &Rules, window: Ended<'_>) -> usize {
    let (now_ms, mut seen, mut no_room) = (window.end_ms(), BTreeSet::new(), 0);
    let rule_of: BTreeMap<_, _> = rules.rules.iter().map(|rule| (&*rule.name, rule)).collect();
    if state.through_ms > 0 {
        let gap_ms = window.start_ms.saturating_sub(state.through_ms);
        for track in state.tracks.values_mut() {
            let is_long =
                |rule: &&&Rule| gap_ms.saturating_mul(LONG_GAPS_PER_DURATION) >= rule.for_ms;
            if rule_of.get(&*track.rule).filter(is_long).is_some() {
                track.gap_ms = track.gap_ms.saturating_add(gap_ms);
            }
        }
    }
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
                (track.value, track.gap_ms) = (None, 0);
                track.ends(now_ms, Why::Recovered);
            } else if let Some(value) = value {
                track.takes(value, rule, window);
            }
            seen.insert(key);
        }
    }
    state.tracks.retain(|key, track| {
        let is_seen = seen.contains(key);
        let rule = rule_of.get(&*track.rule).filter(|rule| is_seen || track.is_of(rule));
        let Some(rule) = rule else {
            track.ends(now_ms, Why::NoRule);
            return track.told.is_some();
        };
        if !is_seen {
            track.silent(rule, window);
        }
        let is_old = track.silence_ms(rule, now_ms) > forget_ms(rule);
        track.firing_ms.is_some() || track.told.is_some() || !is_old
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
        let silence_ms = self.silence_ms(rule, now_ms);
        if rule.condition == Condition::Absent {
            self.push(None);
            if silence_ms > forget_ms(rule) {
                self.ends(now_ms, Why::Forgotten);
            } else if self.firing_ms.is_none() && silence_ms >= rule.for_ms {
                (self.firing_ms, self.ended) = (Some(self.seen_ms), None);
            }
            return;
        }
        let function = self.kind().map(|kind| (kind, rule.function(kind)));
        let value = function.and_then(|(kind, function)| function.of_silence(kind));
        self.push(value);
        match value {
            Some(_) if silence_ms > forget_ms(rule) => self.ends(now_ms, Why::Forgotten),
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

    /// How long the series has been silent. That a series is absent is known only of windows.
    fn silence_ms(&self, rule: &Rule, now_ms: u64) -> u64 {
        let silence_ms = now_ms.saturating_sub(self.seen_ms);
        match rule.condition {
            Condition::Absent => silence_ms.saturating_sub(self.gap_ms),
            Condition::Above { .. } | Condition::Below { .. } => silence_ms,
        }
    }

    /// The condition has held since `since_ms`, or longer.
    fn breaches(&mut self, since_ms: u64, rule: &Rule, window: Ended<'_>) {
        if self.breach_ms.is_none() {
            (self.breach_ms, self.gap_ms) = (Some(since_ms), 0);
        }
        let since_ms = self.breach_ms.unwrap_or(since_ms);
        let held_ms = window.end_ms().saturating_sub(since_ms).saturating_sub(self.gap_ms);
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
