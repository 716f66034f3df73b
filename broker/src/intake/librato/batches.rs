//! The measurements of several requests as batches: one for each source, or more if they are large.
//!
//! They are not aggregated. Each gauge keeps its own time, and writing one costs less than looking up
//! its series. Workers aggregate them as everything else.
//!
//! Pure: takes times, opens nothing.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use zibrato::Annotation;
use zibrato::window::Fold;
use zibrato::wire::{BATCH_TARGET_BYTES, BatchWriter};

/// Maximum number of measurements in batches that are not published yet.
const MAX_MEASUREMENTS: usize = 200_000;

/// The length of a measurement as it is estimated for an annotation, in bytes.
const MEASUREMENT_BYTES: usize = 100;

/// Length of the interval that a batch names, in milliseconds.
const INTERVAL_MS: u64 = 1_000;

/// Batches that are being written.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: Vec<(Box<str>, BatchWriter)>,
    /// Places in `open` by source.
    places: HashMap<Box<str>, usize, RandomState>,
    /// The place of the last measurement, whose source is usually that of the next one.
    last: usize,
    full: Vec<Vec<u8>>,
    measurements: usize,
}

impl Batches {
    /// Whether this number of measurements can be added.
    pub(super) const fn has_room_for(&self, measurements: usize) -> bool {
        self.measurements + measurements <= MAX_MEASUREMENTS
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.measurements == 0
    }

    /// Adds a measurement with valid texts.
    pub(super) fn add(
        &mut self,
        [source, name]: [&str; 2],
        tags: &[(&str, &str)],
        value: &Fold,
        now_ms: u64,
    ) {
        self.write(source, now_ms, 1, |batch| match value {
            Fold::Gauge(Some(gauge)) => batch.gauge(name, tags, gauge),
            Fold::Counter(sum) => batch.counter(name, tags, *sum),
            _ => debug_assert!(false, "the API has gauges and counters"),
        });
    }

    /// Adds an annotation.
    pub(super) fn annotate(&mut self, source: &str, annotation: &Annotation, now_ms: u64) {
        // A long one takes the room of several measurements.
        let measurements = 1 + annotation.bytes() / MEASUREMENT_BYTES;
        self.write(source, now_ms, measurements, |batch| batch.annotation(annotation));
    }

    fn write(
        &mut self,
        source: &str,
        now_ms: u64,
        measurements: usize,
        entry: impl FnOnce(&mut BatchWriter),
    ) {
        let begin =
            |source: &str| BatchWriter::new(source, now_ms - now_ms % INTERVAL_MS, INTERVAL_MS);
        let at = match self.open.get(self.last) {
            Some((last, _)) if **last == *source => self.last,
            Some(_) | None => match self.places.get(source) {
                Some(at) => *at,
                None => {
                    self.open.push((source.into(), begin(source)));
                    self.places.insert(source.into(), self.open.len() - 1);
                    self.open.len() - 1
                }
            },
        };
        self.last = at;
        let Some((_, batch)) = self.open.get_mut(at) else { return };
        entry(batch);
        self.measurements += measurements;
        if batch.bytes() >= BATCH_TARGET_BYTES {
            self.full.push(std::mem::replace(batch, begin(source)).finish());
        }
    }

    /// The bodies of all batches. Afterwards there are none.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        self.places.clear();
        (self.last, self.measurements) = (0, 0);
        let mut bodies = std::mem::take(&mut self.full);
        let open = self.open.drain(..).filter(|(_, batch)| batch.entries() > 0);
        bodies.extend(open.map(|(_, batch)| batch.finish()));
        bodies
    }
}

#[cfg(test)]
mod tests {
    use super::{Batches, MAX_MEASUREMENTS, MEASUREMENT_BYTES};
    use zibrato::window::Fold;
    use zibrato::wire::{BATCH_TARGET_BYTES, BatchReader, Value};
    use zibrato::{Annotation, Gauge};

    #[test]
    fn each_source_has_its_batches_and_each_gauge_its_time() {
        let mut batches = Batches::default();
        for (source, at_ms) in [("a", 1_000), ("b", 2_000), ("a", 3_000)] {
            let gauge = Fold::Gauge(Some(Gauge::reading(0.5, at_ms)));
            batches.add([source, "g"], &[("dc", "eu")], &gauge, 5_700);
        }
        batches.add(["b", "c"], &[], &Fold::Counter(3.0), 5_900);
        let read = |body: &Vec<u8>| {
            let batch = BatchReader::new(body).unwrap();
            let entries = batch.entries().map(Result::unwrap);
            let entries = entries.map(|entry| match entry.value {
                Value::Gauge(gauge) => format!("{} {}", entry.name, gauge.at_ms),
                Value::Counter(sum) => format!("{} {sum}", entry.name),
                other => panic!("{other:?}"),
            });
            format!("{} {}", batch.source(), entries.collect::<Vec<_>>().join(", "))
        };
        let bodies: Vec<_> = batches.take().iter().map(read).collect();
        assert_eq!(bodies, ["a g 1000, g 3000", "b g 2000, c 3"]);
        assert!(batches.take().is_empty());
    }

    #[test]
    fn annotations_are_bounded_by_their_length() {
        let mut annotation = Annotation::new("deploys", "version 7", 5).unwrap();
        for n in 0..10 {
            annotation = annotation.with_link(&n.to_string(), &"x".repeat(2_048), None).unwrap();
        }
        let (mut batches, mut count) = (Batches::default(), 0);
        while batches.has_room_for(1) {
            batches.annotate("a", &annotation, 0);
            count += 1;
        }
        assert!(count * annotation.bytes() <= MAX_MEASUREMENTS * MEASUREMENT_BYTES);
        let (mut read, bodies) = (0, batches.take());
        for body in &bodies {
            for entry in BatchReader::new(body).unwrap().entries() {
                assert_eq!(entry.unwrap().value, Value::Annotation(Box::new(annotation.clone())));
                read += 1;
            }
        }
        assert_eq!(read, count);
    }

    #[test]
    fn batches_are_bounded() {
        let (mut batches, mut count) = (Batches::default(), 0);
        while batches.has_room_for(1) {
            batches.add(["a", &format!("name.{count}")], &[], &Fold::Counter(1.0), 0);
            count += 1;
        }
        assert_eq!(count, MAX_MEASUREMENTS);
        let bodies = batches.take();
        assert!(bodies.len() > 1 && batches.has_room_for(MAX_MEASUREMENTS));
        assert!(bodies.iter().all(|body| body.len() < BATCH_TARGET_BYTES + 1_000));
        let entries = bodies.iter().map(|body| BatchReader::new(body).unwrap().entries().count());
        assert_eq!(entries.sum::<usize>(), MAX_MEASUREMENTS);
    }
}
