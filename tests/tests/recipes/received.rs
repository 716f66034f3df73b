//! What a subscriber received, by series.

use std::collections::{BTreeMap, BTreeSet};
use zibrato::Gauge;
use zibrato::wire::{BATCH_PREFIX, BatchReader, Entry, Message, PublisherId, Value, message};
use zibrato_broker::Broker;
use zibrato_tests::DEADLINE;

/// The level of the last batch of a test.
pub(crate) const LAST: &str = "last";

/// The readings of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Readings {
    Counter(f64),
    Gauge(Gauge),
    /// Their number.
    Timer(u64),
}

/// Everything that was received, except the metrics of level `zibrato` and the last batch.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// By level, name and tags, such as `info requests route=/ status=200`.
    pub(crate) series: BTreeMap<String, Readings>,
    pub(crate) sources: BTreeSet<String>,
    /// By series.
    pub(crate) publishers: BTreeMap<String, BTreeSet<PublisherId>>,
}

/// A subscriber to all batches.
pub(crate) fn subscriber(broker: &Broker) -> zmq::Socket {
    let subscriber = zmq::Context::new().socket(zmq::SUB).unwrap();
    subscriber.set_rcvhwm(0).unwrap();
    subscriber.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).unwrap()).unwrap();
    subscriber.connect(&broker.endpoint(broker.publish_port())).unwrap();
    subscriber.set_subscribe(BATCH_PREFIX.as_bytes()).unwrap();
    subscriber
}

impl Received {
    /// Reads the next message, and returns its level.
    #[track_caller]
    pub(crate) fn read(&mut self, subscriber: &zmq::Socket) -> String {
        let frames = subscriber.recv_multipart(0).unwrap();
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let Ok(Message::Batch { level, id, body, .. }) = message(&frames) else {
            panic!("{frames:?}")
        };
        if level != "zibrato" && level != LAST {
            let batch = BatchReader::new(body).unwrap();
            self.sources.insert(batch.source().to_owned());
            batch.entries().for_each(|entry| self.add(level, id.publisher, entry.unwrap()));
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
    pub(crate) fn counts(&self) -> BTreeMap<&str, f64> {
        let counts = self.series.iter().filter_map(|(series, readings)| match readings {
            Readings::Counter(sum) => Some((series.as_str(), *sum)),
            Readings::Timer(count) => Some((series.as_str(), *count as f64)),
            Readings::Gauge(_) => None,
        });
        counts.collect()
    }

    #[track_caller]
    pub(crate) fn gauge(&self, series: &str) -> Gauge {
        match self.series.get(series) {
            Some(Readings::Gauge(gauge)) => *gauge,
            other => panic!("{series}: {other:?}"),
        }
    }
}
