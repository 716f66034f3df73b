//! The bodies of requests with many measurements.
//!
//! Pure. Each measurement is written once, when it is added.

use super::measurement::Entry;
use std::collections::VecDeque;
use std::ops::Range;

/// The number of measurements in a request.
pub(super) const PER_REQUEST: usize = 300;

/// Written measurements, separated by commas.
#[derive(Debug, Default, Clone)]
struct Written {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Written {
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), serde_json::Error> {
        let before = self.bytes.len();
        if before > 0 {
            self.bytes.push(b',');
        }
        if let Err(why) = serde_json::to_writer(&mut self.bytes, entry) {
            self.bytes.truncate(before);
            return Err(why);
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Some of them.
    fn some(&self, of: Range<usize>) -> Self {
        let bytes = self.part(of.clone()).to_vec();
        let before = if of.start == 0 { 0 } else { self.end(of.start - 1) + 1 };
        Self { bytes, ends: of.map(|at| self.end(at) - before).collect() }
    }

    fn end(&self, at: usize) -> usize {
        self.ends.get(at).copied().unwrap_or_default()
    }

    /// The bytes of some of them.
    fn part(&self, of: Range<usize>) -> &[u8] {
        if of.is_empty() {
            return &[];
        }
        let from = if of.start == 0 { 0 } else { self.end(of.start - 1) + 1 };
        self.bytes.get(from..self.end(of.end - 1)).unwrap_or_default()
    }
}

/// Where a chunk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Measurements,
    Metrics,
}

impl Endpoint {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Measurements => "measurements",
            Self::Metrics => "metrics",
        }
    }
}

/// The measurements of one request.
#[derive(Debug, Default, Clone)]
pub(super) struct Chunk {
    /// Gauges, or measurements with tags.
    gauges: Written,
    counters: Written,
}

impl Chunk {
    pub(super) const fn len(&self) -> usize {
        self.gauges.len() + self.counters.len()
    }

    /// The body of a request.
    pub(super) fn body(&self, to: Endpoint) -> Vec<u8> {
        let (gauges, counters) = (&*self.gauges.bytes, &*self.counters.bytes);
        match to {
            Endpoint::Measurements => [b"{\"measurements\":[", gauges, b"]}"].concat(),
            Endpoint::Metrics => {
                [b"{\"gauges\":[", gauges, b"],\"counters\":[", counters, b"]}"].concat()
            }
        }
    }

    /// Some of them; gauges are before counters.
    fn some(&self, of: Range<usize>) -> Self {
        let gauges = self.gauges.len();
        let first = of.start.min(gauges)..of.end.min(gauges);
        let second = of.start.saturating_sub(gauges)..of.end.saturating_sub(gauges);
        Self { gauges: self.gauges.some(first), counters: self.counters.some(second) }
    }
}

/// Chunks for one endpoint.
#[derive(Debug, Default)]
pub(super) struct Chunks(VecDeque<Chunk>);

impl Chunks {
    pub(super) fn add(
        &mut self,
        entry: &Entry<'_>,
        is_counter: bool,
    ) -> Result<(), serde_json::Error> {
        if self.0.back().is_none_or(|last| last.len() >= PER_REQUEST) {
            self.0.push_back(Chunk::default());
        }
        let Some(last) = self.0.back_mut() else { return Ok(()) };
        let added = if is_counter { last.counters.add(entry) } else { last.gauges.add(entry) };
        if last.len() == 0 {
            self.0.pop_back();
        }
        added
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Chunk::len).sum()
    }

    pub(super) fn first(&self) -> Option<&Chunk> {
        self.0.front()
    }

    pub(super) fn remove_first(&mut self) {
        self.0.pop_front();
    }

    /// Divides the first chunk in two; returns whether it has several measurements.
    pub(super) fn divide_first(&mut self) -> bool {
        let Some(first) = self.0.pop_front_if(|first| first.len() > 1) else { return false };
        let middle = first.len() / 2;
        self.0.push_front(first.some(middle..first.len()));
        self.0.push_front(first.some(0..middle));
        true
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::measurement::Measurement;
    use super::{Chunk, Chunks, Endpoint};

    fn add(chunks: &mut Chunks, of: &Measurement) {
        chunks.add(&of.without_tags(), of.is_counter()).unwrap();
    }

    #[test]
    fn a_chunk_is_divided_until_each_measurement_is_alone() {
        let mut chunks = Chunks::default();
        for at in 0..5 {
            add(&mut chunks, &Measurement::gauge("a", at));
            add(&mut chunks, &Measurement::counter("b", at));
        }
        let (mut found, mut divisions) = (Vec::new(), 0);
        while let Some(first) = chunks.first().cloned() {
            let json: serde_json::Value =
                serde_json::from_slice(&first.body(Endpoint::Metrics)).unwrap();
            let list = |kind: &str| json[kind].as_array().unwrap().clone();
            let all = [list("gauges"), list("counters")].concat();
            assert_eq!(all.len(), first.len());
            if chunks.divide_first() {
                divisions += 1;
                continue;
            }
            found.push(format!("{}{}", all[0]["name"].as_str().unwrap(), all[0]["value"]));
            chunks.remove_first();
        }
        assert_eq!(found, ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]);
        assert_eq!((divisions, chunks.len()), (9, 0));
        assert!(!chunks.divide_first());
    }

    #[test]
    fn a_chunk_has_three_hundred_measurements_of_both_kinds() {
        let mut chunks = Chunks::default();
        for at in 0..601 {
            let of = Measurement::gauge("a", at);
            add(&mut chunks, &if at % 2 == 0 { of } else { Measurement::counter("b", at) });
        }
        assert_eq!(chunks.len(), 601);
        let lengths: Vec<_> = chunks.0.iter().map(Chunk::len).collect();
        assert_eq!(lengths, [300, 300, 1]);
    }
}
