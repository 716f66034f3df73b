//! The points of a window: the series that are published, and the name of each point that must
//! arrive.

use std::io::Write;
use zibrato::Summary;
use zibrato::wire::{BatchWriter, PublisherId, batch_topic};
use zibrato_benchmark_pipeline::{Failure, Peer, put_frame};

/// Number of entries in each batch.
const ENTRIES: usize = 1_000;

const SOURCE: &str = "web-1";
const PREFIX: &str = "bench.requests.";
const DIGITS: usize = 7;

/// Series are published in this order, so that the worker has to sort them. It has no divisor in
/// common with their number, which is a power of ten.
const STRIDE: usize = 618_033;

/// The time of the lines for other senders.
const TIME: u64 = 1_700_000_040;

/// The default of `--timer-parts`.
const PARTS: [&str; 9] = ["count", "sum", "mean", "min", "max", "p50", "p95", "p99", "stddev"];

/// The kind of the series, and their number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Points {
    Counters(usize),
    /// Each has several points.
    Timers(usize),
}

/// What arrived, compared with what must arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) points: usize,
    /// Names that did not arrive.
    pub(crate) lost: usize,
    /// Points whose name had arrived before.
    pub(crate) doubled: usize,
    /// Points with a name that was not sent.
    pub(crate) foreign: usize,
}

impl Arrived {
    pub(crate) fn is_exact(self) -> bool {
        self.lost + self.doubled + self.foreign == 0
    }
}

impl Points {
    pub(crate) const fn series(self) -> usize {
        let (Self::Counters(series) | Self::Timers(series)) = self;
        series
    }

    fn points_each(self) -> usize {
        match self {
            Self::Counters(_) => 1,
            Self::Timers(_) => PARTS.len(),
        }
    }

    /// Number of points of a window.
    pub(crate) fn count(self) -> usize {
        self.series() * self.points_each()
    }

    /// Compares the names that arrived with those of one window.
    pub(crate) fn compare<'a>(self, names: impl Iterator<Item = &'a [u8]>) -> Arrived {
        let mut times = vec![0_u8; self.count()];
        let mut arrived = Arrived::default();
        for name in names {
            arrived.points += 1;
            match self.place(name).and_then(|place| times.get_mut(place)) {
                Some(times) if *times > 0 => arrived.doubled += 1,
                Some(times) => *times = 1,
                None => arrived.foreign += 1,
            }
        }
        arrived.lost = times.iter().filter(|times| **times == 0).count();
        arrived
    }

    /// The index of the point with this name.
    fn place(self, name: &[u8]) -> Option<usize> {
        let rest = name.strip_prefix(SOURCE.as_bytes())?.strip_prefix(b".")?;
        let (number, part) = rest.strip_prefix(PREFIX.as_bytes())?.split_at_checked(DIGITS)?;
        let series: usize = std::str::from_utf8(number).ok()?.parse().ok()?;
        let part = match self {
            Self::Counters(_) => part.is_empty().then_some(0),
            Self::Timers(_) => {
                let part = part.strip_prefix(b".")?;
                PARTS.iter().position(|known| known.as_bytes() == part)
            }
        };
        Some(series * self.points_each() + part?)
    }

    /// The points of a window as lines.
    pub(crate) fn lines(self) -> Vec<u8> {
        let mut lines = Vec::new();
        for n in 0..self.series() {
            let name = format!("{SOURCE}.{PREFIX}{n:0DIGITS$}");
            // Writing to a vector cannot fail.
            match self {
                Self::Counters(_) => writeln!(lines, "{name} {} {TIME}", n % 1_000 + 1).ok(),
                Self::Timers(_) => PARTS.iter().zip(1..).try_for_each(|(part, at)| {
                    let value = 0.008 + f64::from(at) * (n % 1_000) as f64 / 1e6;
                    writeln!(lines, "{name}.{part} {value:?} {TIME}").ok()
                }),
            };
        }
        lines
    }

    fn batch(self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut batch = BatchWriter::new(SOURCE, 0, 1_000);
        for at in range {
            let n = at * STRIDE % self.series();
            let name = format!("{PREFIX}{n:0DIGITS$}");
            match self {
                Self::Counters(_) => batch.counter(&name, &[], (n % 1_000 + 1) as f64),
                Self::Timers(_) => batch.timer(&name, &[], &readings(n)),
            }
        }
        batch.finish()
    }
}

/// Twenty readings between 8 and 15 ms.
fn readings(series: usize) -> Summary {
    let reading = |at: usize| 0.008 + 0.007 * ((series * 31 + at * 7_919) % 1_000) as f64 / 1e3;
    (0..20).map(reading).collect()
}

/// Publishes windows to a broker.
pub(crate) struct Publisher {
    peer: Peer,
    sequence: u64,
}

impl Publisher {
    pub(crate) fn connect(port: u16) -> Result<Self, Failure> {
        Ok(Self { peer: Peer::connect(port, "PUSH")?, sequence: 0 })
    }

    /// Publishes each series once.
    pub(crate) fn publish(&mut self, points: Points) -> Result<(), Failure> {
        let topic = batch_topic("info");
        for first in (0..points.series()).step_by(ENTRIES) {
            let mut bytes = Vec::new();
            self.sequence += 1;
            let id = [&PublisherId([7; 16]).0[..], &self.sequence.to_be_bytes()].concat();
            put_frame(&mut bytes, topic.as_bytes(), true);
            put_frame(&mut bytes, &id, true);
            let last = points.series().min(first + ENTRIES);
            put_frame(&mut bytes, &points.batch(first..last), false);
            self.peer.stream.write_all(&bytes)?;
        }
        Ok(())
    }
}
