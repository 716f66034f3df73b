//! What a subscriber received, by series.

use crate::running::must;
use crate::wait::DEADLINE;
use std::collections::{BTreeMap, BTreeSet};
use zibrato::Gauge;
use zibrato::wire::{BATCH_PREFIX, BatchReader, Entry, Message, PublisherId, Value, message};

/// The readings of one series.
#[derive(Debug, Clone, PartialEq)]
pub enum Readings {
    /// Their sum.
    Counter(f64),
    /// All of them together.
    Gauge(Gauge),
    /// Their number.
    Timer(u64),
}

/// Everything that was received, except the metrics of level `zibrato` and the last batch.
#[derive(Debug, Default)]
pub struct Received {
    /// By level, name and tags, such as `info requests route=/ status=200`.
    pub series: BTreeMap<String, Readings>,
    /// Of all series.
    pub sources: BTreeSet<String>,
    /// By series.
    pub publishers: BTreeMap<String, BTreeSet<PublisherId>>,
}

impl Received {
    /// The level of a batch by which a test knows that it has received all others.
    pub const LAST: &str = "last";

    /// A subscriber to all batches of the broker that publishes at this endpoint.
    ///
    /// # Panics
    /// If the system has no socket available.
    #[must_use]
    #[track_caller]
    pub fn subscriber(endpoint: &str) -> zmq::Socket {
        let open = || {
            let subscriber = zmq::Context::new().socket(zmq::SUB)?;
            subscriber.set_rcvhwm(0)?;
            subscriber.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).unwrap_or(i32::MAX))?;
            subscriber.connect(endpoint)?;
            subscriber.set_subscribe(BATCH_PREFIX.as_bytes())?;
            Ok::<_, zmq::Error>(subscriber)
        };
        must("a subscriber", open())
    }

    /// Reads the next message, and returns its level.
    ///
    /// # Panics
    /// If there is none within [`DEADLINE`], or it is not a batch.
    #[track_caller]
    pub fn read(&mut self, subscriber: &zmq::Socket) -> String {
        let frames = must("the next batch", subscriber.recv_multipart(0));
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let Ok(Message::Batch { level, id, body, .. }) = message(&frames) else {
            panic!("{frames:?}")
        };
        if level != "zibrato" && level != Self::LAST {
            let batch = must("a batch", BatchReader::new(body));
            self.sources.insert(batch.source().to_owned());
            for entry in batch.entries() {
                self.add(level, id.publisher, must("an entry", entry));
            }
        }
        level.to_owned()
    }

    fn add(&mut self, level: &str, publisher: PublisherId, entry: Entry<'_>) {
        let tags: BTreeMap<_, _> = entry.tags.collect();
        let tags = tags.iter().map(|(tag, value)| format!(" {tag}={value}"));
        let series = format!("{level} {}{}", entry.name, tags.collect::<String>());
        self.publishers.entry(series.clone()).or_default().insert(publisher);
        let new = match entry.value {
            Value::Counter(sum) => Readings::Counter(sum),
            Value::Gauge(gauge) => Readings::Gauge(gauge),
            Value::Timer(timer) => Readings::Timer(timer.count),
            Value::TimerReadings(readings) => Readings::Timer(readings.count() as u64),
            other => panic!("{series}: {other:?}"),
        };
        let Some(readings) = self.series.get_mut(&series) else {
            self.series.insert(series, new);
            return;
        };
        match (readings, new) {
            (Readings::Counter(sum), Readings::Counter(more)) => *sum += more,
            (Readings::Gauge(gauge), Readings::Gauge(more)) => gauge.merge(&more),
            (Readings::Timer(count), Readings::Timer(more)) => *count += more,
            (one, other) => panic!("{series} has two kinds: {one:?}, {other:?}"),
        }
    }

    /// The counters and timers: sums, and numbers of readings.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, f64> {
        let counts = self.series.iter().filter_map(|(series, readings)| match readings {
            Readings::Counter(sum) => Some((series.as_str(), *sum)),
            Readings::Timer(count) => Some((series.as_str(), *count as f64)),
            Readings::Gauge(_) => None,
        });
        counts.collect()
    }

    /// The readings of a gauge.
    ///
    /// # Panics
    /// If the series is none.
    #[must_use]
    #[track_caller]
    pub fn gauge(&self, series: &str) -> Gauge {
        match self.series.get(series) {
            Some(Readings::Gauge(gauge)) => *gauge,
            other => panic!("{series}: {other:?}"),
        }
    }
}
