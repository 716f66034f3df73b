//! The request bodies for a window: every series becomes one or more points, at most 300 per body.
//!
//! Pure. Large windows without equal names are encoded by [`distinct`], which is faster.

mod distinct;

use super::accept::{AcceptedTimes, Omitted, Range};
use super::bodies::Bodies;
use super::flags::{Api, Timers};
use super::place::{Keys, Place, Places};
use super::point::{Point, Reading, points};
use super::slots::{Slot, Slots, What, is_plain};
use super::tags::Tag;
use super::text;
use crate::Payload;
use crate::naming::{Alike, Claims, Identity};
use std::sync::Arc;
use zibrato::Percentile;
use zibrato::window::{Fold, Window};

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
    /// Those of them that have the name that they would have alone, in the order in which they arrived.
    /// Their places in `claims` are those of the next one here.
    owners: Vec<Identity>,
    keys: Keys,
}

/// An encoded window.
#[derive(Debug, Default)]
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
    /// The window, if it is large. Freeing it takes as long as sending it.
    pub(super) spent: Option<Window>,
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
            owners: Vec::new(),
            keys: Keys::default(),
        }
    }

    /// Encodes a window at `now_ms`.
    pub(super) fn encode(&mut self, window: Window, now_ms: u64) -> Encoded {
        if let Some(mut encoded) = self.encode_distinct(&window, now_ms) {
            encoded.spent = Some(window);
            return encoded;
        }
        self.encode_any(window, now_ms)
    }

    /// Encodes a window in the order of names, and makes equal names different.
    pub(super) fn encode_any(&mut self, window: Window, now_ms: u64) -> Encoded {
        let (stamp, times) = (window.stamp(), self.times.at(now_ms, window.end_ms()));
        let (plain, others): (Vec<_>, Vec<_>) =
            window.into_series().into_iter().partition(is_plain);
        let mut places = Places::new(self.api, &self.tags, &self.keys);
        let mut slots = Slots::with_capacity(plain.len() + others.len(), &self.keys);
        for series in plain.into_iter().chain(others) {
            let tags = if self.api == Api::Tagged { &[] } else { &*series.tags };
            let name = text::name(&self.prefix, &series.name, tags).into_owned();
            let place = Arc::clone(places.of(&series));
            slots.add_series(&mut self.claims, name, place, series);
        }
        slots.add_percentiles(&mut self.claims, &self.percentiles);
        let mut encoded = Encoded::default();
        let mut bodies = Bodies::new(self.api);
        for Slot { name, place, count, what, .. } in &slots.all {
            let mut to = Output { name, place, series: *count, times, bodies: &mut bodies };
            match what {
                What::Series(of) => to.put_series(&of.value, stamp, self.timers, &mut encoded),
                What::Percentile { value, .. } => {
                    to.put(&Point { time: stamp, reading: Reading::One(*value) }, &mut encoded);
                }
            }
        }
        bodies.finish();
        encoded.payloads = std::iter::from_fn(|| bodies.pop()).collect();
        let Slots { merged, renamed, alike, homeless, first_homeless, .. } = slots;
        Encoded { merged, renamed, alike, homeless, first_homeless, ..encoded }
    }
}

/// The points of one or more series with a name.
struct Output<'a> {
    name: &'a str,
    place: &'a Arc<Place>,
    /// Number of series whose first point has not been put yet.
    series: usize,
    times: Range,
    bodies: &'a mut Bodies,
}

impl Output<'_> {
    fn put_series(&mut self, value: &Fold, stamp: u64, timers: Timers, encoded: &mut Encoded) {
        points(value, stamp, timers, |point| self.put(&point, encoded));
    }

    /// Puts a point that the API accepts.
    fn put(&mut self, point: &Point, encoded: &mut Encoded) {
        match point.refused(self.times) {
            Some(why) => encoded.omit(why, self.name),
            // A series counts with its first point.
            None => {
                self.bodies.put(self.name, self.place, point, std::mem::take(&mut self.series));
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
}

#[cfg(test)]
mod tests;
