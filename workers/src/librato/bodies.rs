//! Request bodies: lists of points, at most 300 in each.
//!
//! Pure. Names, sources and tags are legal, so nothing has to be escaped, and the bytes are written
//! without an intermediate form.

use super::flags::Api;
use super::place::Place;
use super::point::{More, Point, Reading};
use crate::Payload;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maximum number of points in one request; with more, the API takes longer than a client should
/// wait.
pub(super) const MAX_POINTS: usize = 300;

/// Whole numbers below 2^53 are exact as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Collects the points of a window.
#[derive(Debug)]
pub(super) struct Bodies {
    api: Api,
    /// Bodies that are complete.
    whole: VecDeque<Payload>,
    /// The body that has room.
    body: Vec<u8>,
    /// The number of points in it, and of the series that begin with one of them.
    points: usize,
    series: usize,
    /// What follows the name of the last point, which is usually the same for the next one: place and time.
    after_name: Vec<u8>,
    last: Option<(Arc<Place>, u64)>,
    /// Memory of a body that is not needed any more.
    spare: Option<Vec<u8>>,
}

impl Bodies {
    pub(super) const fn new(api: Api) -> Self {
        Self {
            api,
            whole: VecDeque::new(),
            body: Vec::new(),
            points: 0,
            series: 0,
            after_name: Vec::new(),
            last: None,
            spare: None,
        }
    }

    /// Adds a point, with which this number of series begins.
    pub(super) fn put(&mut self, name: &str, place: &Arc<Place>, point: &Point, series: usize) {
        if self.points == MAX_POINTS {
            self.end();
        }
        let is_same =
            |(last, time): &(Arc<Place>, u64)| Arc::ptr_eq(last, place) && *time == point.time;
        if !self.last.as_ref().is_some_and(is_same) {
            self.move_to(place, point.time);
        }
        let before: &[u8] = match (self.points, self.api) {
            (0, Api::Source) => b"{\"gauges\":[{\"name\":\"",
            (0, Api::Tagged) => b"{\"measurements\":[{\"name\":\"",
            _ => b",{\"name\":\"",
        };
        self.body.extend_from_slice(before);
        self.body.extend_from_slice(name.as_bytes());
        self.body.extend_from_slice(&self.after_name);
        self.reading(&point.reading);
        self.body.push(b'}');
        self.points += 1;
        self.series += series;
    }

    /// The next body that is complete.
    pub(super) fn pop(&mut self) -> Option<Payload> {
        self.whole.pop_front()
    }

    /// Gives memory for a later body.
    pub(super) fn reuse(&mut self, mut spare: Vec<u8>) {
        spare.clear();
        self.spare = Some(spare);
    }

    /// Completes the last body.
    pub(super) fn finish(&mut self) {
        if self.points > 0 {
            self.end();
        }
    }

    fn end(&mut self) {
        self.text("]}");
        // The next body is about as large.
        let new = || Vec::with_capacity(self.body.len() + self.body.len() / 16);
        let next = self.spare.take().unwrap_or_else(new);
        let body = std::mem::replace(&mut self.body, next);
        self.whole.push_back(Payload::new(body, std::mem::take(&mut self.series)));
        self.points = 0;
    }

    fn move_to(&mut self, place: &Arc<Place>, time: u64) {
        let key = match self.api {
            Api::Source => ",\"measure_time\":",
            Api::Tagged => ",\"time\":",
        };
        self.after_name.clear();
        let time_text = &mut itoa::Buffer::new();
        for text in ["\",", &place.json, key, time_text.format(time)] {
            self.after_name.extend_from_slice(text.as_bytes());
        }
        self.last = Some((Arc::clone(place), time));
    }

    fn reading(&mut self, reading: &Reading) {
        match *reading {
            Reading::One(value) => self.member(",\"value\":", value),
            Reading::Many { count, sum, min, max, more } => {
                self.text(",\"count\":");
                self.whole(count);
                self.member(",\"sum\":", sum);
                self.member(",\"min\":", min);
                self.member(",\"max\":", max);
                match (self.api, more) {
                    (Api::Source, More::Spread { sum_squares, .. }) => {
                        self.member(",\"sum_squares\":", sum_squares);
                    }
                    (Api::Source, More::Last(_)) => {}
                    (Api::Tagged, More::Last(last)) => self.member(",\"last\":", last),
                    (Api::Tagged, More::Spread { stddev, .. }) => {
                        self.member(",\"stddev\":", stddev);
                    }
                }
            }
        }
    }

    fn member(&mut self, key: &str, value: f64) {
        self.text(key);
        if value == value.trunc() && value.abs() < EXACT {
            self.text(itoa::Buffer::new().format(value as i64));
            return self.text(".0");
        }
        let written = serde_json::to_writer(&mut self.body, &value);
        debug_assert!(written.is_ok(), "writing to a vector cannot fail");
    }

    fn whole(&mut self, number: u64) {
        self.text(itoa::Buffer::new().format(number));
    }

    fn text(&mut self, text: &str) {
        self.body.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::Bodies;
    use crate::librato::flags::Api;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_written_like_those_of_json(value in any::<f64>(), whole in any::<i64>()) {
            prop_assume!(value.is_finite());
            for value in [value, whole as f64, value.trunc(), (whole >> 20) as f64] {
                let mut bodies = Bodies::new(Api::Source);
                bodies.member("", value);
                let expected = serde_json::to_string(&value).unwrap();
                // A zero has no sign.
                let expected = if value == 0.0 { "0.0" } else { &*expected };
                prop_assert_eq!(String::from_utf8(bodies.body).unwrap(), expected);
            }
        }
    }
}
