//! The request bodies for a window: every series becomes one or more points, at most 300 per body.
//!
//! Pure.

use super::accept::{AcceptedTimes, Omitted, Range};
use super::flags::{Api, Timers};
use super::place::Place;
use super::point::{Entry, Point, Reading, points};
use super::slots::{Slot, Slots, What, is_plain};
use super::tags::Tag;
use super::text;
use crate::Payload;
use crate::naming::{Alike, Claims};
use serde::Serialize;
use zibrato::Percentile;
use zibrato::window::Window;

/// Maximum number of points in one request; with more, the API takes longer than a client should
/// wait.
pub(super) const MAX_POINTS: usize = 300;

/// Encodes windows as request bodies.
#[derive(Debug)]
pub(super) struct Encoder {
    /// Prefix of every name, including its dot.
    prefix: String,
    pub(super) api: Api,
    pub(super) timers: Timers,
    /// Percentiles of timers and histograms that are points of their own.
    pub(super) percentiles: Vec<Percentile>,
    /// Tags of all points, for the tagged API.
    pub(super) tags: Vec<Tag>,
    pub(super) times: AcceptedTimes,
    /// The first series with each name, which keeps it.
    claims: Claims,
}

/// An encoded window.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) payloads: Vec<Payload>,
    /// Series merged into another one, because no free name was found.
    pub(super) merged: u64,
    /// Series with another name, because another series has theirs.
    pub(super) renamed: u64,
    /// Those of them that were renamed for the first time.
    pub(super) alike: Alike,
    /// Series that were dropped, because no free name was found, and the first one.
    pub(super) homeless: u64,
    pub(super) first_homeless: Option<String>,
    /// Number of points that the API would not accept, and the first one, for each reason.
    pub(super) omitted: [(u64, Option<String>); Omitted::ALL.len()],
}

impl Encoder {
    /// An encoder that prepends `prefix` and a dot to every name, unless it is empty.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('.');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let past_future = (AcceptedTimes::DEFAULT_PAST, AcceptedTimes::DEFAULT_FUTURE);
        Self {
            prefix,
            api: Api::Source,
            timers: Timers::Summary,
            percentiles: Vec::new(),
            tags: Vec::new(),
            times: AcceptedTimes { past: past_future.0, future: past_future.1 },
            claims: Claims::default(),
        }
    }

    /// Encodes a window at `now_ms`.
    pub(super) fn encode(&mut self, window: Window, now_ms: u64) -> Encoded {
        let (stamp, times) = (window.stamp(), self.times.at(now_ms, window.end_ms()));
        let (plain, others): (Vec<_>, Vec<_>) =
            window.into_series().into_iter().partition(is_plain);
        let mut slots = Slots::with_capacity(plain.len() + others.len());
        for series in plain.into_iter().chain(others) {
            let tags = if self.api == Api::Tagged { &[] } else { &*series.tags };
            let name = text::name(&self.prefix, &series.name, tags);
            let place = Place::of(&series, self.api, &self.tags);
            slots.add_series(&mut self.claims, name, place, series);
        }
        slots.add_percentiles(&mut self.claims, &self.percentiles);
        let mut encoded = Encoded::default();
        let mut entries = Vec::with_capacity(slots.all.len());
        for slot in &slots.all {
            self.add_entries(slot, stamp, times, &mut entries, &mut encoded);
        }
        encoded.put(&entries, self.api);
        let Slots { merged, renamed, alike, homeless, first_homeless, .. } = slots;
        Encoded { merged, renamed, alike, homeless, first_homeless, ..encoded }
    }

    fn add_entries<'s>(
        &self,
        slot: &'s Slot,
        stamp: u64,
        times: Range,
        entries: &mut Vec<Entry<'s>>,
        encoded: &mut Encoded,
    ) {
        let Slot { name, place, count, .. } = slot;
        let mut series = *count;
        let mut add = |point: Point| match point.refused(times) {
            Some(why) => encoded.omit(why, name),
            // The series counts with its first point.
            None => entries.push(Entry { name, place, point, series: std::mem::take(&mut series) }),
        };
        match &slot.what {
            What::Series(of) => points(&of.value, stamp, self.timers, add),
            What::Percentile { value, .. } => {
                add(Point { time: stamp, reading: Reading::One(*value) });
            }
        }
    }
}

impl Encoded {
    fn omit(&mut self, why: Omitted, name: &str) {
        let (count, first) = &mut self.omitted[why as usize];
        *count += 1;
        first.get_or_insert_with(|| name.to_owned());
    }

    /// Number of points that were omitted for this reason.
    #[cfg(test)]
    pub(super) const fn omitted_for(&self, why: Omitted) -> u64 {
        self.omitted[why as usize].0
    }

    fn put(&mut self, entries: &[Entry<'_>], api: Api) {
        for chunk in entries.chunks(MAX_POINTS) {
            let series = chunk.iter().map(|entry| entry.series).sum();
            let body = match api {
                Api::Source => Body { gauges: Some(chunk), measurements: None },
                Api::Tagged => Body { gauges: None, measurements: Some(chunk) },
            };
            // It cannot fail: names are texts, and writing to memory cannot fail.
            if let Ok(body) = serde_json::to_vec(&body) {
                self.payloads.push(Payload::new(body, series));
            }
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    gauges: Option<&'a [Entry<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurements: Option<&'a [Entry<'a>]>,
}

#[cfg(test)]
mod tests;
