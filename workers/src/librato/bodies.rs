//! Request bodies: lists of points, at most 300 in each.
//!
//! Pure. Names, sources and tags are legal, so nothing has to be escaped, and the bytes are written
//! without an intermediate form.

use super::flags::Api;
use super::place::Place;
use super::point::{More, Point, Reading};
use crate::Payload;

/// Maximum number of points in one request; with more, the API takes longer than a client should
/// wait.
pub(super) const MAX_POINTS: usize = 300;

/// Whole numbers below 2^53 are exact as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Collects the points of a window.
#[derive(Debug)]
pub(super) struct Bodies {
    api: Api,
    payloads: Vec<Payload>,
    /// The body that has room.
    body: Vec<u8>,
    /// The number of points in it, and of the series that begin with one of them.
    points: usize,
    series: usize,
}

impl Bodies {
    pub(super) const fn new(api: Api) -> Self {
        Self { api, payloads: Vec::new(), body: Vec::new(), points: 0, series: 0 }
    }

    /// Adds a point, with which this number of series begins.
    pub(super) fn put(&mut self, name: &str, place: &Place, point: &Point, series: usize) {
        if self.points == MAX_POINTS {
            self.end();
        }
        let before: &[u8] = match (self.points, self.api) {
            (0, Api::Source) => b"{\"gauges\":[{\"name\":\"",
            (0, Api::Tagged) => b"{\"measurements\":[{\"name\":\"",
            _ => b",{\"name\":\"",
        };
        self.body.extend_from_slice(before);
        self.text(name);
        self.text("\",");
        self.text(&place.json);
        self.text(match self.api {
            Api::Source => ",\"measure_time\":",
            Api::Tagged => ",\"time\":",
        });
        self.whole(point.time);
        self.reading(&point.reading);
        self.body.push(b'}');
        self.points += 1;
        self.series += series;
    }

    /// The bodies of all points.
    pub(super) fn finish(mut self) -> Vec<Payload> {
        if self.points > 0 {
            self.end();
        }
        self.payloads
    }

    fn end(&mut self) {
        self.text("]}");
        // The next body is about as large.
        let next = Vec::with_capacity(self.body.len() + self.body.len() / 16);
        let body = std::mem::replace(&mut self.body, next);
        self.payloads.push(Payload::new(body, std::mem::take(&mut self.series)));
        self.points = 0;
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
